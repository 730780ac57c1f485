"""Calls of modules as a run made them: where the stream stands among the arguments, and the same call with another stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache

from txpanel.errors import Unsupported

Call = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class ModuleCall:
    """A call of a module, without the stream that it was given.

    Attributes:
        place: where the stream stood: the place of a positional argument, or a name. args, kwargs: the others. dtype: the stream's type.
        flat: the stream came without a batch axis, [T, D].
    """

    module: nn.Module
    place: int | str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    dtype: torch.dtype
    flat: bool = False

    def __call__(self, stream: Tensor) -> Tensor:
        """The module's output for a stream [T, D]: [T, D], as computed."""
        x = stream.to(self.dtype)
        x = x if self.flat else x[None]
        if isinstance(self.place, str):
            output = self.module(*self.args, **{**self.kwargs, self.place: x})
        else:
            output = self.module(*self.args[: self.place], x, *self.args[self.place :], **self.kwargs)
        return rows(output)


def call_of(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Tensor, ModuleCall]:
    """A call split into its stream, as given, and the other arguments, without a cache.

    Raises:
        Unsupported: none of the arguments is a stream.
    """
    place = next((i for i, x in enumerate(args) if _is_stream(x)), None)
    if place is not None:
        rest = without_cache(((*args[:place], *args[place + 1 :]), kwargs))
        return args[place], ModuleCall(module, place, *rest, args[place].dtype, args[place].dim() == 2)
    name = next((key for key, x in kwargs.items() if _is_stream(x)), None)
    if name is None:
        raise Unsupported(f"{type(module).__name__} is given no stream of vectors, one per token.")
    x, others = kwargs[name], {key: value for key, value in kwargs.items() if key != name}
    return x, ModuleCall(module, name, *without_cache((args, others)), x.dtype, x.dim() == 2)


def rows(output: Any) -> Tensor:
    """A module's output, [1, T, D] or [T, D], alone or as the first of several, as [T, D].

    Raises:
        Unsupported: it is not a tensor.
    """
    x = output
    while isinstance(x, (tuple, list)):
        x = x[0]
    if not isinstance(x, Tensor):
        raise Unsupported(f"A module gave back a {type(x).__name__} instead of a vector per token.")
    return x[0] if x.dim() == 3 else x


def _is_stream(x: Any) -> bool:
    return isinstance(x, Tensor) and x.is_floating_point() and x.dim() in (2, 3, 4)


def without_cache(call: Call) -> Call:
    """A call's arguments without the cache, which a repeated call must neither read nor grow."""
    args, kwargs = call
    named = {key: None if is_cache(x) else False if key == "use_cache" else x for key, x in kwargs.items()}
    return tuple(None if is_cache(x) else x for x in args), named


def is_cache(value: Any) -> bool:
    """Whether an argument is a cache: of transformers' kind, or a model's own."""
    return isinstance(value, Cache) or type(value).__name__.endswith("Cache")


def handed_on(stream: Tensor, tuple_output: int) -> Any:
    """A stream in the form in which a block returns it: alone, or as the first of several."""
    return (stream, *[None] * (max(2, int(tuple_output)) - 1)) if tuple_output else stream


def taken(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Tensor, Call]:
    """The stream among a block's arguments, and the others."""
    if args:
        return args[0], (args[1:], kwargs)
    name = "hidden_states" if "hidden_states" in kwargs else next(iter(kwargs))
    return kwargs[name], ((), {key: value for key, value in kwargs.items() if key != name})
