"""Operations that are created when their name is asked for: there is one for each token, layer and vector of a run, and few are used.

They are created in small lists that belong together; the most recently used lists are kept. They hold no number of a run.

- ``lens.{layer}.ln_final`` ...: the stream before a block through the final norm (logit lens), for all tokens.
- ``lens.{layer}.{token}.logits``, ``.probs`` ...: after one token; at layer ``n_layers`` the model's own output there.
- ``{vector}.norm``, ``blocks.{l}.attn_out.cosine``, ``blocks.{l}.mlp_post.write``, ``embed.{id}.{id}.cosine``: lengths and directions.
- ``probs.entropy``, ``surprisal.{token}``: in bits.
- ``probs.shifted``, ``probs.exp``, ``probs.bins``, ``probs.others.{k}``: the steps of the softmax, and sums of probabilities over many tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache, partial

from txpanel.models.anatomy import Anatomy
from txpanel.models.parts import ModelParts
from txpanel.tracing import operations as ops
from txpanel.tracing.graph.builder import GraphBuilder, OperationList
from txpanel.tracing.graph.output import answer, final
from txpanel.tracing.names import split_name
from txpanel.tracing.operations.base import Operation
from txpanel.tracing.operations.shares import BINS

LENS = re.compile(r"lens\.(\d+)\.(?:(\d+)\.)?.+")
NEAR = re.compile(r"embed\.(\d+)\.(\d+)\.cosine")
SURPRISAL = re.compile(r"surprisal\.(\d+)")
OTHERS = re.compile(r"((?:lens\.\d+\.\d+\.)?)(probs|probs\.exp)\.others\.(\d+)((?:\.\d+)*)")
"""The sum over all tokens except the k likeliest and those whose ids follow."""
LEFT_OUT = 20
"""How many ids such a name may hold."""
KEPT = 64
"""Lists of operations that are kept, of at most some thirty operations each."""

BITS = r"H = -\sum_i p_i\, \log_2 p_i"
VECTORS = (("feature",), ("dim",), ("neuron",))
STREAMS = frozenset(
    {
        "resid_pre",
        "resid_mid",
        "resid_post",
        "attn_proj",
        "attn_out",
        "mlp_proj",
        "mlp_out",
        "result",
        "ln_final",
        "embed_sum",
        "mlm_pre",
        "mlm_post",
        "mixer_in",
        "mixer_proj",
        "mixer_out",
        "mlp_in",
        "block_in",
        "block_out",
    }
)

WRITES: tuple[tuple[type[Operation], str, tuple[str, ...], str], ...] = (
    (ops.WriteLength, "mlp_post", (), "down"),
    (ops.ExpertWriteLength, "mlp_post", ("expert_index",), "down"),
    (ops.WriteLength, "shared_post", (), "shared_down"),
)
"""For each kind of MLP: the operation for the norm of what a neuron adds, its activations, its further inputs, its weights."""

Known = Mapping[str, tuple[str, ...]]


def others(best: int, besides: Iterable[int] = ()) -> str:
    """The last part of a name: the sum over all tokens except the ``best`` likeliest and those ``besides``; ``others.20.311``."""
    return ".".join(["others", str(best), *(str(i) for i in sorted(set(besides)))])


def norm(x: str) -> str:
    """LaTeX of a vector's length."""
    return rf"\left\| {x} \right\|"


class Derived:
    """The operations of one model that are declared on demand. Thread-safe.

    Args:
        known: dimension names of the tensors of the graph. read: name of the tensor that the unembedding reads.
    """

    def __init__(self, anatomy: Anatomy, parts: ModelParts | None, known: Known, read: str) -> None:
        self.layers, self.read, self.known, self.fills = anatomy.n_layers, read, known, anatomy.fills
        self._lens = lru_cache(maxsize=KEPT)(partial(_lens, anatomy, parts, known, read))
        self._measures = lru_cache(maxsize=KEPT)(partial(_measures, anatomy, parts, known))
        self._near = partial(_near, anatomy, parts)
        self._others = partial(_others, anatomy)

    def find(self, name: str, tokens: int, answer: int) -> Operation | None:
        """The operation that makes ``name`` in a run of so many tokens; None if there is none.

        Args:
            answer: the token at which the run's logits stand.
        """
        if lens := LENS.fullmatch(name):
            at, token = int(lens[1]), int(lens[2]) if lens[2] else None
            if not (at <= self.layers and (token or 0) < tokens):
                return None
            return self._lens(at, token).operations.get(name) or self._others(name)
        if came := SURPRISAL.fullmatch(name):
            follows = int(came[1])
            if self.fills:  # its text has no probability token by token
                return None
            return self._lens(self.layers, follows - 1).operations.get(name) if 0 < follows < tokens else None
        if near := NEAR.fullmatch(name):
            return self._near(name, int(near[1]), int(near[2]))
        layer = split_name(name)[0]
        if layer is not None and layer >= self.layers:
            return None
        return self._measures(layer).operations.get(name) or self._others(name)

    def feeds(self, name: str, index: Mapping[str, int], tokens: int, answer: int) -> Iterator[str]:
        """Names computed from ``name`` by operations declared here; with a cell's token also those that belong to that token alone."""
        for operations in self._readers(name, index.get("token"), answer):
            yield from (made for made in operations.feeds.get(name, ()) if self.find(made, tokens, answer) is not None)

    def _readers(self, name: str, token: int | None, last: int) -> Iterator[OperationList]:
        """The lists that may contain operations with ``name`` as an input."""
        layer, own = split_name(name)
        lens = LENS.fullmatch(name)
        if lens:
            at, token = int(lens[1]), token if lens[2] is None else int(lens[2])
        elif layer is None or layer < self.layers:
            yield self._measures(layer)
            at = layer if own == "resid_pre" and layer is not None else self.layers
        else:
            return
        if lens or own == "resid_pre":
            yield self._lens(at, None)
        if token is not None and (lens or own == "resid_pre" or (name == self.read and token != last)):
            yield self._lens(at, token)
        if name == "tokens" and token:
            yield self._lens(self.layers, token - 1)


def _lens(
    a: Anatomy, parts: ModelParts | None, known: Known, read: str, layer: int, token: int | None
) -> OperationList:
    """The logit lens at a layer: the final norm for all tokens (``token`` None), or logits and probabilities after one token."""
    operations, stream = OperationList(known), read
    if layer < a.n_layers:
        stream = final(
            GraphBuilder(operations, None, a.norm_eps, f"lens.{layer}."), a, parts, f"blocks.{layer}.resid_pre"
        )
    if token is None:
        return operations
    own = OperationList(operations.dims)
    probs = answer(GraphBuilder(own, None, a.norm_eps, f"lens.{layer}.{token}."), a, parts, stream, token)
    free = GraphBuilder(own, None, {}, "")
    _softmax(free, probs)
    if layer == a.n_layers:
        formula = r"-\log_2 p(\mathrm{token} \mid \mathrm{tokens\ before})"
        free.add(ops.Surprisal, f"surprisal.{token + 1}", (probs, "tokens"), (), formula, token=token + 1)
    return own


def _softmax(w: GraphBuilder, probs: str) -> None:
    """Of a softmax: its intermediate steps, the entropy of its result, and a histogram."""
    logits, dims = f"{probs.removesuffix('probs')}logits", ("vocab",)
    shifted = w.add(ops.Shifted, f"{probs}.shifted", (logits, f"{probs}.max"), dims, r"y_i = \mathrm{logit}_i - m")
    w.add(ops.Power, f"{probs}.exp", (shifted,), dims, r"y_i = e^{x_i}, \quad x_i = \mathrm{logit}_i - m")
    w.add(ops.Entropy, f"{probs}.entropy", (probs,), (), BITS)
    inside = r"\sum_{e_b \le \mathrm{logit}_i < e_{b+1}} p_i"
    w.add(ops.Bins, f"{probs}.bins", (probs, logits), ("bin",), rf"y_b = {inside}, \quad b < {BINS}")


def _measures(a: Anatomy, parts: ModelParts | None, known: Known, layer: int | None) -> OperationList:
    """Norms of all vectors of a block (or outside the blocks), and cosines of the outputs of attention and MLP with the residual stream."""
    operations = OperationList(known)
    w = GraphBuilder(operations, None, {}, "")
    for name, dims in known.items():
        if split_name(name)[0] == layer and dims[-1:] in VECTORS:
            n = f"_{{i=1}}^{{{a.width}}}" if split_name(name)[1] in STREAMS else "_i"
            w.add(
                ops.Length,
                f"{name}.norm",
                (name,),
                dims[:-1],
                rf"{norm('x')} = \sqrt{{\sum{n} x_i^2}} = \sum{n} \frac{{x_i^2}}{{{norm('x')}}}",
            )
    if layer is None:
        _softmax(w, "probs")
        return operations
    pre = f"blocks.{layer}."
    middle = pre + ("resid_mid" if pre + "resid_mid" in known else "resid_pre")
    for write, onto in (
        ("attn_out", pre + "resid_pre"),
        ("mixer_out", pre + "resid_pre"),
        ("mlp_out", middle),
        ("block_out", pre + "resid_pre"),
    ):
        if pre + write not in known:
            continue
        n = rf"\sum_{{i=1}}^{{{a.width}}}"
        formula = rf"\cos(a, b) = {n} \frac{{a_i\, b_i}}{{{norm('a')}\, {norm('b')}}}"
        w.add(ops.Cosine, f"{pre}{write}.cosine", (pre + write, onto), ("token",), formula)
    for kind, made, chosen, weights in WRITES:
        dims = known.get(pre + made, ())
        if dims[1:] != (("slot", "neuron") if chosen else ("neuron",)):
            continue
        size = norm(r"x_n W_{\cdot, n}")
        formula = rf"{size} = \sum_{{i=1}}^{{{a.width}}} \frac{{(x_n W_{{i,n}})^2}}{{{size}}}"
        down = parts.blocks[layer].maps[weights] if parts else None
        w.add(kind, f"{pre}{made}.write", tuple(pre + name for name in (made, *chosen)), dims, formula, map=down)
    return operations


def _near(a: Anatomy, parts: ModelParts | None, name: str, one: int, other: int) -> Operation | None:
    """The cosine of two rows of the token table; ``None`` unless the name is written in the one usual way (no leading zeros)."""
    if "embed" in a.opaque or not max(one, other) < a.vocab or name != f"embed.{one}.{other}.cosine":
        return None
    table_name, table = parts.tables["embed"] if parts else ("", None)
    formula = rf"\cos(a, b) = \sum_{{i=1}}^{{{a.embed_width}}} \frac{{a_i\, b_i}}{{{norm('a')}\, {norm('b')}}}"
    return ops.RowCosine(name, (), (), formula, table_name=table_name, table=table, rows=(one, other))


def _others(a: Anatomy, name: str) -> Operation | None:
    """The sum over all tokens except some; ``None`` unless the name is written in the one usual way (ids in order, no leading zeros)."""
    found = OTHERS.fullmatch(name)
    if found is None:
        return None
    best, besides = int(found[3]), tuple(int(i) for i in found[4].split(".")[1:])
    place, of = found[1], found[2]
    usual = name == f"{place}{of}.{others(best, besides)}" and len(besides) <= LEFT_OUT
    if not usual or max((best, *besides)) >= a.vocab:
        return None
    symbol = "p_i" if of == "probs" else r"e^{\mathrm{logit}_i - m}"
    listed = r"\{" + rf"\mathrm{{the}}\ {best}\ \mathrm{{likeliest}}" + "".join(rf",\ {i}" for i in besides) + r"\}"
    formula = rf"\sum_{{i \notin L}} {symbol}, \quad L = {listed}, \quad i \le {a.vocab:,}"
    inputs = (place + of, place + "logits")
    return ops.Others(name, inputs, (), formula, dict.fromkeys(inputs, ("vocab",)), best=best, besides=besides)
