"""What the KV-cache view sends: counted anew from the trace's keys and masks and from the checkpoint's own matrices."""

from __future__ import annotations

import re

import numpy as np

from tests.views.declared import LAYOUT, Facts, Rule
from tests.views.sent import Sent


def _kept(f: Facts, _s: Sent, _m: re.Match[str]) -> list[int]:
    return [f.here("k", layer).shape[1] for layer in range(f.layers)]


def _read(f: Facts, _s: Sent, _m: re.Match[str]) -> list[int]:
    return [int(f.here("mask", layer)[-1].sum()) for layer in range(f.layers)]


def _matrices(f: Facts) -> int:
    """Numbers in all matrices of all blocks: each is multiplied once for each token."""
    inside = re.compile(r"\.(h|layers)\.\d+\.")
    return sum(p.numel() for name, p in f.hf.named_parameters() if p.dim() == 2 and inside.search(name))


def _looks(f: Facts, rows: slice) -> int:
    """Multiply-adds of scores and mixing for some queries: each pair that the mask lets through, in every head."""
    found = 0
    for layer in range(f.layers):
        pairs = int(f.here("mask", layer)[rows].sum())
        found += pairs * f.here("q", layer).shape[0] * (f.here("k", layer).shape[2] + f.here("v", layer).shape[2])
    return found


def _cached(f: Facts, s: Sent, _m: re.Match[str]) -> list[int]:
    table = f.hf.get_output_embeddings().weight.numel()
    return [_matrices(f) + _looks(f, slice(t - 1, t)) + table for t in range(1, f.total + 1)]


def _whole(f: Facts, s: Sent, _m: re.Match[str]) -> list[int]:
    table = f.hf.get_output_embeddings().weight.numel()
    return [t * _matrices(f) + _looks(f, slice(0, t)) + table for t in range(1, f.total + 1)]


CACHE: list[tuple[str, Rule | None]] = [
    (r"kv-cache/CacheMap\.blocks\.kept", _kept),
    (r"kv-cache/CacheMap\.blocks\.read", _read),
    (r"kv-cache/CacheMap\.tokens\.(n|fresh)", lambda f, _s, _m: [f.total]),  # a first run: all of them are new
    (r"kv-cache/CacheMap\.costs\.at", lambda f, _s, _m: np.arange(1, f.total + 1)),
    (r"kv-cache/CacheMap\.costs\.cached", _cached),
    (r"kv-cache/CacheMap\.costs\.whole", _whole),
    (r"kv-cache/CacheMap\.(at|focus)\..*", LAYOUT),
]
