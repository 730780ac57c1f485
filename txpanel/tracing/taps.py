"""What a pass of the whole model hands to its blocks, kept while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from txpanel.tracing.module_calls import Call, taken, without_cache

__all__ = ["Taps"]


class Taps:
    """Forward hooks that keep every block's input [1, T, D], its call arguments, and the last block's output.

    Args:
        calls: whether arguments are kept. told: called before each block with its number, once its input is kept; what it raises ends the pass.

    Attributes:
        streams: before each block and after the last. calls: of each block, the other arguments.
        tuple_output: length of the tuple that the last block returns; 0: it returns the stream alone. hands_on: another item of it is a tensor.
    """

    def __init__(self, blocks: list[Any], *, calls: bool = True, told: Callable[[int], object] | None = None) -> None:
        self._wanted, self._told = calls, told
        self._thread = threading.get_ident()  # other threads use the same blocks when this pass lets them in
        self.streams: list[Tensor] = []
        self.calls: list[Call] = []
        self.tuple_output, self.hands_on = 0, False
        modules = list(dict.fromkeys(b.block for b in blocks))
        self._last = (
            len(blocks) if len(modules) < len(blocks) else 0
        )  # of a module that is run several times only the last output counts
        self._hooks = [  # before the user's own hooks, which run again when the call is repeated
            module.register_forward_pre_hook(self._before, with_kwargs=True, prepend=True) for module in modules
        ]
        self._hooks.append(blocks[-1].block.register_forward_hook(self._after))

    def _before(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> None:
        # a call of another thread's pass; kwargs is None if this hook was removed while that pass was inside its hooks
        if threading.get_ident() != self._thread or kwargs is None:
            return
        stream, rest = taken(args, kwargs)
        self.streams.append(stream.detach())
        if self._wanted:
            self.calls.append(without_cache(rest))
        if self._told is not None:
            self._told(len(self.streams) - 1)

    def _after(self, _: nn.Module, args: Any, output: Any) -> None:
        if threading.get_ident() != self._thread or len(self.streams) < self._last:
            return
        self.tuple_output = len(output) if isinstance(output, (tuple, list)) else 0
        self.hands_on = self.tuple_output > 1 and any(isinstance(more, Tensor) for more in output[1:])
        self.streams.append((output[0] if self.tuple_output else output).detach())

    def remove(self) -> None:
        """Remove all hooks."""
        for hook in self._hooks:
            hook.remove()
