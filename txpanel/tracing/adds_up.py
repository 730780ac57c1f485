"""Whether a run agrees with the model's declared operations, as the fixed text of the comparison did (:mod:`txpanel.tracing.verify`).

A model's code may behave differently for another text: a hook that scales long ones, a branch in its own code. So the residual sums of each block
that is run again are checked, which costs two additions; so are embedding and output when they are first asked for (:mod:`txpanel.tracing.agreeing`).
Where a model has the user's hooks or replaced functions, everything is compared with every run.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from txpanel.errors import TxpanelError
from txpanel.messages import _
from txpanel.models.closing import close_end
from txpanel.models.language_model import LanguageModel
from txpanel.tracing import lens
from txpanel.tracing.compare import gap
from txpanel.tracing.graph.build import block_operations
from txpanel.tracing.operations.elementwise import Add
from txpanel.tracing.passes import STRUCTURE_ERRORS, collect_calls
from txpanel.tracing.probe import Probe
from txpanel.tracing.recording import Recording
from txpanel.tracing.replay import BlockTrace
from txpanel.tracing.verify import check_embedding, settle


def adds_up(model: LanguageModel, layer: int, stream: Tensor, block: BlockTrace) -> bool:
    """Whether the residual sums of a block that was run again equal the tensors recorded in it, its output included.

    Args:
        stream: its input [T, D]. block: the tensors recorded in it.
    """
    pre = f"blocks.{layer}."
    recorded = {pre + own: value for own, value in block.tensors.items()}
    recorded[pre + "resid_post"] = block.output.float().cpu()
    values = {**recorded, "stream": stream.float().cpu(), pre + "resid_pre": stream.float().cpu()}
    for operation in block_operations(model.anatomy, model.anatomy.blocks[layer], model.parts.blocks[layer]):
        if not isinstance(operation, Add) or not all(source in values for source in operation.inputs):
            continue
        inputs = {source: values[source] for source in operation.inputs}
        again = operation.recompute(inputs)
        if operation.output in recorded and not gap(operation, inputs, again, values[operation.output], model.dtype).ok:
            return False
        values.setdefault(operation.output, again)
    return True


def closes(model: LanguageModel, layer: int, recording: Recording, ids: list[int], output: Tensor) -> bool:
    """Compare all of a block with a run of any text, and close what does not agree; returns whether something was closed.

    Args:
        ids: the T tokens. output: what the block gave when it was run again [T, D].
    """
    before = model.anatomy.blocks[layer].opaque
    streams = [*recording.streams[: layer + 1], output, *recording.streams[layer + 2 :]]
    state = recording.source.state if recording.source is not None else None
    with model.lock, model.running():
        calls = recording.calls or collect_calls(model, ids, recording.tuple_output)
        probe = Probe(torch.tensor(ids), streams, calls, torch.empty(0), recording.tuple_output, state=state)
        settle(model, layer, probe, set(), reread=False)
    return model.anatomy.blocks[layer].opaque != before


def compare_end(model: LanguageModel, recording: Recording, ids: list[int], end: str) -> None:
    """Compare the steps before the blocks (``embed``) or after them (``output``) with a run of any text, and close them if they do not agree."""
    if end in model.anatomy.opaque:
        return
    if end == "embed":
        if model.inputs is None:
            probe = Probe(torch.tensor(ids), recording.streams, [], torch.empty(0), recording.tuple_output)
            check_embedding(model, probe, marks=False)
        return
    reason, size = _("the model computes its logits in a way that txpanel does not know"), math.inf
    try:
        again = lens.unembed(model, recording.streams[-1][recording.answer][None])[0]
        found = gap(None, {}, again, recording.logits, model.dtype)
        if found.ok:
            return
        size = found.size
    except (*STRUCTURE_ERRORS, TxpanelError) as error:
        reason = str(error) or type(error).__name__
    model.seen.closed[end] = size
    model.anatomy = close_end(model.anatomy, model.parts, end, reason)


def compare_ends(model: LanguageModel, recording: Recording, ids: list[int]) -> None:
    """Compare both ends (see `compare_end`)."""
    for end in ("embed", "output"):
        compare_end(model, recording, ids, end)
