"""Imports transformers without two parts of torch that a process which only runs models never uses; that is half of all its imports.

``transformers.modeling_utils`` imports ``torch._dynamo`` (the compiler, with sympy) to decorate five functions, and
``torch.distributed.tensor`` in case a model is spread over machines: a thousand modules, one second of every start. A server of
pages compiles nothing and is one process. So `install`, before transformers is imported,

* puts a package in the compiler's place that becomes the real one when anybody asks it for more than the decorators;
* lets transformers see a torch without its distributed package, as some builds are (it asks once and remembers).

No number depends on either. Only servers do this: a notebook's process belongs to somebody who may want both.

Versions: torch 2.6 to 2.15, transformers 5.21 to 5.24.
Reason: one second of every start; the row "without lean_imports" of ``python -m benchmarks.replacements``.
Upstream: huggingface/transformers, src/transformers/modeling_utils.py: import both where they are used.
Test: tests/compat/test_lean_imports.py::test_transformers_still_imports_both
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["COMPILER", "install", "mend"]

COMPILER = "torch._dynamo"
MARKS = ("allow_in_graph", "assume_constant_result")
"""Decorators that only note something about a function for a later compilation."""

EARLY = COMPILER + "._trace_wrapped_higher_order_op"
"""The one part that transformers takes something out of (for masks); it needs no other part."""

_lock = threading.RLock()


class LazyCompiler(ModuleType):
    """Stands for ``torch._dynamo`` until something of it is used; then the real one comes in and takes over."""

    def __init__(self, spec: Any) -> None:
        super().__init__(COMPILER)
        self.__spec__, self.__package__, self.__path__ = spec, COMPILER, list(spec.submodule_search_locations)
        self._marked: list[tuple[str, Callable[..., Any]]] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in MARKS:
            return functools.partial(self._mark, name)
        return self._disable if name == "disable" else getattr(self.real(), name)

    def _mark(self, name: str, function: Any) -> Any:
        self._marked.append((name, function))
        return function

    def _disable(self, function: Any = None, *args: Any, **options: Any) -> Any:
        """``torch.compiler.disable``: while there is no compiler, nothing is compiled and the function is as it is."""
        if function is None:
            return functools.partial(self._disable, **options)
        made: list[Any] = []

        @functools.wraps(function)
        def run(*given: Any, **named: Any) -> Any:
            if sys.modules.get(COMPILER) is self:
                return function(*given, **named)
            if not made:
                made.append(self.real().disable(function, *args, **options))
            return made[0](*given, **named)

        return run

    def real(self) -> ModuleType:
        """The compiler itself, from now on in this one's place."""
        with _lock:
            if sys.modules.get(COMPILER) is self:
                sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Parts)]
                del sys.modules[COMPILER]
                real = importlib.import_module(COMPILER)
                for name, function in self._marked:
                    getattr(real, name)(function)
        return sys.modules[COMPILER]


class _Parts(MetaPathFinder, Loader):
    """Import hook: importing any part of ``torch._dynamo`` first loads the real compiler, then returns the part from it."""

    def __init__(self, compiler: LazyCompiler) -> None:
        self._compiler = compiler

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if not name.startswith(COMPILER + ".") or name == EARLY:
            return None
        self._compiler.real()
        module = importlib.import_module(name)
        spec = importlib.util.spec_from_loader(name, self)
        self._own, module.__spec__ = module.__spec__, spec  # Python goes on with the spec that the module has by now
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return sys.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._own


def mend() -> None:
    """For the process of a server."""
    install()


def install() -> None:
    """Call before transformers is imported for the first time; later it does nothing. Imports torch."""
    import torch  # late: torch, transformers: seconds

    with _lock:
        if COMPILER in sys.modules or "transformers.modeling_utils" in sys.modules:
            return
        spec = importlib.util.find_spec(COMPILER)
        if spec is not None:
            stand_in = LazyCompiler(spec)
            sys.modules[COMPILER] = torch._dynamo = stand_in
            sys.meta_path.insert(0, _Parts(stand_in))
        _alone(torch.distributed)


def _alone(distributed: Any) -> None:
    # late: torch, transformers: seconds
    from transformers.utils.import_utils import is_torch_distributed_available as asked

    really = distributed.is_available
    distributed.is_available = lambda: False
    try:
        if hasattr(asked, "cache_clear"):  # else it would ask again later, and get the true answer
            asked.cache_clear()
            asked()
    finally:
        distributed.is_available = really
