"""Temperature: divides all logits, which sharpens (below 1) or flattens (above 1) the probabilities."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from txpanel.decoding.stage_spec import Processor, StageSpec, StageWords
from txpanel.messages import _

if TYPE_CHECKING:
    import torch


def rule(temperature: float) -> Processor:
    """The processor of transformers, except where it cannot: at 0, and where a temperature close to 0 overflows float32."""
    from transformers.generation.logits_process import TemperatureLogitsWarper  # late: the page comes first

    if temperature == 0:
        return greedy
    divide = TemperatureLogitsWarper(temperature)

    def run(ids: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
        scaled: torch.Tensor = divide(ids, row)
        if scaled.isposinf().any() or scaled.isneginf().sum() > row.isneginf().sum():
            # softmax only knows differences, so take the maximum off first
            scaled = divide(ids, row - row.max())
        return scaled

    return run


def greedy(ids: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
    """The limit of small temperatures: only the likeliest token (the first, among equals) is left."""
    only = row.new_full(row.shape, -math.inf)
    best = int(row[0].argmax())
    only[0, best] = row[0, best]
    return only


def words() -> StageWords:
    """Its texts."""
    return StageWords(
        label=_("temperature"),
        off=_("1: unchanged"),
        on=_("logits are divided by {value}"),
        zero=_("0: always the most likely"),
        refused=_("The temperature is {value}, but it must be a number, 0 (always the most likely token) or more."),
        column="÷ {value}",
        column_zero=_("0: the largest only"),
        path={
            "divided": _("{x} ÷ {t} = {y}"),
            "largest": _("the largest logit: kept"),
            "not_largest": _("not the largest logit: cut off"),
        },
        card=_(
            "<b>Temperature</b> below 1 makes likely tokens even more likely; above 1 it makes the probabilities "
            "more equal."
        ),
    )


STAGE = StageSpec(
    key="temperature",
    order=30,
    kind=float,
    off=1.0,
    most=100.0,
    slider=(0, 2, 0.05),
    removes=False,
    in_bar=True,
    doc="Divides the logits; 0 takes the likeliest token, 1 is off.",
    formula=r"\text{temperature:}\quad x_i' = x_i / \tau",
    rule=rule,
    words=words,
)
