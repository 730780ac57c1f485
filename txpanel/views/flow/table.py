"""The flow as tables: what its picture shows of the chosen block, head and token, for a screen reader and for the CSV file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from txpanel.messages import _
from txpanel.toolkit.card import provenance
from txpanel.toolkit.part_words import closed_parts, first_writes, kind_name, part_name, writes
from txpanel.toolkit.picture import Table
from txpanel.views.flow import data
from txpanel.views.flow.next_tokens import drawn, next_payload, sample_at
from txpanel.views.heads import allowed

if TYPE_CHECKING:
    from txpanel.models.anatomy import BlockAnatomy
    from txpanel.session.state import ModelState
    from txpanel.tracing import Trace
    from txpanel.views.flow.window import Window

__all__ = ["facts", "tables"]

Norms = dict[int, dict[str, np.ndarray]]


def tables(state: ModelState, window: Window, written: Norms) -> Table:
    """All tables of the picture; the first one is that of the tokens.

    Args:
        state: its block, head and query are those of the picture.
        window: the lanes on screen; the pattern has their rows and columns, the tokens are all there.
        written: what `data.write_norms` gave for the blocks that are computed already, by block; the others are computed.

    Returns:
        Tokens, pattern, next tokens and what each block writes, one after the other; only headings without a trace.
    """
    trace = state.trace
    if trace is None:
        return Table([_("position"), _("token"), _("id")], [])
    return Table(
        *_tokens(trace, state.layer, state.head, state.query),
        more=(
            *_pattern(trace, state.layer, state.head, window),
            _next(state),
            _writes(trace, state.query, written),
        ),
    )


def facts(state: ModelState) -> dict[str, str]:
    """Provenance of the files: the trace's own account, and what was chosen when they were saved."""
    found = provenance(state, f"blocks.{state.layer}")
    return found | {"head": str(state.head), "query": str(state.query)}


def names(trace: Trace) -> list[str]:
    """Tokens with their positions, so that equal ones can be told apart."""
    return [f"{i} {text}" for i, text in enumerate(trace.tokens.strings)]


def _tokens(trace: Trace, layer: int, head: int, query: int) -> tuple[list[str], Any, str]:
    """Columns, rows and caption of the table with a row for each token."""
    p, total = f"blocks.{layer}.", len(trace.tokens.ids)
    columns: dict[str, list[Any]] = {
        _("position"): list(range(total)),
        _("token"): list(trace.tokens.strings),
        _("id"): trace.tokens.ids.tolist(),
    }
    for name in ("resid_pre", *writes(trace.anatomy.blocks[layer]).values(), "resid_post"):
        columns[f"‖{p}{name}‖"] = data.norms(trace, p + name).tolist()
    if trace.anatomy.blocks[layer].has_attention:
        weights, may = np.asarray(trace.head_map(layer, head, "pattern"), np.float32), allowed(trace, layer, head)
        row = np.where(may[query], weights[query], np.nan).tolist()
        columns[_("attention weights of {token}, head {head}").format(token=names(trace)[query], head=head + 1)] = row
    if p + "expert_index" in trace:
        chosen, share = trace.tensor(p + "expert_index"), trace.tensor(p + "expert_weight")
        for slot in range(chosen.shape[1]):
            columns[_("expert in slot {slot}").format(slot=slot)] = chosen[:, slot].tolist()
            columns[_("weight of slot {slot}").format(slot=slot)] = share[:, slot].tolist()
    rows = zip(*columns.values(), strict=True)
    return list(columns), rows, _("Tokens in block {block}").format(block=layer + 1)


def _pattern(trace: Trace, layer: int, head: int, window: Window) -> list[Table]:
    """Attention of the lanes on screen; the other tokens as the first one and a sum, so that rows add up to 1. Empty where no attention is opened."""
    if not trace.anatomy.blocks[layer].has_attention:
        return []
    found = data.head_weights(trace, layer, head, window)
    on_screen = names(trace)[window.rows]
    columns, before = on_screen, np.zeros((window.count, 0), np.float32)
    if not trace.anatomy.blocks[layer].causal and window.count < window.total:
        columns = [names(trace)[0], _("other tokens, summed"), *on_screen]
        before = np.stack([found["first"], found["earlier"]], axis=1)
    elif window.start > 0:
        columns = [names(trace)[0], _("1 to {last}, summed").format(last=window.start - 1), *on_screen]
        before = np.stack([found["first"], found["earlier"]], axis=1)
    caption = _("Attention pattern of block {block}, head {head}").format(block=layer + 1, head=head + 1)
    values = np.concatenate([before, found["pattern"]], axis=1)
    return [Table.matrix(values, on_screen, columns, corner=_("query / key"), caption=caption)]


def _next(state: ModelState) -> Table:
    found = next_payload(state.trace, state.query, drawn(state), sample_at(state))
    columns = ("strings", "ids", "probability", "share")
    rows: list[list[Any]] = [
        list(row) for row in zip(*(np.asarray(found[name]).tolist() for name in columns), strict=True)
    ]
    rows.append([_("{n} others").format(n=found["others"]), "", found["rest"], found["rest_share"]])
    words = _("Token at the position of {token}") if state.trace.anatomy.fills else _("Next token after {token}")
    caption = words.format(token=names(state.trace)[state.query])
    return Table([_("token"), _("id"), _("probability: the model"), _("with your settings")], rows, caption)


def _writes(trace: Trace, query: int, written: Norms) -> Table:
    """Norms of what each block adds to the chosen token."""

    def row(layer: int) -> list[Any]:
        found = written.get(layer) or data.write_norms(trace, layer)
        wrote = [float(found[part][query]) if part in found else "" for part in ("attn", "mlp")]
        return [layer + 1, *wrote, *([state_words(trace.anatomy.blocks[layer])] if partly else [])]

    partly = any(closed_parts(block) or not block.has_mixer for block in trace.anatomy.blocks)
    rows = (row(layer) for layer in range(trace.anatomy.n_layers))
    caption = _("What each block adds at {token}").format(token=names(trace)[query])
    heads = [_("block"), first_writes(trace.anatomy), _("MLP output"), *([_("parts")] if partly else [])]
    return Table(heads, rows, caption)


def state_words(block: BlockAnatomy) -> str:
    """What a block consists of, and what of it is not opened."""
    if "block" in block.opaque:
        return _("{name}: run as a whole, not opened").format(name=part_name(block, "block"))
    closed = closed_parts(block)
    said = []
    for part, there, name in (("mixer", block.has_mixer, kind_name(block.kind)), ("mlp", block.mlp_there, _("MLP"))):
        if there:
            said.append(_("{name} (not opened)").format(name=name) if part in closed else name)
    return " · ".join(said)
