"""Passes of the whole model that are ours: one that runs no block, and arguments that families and versions name in their own way."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from typing import Any, cast

import torch

from txpanel.errors import Unsupported
from txpanel.messages import _
from txpanel.models.language_model import LanguageModel
from txpanel.tracing.module_calls import Call, handed_on, taken, without_cache
from txpanel.tracing.rows import roomy_cache

ODD = (
    AttributeError,
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    RuntimeError,
    StopIteration,
    NotImplementedError,
    AssertionError,
    ArithmeticError,
)
"""What a structure never seen before may raise; `TxpanelError` besides."""
Replacement = Callable[[Callable[..., Any]], Callable[..., Any]]
"""What a block does in place of its own forward, which it is given."""


def collect_calls(model: LanguageModel, ids: list[int], tuple_output: int) -> list[Call]:
    """Every block's call arguments for a full pass over ``ids``, without running a block: masks and angles only.

    A trace that grew row by row has none for its full length; each block's forward is replaced, for this one pass, by a
    function that keeps its arguments and returns its input. Where a block is given more than the stream by the one before it, all of them run.
    """
    calls: list[Call] = []

    def keep(forward: Callable[..., Any]) -> Callable[..., Any]:
        def kept(*args: Any, **kwargs: Any) -> Any:
            stream, rest = taken(args, kwargs)
            calls.append(without_cache(rest))
            return forward(*args, **kwargs) if model.parts.hands_on else handed_on(stream, tuple_output)

        return kept

    instead = dict.fromkeys(range(len(model.parts.blocks)), keep)
    cache = roomy_cache() if model.parts.continues else None  # as in the run itself: masks may depend on it (T5Gemma's)
    with model.lock, model.running(), skipping(model, tuple_output, instead):
        whole = torch.tensor([ids], device=model.device)
        model.forward(whole, **with_cache(model.model, cache), **last_logits_only(model.model), **model.arguments(ids))
    return calls


@contextmanager
def in_words(model: LanguageModel) -> Iterator[None]:
    """Inside, what a model's own code raises of a text becomes a sentence.

    Raises:
        Unsupported: in words.
    """
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except ODD as error:
        words = _("{model} could not be run on this text ({reason}).")
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise Unsupported(words.format(model=model.title, reason=reason)) from error


@contextmanager
def skipping(model: LanguageModel, tuple_output: int, instead: Mapping[int, Replacement]) -> Iterator[None]:
    """Inside, a pass of the model runs no block: each hands its input on.

    Args:
        tuple_output: of how many things a block gives back a tuple; 0: it gives the stream alone.
        instead: by block, what to do in place of that.
    """

    def skip(*args: Any, **kwargs: Any) -> Any:
        return handed_on(taken(args, kwargs)[0], tuple_output)

    blocks, calls = model.parts.block_modules, itertools.count()
    own = [block.__dict__.get("forward") for block in blocks]  # somebody may have replaced it before us

    def in_turn(forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Of a module that stands for several blocks: what is to be done in this call."""
        i = next(calls)
        return (instead[i](forward) if i in instead else skip)(*args, **kwargs)

    shared = len(blocks) < len(model.parts.blocks)
    try:
        for i, block in enumerate(blocks):
            if shared:
                block.forward = partial(in_turn, block.forward)
            else:
                block.forward = instead[i](block.forward) if i in instead else skip
        yield
    finally:
        for block, before in zip(blocks, own, strict=True):
            block.__dict__.pop("forward", None)
            if before is not None:
                block.forward = before


def last_logits_only(model: Any, positions: int = 1) -> dict[str, int]:
    """The argument that limits the unembedding to the last positions, where the family has it."""
    return {"logits_to_keep": positions} if "logits_to_keep" in _takes(type(model).forward) else {}


def with_cache(model: Any, kept: Any) -> dict[str, Any]:
    """The argument with the keys and values of earlier tokens: it is called ``cache`` from transformers 5.24 on. ``None``: without."""
    if kept is None:
        return {"use_cache": False} if "use_cache" in _takes(type(model).forward) else {}
    return {_name_of_cache(model): kept, "use_cache": True}


def _name_of_cache(model: Any) -> str:
    """As the model's own pass names it; where that only hands on what it is given, as the first part inside that does name it."""
    for part in model.modules():
        names = {"cache", "past_key_values"} & _takes(type(part).forward)
        if names:
            return "cache" if "cache" in names else "past_key_values"
    return "past_key_values"


@cache
def _takes(forward: Hashable) -> frozenset[str]:
    """Names of the arguments of a model's pass."""
    return frozenset(inspect.signature(cast(Callable[..., Any], forward)).parameters)
