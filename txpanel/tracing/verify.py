"""Every model is compared with its own untouched run before anything of it is shown; what does not agree is closed.

A fixed text of ids of the model's own vocabulary is run once. Then each block is run again with hooks, each declared operation is
computed from its recorded inputs and compared with what was recorded, row by row, and sums of terms with their cells. A part that does
not agree becomes opaque (:mod:`txpanel.models.closing`), and its block is compared again, until everything that is shown agrees.
"""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from txpanel.errors import TxpanelError, Unsupported
from txpanel.messages import _
from txpanel.models.closing import close_end, close_part
from txpanel.models.inspect_model import rope_kinds, text_config
from txpanel.models.language_model import LanguageModel
from txpanel.models.masked_tokens import mask_id
from txpanel.tracing import lens, opaque_runs, readings
from txpanel.tracing.answer import positions, token_types
from txpanel.tracing.compare import Gap, gap, sample, terms_gap
from txpanel.tracing.graph.build import Graph
from txpanel.tracing.module_calls import call_of
from txpanel.tracing.operations.attention import RowSum
from txpanel.tracing.operations.norm import Normalise
from txpanel.tracing.passes import STRUCTURE_ERRORS
from txpanel.tracing.probe import Probe, probed, run
from txpanel.tracing.rows import roomy_cache
from txpanel.tracing.verify_block import (
    Trouble,
    change,
    compare_block,
    set_block,
    signature,
    small_norm,
    wrong_epsilon,
)

ROUNDS = 8
"""How often a block is compared again after something of it was closed."""
FAR = 4096
"""Position at which a text far from the start ends, if the model reads texts as long as that."""
MANY = 8192
"""Sums of more terms are not checked term by term: that takes a second, and shorter sums are computed by the same code."""


def verify(model: LanguageModel) -> None:
    """Compare a model with its own run, and close what does not agree: changes its anatomy and parts.

    Raises:
        Unsupported: in words, if not even its residual stream and its logits can be recorded.
    """
    with model.lock, model.running():
        probe = probed(model)
        model.parts.tuple_output, model.parts.hands_on = probe.tuple_output, probe.hands_on
        seen: set[Any] = set()
        for layer in range(model.anatomy.n_layers):
            settle(model, layer, probe, seen)
        _far_positions(model, probe)
        check_embedding(model, probe)
        _output(model, probe)
        _continuing(model, probe)
        _encoder(model)


def settle(model: LanguageModel, layer: int, probe: Probe, seen: set[Any], *, reread: bool = True) -> None:
    """Compare a block, and close what does not agree, until the rest agrees; as a last resort close the whole block.

    Args:
        reread: whether another reading of the structure may be tried. Not for a special run: a reading that agrees only there is wrong.
    """
    parts = model.parts.blocks[layer]
    for _round in range(ROUNDS):
        facts = model.anatomy.blocks[layer]
        new = signature(model, layer) not in seen
        try:
            trouble = compare_block(model, layer, probe, thorough=new)
        except (*STRUCTURE_ERRORS, TxpanelError) as error:
            trouble = _next_to_close(model, layer, error)
        if not trouble:
            seen.add(signature(model, layer))
            return
        if reread and _try_readings(model, layer, probe, set(trouble)):
            continue
        before = len(parts.alone_differs)
        for part, why in trouble.items():
            if part in facts.opaque or "block" in facts.opaque:
                parts.alone_differs.add(part)
                continue
            if _close(model, layer, part, why) == "block":
                break
        if model.anatomy.blocks[layer] is facts and len(parts.alone_differs) == before:
            break
    if "block" not in model.anatomy.blocks[layer].opaque:
        _close(model, layer, "block", (_("its parts could not be made to agree with its run"), None))
        settle(model, layer, probe, seen, reread=False)


def _close(model: LanguageModel, layer: int, part: str, why: Trouble) -> str:
    """Close a part; returns the name of what is closed now: ``block`` if the part has no module of its own."""
    reason, difference = why
    model.anatomy = close_part(model.anatomy, model.parts, layer, part, reason)
    now = part if part in model.anatomy.blocks[layer].opaque else "block"
    if difference is not None:
        model.seen.closed[f"blocks.{layer}.{now}"] = difference
    return now


def _try_readings(model: LanguageModel, layer: int, probe: Probe, trouble: set[str]) -> bool:
    """Take another reading of the block (:mod:`txpanel.tracing.readings`) if it agrees better; returns whether one does."""
    facts, parts = model.anatomy.blocks[layer], model.parts.blocks[layer]
    for reading in readings.others(facts, parts, trouble):
        back = readings.take(parts, reading)
        set_block(model, layer, replace(facts, **reading))
        try:
            left = set(compare_block(model, layer, probe, thorough=True))
        except (*STRUCTURE_ERRORS, TxpanelError):
            left = trouble
        if left < trouble or not left:
            return True
        back()
    set_block(model, layer, facts)
    return False


def _next_to_close(model: LanguageModel, layer: int, error: Exception) -> dict[str, Trouble]:
    """What to close next in a block that cannot be followed at all: attention first, then the MLP, then the block."""
    facts = model.anatomy.blocks[layer]
    reason = _("it could not be followed while it ran ({error})").format(error=str(error)[:300] or type(error).__name__)
    part = "mixer" if facts.has_attention else "mlp" if facts.has_mlp else "block"
    return {part: (reason, None)}


def _far_positions(model: LanguageModel, probe: Probe) -> None:
    """Compare the same text at far positions, and across the position from which other angles are used (LongRoPE, dynamic NTK), if the family takes positions.

    Blocks whose operations are the same do the same there: one of each is compared.
    """
    layers: dict[Any, int] = {}
    for block in model.anatomy.blocks:
        own_table = getattr(model.parts.blocks[block.index].attn, "embed_positions", None)  # read from its first row on
        if block.has_attention and block.rotary is not None and own_table is None:
            layers.setdefault(signature(model, block.index), block.index)
    if not layers or "position_ids" not in inspect.signature(type(model.model).forward).parameters:
        return
    for start in _far_starts(model, len(probe.ids)):
        try:
            far = run(model, probe.ids, start=start, until=max(layers.values()))
        except Exception:  # positions of another form: whatever a model's own code may raise
            continue
        for layer in layers.values():
            alike = [b.index for b in model.anatomy.blocks if signature(model, b.index) == signature(model, layer)]
            base = model.anatomy.blocks[layer].rotary
            if not model.anatomy.blocks[layer].has_attention:  # closed by the start before
                continue
            settle(model, layer, far, set(), reread=False)
            now = model.anatomy.blocks[layer]
            for other in alike:  # what does not hold for one is not claimed for the others
                rotary = model.anatomy.blocks[other].rotary
                if other == layer or rotary is None:
                    continue
                if not now.has_attention:
                    model.anatomy = close_part(
                        model.anatomy, model.parts, other, "mixer", now.opaque.get("mixer") or now.opaque["block"]
                    )
                elif now.rotary != base:
                    change(model, other, rotary=replace(rotary, base=None))


def _far_starts(model: LanguageModel, n: int) -> list[int]:
    """First positions for a text of n tokens: one so that it ends at `FAR`, and one across each position from which other angles are used."""
    config = text_config(model.model)
    kinds = rope_kinds(config)
    switches = {
        getattr(config, "original_max_position_embeddings", None),
        *(kind.get("original_max_position_embeddings") for kind in kinds),
    }
    if any(kind.get("rope_type") == "dynamic" for kind in kinds):
        switches.add(getattr(config, "max_position_embeddings", None))
    starts = {min(model.max_tokens, FAR) - n, *(int(place) - n // 2 for place in switches if place)}
    return sorted(start for start in starts if start > 0)


def check_embedding(model: LanguageModel, probe: Probe, *, marks: bool = True) -> None:
    """Compare the steps from ids to the first stream, and close them if they do not agree. ``marks``: also for a text with mask and padding tokens."""
    if "embed" in model.anatomy.opaque:
        return
    try:
        graph = Graph(model.anatomy, model.parts)
        values = leaves(model, probe.ids)
        for name in graph.names():
            operation = graph.operations[name]
            if name.startswith("blocks.") and name != "blocks.0.resid_pre":
                break
            inputs = {source: values[source] for source in operation.inputs}
            values[name] = operation.recompute(inputs)
            for cell in sample(operation, values[name], 3):
                if not terms_gap(operation, inputs, values[name], cell, model.dtype).ok:
                    raise Unsupported(_("the terms of '{name}' do not add up to it").format(name=name))
            if name == "blocks.0.resid_pre":
                found = gap(operation, inputs, values[name], probe.streams[0].float().cpu(), model.dtype)
                _agrees(
                    model,
                    "embed",
                    found,
                    _("the model computes its first residual stream in a way that txpanel does not know"),
                )
        if marks:
            _check_special_tokens(model, probe, graph)
    except (*STRUCTURE_ERRORS, TxpanelError) as error:
        _close_end(model, "embed", error)


def leaves(model: LanguageModel, ids: Tensor) -> dict[str, Tensor]:
    """The leaf tensors of a text, by name: token ids, positions, token types, each int64 [T]."""
    return {"tokens": ids, "positions": positions(model.anatomy, ids), "token_types": token_types(model, ids)}


def _check_special_tokens(model: LanguageModel, probe: Probe, graph: Graph) -> None:
    """Compare the steps to the first stream for a text with mask and padding tokens, which a model may treat differently.

    Raises:
        Unsupported: it treats them differently from the declared operations.
    """
    facts, config = model.anatomy, model.model.config
    marks = {
        mask_id(model.tokenizer, config),
        facts.mask_dropped,
        facts.position_pad,
        getattr(config, "pad_token_id", None),
    }
    ids, rows = probe.ids.clone(), min(facts.vocab, len(model.parts.tables["embed"][1]))
    found = sorted(mark for mark in marks if isinstance(mark, int) and 0 <= mark < rows)
    if not found:
        return
    for place, mark in enumerate(found):
        ids[1 + 3 * place :: 7] = mark
    values = leaves(model, ids)
    for name in graph.names()[: graph.names().index("blocks.0.resid_pre") + 1]:
        operation = graph.operations[name]
        inputs = {source: values[source] for source in operation.inputs}
        values[name] = operation.recompute(inputs)
    first = opaque_runs.first_stream(model, ids)
    agrees = gap(operation, inputs, values["blocks.0.resid_pre"], first, model.dtype)
    words = _(
        "for a text with masks or padding tokens, the model computes its first residual stream in a way that txpanel does not know"
    )
    _agrees(model, "embed", agrees, words)


def _close_end(model: LanguageModel, end: str, error: Exception) -> None:
    model.anatomy = close_end(model.anatomy, model.parts, end, str(error) or type(error).__name__)


def _agrees(model: LanguageModel, end: str, found: Gap, reason: str) -> None:
    """Note by how much an end (``embed``, ``output``) differs from the run.

    Raises:
        Unsupported: with the reason, if that is more than rounding.
    """
    if not found.ok:
        model.seen.closed[end] = found.size
        raise Unsupported(reason)
    model.seen.saw(end, found.size)


def _output(model: LanguageModel, probe: Probe) -> None:
    """Compare the steps from the last stream to the logits: the declared operations, else the model's own code, else the model is refused."""
    if "output" not in model.anatomy.opaque:
        try:
            _declared_output(model, probe)
            return
        except (*STRUCTURE_ERRORS, TxpanelError) as error:
            _close_end(model, "output", error)
    try:
        again = opaque_runs.logits_of(model, probe.streams[-1])
    except (*STRUCTURE_ERRORS, TxpanelError) as error:
        words = _(
            "The logits of '{family}' could not be followed from its last block ({error}), so it is not opened. "
            "Open another model, or report this family."
        )
        raise Unsupported(words.format(family=model.anatomy.family, error=error)) from error
    if not gap(None, {}, again, probe.logits, model.dtype).ok:
        words = _(
            "'{family}' computes its logits from more than the residual stream after its last block, so it is not opened. "
            "Open another model, or report this family."
        )
        raise Unsupported(words.format(family=model.anatomy.family))


def _declared_output(model: LanguageModel, probe: Probe) -> None:
    last = probe.streams[-1]
    found = gap(None, {}, lens.unembed(model, last), probe.logits, model.dtype)
    _agrees(model, "output", found, _("the model computes its logits in a way that txpanel does not know"))
    graph = Graph(model.anatomy, model.parts)
    end = f"blocks.{model.anatomy.n_layers - 1}.resid_post"
    values: dict[str, Tensor] = {end: last.float().cpu()}
    recorded = {"logits": probe.logits[-1]}
    if "ln_final" in model.parts.norms:
        recorded["ln_final"] = model.parts.norms["ln_final"].module(last).float().cpu()
    for name in graph.names()[graph.names().index(end) + 1 :]:
        operation = graph.operations[name]
        if not all(source in values for source in operation.inputs):
            continue  # a tensor of the last block itself, such as what it adds as a whole
        inputs = {source: values[source] for source in operation.inputs}
        again = operation.recompute(inputs)
        values[name] = recorded.get(name, again)
        if name in recorded:
            found = gap(operation, inputs, again, recorded[name], model.dtype)
            words = _("'{name}' is computed in a way that txpanel does not know")
            _agrees(model, "output", found, words.format(name=name))
        if isinstance(operation, Normalise):
            small = small_norm(
                model, operation, [graph.operations[made] for made in graph.names()], values[operation.inputs[0]]
            )
            if small is not None and not small.ok:
                raise Unsupported(wrong_epsilon())
        if isinstance(operation, RowSum) and model.anatomy.vocab > MANY:
            continue
        for cell in sample(operation, values[name], 3):
            if not terms_gap(operation, inputs, values[name], cell, model.dtype).ok:
                raise Unsupported(_("the terms of '{name}' do not add up to it").format(name=name))


def _continuing(model: LanguageModel, probe: Probe) -> None:
    """Check whether a continued run gives the streams of one pass; if not, every text is run as a whole."""
    if not model.parts.continues:
        return
    half = len(probe.ids) // 2
    try:
        model.parts.continues = continues(model, [probe.ids[:half], probe.ids[half:]], probe)
    except (*STRUCTURE_ERRORS, TxpanelError):
        model.parts.continues = False


def continues(model: LanguageModel, texts: list[Tensor], whole: Probe) -> bool:
    """Whether texts that are read one after the other have the streams of one pass ``whole``."""
    cache = roomy_cache()
    pieces = [run(model, ids, cache=cache) for ids in texts]
    joined = [torch.cat(pair).float().cpu() for pair in zip(*(piece.streams for piece in pieces), strict=True)]
    return cache.get_seq_length() == len(whole.ids) and all(
        _near(again, stream.float().cpu(), model.dtype) for again, stream in zip(joined, whole.streams, strict=True)
    )


def _encoder(model: LanguageModel) -> None:
    """Check whether each block of the encoder, called again, gives the next one's input; if not, its blocks are not shown."""
    if model.pair is None or model.anatomy.encoder is None:
        return
    read = model.read()
    try:
        again = [call_of(*call)[1](stream) for call, stream in zip(read.calls, read.streams, strict=False)]
        same = bool(read.streams) and all(
            gap(None, {}, one.float().cpu(), stream.float().cpu(), model.dtype).ok
            for one, stream in zip(again, read.streams[1:], strict=True)
        )
    except (*STRUCTURE_ERRORS, TxpanelError):
        same = False
    if not same:
        model.anatomy = replace(model.anatomy, encoder=replace(model.anatomy.encoder, blocks=()))


def _near(again: Tensor, stream: Tensor, dtype: torch.dtype) -> bool:
    """Whether two streams agree roughly: rounding grows from block to block, but a lost token changes everything."""
    scale = stream.abs().amax(-1, keepdim=True) + 1e-20
    return bool(((again - stream).abs() / scale).max() < (0.02 if dtype in (torch.float32, torch.float64) else 0.5))
