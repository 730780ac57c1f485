"""Repetition penalty (CTRL, Keskar et al. 2019, arXiv 1909.05858): tokens of the text so far become less likely."""

from __future__ import annotations

from txpanel.decoding.stage_spec import Processor, StageSpec, StageWords
from txpanel.messages import _


def rule(penalty: float) -> Processor:
    """The processor of transformers."""
    from transformers.generation.logits_process import RepetitionPenaltyLogitsProcessor  # late: the page comes first

    return RepetitionPenaltyLogitsProcessor(penalty)


def words() -> StageWords:
    """Its texts."""
    return StageWords(
        label=_("repetition"),
        hint=_("above 1: tokens that are in the text become less likely; 1: off"),
        off=_("1: off"),
        on=_("logits of tokens in the text ÷ {value} (× if negative)"),
        refused=_("repetition_penalty is {value}, but it must be a number above 0; 1 is off."),
        column=_("÷ {value} if seen"),
        path={
            "new": _("not in the text so far: {x} is unchanged"),
            "over": _("in the text already: {x} ÷ {r} = {y}"),
            "times": _("in the text already, negative: {x} × {r} = {y}"),
        },
    )


STAGE = StageSpec(
    key="repetition_penalty",
    order=10,
    kind=float,
    off=1.0,
    least=1e-3,
    most=1e3,
    positive=True,
    slider=(0.5, 2, 0.05),
    removes=False,
    looks_back=True,
    doc="Logits of tokens that occurred are divided by it where positive, multiplied where negative: above 1 makes "
    "repeating less likely; 1 is off.",
    formula=r"\text{repetition:}\quad x_i' = x_i / r \;\text{ if } x_i \ge 0,\quad x_i \cdot r \;\text{ if } x_i < 0",
    rule=rule,
    words=words,
)
