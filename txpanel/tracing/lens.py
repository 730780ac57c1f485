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
from txpanel.tracing import opaque_runs
from txpanel.tracing.graph.derived import LENS
from txpanel.tracing.operations.base import no_weights

LOGITS = 1 << 22
"""Logits that are computed at once: 16 MB of float32."""
POSITIONS = 64
"""Positions whose logits are computed at once, at most."""


def name_of(n_layers: int, n_tokens: int, layer: int, position: int, own: str, answer: int) -> str:
    """See :meth:`txpanel.tracing.Trace.lens_name`."""
    if not 0 <= layer <= n_layers or not -n_tokens <= position < n_tokens:
        raise NoSuchTensor(
            f"There is no layer {layer} at token {position}: this run has {n_layers} blocks and {n_tokens} tokens."
        )
    position %= n_tokens
    return own if (layer, position) == (n_layers, answer) else f"lens.{layer}.{position}.{own}"


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
    with model.lock, model.running():
        return model.parts.norms["ln_final"].module(stream.to(model.device)).float().cpu()


def unembed(model: LanguageModel | None, stream: Tensor) -> Tensor:
    """See :meth:`txpanel.tracing.Trace.unembed`."""
    if model is None:
        raise no_weights("logits")
    if "output" in model.anatomy.opaque:
        return opaque_runs.logits_of(model, stream)
    with model.lock, model.running():
        pieces = slices_of(len(stream), model.anatomy.vocab)
        if len(pieces) <= 1:
            return _unembed(model, stream)
        found = torch.empty(len(stream), model.anatomy.vocab, dtype=torch.float32)
        for rows in pieces:
            found[rows] = _unembed(model, stream[rows])
        return found


def _unembed(model: LanguageModel, stream: Tensor) -> Tensor:
    parts, anatomy = model.parts, model.anatomy
    x = stream.to(model.device)
    if "ln_final" in parts.norms:
        x = parts.norms["ln_final"].module(x)
    if "output_projection" in parts.maps:
        x = parts.modules["output_projection"](x)
    if "mlm_dense" in parts.maps:
        x = parts.modules["mlm_dense"](x)
        x = parts.head_activation(x) if parts.head_activation is not None else x
        x = parts.norms["mlm_norm"].module(x) if "mlm_norm" in parts.norms else x
    logits = model.model.get_output_embeddings()(x)
    logits = logits if parts.logit_bias is None else logits + parts.logit_bias
    logits = logits * anatomy.logit_scale if anatomy.logit_scale != 1.0 else logits
    logits = torch.tanh(logits / anatomy.logit_softcap) * anatomy.logit_softcap if anatomy.logit_softcap else logits
    return logits.float().cpu()


def slices_of(positions: int, vocab: int) -> list[slice]:
    """Positions in slices of at most `LOGITS` logits: those of all tokens of a long text are never in memory together."""
    step = min(POSITIONS, max(1, LOGITS // vocab))
    return [slice(start, min(start + step, positions)) for start in range(0, positions, step)]


def surprisal(
    unembed: Callable[[Tensor], Tensor], stream: Tensor, token_ids: npt.NDArray[np.int64], vocab: int
) -> Tensor:
    """See :meth:`txpanel.tracing.Trace.surprisal`.

    Args:
        unembed: streams [n, D] -> logits [n, V]. stream: [T, D], after the last block. token_ids: int64 [T]. vocab: V.

    Returns:
        float64 [T], in bits.
    """
    ids = torch.from_numpy(np.asarray(token_ids))
    bits = torch.full((len(ids),), torch.nan, dtype=torch.float64)
    for rows in slices_of(len(ids) - 1, vocab):
        logits = unembed(stream[rows])
        following = ids[rows.start + 1 : rows.stop + 1]
        nats = torch.logsumexp(logits, -1) - logits.gather(1, following[:, None])[:, 0]
        bits[rows.start + 1 : rows.stop + 1] = nats.double() / np.log(2.0)
    return bits
