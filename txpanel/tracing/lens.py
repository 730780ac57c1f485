"""Logit lens (nostalgebraist 2020): residual streams through the model's own final norm, unembedding, scale and soft-cap.

Letters: n positions, T tokens, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from txpanel.errors import NoSuchTensor
from txpanel.models.language_model import LanguageModel
from txpanel.tracing.graph.derived import LENS
from txpanel.tracing.operations.base import no_weights


def name_of(n_layers: int, n_tokens: int, layer: int, position: int, own: str) -> str:
    """See :meth:`txpanel.tracing.Trace.lens_name`."""
    if not 0 <= layer <= n_layers or not -n_tokens <= position < n_tokens:
        raise NoSuchTensor(
            f"There is no layer {layer} at token {position}: this run has {n_layers} blocks and {n_tokens} tokens."
        )
    position %= n_tokens
    return own if (layer, position) == (n_layers, n_tokens - 1) else f"lens.{layer}.{position}.{own}"


def by_modules(model: LanguageModel | None, streams: list[Tensor], name: str) -> Tensor | None:
    """``ln_final`` or logits, of the run's end or of a lens, as the model's own modules compute them.

    Args:
        model: whose modules; ``None`` gives ``None``. streams: n_layers + 1 tensors [T, D]. name: of the tensor.

    Returns:
        float32 [T, D] or [V]; ``None`` for every other tensor.
    """
    lens = LENS.fullmatch(name)
    if model is None or not (name == "ln_final" or lens):
        return None
    stream = streams[int(lens[1]) if lens else -1]
    if lens and lens[2]:
        row = int(lens[2])
        return unembed(model, stream[row : row + 1])[0] if name == f"lens.{lens[1]}.{row}.logits" else None
    if name.rpartition(".")[2] != "ln_final":
        return None
    with model.lock:
        return model.parts.norms["ln_final"].module(stream.to(model.device)).float().cpu()


def unembed(model: LanguageModel | None, stream: Tensor) -> Tensor:
    """See :meth:`txpanel.tracing.Trace.unembed`."""
    if model is None:
        raise no_weights("logits")
    parts, anatomy = model.parts, model.anatomy
    with model.lock, torch.inference_mode():
        x = stream.to(model.device)
        if "ln_final" in parts.norms:
            x = parts.norms["ln_final"].module(x)
        if "output_projection" in parts.maps:
            x = torch.nn.functional.linear(x, parts.maps["output_projection"].stored)
        logits = model.model.get_output_embeddings()(x)
        logits = logits * anatomy.logit_scale if anatomy.logit_scale != 1.0 else logits
        logits = torch.tanh(logits / anatomy.logit_softcap) * anatomy.logit_softcap if anatomy.logit_softcap else logits
    return logits.float().cpu()


def surprisal(unembed: Callable[[Tensor], Tensor], stream: Tensor, token_ids: npt.NDArray[np.int64]) -> Tensor:
    """See :meth:`txpanel.tracing.Trace.surprisal`.

    Args:
        unembed: streams [n, D] -> logits [n, V]. stream: [T, D], after the last block. token_ids: int64 [T].

    Returns:
        float64 [T], in bits.
    """
    ids = torch.from_numpy(np.asarray(token_ids))
    bits = torch.full((len(ids),), torch.nan, dtype=torch.float64)
    for start in range(0, len(ids) - 1, 64):  # a chunk at a time: [T, V] of a long text is never built
        rows = slice(start, min(start + 64, len(ids) - 1))
        logits = unembed(stream[rows])
        following = ids[rows.start + 1 : rows.stop + 1]
        nats = torch.logsumexp(logits, -1) - logits.gather(1, following[:, None])[:, 0]
        bits[rows.start + 1 : rows.stop + 1] = nats.double() / np.log(2.0)
    return bits
