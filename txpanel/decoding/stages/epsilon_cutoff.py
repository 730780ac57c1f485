"""Epsilon cutoff (Hewitt et al. 2022, arXiv 2210.15191): tokens less likely than a probability are removed."""

from __future__ import annotations

from txpanel.decoding.stage_spec import Processor, StageSpec, StageWords
from txpanel.messages import _


def rule(least: float) -> Processor:
    """The processor of transformers."""
    from transformers.generation.logits_process import EpsilonLogitsWarper  # late: the page comes first

    return EpsilonLogitsWarper(least)


def words() -> StageWords:
    """Its texts."""
    return StageWords(
        label=_("epsilon"),
        hint=_("keep tokens with at least this probability; 0: all"),
        off=_("0: off"),
        on=_("probability at least {percent}"),
        refused=_("epsilon_cutoff is {value}, but it is a probability and must be 0 (off) or more, and less than 1."),
        path={
            "enough": _("{p} ≥ {limit}: kept"),
            "less": _("{p} < {limit}: cut off"),
            "first": _("{p} < {limit}, but the most likely token is always kept"),
        },
    )


STAGE = StageSpec(
    key="epsilon_cutoff",
    order=80,
    kind=float,
    off=0.0,
    most=0.99,
    at_most=1.0 - 1e-6,
    slider=(0, 0.1, 0.0005),
    doc="Keep tokens at least this likely, and always the likeliest; 0 is off.",
    formula=r"\text{epsilon:}\quad \text{keep } i \text{ if } p_i \ge \epsilon",
    rule=rule,
    words=words,
)
