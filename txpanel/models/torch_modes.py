"""Numbers do not depend on the mode of torch in which they are asked for: gradients on, ``no_grad``, ``inference_mode``, autocast.

What is computed here is computed without gradients and without autocast, which would round it. What is given back are ordinary tensors: those
made in inference mode can't be used where gradients are wanted, such as to train a probe on a stream.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

__all__ = ["computing", "ordinary", "without_autocast", "without_gradients"]

P = ParamSpec("P")
R = TypeVar("R")
KINDS = ("cpu", "cuda", "mps", "xpu")
"""Kinds of devices for which autocast may be on."""


@contextmanager
def without_autocast() -> Iterator[None]:
    """Inside, products are made in the type of their factors."""
    with ExitStack() as stack:
        for kind in KINDS:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


@contextmanager
def computing() -> Iterator[None]:
    """Inside, numbers of a run are computed: no gradients, no autocast."""
    with torch.inference_mode(), without_autocast():
        yield


def without_gradients(function: Callable[P, R]) -> Callable[P, R]:
    """The same function, without gradients and without autocast."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with torch.no_grad(), without_autocast():
            return function(*args, **kwargs)

    return run


def ordinary(x: Tensor) -> Tensor:
    """The same numbers in the same memory, as a tensor that may be used where gradients are wanted."""
    if not x.is_inference():
        return x
    with torch.inference_mode(False):
        plain = x.device.type == "cpu" and x.dtype != torch.bfloat16
        return torch.from_numpy(x.numpy()) if plain else x.clone()
