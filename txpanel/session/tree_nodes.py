"""Making the nodes of a tree: from a draw, or again from a saved record."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from txpanel.decoding import Draw, Sample, Settings
from txpanel.decoding import sample as sample_logits
from txpanel.decoding.cumulative import bounds
from txpanel.decoding.generation import End
from txpanel.decoding.softmax import softmax
from txpanel.errors import NoTokenLeft, TooLong
from txpanel.messages import _
from txpanel.models.allowance import allowance
from txpanel.models.language_model import LanguageModel
from txpanel.session.prompt import Prompt
from txpanel.session.shared import shared_trace
from txpanel.session.token_tree import TokenNode, TokenTree
from txpanel.session.tree_codec import Entry, TreeRecord
from txpanel.tracing.lens import slices_of
from txpanel.tracing.trace import Trace

NEAR = 1e-3
"""How far a saved draw's uniform number may lie outside the token's interval of cumulative probability and still count as drawn: sums
differ by about 1e-5 between machines in float32, and by more in smaller types."""


def make_node(
    model: LanguageModel,
    logits: npt.NDArray[np.float32],
    token: int,
    settings: Settings,
    sample: Sample | None,
    *,
    parent: int,
    drawn: bool,
    ended: End = "",
) -> TokenNode:
    """The node of one token.

    Args:
        logits: float32 [V] of the position before the token. settings: of the draw. sample: what they gave; None: no token.
        drawn: whether the token is the sample's, not chosen by hand.
    """
    piece, string, special = _read(model, token)
    return TokenNode(
        parent=parent,
        token=token,
        piece=piece,
        string=string,
        special=special,
        settings=settings,
        draw=sample.draw if drawn and sample is not None else None,
        p=float(sample.probabilities[token]) if sample is not None else 0.0,
        model_p=float(softmax(logits)[token]),
        rank=int(np.count_nonzero(logits > logits[token])),
        ended=ended,
    )


def _read(model: LanguageModel, token: int) -> tuple[bytes, str, bool]:
    tokens = model.tokens([token])
    return tokens.pieces[0], tokens.strings[0], token in set(model.tokenizer.all_special_ids)


def prompt_logprobs(trace: Trace, begin: int, end: int) -> list[tuple[float, int, float] | None]:
    """For each of some tokens of a text: the probability that the model gave it, its rank (0: the most likely), and its surprisal in bits.

    Args:
        begin, end: which tokens. None stands for the first of the text: nothing comes before it.

    Raises:
        Unsupported: the trace has no model.
    """
    if trace.anatomy.fills:  # it has read all of the text before it says anything
        return [None] * (end - begin)
    rows = np.arange(max(begin, 1), end)
    found: list[tuple[float, int, float] | None] = [None] * (min(end, 1) - min(begin, 1))
    for piece in slices_of(len(rows), trace.anatomy.vocab):
        chunk = rows[piece]
        logits = trace.unembed(trace.recording.streams[-1][torch.from_numpy(chunk - 1)])
        own = logits.gather(1, torch.from_numpy(trace.tokens.ids[chunk].astype(np.int64))[:, None])
        nats = (torch.logsumexp(logits.double(), -1, keepdim=True) - own.double())[:, 0]
        ranks = (logits > own).sum(1)
        found += [(math.exp(-n), int(rank), n / math.log(2)) for n, rank in zip(nats.tolist(), ranks, strict=True)]
    return found


def remake(model: LanguageModel, record: TreeRecord, settings: Settings) -> TokenTree:
    """A tree from its record: one forward pass per branch gives all its distributions.

    The distribution after a branch's last token is not needed, so branches that differ in that token only share a pass. A pass reuses the
    rows that it shares with the one before, and no run is kept. A cancelled request ends between branches or slices of their tokens.

    Raises:
        EmptyText, TooLong, OverLimit: in words. ValueError: the tokens are not this model's. Cancelled: the request was.
    """
    root = Prompt(record.text, seed=settings.seed, chat=record.chat, apart=model.pair is not None)
    model = model.begin(record.text)[0]
    bare = _bare(model, root, record)
    nodes: dict[int, TokenNode] = {}
    trace: Trace | None = None
    for leaf in bare.leaves:
        path = bare.path(leaf)
        ids = [*bare.start, *(bare.node(n).token for n in path[:-1])]
        if trace is None or trace.tokens.ids.tolist() != ids:
            trace = shared_trace(model, ids, keep=False)
        for n, row, logits in _distributions(trace, len(bare.start), path, skip=nodes):
            nodes[n] = _again(model, logits, record.entries[n - 1], trace.tokens.ids[: row + 1])
    tree = TokenTree(root, bare.start, tuple(nodes[n] for n in range(1, len(bare) + 1)))
    return TokenTree(root, tree.start, tree.nodes, record.at, tree.end(record.at) if not record.leaf else record.leaf)


def _bare(model: LanguageModel, root: Prompt, record: TreeRecord) -> TokenTree:
    """The tree of tokens, checked against the model, without numbers."""
    start, nodes = tuple(root.encoded(model)), list[TokenNode]()
    for entry in record.entries:
        if entry.token >= model.anatomy.vocab:
            raise ValueError(_("{id} is not the id of a token of this model.").format(id=entry.token))
        piece, string, special = _read(model, entry.token)
        nodes.append(TokenNode(entry.parent, entry.token, piece, string, special, entry.settings, None, 0.0, 0.0, 0))
    bare = TokenTree(root, start, tuple(nodes))
    longest = max((len(bare.path(leaf)) for leaf in bare.leaves), default=0)
    if len(start) + longest > model.max_tokens:
        text = _("This run has {n} tokens, and {model} can read {room}.")
        raise TooLong(text.format(n=len(start) + longest, model=model.title, room=model.max_tokens))
    return bare


def _distributions(
    trace: Trace, start: int, path: Sequence[int], skip: dict[int, TokenNode]
) -> Iterator[tuple[int, int, npt.NDArray[np.float32]]]:
    """The nodes of a path that are not done yet, each with the position before it and its logits [V]."""
    stream = trace.recording.streams[-1]
    todo = [(n, start + place - 1) for place, n in enumerate(path) if n not in skip]
    for piece in slices_of(len(todo), trace.anatomy.vocab):
        allowance().check()
        chunk = todo[piece]
        logits = trace.unembed(stream[torch.tensor([row for _n, row in chunk])])
        yield from ((n, at, row.numpy()) for (n, at), row in zip(chunk, logits, strict=True))


def _again(
    model: LanguageModel, logits: npt.NDArray[np.float32], entry: Entry, ids: npt.NDArray[np.integer]
) -> TokenNode:
    """A node as it was. A token whose interval does not hold its seed's uniform number (within `NEAR`) counts as chosen, not drawn."""
    try:
        sample = sample_logits(logits, entry.settings, ids)
    except (NoTokenLeft, ValueError):
        sample = None
    made = make_node(
        model, logits, entry.token, entry.settings, sample, parent=entry.parent, drawn=False, ended=entry.ended
    )
    return replace(made, draw=_drawn(sample, entry.token) if entry.drawn and sample is not None else None)


def _drawn(sample: Sample, token: int) -> Draw | None:
    """How a token was drawn; None if its interval does not hold the seed's uniform number, within rounding (`NEAR`)."""
    if sample.token == token:
        return sample.draw
    rank = np.flatnonzero(sample.order == token)
    if not len(rank):
        return None
    at = bounds(sample.probabilities[sample.order])
    low, high = float(at[rank[0]]), float(at[rank[0] + 1])
    near = low - NEAR <= sample.draw.uniform <= high + NEAR
    return Draw(sample.draw.seed, sample.draw.uniform, low, high, int(rank[0])) if near else None
