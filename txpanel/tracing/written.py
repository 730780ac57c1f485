"""The norms of what each block adds to the residual stream, at each token, measured by hooks while the whole model runs.

A page shows these norms for all blocks of every text. Running each block again for them costs three times the run itself; the modules
whose outputs are added are known (:mod:`txpanel.tracing.block_taps`), and measuring the norm of an output during the run costs next to
nothing. The measured norms are compared before they are used (:mod:`txpanel.tracing.write_norms`).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from txpanel.errors import Unsupported
from txpanel.models.anatomy import Anatomy
from txpanel.models.language_model import LanguageModel
from txpanel.tracing.block_taps import outputs
from txpanel.tracing.module_calls import rows
from txpanel.tracing.rows import Rows

__all__ = ["NormHooks", "Written", "norm"]

FEW = 8
"""Up to so many new tokens, the vectors are kept and their norms taken at the end of the pass."""
WRITES = ("attn_out", "mixer_out", "mlp_out")
"""What a block adds to the stream, by short name; measured are those that are the unchanged output of a module."""


@dataclass(frozen=True)
class Written:
    """Norms of what blocks add to the residual stream.

    Attributes:
        names: of the tensors, N of them. values: float64 [N, T] on the CPU. rows: the buffer that they are a view of, where the text has grown.
    """

    names: tuple[str, ...]
    values: Tensor
    rows: Rows | None = None

    def of(self, name: str) -> npt.NDArray[np.float32] | None:
        """The norms of one tensor: float32 [T]; None: they were not measured."""
        return self.values[self.names.index(name)].float().numpy() if name in self.names else None

    def cut(self, length: int) -> Written:
        """The norms of the first ``length`` tokens."""
        return Written(self.names, self.values[:, :length], self.rows)

    def and_then(self, more: Written | None) -> Written | None:
        """These norms and those of the tokens that follow; None: the latter were not measured."""
        if more is None or more.names != self.names:
            return None
        grown, (values,) = Rows.grown([self.values], self.rows, [more.values], 1)
        return Written(self.names, values, grown)


class NormHooks:
    """Forward hooks that measure the norms while a pass runs; none where one module is used as several blocks."""

    def __init__(self, model: LanguageModel, *, wanted: bool = True) -> None:
        self._thread = threading.get_ident()
        self._found: dict[str, Tensor] = {}
        self._calls: Counter[str] = Counter()
        writers = _writers(model) if wanted else []
        self._hooks = [module.register_forward_hook(self._after(name)) for name, module in writers]

    def _after(self, name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _args: Any, out: Any) -> None:
            if threading.get_ident() != self._thread:
                return
            self._calls[name] += 1
            with suppress(Unsupported, IndexError, TypeError, RuntimeError):  # of another form: not measured
                x = rows(out).detach()
                # a token's vectors are kept, and their norms taken at once; those of a long text would fill the memory
                self._found[name] = x.clone() if x.shape[0] <= FEW else norm(x)

        return hook

    def written(self, again: int, fresh: int) -> Written | None:
        """The norms measured for ``fresh`` tokens; None: there are none, or a module did not return one vector for each token.

        Args:
            again: leading tokens that were computed a second time, left out.
        """
        names = [name for name in self._found if self._calls[name] == 1 and len(self._found[name]) == fresh]
        if not names:
            return None
        found = torch.stack([self._found[name] for name in names])
        return Written(tuple(names), (norm(found) if found.dim() > 2 else found).cpu()[:, again:])

    def remove(self) -> None:
        """Remove all hooks."""
        for hook in self._hooks:
            hook.remove()


def _writers(model: LanguageModel) -> list[tuple[str, nn.Module]]:
    """The modules to hook, with the name of their output tensor; each of them runs once in a pass."""
    kept = _WRITERS.get(model)
    if kept is None or kept[0] is not model.anatomy:
        blocks = list(zip(model.anatomy.blocks, model.parts.blocks, strict=True))
        found = [
            (f"blocks.{layer}.{own}", module)
            for layer, (facts, parts) in enumerate(blocks)
            for own, module in outputs(facts, parts).items()
            if own in WRITES
        ]
        alone = len(model.parts.block_modules) == len(blocks)
        kept = _WRITERS[model] = (model.anatomy, found if alone else [])
    return kept[1]


_WRITERS: WeakKeyDictionary[LanguageModel, tuple[Anatomy, list[tuple[str, nn.Module]]]] = WeakKeyDictionary()


def norm(x: Tensor) -> Tensor:
    """Length of each vector, in float64: [..., D] -> [...]."""
    exact = torch.float32 if x.device.type == "mps" else torch.float64  # mps has no float64
    return torch.linalg.vector_norm(x.detach(), dim=-1, dtype=exact)
