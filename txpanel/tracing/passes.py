"""Passes of the whole model for txpanel's own purposes: one that runs no block, and arguments whose names differ by family and version."""

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

STRUCTURE_ERRORS = (
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
"""Errors that an unknown structure may raise, beside `TxpanelError`."""
Replacement = Callable[[Callable[..., Any]], Callable[..., Any]]
"""Takes a block's own ``forward`` and returns the function to call instead."""


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
    """Inside, an error of the model's own code becomes an `Unsupported` with a sentence.

    Raises:
        Unsupported: in words.
    """
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except STRUCTURE_ERRORS as error:
        words = _("{model} could not be run on this text ({reason}).")
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise Unsupported(words.format(model=model.title, reason=reason)) from error


@contextmanager
def skipping(model: LanguageModel, tuple_output: int, instead: Mapping[int, Replacement]) -> Iterator[None]:
    """Inside, a pass of the model runs no block: each returns its input.

    Args:
        tuple_output: length of the tuple that a block returns; 0: it returns the stream alone.
        instead: by block number, what to call instead.
    """

    def skip(*args: Any, **kwargs: Any) -> Any:
        return handed_on(taken(args, kwargs)[0], tuple_output)

    blocks, calls = model.parts.block_modules, itertools.count()
    own = [block.__dict__.get("forward") for block in blocks]  # the user may have replaced it already

    def in_turn(forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """For a module that is used as several blocks: do what is wanted in this call."""
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
    """The argument's name in the model's own ``forward``; if that only passes on keywords, in the first inner module that names it."""
    for part in model.modules():
        names = {"cache", "past_key_values"} & _takes(type(part).forward)
        if names:
            return "cache" if "cache" in names else "past_key_values"
    return "past_key_values"


@cache
def _takes(forward: Hashable) -> frozenset[str]:
    """Names of the arguments of a model's pass."""
    return frozenset(inspect.signature(cast(Callable[..., Any], forward)).parameters)
