"""What a model consists of apart from its numbers: modules, their settings, their hooks, their code, its configuration.

The user can change any of it between two runs: replace a module, add a hook, switch an adapter off, set an attention
implementation, overwrite a function. `Structure.same` compares all of it with what was there before, in well under a millisecond.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any

from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from txpanel.models.as_in_use import MOVING

BOOKKEEPING = frozenset(nn.Module().__dict__)
IGNORED = frozenset(
    {
        "gradient_checkpointing", "_gradient_checkpointing_func", "_is_hf_initialized", "_require_grads_hook", "_require_grads_hooks",
        "warnings_issued", "generation_config", "use_cache", "output_attentions", "output_hidden_states", "return_dict", "_name_or_path",
        "_output_attentions", "_commit_hash", "transformers_version", "id2label", "label2id", "_hub_mixin_config", "is_gradient_checkpointing",
        "_output_capturing_hooks_installed", "rope_deltas",
    }
)  # fmt: skip
"""Settings of modules and configurations that do not affect the numbers of a run."""
PLAIN = (bool, int, float, str, bytes, type(None))
COLLECTING = "transformers.utils.output_capturing"
"""Module of transformers' own hooks that only collect outputs; they stay in a model after its hidden states were requested."""

Hook = tuple[str, Any]


class Structure:
    """A snapshot of a model's structure.

    Attributes:
        tensors: its parameters, buffers and other tensors by name, each once. foreign: why earlier numbers are not reused at all; empty: they may be.
    """

    def __init__(self, model: nn.Module, passing: frozenset[tuple[str, str]] = frozenset()) -> None:
        """``passing``: (module, attribute) pairs that the model's own passes change, and that are not compared."""
        self._root = model
        named = list(model.named_modules())
        self.names = {id(module): name for name, module in named}
        self.modules = [module for _, module in named]
        self._snapshots = [_Snapshot(name, module, passing) for name, module in named]
        self.tensors: dict[str, Tensor] = {}
        seen = set[int]()
        for name, place in zip(self.names.values(), self._snapshots, strict=True):
            for key, tensor in place.tensors.items():
                if id(tensor) not in seen:
                    seen.add(id(tensor))
                    self.tensors[f"{name}.{key}" if name else key] = tensor
        self._configs = [(config, _settings(config)) for config in _configurations([m for _, m in named])]
        self._code = _code_of({type(module) for _, module in named})
        self.hooks = self._foreign_hooks()
        self.foreign = self._why_foreign()

    # -- the same as before? --------------------------------------------------------------------------------------

    def same(self) -> bool:
        """Whether everything is as it was. Of tensors only whether they are the same objects, not their numbers."""
        return self.what_changed() is None

    def what_changed(self) -> tuple[str, str] | None:
        """The first (module, attribute) that has changed; None: nothing has."""
        for place in self._snapshots:
            found = place.what_changed()
            if found is not None:
                return place.name, found
        for config, kept in self._configs:
            if _settings(config) != kept:
                return "config", type(config).__name__
        if any(owner.get(key) is not value for owner, key, value in self._code):
            return "code", ""
        hooks = self._foreign_hooks()
        if len(hooks) != len(self.hooks) or any(
            a[1] is not b[1] or a[0] != b[0] for a, b in zip(hooks, self.hooks, strict=True)
        ):
            return "hooks", ""
        return None if self._why_foreign() == self.foreign else ("foreign", "")

    def all_changed(self) -> set[tuple[str, str]]:
        """For every module that has changed its first changed attribute; if no module has, what else has changed."""
        found = {(place.name, key) for place in self._snapshots if (key := place.what_changed()) is not None}
        other = None if found else self.what_changed()
        return found if other is None else {other}

    def _foreign_hooks(self) -> list[Hook]:
        """Hooks that are neither txpanel's nor transformers': their effect on a run is not known."""
        found = [
            ("", hook)
            for hook in (*torch_module._global_forward_pre_hooks.values(), *torch_module._global_forward_hooks.values())
        ]
        for place in self._snapshots:
            d = place.dict
            if d["_forward_hooks"] or d["_forward_pre_hooks"]:
                found += [
                    (place.name, hook) for hook in (*d["_forward_pre_hooks"].values(), *d["_forward_hooks"].values())
                ]
        return [(name, hook) for name, hook in found if not _harmless(hook)]

    def _why_foreign(self) -> str:
        if self.hooks:
            return f"hook at {self.hooks[0][0] or 'all modules'}"
        for place in self._snapshots:
            d, name = place.dict, place.name
            if "forward" in d or d.get("_compiled_call_impl") is not None:
                return f"forward of {name or 'the model'}"
            if "parametrizations" in d["_modules"]:
                return f"parametrization of {name}"
        return ""

    # -- in words for a digest ------------------------------------------------------------------------------------

    def lines(self, serial: Callable[[Any], int | str]) -> Iterator[str]:
        """Everything but the tensors' numbers, as text: equal text, equal model.

        Args:
            serial: a number or text that stands for an object whose content cannot be written as text.
        """
        for place in self._snapshots:
            own = {key: _as_text(value, serial) for key, value in sorted(place.own.items())}
            kind = place.kind
            yield f"{place.name} {kind.__module__}.{kind.__qualname__} {tuple(place.dict['_modules'])} {own}"
        for config, kept in self._configs:
            yield f"{type(config).__name__} { ({key: _as_text(value, serial) for key, value in kept.items()}) }"
        for _owner, key, value in self._code:
            yield f"{key} {serial(value)}"
        for name, hook in self.hooks:
            yield f"hook {name} {serial(hook)}"
        yield self.foreign


class _Snapshot:
    """A snapshot of one module, in a form that is quick to compare."""

    def __init__(self, name: str, module: nn.Module, passing: frozenset[tuple[str, str]]) -> None:
        self.name, self.module, self.kind, self.dict = name, module, type(module), module.__dict__
        moving = any(kind in str(self.dict.get("rope_type", "")) for kind in MOVING)
        self._size = None if moving or any(name == where for where, _ in passing) else len(self.dict)
        own = {
            key: value
            for key, value in self.dict.items()
            if key not in BOOKKEEPING | IGNORED and (name, key) not in passing
        }
        if moving:  # what else they remember depends on the texts (:mod:`txpanel.models.as_in_use`)
            own = {key: value for key, value in own.items() if key in ("rope_type", "original_inv_freq")}
        buffers = {key: value for key, value in self.dict["_buffers"].items() if (name, key) not in passing}
        if moving:
            buffers = {key: value for key, value in buffers.items() if "original" in key}
        self.own = {key: value for key, value in own.items() if not isinstance(value, Tensor)}
        given = {**self.dict["_parameters"], **buffers, **own}
        self.tensors = {key: value for key, value in given.items() if isinstance(value, Tensor)}
        self._kept = [(key, _copied(value)) for key, value in own.items() if isinstance(value, (list, dict, set))]
        self._loose = [key for key, value in own.items() if isinstance(value, Tensor)]
        self._read = self._skipping if set(self.dict["_buffers"]) - set(buffers) else self._all
        self._skips = frozenset(self.dict["_buffers"]) - set(buffers)
        self._keys, self._values, self._members = list(self.own), list(self.own.values()), self._read()

    def what_changed(self) -> str | None:
        """The first attribute that has changed; None: none has."""
        d = self.dict
        if self.module.__class__ is not self.kind:
            return "its class"
        if not self._own_same():
            return next((key for key, value in self.own.items() if not _same(d.get(key, self), value)), None)
        for key, kept in self._kept:
            if not _equal(d[key], kept):
                return key
        members = self._read()
        if members != self._members:
            names = [
                *d["_modules"],
                *d["_parameters"],
                *(key for key in d["_buffers"] if key not in self._skips),
                *self._loose,
            ]
            return next(
                (name for name, a, b in zip(names, members, self._members, strict=False) if a != b), "its parts"
            )
        return None if self._size is None or len(d) == self._size else self._added()

    def _added(self) -> str | None:
        """An attribute that was not there before; None if all new ones can be ignored."""
        known = BOOKKEEPING | IGNORED | self.own.keys() | set(self._loose)
        found = next((key for key in self.dict if key not in known), None)
        if found is None:
            self._size = len(self.dict)
        return found

    def _own_same(self) -> bool:
        try:
            return (
                list(map(self.dict.get, self._keys)) == self._values
            )  # `==` of lists compares identical objects without calling their `__eq__`
        except Exception:
            return False

    def _all(self) -> list[int]:
        """The ids of its submodules, parameters, buffers and other tensors."""
        d = self.dict
        found = [
            *map(id, d["_modules"].values()),
            *map(id, d["_parameters"].values()),
            *map(id, d["_buffers"].values()),
        ]
        return [*found, *(id(d.get(key)) for key in self._loose)] if self._loose else found

    def _skipping(self) -> list[int]:
        """As `_all`, without the buffers that passes change."""
        d = self.dict
        found = [*map(id, d["_modules"].values()), *map(id, d["_parameters"].values())]
        found += [id(buffer) for key, buffer in d["_buffers"].items() if key not in self._skips]
        return [*found, *(id(d.get(key)) for key in self._loose)]


def _same(there: Any, value: Any) -> bool:
    return there is value or (type(there) is type(value) and isinstance(value, PLAIN) and there == value)


def _copied(value: Any) -> Any:
    try:
        return (
            copy.copy(value)
            if not isinstance(value, dict)
            else {k: copy.copy(v) if isinstance(v, (list, dict, set)) else v for k, v in value.items()}
        )
    except Exception:
        return value


def _equal(now: Any, kept: Any) -> bool:
    try:
        return bool(now == kept)
    except Exception:
        return len(now) == len(kept)


def _harmless(hook: Any) -> bool:
    module = str(getattr(hook, "__module__", "") or getattr(getattr(hook, "func", None), "__module__", ""))
    return module == "txpanel" or module.startswith("txpanel.") or module == COLLECTING


def _configurations(modules: list[nn.Module]) -> list[Any]:
    """Every configuration object of a model, each once; those inside of others, too."""
    found: dict[int, Any] = {}
    left = [module.__dict__["config"] for module in modules if "config" in module.__dict__]
    while left:
        config = left.pop()
        if id(config) not in found and hasattr(config, "__dict__"):
            found[id(config)] = config
            left += [value for value in vars(config).values() if hasattr(value, "to_dict")]
    return list(found.values())


def _settings(config: Any) -> dict[str, Any]:
    return {
        key: copy.deepcopy(value) if isinstance(value, (list, dict)) else value
        for key, value in vars(config).items()
        if key not in IGNORED
    }


def _code_of(classes: set[type]) -> list[tuple[Any, str, Any]]:
    """(namespace, name, object) of the methods of classes, and of what they call by name in their own files."""
    found: dict[tuple[int, str], tuple[Any, str, Any]] = {}
    left: list[FunctionType] = []
    for kind in classes:
        for base in kind.__mro__:
            if base in (nn.Module, object) or not issubclass(base, nn.Module):
                continue
            for name, value in vars(base).items():
                if isinstance(value, FunctionType):
                    found[id(base), name] = (vars(base), name, value)
                    left.append(value)
    while left:
        function = inspect.unwrap(left.pop())
        if not isinstance(function, FunctionType) or function.__module__.startswith("torch."):
            continue
        space = function.__globals__
        for name in _names(function.__code__):
            value = space.get(name)
            if callable(value) and (id(space), name) not in found:
                found[id(space), name] = (space, name, value)
                if isinstance(value, FunctionType) and value.__globals__ is space:
                    left.append(value)
    return list(found.values())


def _names(code: CodeType) -> set[str]:
    inner = [_names(part) for part in code.co_consts if isinstance(part, CodeType)]
    return set(code.co_names).union(*inner)


def _as_text(value: Any, serial: Callable[[Any], int | str]) -> Any:
    if isinstance(value, PLAIN):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return [_as_text(one, serial) for one in value]
    if isinstance(value, (set, frozenset)):
        return sorted(str(_as_text(one, serial)) for one in value)
    if isinstance(value, dict):
        return {str(key): _as_text(one, serial) for key, one in value.items()}
    if hasattr(value, "to_dict"):
        return type(value).__name__  # a configuration: told by itself
    text = repr(value)
    return text if type(value).__module__ == "torch" and "0x" not in text else serial(value)
