"""What the arrays of the flow and of sampling must be; see `declared`."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from tests.views.declared import LAYOUT, Facts, Rule, length, softmax
from tests.views.sent import Sent


def _strip(f: Facts, s: Sent, m: re.Match[str]) -> np.ndarray:
    """A tensor's rows as bars; where several numbers share one, the one that `index` says, and no other may be larger."""
    sent = s.beside[m["group"]][m["name"]]
    rows = f.tensor(sent["name"])
    for at in sent["at"].values():
        rows = rows[at]
    index = np.asarray(sent["index"])
    if index.size:
        edges = np.arange(index.shape[1] + 1) * rows.shape[1] // index.shape[1]
        assert (
            np.abs(np.take_along_axis(rows, index.astype(int), 1)) == np.maximum.reduceat(np.abs(rows), edges[:-1], 1)
        ).all()
        rows = np.take_along_axis(rows, index.astype(int), 1)
    return rows if m["part"] == "value" else np.quantile(np.abs(rows), 0.98, axis=1)


def _small(f: Facts, _s: Sent, m: re.Match[str]) -> Any:
    patterns = f.here("pattern")
    if m["part"] == "thumbs":
        return np.rint(patterns * 255)
    return [_fit(one, f.trace.tokens.ids.tolist()) for one in patterns]


ENOUGH = {"previous": 0.5, "first": 0.5, "self": 0.5, "induction": 0.4, "broad": 0.85}
"""From which score on a description is given."""


def _fit(pattern: np.ndarray, ids: list[int]) -> float:
    """The score of what describes a head best, counted query by query: the best that is good enough, else the best."""
    queries = range(2, len(ids))
    copies = {q: [k for k in range(1, q) if ids[k - 1] == ids[q]] for q in queries}  # what followed the token earlier
    repeats = [sum(pattern[q, k] for k in copies[q]) for q in queries if copies[q]]
    evenness = [-sum(p * np.log(p) for p in pattern[q] if p > 0) / np.log(q + 1) for q in queries]
    found = {
        "previous": np.mean([pattern[q, q - 1] for q in queries]),
        "first": np.mean([pattern[q, 0] for q in queries]),
        "self": np.mean([pattern[q, q] for q in queries]),
        "induction": np.mean(repeats) if len(repeats) > 1 else 0.0,
        "broad": np.mean(evenness),
    }
    return float(max([v for name, v in found.items() if v >= ENOUGH[name]] or found.values()))


def _drawn(p: np.ndarray, seed: int) -> int:
    """The token into whose interval the seed's number falls, the most likely token first."""
    order = np.argsort(-p, kind="stable")
    return int(order[np.searchsorted(np.cumsum(p[order]), np.random.default_rng(seed).random(), side="right")])


def _writes(f: Facts, _s: Sent, m: re.Match[str]) -> list[float]:
    """What is added to the stream: by attention or what stands in its place, by the MLP, by a block that is run as a whole."""
    names = {"attn": ("attn_out", "mixer_out", "block_out"), "mlp": ("mlp_out",)}[m["part"]]
    found = [next((n for n in names if f"blocks.{layer}.{n}" in f.trace), None) for layer in range(f.layers)]
    return [float(length(f.here(name, layer)[f.at])) if name else np.nan for layer, name in enumerate(found)]


def _next(f: Facts, s: Sent, m: re.Match[str]) -> Any:
    p = softmax(f.native().logits[0, -1].numpy())
    ids = np.asarray(s.beside["next"]["ids"])
    best = np.argsort(-p, kind="stable")[: ids.size]
    drawn = _drawn(p, f.state.seed)
    if drawn not in best:
        best[-1] = drawn
    known = {
        "ids": best,
        "probability": p[ids],
        "rest": 1 - p[ids].sum(),
        "others": p.size - ids.size,
        "vocab": p.size,
        "position": f.at,
        "share": p[ids],  # all stages are off
        "rest_share": 1 - p[ids].sum(),
        "rest_left": p.size - ids.size,
    }
    return known | {"sampled": np.flatnonzero(ids == drawn)[0]}  # fmt: skip


def _draw(f: Facts, _s: Sent, m: re.Match[str]) -> float:
    """The drawn token's interval on the row of probabilities, largest first; all stages are off, so every token is kept."""
    p = softmax(f.native().logits[0, -1].numpy().astype(np.float64))
    order = np.argsort(-p, kind="stable")
    rank = int(np.flatnonzero(order == _drawn(p, f.state.seed))[0])
    return {"low": p[order[:rank]].sum(), "high": p[order[: rank + 1]].sum(), "kept": p.size}[m["part"]]


FLOW: list[tuple[str, Rule | None]] = [
    (r"FlowPicture\.(?P<group>tokens|block|head)\.(?P<name>\w+)\.(?P<part>value|scale)", _strip),
    (r"FlowPicture\.\w+\.\w+\.(index|size|bin|at\.\w+)", LAYOUT),  # `_strip` goes by them
    (r"FlowPicture\.tokens\.ids", lambda f, s, m: f.trace.tokens.ids),
    (r"FlowPicture\.block\.norms\.(?P<part>\w+)", lambda f, s, m: length(f.here(m["part"]))),
    (r"FlowPicture\.block\.z_norm", lambda f, s, m: length(f.here("z")).T),
    (r"FlowPicture\.head\.pattern", lambda f, s, m: np.where(f.shut(f.head), np.nan, f.here("pattern")[f.head])),
    (r"FlowPicture\.head\.(first|earlier)", lambda f, s, m: np.zeros(f.total)),  # the whole text is in the window
    (r"FlowPicture\.head\.map(_may)?", lambda f, s, m: []),
    (r"FlowPicture\.small\.may", lambda f, s, m: ~f.shut(0)),
    (r"FlowPicture\.small\.(?P<part>thumbs|score)", _small),
    (r"FlowPicture\.writes\.(?P<part>attn|mlp)", _writes),
    (r"FlowPicture\.odds\.logits", lambda f, s, m: f.native().logits[0, -1].numpy()),
    (r"FlowPicture\.odds\.text", lambda f, s, m: f.trace.tokens.ids),
    (r"FlowPicture\.odds\.ids", lambda f, s, m: np.argsort(-f.native().logits[0, -1].numpy(), kind="stable")[: s.values.size]),
    (r"FlowPicture\.next\.settings\.uniform", lambda f, s, m: np.random.default_rng(f.state.seed).random()),
    (r"FlowPicture\.(next\.settings|stages|odds)\.[\w.]+|FlowPicture\.next\.stamp", LAYOUT),  # what has been set or declared
    (r"FlowPicture\.next\.draw\.(?P<part>\w+)", _draw),
    (r"FlowPicture\.next\.(?P<part>\w+)", lambda f, s, m: _next(f, s, m)[m["part"]]),
    (r"FlowPicture\.block\.goes", LAYOUT),
    (r"FlowPicture\.(block\.)?anatomy\.\w+|FlowPicture\.\w+\.(layer|head|kv|start|total|pooled|query|\w*stamp)|FlowPicture\.(query|key)", LAYOUT),
]  # fmt: skip

SAMPLING: list[tuple[str, Rule | None]] = [
    (r"sampling/SamplingBench\.logits", lambda f, s, m: f.native().logits[0, -1].numpy()),
    (r"sampling/SamplingBench\.uniforms", lambda f, s, m: [np.random.default_rng(i).random() for i in range(s.values.size)]),
    (r"sampling/SamplingBench\.settings\.uniform", lambda f, s, m: np.random.default_rng(f.state.seed).random()),
    (r"sampling/SamplingBench\.text\.ids", lambda f, s, m: f.trace.tokens.ids),
    (r"sampling/SamplingBench\.answer\.kept", lambda f, s, m: np.full(s.values.size, f.trace.anatomy.vocab)),  # all stages are off
    (r"sampling/SamplingBench\.answer\.starts", lambda f, s, m: np.zeros(s.values.size)),
    (r"sampling/SamplingBench\.answer\.token", lambda f, s, m: _drawn(softmax(f.native().logits[0, -1].numpy()), f.state.seed)),
    (r"sampling/SamplingBench\.(settings|answer|presets|stages)\.[\w.]+|sampling/SamplingBench\.(rows|names)", LAYOUT),  # what has been set or declared
    (r"beams/BeamTree\.most\.(beams|tokens)", LAYOUT),  # what this server allows
]  # fmt: skip
