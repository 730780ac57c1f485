"""What the arrays of the flow and of sampling must be; see `declared`."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from tests.views.declared import LAYOUT, Facts, Rule, length, softmax
from tests.views.sent import Sent
from txpanel.views.flow_heads import label_head


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
    return [label_head(one.astype(np.float32), f.trace.tokens.ids)[1] for one in patterns]


def _writes(f: Facts, _s: Sent, m: re.Match[str]) -> list[float]:
    return [float(length(f.here(f"{m['part']}_out", layer)[f.at])) for layer in range(f.layers)]


def _next(f: Facts, s: Sent, m: re.Match[str]) -> Any:
    p = softmax(f.native().logits[0, -1].numpy())
    ids = np.asarray(s.beside["next"]["ids"])
    best = np.argsort(-p, kind="stable")[: ids.size]
    drawn = f.state.sampled.token
    if drawn not in best:
        best[-1] = drawn
    known = {
        "ids": best,
        "probability": p[ids],
        "rest": 1 - p[ids].sum(),
        "others": p.size - ids.size,
        "vocab": p.size,
        "position": f.at,
    }
    return known | {"sampled": np.flatnonzero(ids == drawn)[0]}  # fmt: skip


FLOW: list[tuple[str, Rule | None]] = [
    (r"FlowPicture\.(?P<group>tokens|block|head)\.(?P<name>\w+)\.(?P<part>value|scale)", _strip),
    (r"FlowPicture\.\w+\.\w+\.(index|size|bin|at\.\w+)", LAYOUT),  # `_strip` goes by them
    (r"FlowPicture\.tokens\.ids", lambda f, s, m: f.trace.tokens.ids),
    (r"FlowPicture\.block\.norms\.(?P<part>\w+)", lambda f, s, m: length(f.here(m["part"]))),
    (r"FlowPicture\.block\.z_norm", lambda f, s, m: length(f.here("z")).T),
    (r"FlowPicture\.head\.pattern", lambda f, s, m: f.here("pattern")[f.head]),
    (r"FlowPicture\.head\.(first|earlier)", lambda f, s, m: np.zeros(f.total)),  # the whole text is in the window
    (r"FlowPicture\.head\.map", lambda f, s, m: []),
    (r"FlowPicture\.small\.(?P<part>thumbs|score)", _small),
    (r"FlowPicture\.writes\.(?P<part>attn|mlp)", _writes),
    (r"FlowPicture\.next\.(?P<part>\w+)", lambda f, s, m: _next(f, s, m)[m["part"]]),
    (r"FlowPicture\.(block\.)?anatomy\.\w+|FlowPicture\.\w+\.(layer|head|kv|start|total|pooled|query|\w*stamp)|FlowPicture\.(query|key)", LAYOUT),
]  # fmt: skip

SAMPLING: list[tuple[str, Rule | None]] = [
    (r"sampling/SamplingBench\.logits", lambda f, s, m: f.native().logits[0, -1].numpy()),
    (r"sampling/SamplingBench\.uniforms", lambda f, s, m: [np.random.default_rng(i).random() for i in range(s.values.size)]),
    (r"sampling/SamplingBench\.settings\.uniform", lambda f, s, m: np.random.default_rng(f.state.seed).random()),
    (r"sampling/SamplingBench\.text\.ids", lambda f, s, m: f.trace.tokens.ids),
    (r"sampling/SamplingBench\.answer\.kept", lambda f, s, m: np.full(s.values.size, f.trace.anatomy.vocab)),  # all stages are off
    (r"sampling/SamplingBench\.answer\.token", lambda f, s, m: f.state.sampled.token),
    (r"sampling/SamplingBench\.(settings|answer|presets)\.[\w.]+|sampling/SamplingBench\.(rows|names)", LAYOUT),  # what has been set
]  # fmt: skip
