"""Where a run's answer stands: after the last token, or, of a model that fills gaps, in a gap; and at which positions its tokens count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from txpanel.messages import _
from txpanel.models.anatomy import Anatomy
from txpanel.models.language_model import LanguageModel
from txpanel.models.masked_tokens import mask_id
from txpanel.tracing.operations.base import Operation


def gaps(model: LanguageModel, ids: Sequence[int]) -> tuple[int, ...]:
    """Positions (from 0) of the mask tokens of a text; () for a model that continues texts."""
    mask = mask_id(model.tokenizer, model.model.config) if model.anatomy.fills else None
    return tuple(place for place, token in enumerate(ids) if token == mask)


def answer(model: LanguageModel, ids: Sequence[int]) -> int:
    """The token at which a run's logits stand: the last one; of a model that fills gaps its first gap, or the last token that is text."""
    if not model.anatomy.fills:
        return len(ids) - 1
    special = set(model.tokenizer.all_special_ids)
    text = [place for place, token in enumerate(ids) if token not in special]
    return next(iter((*gaps(model, ids), *text[-1:])), len(ids) - 1)


def at_answer(operation: Operation, place: int) -> Operation:
    """An operation that takes the vector of the last token, with that of the run's answer instead."""
    if getattr(operation, "row", None) != -1:
        return operation
    moved: Operation = replace(operation, row=place)  # type: ignore[call-arg]
    return moved


def positions(anatomy: Anatomy, ids: Tensor) -> Tensor:
    """At which position each token counts: int64 [T]. RoBERTa counts from behind the padding token's, and padding tokens not at all."""
    if anatomy.position_pad is None:
        return torch.arange(len(ids))
    text = (ids != anatomy.position_pad).long()
    return torch.cumsum(text, 0) * text + anatomy.position_pad


def counts_on(anatomy: Anatomy, ids: Sequence[int]) -> bool:
    """Whether a continued text has the same positions as in one pass: not with padding tokens in a model that skips them, since a cache counts them."""
    return anatomy.position_pad is None or anatomy.position_pad not in ids[:-1]


def token_types(model: LanguageModel | None, ids: Tensor) -> Tensor:
    """To which of two texts each token belongs: int64 [T]; as given in the model's inputs, else all to the first."""
    given = model.inputs.named.get("token_type_ids") if model is not None and model.inputs is not None else None
    if isinstance(given, Tensor) and given.numel() == len(ids):
        return given.reshape(-1).long().cpu()
    return torch.zeros(len(ids), dtype=torch.long)


def no_surprisal() -> str:
    """Why a text has no surprisal under a model that fills gaps."""
    return _(
        "This model predicts masked tokens from the whole text, so the tokens of a text have no next-token "
        "probabilities."
    )
