"""Min-p (Nguyen et al. 2024, arXiv 2407.01082): tokens at least a share as likely as the likeliest are left."""

from __future__ import annotations

from txpanel.decoding.stage_spec import Processor, StageSpec, StageWords
from txpanel.messages import _


def rule(share: float) -> Processor:
    """The processor of transformers."""
    from transformers.generation.logits_process import MinPLogitsWarper  # late: the page comes first

    return MinPLogitsWarper(share)


def words() -> StageWords:
    """Its texts."""
    return StageWords(
        label=_("min-p"),
        hint=_("keep tokens with at least this share of the largest probability; 0: all"),
        off=_("0: off"),
        on=_("at least {percent} of the largest probability"),
        refused=_("min_p is {value}, but it is a probability and must lie between 0 and 1."),
        path={
            "enough": _("{p} ≥ {m} × {top} = {limit}: kept"),
            "less": _("{p} < {m} × {top} = {limit}: cut off"),
        },
    )


STAGE = StageSpec(
    key="min_p",
    order=60,
    kind=float,
    off=0.0,
    most=1.0,
    at_most=1.0,
    slider=(0, 0.5, 0.01),
    doc="Keep tokens at least this share as likely as the likeliest; 0 is off.",
    formula=r"\text{min-p:}\quad \text{keep } i \text{ if } p_i \ge \text{min-p} \cdot \max_j p_j",
    rule=rule,
    words=words,
)
