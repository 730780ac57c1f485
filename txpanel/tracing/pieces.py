"""Long texts in pieces: how many tokens at a time, so that no block runs for longer than other threads should wait.

Between two blocks of a pass other threads can use the model (:mod:`txpanel.models.turns`), which changes no number. Only where one block of one
pass takes longer than `SECONDS`, the text is read in pieces, each continuing the keys and values of those before it. Sums are then added
in another order, so the last digits may differ from those of one pass; `trace.check` says so.

A text is read in one pass, whatever its length, where

* no session asked (a notebook, a script): nobody else waits;
* the model has experts: in pieces a router could choose differently between two of nearly equal weight, unnoticed;
* it has layers whose state can't be cut (state-space, convolution);
* the angles of its positions follow the length of the text (LongRoPE, dynamic NTK): those of a piece would be of a shorter text;
* an encoder has read another text, of which this is what a decoder writes;
* its cache does not continue (:mod:`txpanel.tracing.record` finds out with the first piece).
"""

from __future__ import annotations

import math
import statistics
import threading
import time
from typing import Any
from weakref import WeakKeyDictionary

import torch

from txpanel.models import turns
from txpanel.models.as_in_use import moving_rotary
from txpanel.models.language_model import LanguageModel

SECONDS = 0.25
"""How long one block may work on one piece."""
FLOOR = 128
"""Tokens of a piece at least: of fewer, the weights are read from memory too often."""
STEP = 64
"""Pieces have a multiple of so many tokens."""
PROBE = 256
"""Texts of up to so many tokens are never taken apart. With the first longer one, a model's speed is measured on so many tokens."""

_speeds: WeakKeyDictionary[LanguageModel, float] = WeakKeyDictionary()
"""Operations a second of a block. Measured once per model, so that a text has the same pieces, and the same numbers, each time."""


def ends(model: LanguageModel, ids: list[int], start: int = 0, *, measured: bool = False) -> list[int]:
    """Where the pieces of a text end, at last at its own end; a single one: it is read in one pass.

    Args:
        start: how many of its tokens are known already.
        measured: do not measure the model's speed; if it is not known yet, one pass.
    """
    n = len(ids)
    if measured and model not in _speeds:
        return [n]
    if (
        not model.parts.continues
        or model.pair is not None
        or turns.asking() is None
        or n - start <= PROBE
        or model.inputs is not None
        or any(block.experts for block in model.anatomy.blocks)
    ):
        return [n]
    if not model.anatomy.causal:  # a token sees later ones
        return [n]
    if moving_rotary(model.model):
        return [n]
    budget = SECONDS * speed(model, ids)
    found = [start]
    while found[-1] < n:
        found.append(min(n, found[-1] + _fitting(model, found[-1], budget)))
    return found[1:]


def speed(model: LanguageModel, ids: list[int]) -> float:
    """Floating point operations a second of one block, as measured with the first long text."""
    found = _speeds.get(model)
    if found is None:
        n = min(PROBE, len(ids))
        found = _speeds.setdefault(model, work(model, 0, n) / _measured(model, ids[:n]))
    return found


def work(model: LanguageModel, start: int, end: int) -> float:
    """Floating point operations of the largest block for the tokens from ``start`` to ``end``: its weights, and attention to all before."""
    weights, attention = _sizes(model)
    return (end - start) * (2 * weights + 2 * attention * (start + end))


def _fitting(model: LanguageModel, start: int, budget: float) -> int:
    """The most tokens after ``start`` whose work stays within the budget."""
    weights, attention = _sizes(model)
    linear, square = 2 * weights + 4 * attention * start, 2 * attention
    most = (math.sqrt(linear**2 + 4 * square * budget) - linear) / (2 * square)
    return max(FLOOR, int(most) // STEP * STEP)


def _sizes(model: LanguageModel) -> tuple[int, int]:
    """Of the largest block: numbers in its weights, and numbers of all its heads together."""
    weights = max(sum(p.numel() for p in parts.block.parameters()) for parts in model.parts.blocks)
    return weights, max(block.n_heads * block.head_dim for block in model.anatomy.blocks) or model.anatomy.width


def _measured(model: LanguageModel, ids: list[int]) -> float:
    """Median seconds of a block for these tokens, without the time of other threads in between."""
    me, begun, laps = threading.get_ident(), [0.0], list[float]()

    def begin(*_call: Any) -> None:
        if threading.get_ident() == me:
            begun[0] = time.perf_counter()

    def end(*_call: Any) -> None:
        if threading.get_ident() == me:
            if model.device.type == "cuda":
                torch.cuda.synchronize(model.device)
            laps.append(time.perf_counter() - begun[0])

    with model.lock.turn(turns.Rank.RUN), model.running(), model.letting_others_in():
        hooks = [parts.block.register_forward_pre_hook(begin) for parts in model.parts.blocks]
        hooks += [parts.block.register_forward_hook(end) for parts in model.parts.blocks]
        try:
            model.forward(torch.tensor([ids], device=model.device), use_cache=False)
        finally:
            for hook in hooks:
                hook.remove()
    return max(1e-6, statistics.median(laps))
