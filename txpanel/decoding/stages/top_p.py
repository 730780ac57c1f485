"""Top-p, or nucleus sampling (Holtzman et al. 2019, arXiv 1904.09751): the likeliest tokens that together reach p are left."""

from __future__ import annotations

from txpanel.decoding.stage_spec import Processor, StageSpec, StageWords
from txpanel.messages import _


def rule(p: float) -> Processor:
    """The processor of transformers, with a faster sort."""
    from txpanel.decoding.fast_sort import TopP  # late: the page comes first

    return TopP(p)


def words() -> StageWords:
    """Its texts."""
    return StageWords(
        label=_("top-p"),
        off=_("1: off"),
        on=_("the most likely that together reach {percent}"),
        zero=_("0: only the most likely is kept"),
        refused=_("top_p is {value}, but it is a probability and must lie between 0 and 1."),
        path={
            "short": _("more likely tokens add up to {sum}, below {share}: kept"),
            "reached": _("more likely tokens add up to {sum}, which reaches {share}: cut off"),
        },
    )


STAGE = StageSpec(
    key="top_p",
    order=50,
    kind=float,
    off=1.0,
    most=1.0,
    at_most=1.0,
    slider=(0, 1, 0.01),
    in_bar=True,
    doc="Keep the likeliest tokens that together reach this probability; 1 is off.",
    formula=r"\text{top-p:}\quad \text{keep } i \text{ if } \textstyle\sum_{x_j > x_i} p_j < p",
    rule=rule,
    words=words,
)
