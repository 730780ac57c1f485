"""What the model would say: streams through its own final norm, unembedding, scale and soft-cap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from txpanel.errors import NoSuchTensor
from txpanel.tracing.graph.derived import LENS
from txpanel.tracing.operations.base import no_weights

if TYPE_CHECKING:
    from txpanel.tracing.trace import Trace


def name_of(trace: Trace, layer: int, position: int, own: str) -> str:
    """See :meth:`txpanel.tracing.Trace.lens_name`."""
    last = len(trace.tokens) - 1
    if not 0 <= layer <= trace.anatomy.n_layers or not -last - 1 <= position <= last:
        raise NoSuchTensor(
            f"There is no layer {layer} at token {position}: this run has {trace.anatomy.n_layers} blocks and {last + 1} tokens."
        )
    position %= last + 1
    return own if (layer, position) == (trace.anatomy.n_layers, last) else f"lens.{layer}.{position}.{own}"


def computed(trace: Trace, name: str) -> Tensor | None:
    """``ln_final`` and the logits, of the model or of the lens, as its own modules compute them; None for all else."""
    lens = LENS.fullmatch(name)
    if trace.model is None or not (name == "ln_final" or lens):
        return None
    stream = trace.recording.streams[int(lens[1]) if lens else -1]
    if lens and lens[2]:
        row = int(lens[2])
        return unembed(trace, stream[row : row + 1])[0] if name == f"lens.{lens[1]}.{row}.logits" else None
    if name.rpartition(".")[2] != "ln_final":
        return None
    with trace.model.lock:
        return trace.model.parts.norms["ln_final"].module(stream.to(trace.model.device)).float().cpu()


def unembed(trace: Trace, stream: Tensor) -> Tensor:
    """See :meth:`txpanel.tracing.Trace.unembed`."""
    if trace.model is None:
        raise no_weights("logits")
    parts, anatomy = trace.model.parts, trace.anatomy
    with trace.model.lock, torch.inference_mode():
        x = stream.to(trace.model.device)
        if "ln_final" in parts.norms:
            x = parts.norms["ln_final"].module(x)
        if "output_projection" in parts.maps:
            x = torch.nn.functional.linear(x, parts.maps["output_projection"].stored)
        logits = trace.model.model.get_output_embeddings()(x)
        logits = logits * anatomy.logit_scale if anatomy.logit_scale != 1.0 else logits
        logits = torch.tanh(logits / anatomy.logit_softcap) * anatomy.logit_softcap if anatomy.logit_softcap else logits
    return logits.float().cpu()


def surprisal(trace: Trace) -> Tensor:
    """See :meth:`txpanel.tracing.Trace.surprisal`."""
    stream, ids = trace.recording.streams[-1], torch.from_numpy(np.asarray(trace.tokens.ids))
    bits = torch.full((len(ids),), torch.nan, dtype=torch.float64)
    for start in range(0, len(ids) - 1, 64):  # a chunk at a time: [T, vocab] of a long text is never built
        rows = slice(start, min(start + 64, len(ids) - 1))
        logits = trace.unembed(stream[rows])
        following = ids[rows.start + 1 : rows.stop + 1]
        nats = torch.logsumexp(logits, -1) - logits.gather(1, following[:, None])[:, 0]
        bits[rows.start + 1 : rows.stop + 1] = nats.double() / np.log(2.0)
    return bits
