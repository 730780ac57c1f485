"""One block compared with its own run: operations, sums of terms, norms of small vectors (for their epsilon), masks, angles, and every expert."""

from __future__ import annotations

import re
from dataclasses import astuple, replace
from typing import Any

import torch
from torch import Tensor

from txpanel.errors import TxpanelError
from txpanel.messages import _
from txpanel.models.anatomy import BlockAnatomy
from txpanel.models.language_model import LanguageModel
from txpanel.tracing import opaque_runs
from txpanel.tracing.compare import Gap, gap, sample, terms_gap
from txpanel.tracing.graph.build import block_operations
from txpanel.tracing.names import SOURCE_STATE
from txpanel.tracing.narrowed import Narrowed
from txpanel.tracing.operations.attention import Distances
from txpanel.tracing.operations.base import Operation
from txpanel.tracing.operations.norm import Normalise
from txpanel.tracing.operations.opaque import Opaque
from txpanel.tracing.passes import STRUCTURE_ERRORS
from txpanel.tracing.probe import Probe
from txpanel.tracing.replay import BlockTrace, replay

Trouble = tuple[str, float | None]
"""Why a part is to be closed, and by how much it is off."""
MLP = re.compile(r"mlp_(pre|gate|post|proj|out|in)|router|expert_.*|shared_.*")
NORM = re.compile(r"(ln1|ln2|attn_norm|mlp_norm|cross_ln)(\..*)?")
CELLS = 3
FARTHEST = 512
"""A learned bias is compared up to about this distance."""


def part_of(own: str, norm: str | None = None) -> str:
    """The part of a block that a tensor's operation belongs to."""
    if norm is not None:
        return norm
    if found := NORM.fullmatch(own):
        return found[1]
    if own.startswith(("resid_", "block_")):
        return "block"
    if own.startswith("cross_"):
        return "cross"
    return "mlp" if MLP.fullmatch(own) else "mixer"


def signature(model: LanguageModel, layer: int) -> Any:
    """Equal for blocks with the same operations: terms are checked in only one of them."""
    facts, parts = model.anatomy.blocks[layer], model.parts.blocks[layer]
    maps = {name: (m.transposed, m.bias is None, m.rows is None, m.stacked) for name, m in parts.maps.items()}
    same = replace(facts, index=0, norm_eps={}, opaque=dict.fromkeys(facts.opaque, ""), modules={})
    return repr((astuple(same), sorted(maps.items())))


def compare_block(model: LanguageModel, layer: int, probe: Probe, *, thorough: bool) -> dict[str, Trouble]:
    """The parts of a block that do not agree with its run, and why; empty: all agree.

    Args:
        thorough: also check the terms of some cells of every operation.
    """
    facts, stream = model.anatomy.blocks[layer], probe.streams[layer]
    block = replay(model, layer, stream, probe.calls[layer])
    pre, found = f"blocks.{layer}.", dict[str, Trouble]()
    after = probe.streams[layer + 1].float().cpu()
    whole = gap(None, {}, block.output.float().cpu(), after, model.dtype)
    if not whole.ok and "block" in facts.opaque and layer + 1 < model.anatomy.n_layers:
        through = opaque_runs.through(model, layer, probe.ids, stream)
        model.parts.blocks[layer].between = gap(None, {}, through.float().cpu(), after, model.dtype).ok
        if model.parts.blocks[layer].between:
            return {}
    if not whole.ok:
        return {
            "block": (
                _("the input of the next block is not what this block gives when it is run again"),
                whole.size,
            )
        }
    recorded = {pre + own: value for own, value in block.tensors.items()}
    recorded |= {pre + "resid_pre": stream.float().cpu(), pre + "resid_post": after}
    values = {**recorded, "stream": recorded[pre + "resid_pre"], "positions": torch.arange(len(stream))}
    if probe.state is not None:
        values[SOURCE_STATE] = probe.state
    operations = block_operations(model.anatomy, facts, model.parts.blocks[layer])
    narrowed = Narrowed(facts, len(stream))
    for operation in operations:
        part = _part(operation, facts)
        unseen = operation.output.endswith((".cross_q", ".cross_k", ".cross_v", ".position_bias"))
        missing = [source for source in operation.inputs if source not in values]
        if unseen and operation.output not in recorded:
            missing = [operation.output]
        if missing:
            found.setdefault(part, (_("'{name}' could not be observed").format(name=missing[0]), None))
            continue
        try:
            trouble = _compared(model, operation, narrowed, recorded, values, block, thorough)
        except (*STRUCTURE_ERRORS, TxpanelError) as error:
            words = _("'{name}' could not be computed ({error})")
            name = operation.output.split(".", 2)[2]
            trouble = words.format(name=name, error=f"{type(error).__name__}: {error}"[:200]), None
        known = part in model.parts.blocks[layer].alone_differs  # closed, and shown as not repeatable
        if trouble is not None and not known:
            found.setdefault(part, trouble)
    if found:
        return found
    found |= _norms(model, layer, list(operations), values)
    if facts.has_attention:
        found |= _rules(model, layer, values, probe.start)
        found |= _far_distances(model, layer, [op for op in operations if isinstance(op, Distances)])
    if facts.has_mlp and facts.experts:
        found |= _experts(model, layer, {op.output: op for op in operations}, values)
    return found


def _part(operation: Operation, facts: BlockAnatomy) -> str:
    if isinstance(operation, Opaque):
        return operation.part
    own = operation.output.split(".", 2)[2]
    normed = (
        {"mlp_out": "mlp_norm", "attn_out": "attn_norm", "mixer_out": "attn_norm"}
        if isinstance(operation, Normalise)
        else {}
    )
    return part_of(own, normed.get(own))


def _compared(
    model: LanguageModel,
    operation: Operation,
    narrowed: Narrowed,
    recorded: dict[str, Tensor],
    values: dict[str, Tensor],
    block: BlockTrace,
    thorough: bool,
) -> Trouble | None:
    name, own = operation.output, operation.output.split(".", 2)[2]
    layer, inputs = int(name.split(".")[1]), narrowed.inputs(operation, values)
    if isinstance(operation, Opaque):
        again = opaque_runs.called(model, block.opaque[operation.part])(inputs[operation.inputs[0]])
    else:
        again = operation.recompute(inputs)
    part = f"blocks.{layer}.{part_of(own)}"
    if name in recorded:
        value = narrowed.cut(recorded[name], operation.dims) if name in narrowed.names else recorded[name]
        narrowed.names.discard(name)  # later operations get the whole tensor
        off = gap(None if isinstance(operation, Opaque) else operation, inputs, again, value, model.dtype)
        if not off.ok:
            return _("it computes '{name}' in a way that txpanel does not know").format(name=own), off.size
        model.seen.saw(part, off.size)
    else:
        value = values[name] = again
    if thorough and not isinstance(operation, Opaque):
        for cell in sample(operation, value, CELLS):
            off = terms_gap(operation, inputs, value, cell, model.dtype)
            if not off.ok:
                return _("the terms of '{name}' do not add up to it").format(name=own), off.size
    return None


def _norms(
    model: LanguageModel, layer: int, operations: list[Operation], values: dict[str, Tensor]
) -> dict[str, Trouble]:
    """Compare norms of the stream on vectors so small that epsilon matters: a text's own vectors hide a wrong one."""
    found: dict[str, Trouble] = {}
    for operation in operations:
        if isinstance(operation, Normalise) and operation.over == (-1,) and len(operation.dims) == 2:
            off = small_norm(model, operation, operations, values[operation.inputs[0]])
            if off is not None and not off.ok:
                found[_part(operation, model.anatomy.blocks[layer])] = (wrong_epsilon(), off.size)
    return found


def small_norm(model: LanguageModel, norm: Normalise, operations: list[Operation], x: Tensor) -> Gap | None:
    """A norm's declared operations and its module on vectors so small that the epsilon counts; ``None``: it has no module.

    Args:
        operations: in which its mean, variance and scale are. x: some vectors of its usual input [T, D].
    """
    if norm.parts is None:
        return None
    by_output = {operation.output: operation for operation in operations}
    small = x[:4] * (norm.parts.eps / (x[:4].var(-1, keepdim=True, unbiased=False) + 1e-30)) ** 0.5
    kind = norm.parts.weight.dtype if norm.parts.weight is not None else model.dtype
    small = small.to(kind).float()
    own: dict[str, Tensor] = {norm.inputs[0]: small}
    for name in _steps(by_output, norm):
        step = by_output[name]
        own[name] = step.recompute({key: own[key] for key in step.inputs})
    real = norm.parts.module(small.to(model.device, kind)[None])[0].float().cpu()
    coarser = max(
        kind, model.dtype, key=lambda one: torch.finfo(one).eps
    )  # a norm may be kept in fewer bits than the rest
    return gap(None, {}, own[norm.output], real, coarser)


def wrong_epsilon() -> str:
    """The reason for closing a norm that agrees only on the text's own vectors."""
    return _("for small vectors it gives something else: its epsilon differs")


def _steps(by_output: dict[str, Operation], norm: Operation) -> list[str]:
    """The operations of a norm, in order: mean, variance, scale, and itself."""
    needed, source = [norm.output], norm.inputs[0]
    for name in needed:
        needed += [i for i in by_output[name].inputs if i != source and i not in needed]
    return [name for name in by_output if name in needed]


def _rules(model: LanguageModel, layer: int, values: dict[str, Tensor], start: int) -> dict[str, Trouble]:
    """Compare the stated rules of mask and angles with the recorded ones: causal, window, and the rotary base."""
    facts, pre = model.anatomy.blocks[layer], f"blocks.{layer}."
    look = values[pre + "mask"]
    n = look.shape[0]
    ages = torch.arange(n)[:, None] - torch.arange(look.shape[1])
    if facts.causal and not torch.equal(look, (ages >= 0) & (ages < (facts.window or n + 1))):
        reach = int(look.sum(-1).max())
        fits = torch.equal(look, (ages >= 0) & (ages < reach))
        if not fits:
            return {"mixer": (_("its mask follows a rule that txpanel does not know"), None)}
        change(model, layer, window=reach if reach < n else None)
    if not facts.causal:  # a window reaches as far to both sides; any other mask is shown as it is
        reach = int(look[0].sum())
        both = torch.equal(look, ages.abs() < reach)
        change(model, layer, window=reach if both and reach < n else facts.window if bool(look.all()) else None)
    if facts.rotary is not None and facts.rotary.base:
        cos, pairs = values[pre + "rotary_cos"], facts.rotary.dims // 2
        places = torch.arange(start, start + n)
        turns = places[:, None] * facts.rotary.base ** (-torch.arange(pairs, dtype=torch.float64) / pairs)
        if cos.shape != turns.shape or float((cos - turns.cos()).abs().max()) > (
            1e-3 if model.dtype == torch.float32 else 0.02
        ):
            change(model, layer, rotary=replace(facts.rotary, base=None))
    return {}


def _far_distances(model: LanguageModel, layer: int, biases: list[Distances]) -> dict[str, Trouble]:
    """Compare a learned bias at distances that are longer than the comparison's text."""
    for bias in biases:
        n = min(2 * bias.relative.max_distance, FARTHEST) + 8
        owner: Any = model.parts.blocks[layer].modules["distances"]
        real = owner.compute_bias(n, n)[0].float().cpu()
        off = gap(None, {}, bias.recompute({bias.inputs[0]: torch.arange(n)}), real, model.dtype)
        if not off.ok:
            return {"mixer": (_("its position bias differs for large distances"), off.size)}
    return {}


def change(model: LanguageModel, layer: int, **facts: Any) -> None:
    """Change facts of a block to what was observed."""
    set_block(model, layer, replace(model.anatomy.blocks[layer], **facts))


def set_block(model: LanguageModel, layer: int, facts: BlockAnatomy) -> None:
    """Replace the facts of a block."""
    blocks = list(model.anatomy.blocks)
    blocks[layer] = facts
    model.anatomy = replace(model.anatomy, blocks=tuple(blocks))


def _experts(
    model: LanguageModel, layer: int, by_output: dict[str, Operation], values: dict[str, Tensor]
) -> dict[str, Trouble]:
    """Compare every expert, also those that no token of the text chose: one token's vector is sent to each."""
    facts, parts, pre = model.anatomy.blocks[layer], model.parts.blocks[layer], f"blocks.{layer}."
    assert facts.experts is not None
    n, k = facts.experts.n, facts.experts.k
    chosen = {int(i) for i in values[pre + "expert_index"].unique()}
    read, index = by_output[pre + "mlp_pre"].inputs
    x = values[read][-1:].expand(n, -1).contiguous()
    slots = (torch.arange(n)[:, None] + torch.arange(k)) % n
    own: dict[str, Tensor] = {read: x, index: slots[:, :1]}
    for name in ("mlp_pre", "mlp_gate", "mlp_post", "expert_out"):
        step = by_output[pre + name]
        own[pre + name] = step.recompute({key: own[key] for key in step.inputs})
    weights = torch.zeros(n, k, dtype=torch.float32)
    weights[:, 0] = 1.0
    try:
        real = parts.modules["experts"](
            x.to(model.device, model.dtype), slots.to(model.device), weights.to(model.device, model.dtype)
        )
    except Exception as error:  # a module of another form: whatever its code raises
        if len(chosen) == n:
            return {}
        words = _("{n} of its {all} experts were not chosen by the text, and could not be compared ({error})")
        return {"mlp": (words.format(n=n - len(chosen), all=n, error=str(error)[:200]), None)}
    off = gap(None, {}, own[pre + "expert_out"][:, 0], real.float().cpu(), model.dtype)
    if not off.ok:
        return {"mlp": (_("some of its experts compute in a way that txpanel does not know"), off.size)}
    model.seen.saw(f"blocks.{layer}.mlp", off.size)
    return {}
