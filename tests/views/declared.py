"""What each array that goes to the browser must be, recomputed from the trace's tensors and the checkpoint itself.

`DECLARED` is the list: an array whose path stands in none of its lines is one that somebody forgot.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from tests.views.sent import Sent

Rule = Callable[["Facts", Sent, re.Match[str]], Any]


class Facts:
    """A view's place in a run, and what the checkpoint says by itself."""

    def __init__(self, view: Any) -> None:
        self.view, self.state, self.trace = view, view.state, view.state.trace
        self.layer, self.head, self.at = view.state.layer, view.state.head, view.state.query
        self.layers, self.total = self.trace.anatomy.n_layers, len(self.trace.tokens.ids)
        block = self.trace.anatomy.blocks[self.layer]
        self.heads, self.kv = block.n_heads, self.head * block.n_kv_heads // max(1, block.n_heads)
        self.hf = self.trace.model.model
        self.all: list[Sent] = []

    def tensor(self, name: str) -> np.ndarray:
        """A tensor of the trace, float64."""
        return np.asarray(self.trace.value(name).detach().float().numpy(), np.float64)

    def here(self, part: str, layer: int | None = None) -> np.ndarray:
        """A tensor of the block in focus, or of another."""
        return self.tensor(f"blocks.{self.layer if layer is None else layer}.{part}")

    def shut(self, head: int) -> np.ndarray:
        """[T, T]: where the mask shuts."""
        return self.here("masked")[head] < -1e30

    def weight(self, *endings: str) -> np.ndarray:
        """A weight of the block in focus, from the checkpoint, by the end of its name."""
        inside = re.compile(rf"\.{self.layer}\..*({'|'.join(re.escape(e) for e in endings)})$")
        (found,) = [p for name, p in self.hf.named_parameters() if inside.search(name)]
        return np.asarray(found.detach().numpy(), np.float64)

    def down(self) -> np.ndarray:
        """[F, D]: what each neuron writes, from the checkpoint."""
        found = self.weight("mlp.c_proj.weight", "down_proj.weight", "dense_4h_to_h.weight", "fc_out.weight")
        return found if found.shape[0] == self.here("mlp_post").shape[-1] else found.T

    def activation(self, x: np.ndarray) -> np.ndarray:
        """The block's activation, the checkpoint's own module."""
        (act,) = [m for n, m in self.hf.named_modules() if re.search(rf"\.{self.layer}\.mlp\.act(_fn)?$", n)]
        return np.asarray(act(torch.from_numpy(x.astype(np.float32))).detach().numpy(), np.float64)

    def marks(self) -> np.ndarray:
        """The eight neurons that write most, from the checkpoint's weights."""
        sizes = np.abs(self.here("mlp_post")[self.at]) * length(self.down())
        return np.argsort(-sizes, kind="stable")[:8]

    def native(self) -> Any:
        """What the checkpoint itself answers, with the stream before each block."""
        with torch.inference_mode():
            return self.hf(torch.from_numpy(np.array([self.trace.tokens.ids], np.int64)), output_hidden_states=True)

    def lens(self) -> np.ndarray:
        """[L + 1, T, V]: probabilities through the checkpoint's own last norm and unembedding."""
        base = self.hf.base_model
        norm = next(m for n, m in base.named_modules() if n in ("ln_f", "norm", "final_layer_norm"))
        out = self.native()
        with torch.inference_mode():
            early = [self.hf.get_output_embeddings()(norm(h[0])) for h in out.hidden_states[: self.layers]]
        return np.stack([softmax(x.numpy()) for x in [*early, out.logits[0]]])


def softmax(logits: np.ndarray) -> np.ndarray:
    """Along the last axis, float64."""
    powers = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def length(rows: np.ndarray) -> np.ndarray:
    """Norm along the last axis."""
    return np.sqrt((rows**2).sum(-1))


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosine along the last axis."""
    size = length(a) * length(b)
    return (a * b).sum(-1) / np.where(size > 0, size, 1)


LAYOUT: Rule | None = None
"""No number of the model: where something stands, how large it is drawn, what has been chosen."""


# -- attention ---------------------------------------------------------------------------------------------------------


def _stage(f: Facts, _s: Sent, m: re.Match[str]) -> np.ndarray:
    values = f.here(m["part"])[f.head]
    return np.where(f.shut(f.head), np.nan, values) if m["part"] in ("masked", "pattern") else values


def _vector(f: Facts, _s: Sent, m: re.Match[str]) -> np.ndarray:
    return f.here(m["part"])[f.head if m["part"][0] in "qz" else f.kv]


def _mosaic(f: Facts, s: Sent, _m: re.Match[str]) -> np.ndarray:
    out = np.full((int(s.beside["dh"][0]), int(s.beside["dw"][0])), np.nan)
    for head, (top, left) in enumerate(f.view.all_heads.mosaic.corners):
        tile = np.where(f.shut(head), np.nan, f.here("pattern")[head])
        out[top : top + f.total, left : left + f.total] = tile
    return out


def _ranking(f: Facts, s: Sent, m: re.Match[str]) -> np.ndarray:
    row = f.here("pattern")[f.head]
    found = np.where(f.shut(f.head), np.nan, row)
    found = found[f.at] if m["side"] == "where-it-looks" else found[:, f.state.key]
    return found[np.isfinite(found)]


def _shares(f: Facts, _s: Sent, _m: re.Match[str]) -> np.ndarray:
    return length(f.here("result")[:, f.at])


SHARES = ("pattern", "heads", "residual-lens")
"""Pictures of numbers between 0 and 1, whose legends go from 0 to 1 whatever is in them."""


def _legend(f: Facts, s: Sent, m: re.Match[str]) -> np.ndarray:
    """Ends of a picture's legend: 0 and 1, or the largest size of its own numbers, q and k at all their stages together."""
    picture = m["picture"]
    if picture in SHARES:
        return np.array([0.0, 1.0])
    alike = {f"{picture[0]}{stage}" for stage in ("", "_proj", "_pre_rotary")} if picture[:1] in "qk" else {picture}
    images = [one.values for one in f.all if one.path in {f"{name}/Image.image" for name in alike}]
    if picture == "residual-sizes":  # the first token's stream would bleach all others
        return np.array([0.0, np.quantile(images[0].reshape(f.layers + 1, -1)[:, 1:], 0.98)])
    most = max(np.abs(one[np.isfinite(one)]).max() for one in images)
    return np.array([-most, 0.0, most])


# -- strips ------------------------------------------------------------------------------------------------------------


def _strips(f: Facts, s: Sent, _m: re.Match[str]) -> np.ndarray:
    rows = [_strip(f, one, s.component.strips) for one in s.component.strips if len(one.values)]
    return np.concatenate([np.zeros(0), *rows])


def _strip(f: Facts, strip: Any, every: Any) -> np.ndarray:
    """The row that a strip says it is; of a derived one, what it says."""
    if not strip.derived:
        return f.tensor(strip.tensor)[
            tuple(strip.index[dim] if dim in strip.index else slice(None) for dim in f.trace.dims(strip.tensor))
        ]
    post, gate = f.here("mlp_post")[f.at], re.match(r"\w+\(mlp_gate\[", strip.derived)
    if gate:
        return f.activation(f.here("mlp_gate")[f.at])
    one = re.search(r"W_down\[(\d+) ", strip.derived)
    listed = [int(found[1]) for other in every if (found := re.search(r"W_down\[(\d+) ", other.derived))]
    left = [n for n in range(post.size) if n not in listed] if one is None else [int(one[1])]
    return post[left] @ f.down()[left]


def _strip_scales(_f: Facts, s: Sent, _m: re.Match[str]) -> list[float]:
    groups: dict[str, list[np.ndarray]] = {}
    for i, one in enumerate(s.component.strips):
        groups.setdefault(one.group or str(i), []).append(np.abs(one.values))
    tops = {name: float(np.quantile(np.concatenate(found), 0.995)) for name, found in groups.items()}
    return [tops[one.group or str(i)] for i, one in enumerate(s.component.strips)]


# -- embedding ---------------------------------------------------------------------------------------------------------


def _neighbours(f: Facts, s: Sent, _m: re.Match[str]) -> np.ndarray:
    table = np.asarray(f.hf.get_input_embeddings().weight.detach().numpy(), np.float64)
    token = int(f.trace.tokens.ids[f.at])
    found = cosine(table, table[token])
    return np.sort(np.delete(found, token))[::-1][: s.values.size]


def _dials(f: Facts, s: Sent, m: re.Match[str]) -> np.ndarray:
    """Before and after are q's own pairs; turning the one by the angle gives the other."""
    dials = s.beside["dials"]
    after = np.array([d["after"] for d in dials])
    if m["part"] == "angle":
        turned = np.array([complex(*d["before"]) for d in dials]) * np.exp(1j * s.values)
        off = np.abs(turned - (after[:, 0] + 1j * after[:, 1]))
        return np.where(off < 1e-4 * np.abs(turned).max(), s.values, np.nan)
    places = np.array([[int(i) for i in re.findall(r"\d+", d["label"])] for d in dials])
    name = "q" if m["part"] == "after" else "q_pre_rotary"
    if m["part"] == "before":  # a model may write the pairs elsewhere than it read them
        places = f.view._turn.before_at[[int(np.flatnonzero(f.view._turn.after_at[:, 0] == p[0])[0]) for p in places]]
    return f.here(name)[f.head, f.at][places]


# -- MLP ---------------------------------------------------------------------------------------------------------------


def _into(f: Facts) -> np.ndarray:
    return f.here("mlp_gate" if f.trace.anatomy.blocks[f.layer].gated else "mlp_pre")[f.at]


def _column(f: Facts, s: Sent, m: re.Match[str]) -> np.ndarray:
    """Numbers of the listed neurons."""
    listed = [row["neuron"] for row in s.beside["neurons"]]
    post, sizes = f.here("mlp_post")[f.at], np.abs(f.here("mlp_post")[f.at]) * length(f.down())
    values = {"x": _into(f), "up": f.here("mlp_pre")[f.at], "post": post, "size": sizes, "neuron": None}[m["part"]]
    return np.argsort(-sizes, kind="stable")[: len(listed)] if values is None else values[listed]


def _pointed(f: Facts, s: Sent, m: re.Match[str]) -> np.ndarray:
    """(product, token) pairs: the write times the norms' gains times the unembedding's row of the token."""
    gains = [p for n, p in f.hf.named_parameters() if re.search(r"(^|\.)(ln_f|norm|final_layer_norm)\.weight$", n)]
    plus = 1.0 if "gemma" in f.hf.config.model_type else 0.0
    gain = np.prod([p.detach().numpy().astype(np.float64) + plus for p in gains], axis=0)
    if plus:
        gain = gain * (f.weight("post_feedforward_layernorm.weight") + 1)
    table = f.hf.get_output_embeddings().weight.detach().numpy().astype(np.float64)
    out = []
    for row in s.beside["neurons"]:
        products = table @ (gain * f.here("mlp_post")[f.at][row["neuron"]] * f.down()[row["neuron"]])
        best = np.argsort(-products if m["part"] == "promotes" else products, kind="stable")
        out += [number for token in best[: len(row[m["part"]])] for number in (products[token], token)]
    return np.array(out)


def _points(f: Facts, s: Sent, m: re.Match[str]) -> np.ndarray:
    listed = np.asarray(s.beside["neuron"], int)
    assert listed.size == _into(f).size or set(listed) == {row["neuron"] for row in f.view._list.neurons}
    x = _into(f)[listed]
    return x if m["part"] == "into" else f.activation(x)


def _curve(f: Facts, s: Sent, _m: re.Match[str]) -> np.ndarray:
    return f.activation(np.asarray(s.beside["into"]))


# -- residual ----------------------------------------------------------------------------------------------------------


def _stream_lengths(f: Facts, _s: Sent, _m: re.Match[str]) -> np.ndarray:
    return np.stack(
        [*(length(f.here("resid_pre", i)) for i in range(f.layers)), length(f.here("resid_post", f.layers - 1))]
    )


def _writes(f: Facts, which: str) -> tuple[np.ndarray, np.ndarray]:
    """Norm of what each block writes to the chosen token, and its cosine with the residual stream that it is added to."""
    sizes, cosines = [], []
    for i in range(f.layers):
        middle = "resid_mid" if which == "mlp" and f"blocks.{i}.resid_mid" in f.trace else "resid_pre"
        row = f.here(f"{which}_out", i)[f.at]
        sizes.append(length(row))
        cosines.append(cosine(row, f.here(middle, i)[f.at]))
    return np.array(sizes), np.array(cosines)


def _quad(f: Facts, s: Sent, m: re.Match[str]) -> np.ndarray:
    up = "attention" in s.beside["name"][0]
    size, angle = _writes(f, "attn" if up else "mlp")
    tall = np.sqrt(size) * (1 if up else -1)
    return {"size": size, "cosine": angle, "top": np.maximum(tall, 0), "bottom": np.minimum(tall, 0)}[m["part"]]


def _line(f: Facts, s: Sent, m: re.Match[str]) -> np.ndarray:
    """A series over the blocks, by the name that the tooltip gives it."""
    name = (s.beside["name"] or [""])[0]
    if name == "":  # a line that is not used yet, and not drawn
        return np.zeros_like(s.values)
    if m["picture"] == "cosines":
        return _writes(f, "attn" if "attention" in name else "mlp")[1]
    stat = m["picture"].removeprefix("norm-")
    if name == "ln_final":
        return np.array([*[np.nan] * f.layers, f.tensor(f"ln_final.{stat}")[f.at]])
    at = [
        f.here(f"{name}.{stat}", i)[f.at] if f"blocks.{i}.{name}.{stat}" in f.trace else np.nan for i in range(f.layers)
    ]
    return np.array([*at, *[np.nan] * (s.values.size - f.layers)])


def _lens_top(f: Facts, s: Sent, _m: re.Match[str]) -> np.ndarray:
    places = s.values.size // (f.layers + 1)
    return f.lens()[:, f.at + 1 - places : f.at + 1].max(-1)


def _lens_share(f: Facts, _s: Sent, _m: re.Match[str]) -> np.ndarray:
    found = f.lens()[:, f.at]
    return found[:, found[-1].argmax()]


# -- softmax -----------------------------------------------------------------------------------------------------------


def _logits(f: Facts) -> np.ndarray:
    return np.asarray(f.native().logits[0, -1].numpy(), np.float64)


def _row(f: Facts, s: Sent, m: re.Match[str]) -> np.ndarray:
    logits = _logits(f)
    order = np.argsort(-logits, kind="stable")
    ids = order[: len(s.beside["rows"])]
    powers = np.exp(logits - logits.max())
    return {"id": ids, "rank": np.arange(ids.size), "logit": logits[ids], "shifted": (logits - logits.max())[ids], "power": powers[ids],
            "p": (powers / powers.sum())[ids]}[m["part"]]  # fmt: skip


def _rest(f: Facts, s: Sent, m: re.Match[str]) -> float:
    powers = np.sort(np.exp(_logits(f) - _logits(f).max()))[::-1][len(s.beside["rows"]) :]
    return float(powers.sum() / (np.exp(_logits(f) - _logits(f).max()).sum() if m["part"] == "p" else 1))


def _total(f: Facts, _s: Sent, m: re.Match[str]) -> float:
    logits = _logits(f)
    return float(logits.max() if m["part"] == "max" else np.exp(logits - logits.max()).sum())


def _histogram(f: Facts, s: Sent, m: re.Match[str]) -> np.ndarray:
    """Up: the share of the tokens in a bin; down: the probability that they hold."""
    logits, edges = _logits(f), f.view.mirror.histogram.edges
    bins = np.clip(np.searchsorted(edges, logits, side="right") - 1, 0, len(edges) - 2)
    share = np.bincount(bins, minlength=len(edges) - 1) / logits.size
    mass = np.bincount(bins, weights=softmax(logits), minlength=len(edges) - 1)
    none = np.zeros_like(share)
    return np.concatenate([share, none]) if m["part"] == "top" else np.concatenate([none, -mass])


def _ranked(f: Facts, s: Sent, _m: re.Match[str]) -> np.ndarray:
    return np.sort(_logits(f))[::-1][np.asarray(s.beside["rank"], int) - 1]


def _surprisal(f: Facts, _s: Sent, _m: re.Match[str]) -> np.ndarray:
    p = softmax(f.native().logits[0].numpy())
    return np.array([0.0, *(-np.log2(p[i, token]) for i, token in enumerate(f.trace.tokens.ids[1:]))])


BARS = r"(left|bottom|top|y)"
PLACE = r"(x|y|dw|dh)"

DECLARED: dict[str, list[tuple[str, Rule | None]]] = {
    "": [
        (r"(Tools|.*/\w+|\w+)\.version|Rich\.level", LAYOUT),
        (r".*/Image\." + PLACE, LAYOUT),
        (r".*/(Text|Rect)\.(x|y|w|h|width|query|key)", LAYOUT),
        (r".*/Quad(\+Text)?\." + BARS, LAYOUT),
        (r".*/VectorStrips\.rows\.(index|length|start)", LAYOUT),  # which row it is: `_strips` goes by the same
        (r".*/VectorStrips\.lights", LAYOUT),
        (r".*/VectorStrips\.values", _strips),
        (r".*/VectorStrips\.rows\.scale", _strip_scales),
        (r"(?P<picture>[\w-]+)/ColourKey\.scale\.ticks", _legend),
        (r"[\w-]+/ColourKey\.scale\.middle", lambda f, s, m: np.array([0.5**2])),  # colours by the square root
    ],
    "attention": [
        (r"(?P<part>scores\w*|masked|pattern)/Image\.image", _stage),
        (r"(?P<part>[qkvz]\w*)/Image\.image", _vector),
        (r"heads/Image\.image", _mosaic),
        (r"(?P<side>where-it-looks|who-looks)/Quad\+Text\.(value|right|end)", _ranking),
        (r"head-shares/Quad\+Text\.(value|right|end)", _shares),
    ],
    "embedding": [
        (r"embedding-tokens/Pieces\.pieces\.at", lambda f, s, m: np.arange(f.total)),
        (r"embedding-tokens/Pieces\.pieces\.id", lambda f, s, m: f.trace.tokens.ids),
        (r"embedding-tokens/Pieces\.chosen", lambda f, s, m: f.at),
        (r"embedding-neighbours/Quad\+Text\.(value|right|end)", _neighbours),
        (r"embedding-rotary/Dials\.dials\.(?P<part>before|after|angle)", _dials),
        (r"embedding-rotary/Dials\.(dials\.at|scale)", LAYOUT),
    ],
    "mlp": [
        (r"mlp-curve/Line\.into", LAYOUT),  # where the curve is evaluated
        (r"mlp-curve/Line\.out", _curve),
        (r"mlp-curve/Scatter\.(?P<part>into|out)", _points),
        (r"mlp-curve/Scatter\.neuron", LAYOUT),  # `_points` goes by them
        (r"mlp-neurons/NeuronList\.chosen", lambda f, s, m: f.state.neuron),
        (r"mlp-neurons/NeuronList\.neurons\.(?P<part>neuron|x|up|post|size)", _column),
        (r"mlp-neurons/NeuronList\.neurons\.(?P<part>promotes|resists)", _pointed),
        (r"mlp-\w+/VectorStrips\.rows\.marks", lambda f, s, m: np.tile(f.marks(), s.values.size // 8)),
    ],
    "residual": [
        (r"residual-sizes/Image\.image", _stream_lengths),
        (r"residual-writes/Quad\.(?P<part>size|cosine|top|bottom)", _quad),
        (r"residual-(?P<picture>cosines|norm-\w+)/(Line|Scatter|Line\+Scatter)\.value", _line),
        (r"residual-lens/Image\.image", _lens_top),
        (r"residual-share/(Line|Scatter|Line\+Scatter)\.value", _lens_share),
        (r"residual-[\w-]+/[\w+]+\.(layer|block|left|right)", LAYOUT),
        (r"residual-[\w-]+/Scatter\.(x|y)", LAYOUT),  # rings around what the card is about
    ],
    "softmax": [
        (r"probabilities/Probabilities\.rows\.(?P<part>\w+)", _row),
        (r"probabilities/Probabilities\.others\.(?P<part>p|power)", _rest),
        (r"probabilities/Probabilities\.total\.(?P<part>max|sum)", _total),
        (r"logit-histogram/Quad\.(?P<part>top|bottom)", _histogram),
        (r"logit-histogram/Quad\.(left|right)", LAYOUT),
        (r"logits-by-rank/(Line|Scatter\+Text)\.logit", _ranked),
        (r"logits-by-rank/(Line|Scatter\+Text)\.rank", LAYOUT),
        (r"surprisal/Quad\.top", _surprisal),
        (r"surprisal/Quad\.right", LAYOUT),
    ],
}  # fmt: skip
"""By view ("" holds for all): the path of an array, and what it must be. The view's own lines come first."""
