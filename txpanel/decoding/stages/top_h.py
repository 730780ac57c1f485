"""Top-H (Potraghloo et al. 2025, arXiv 2509.02510): the likeliest tokens until their entropy reaches a share of all of it.

As transformers has it: only the hundred likeliest tokens are looked at, and always kept is the first of them.
"""

from __future__ import annotations

from txpanel.decoding.stage_spec import Processor, StageSpec, StageWords
from txpanel.messages import _


def rule(share: float) -> Processor:
    """The processor of transformers."""
    from transformers.generation.logits_process import TopHLogitsWarper  # late: the page comes first

    return TopHLogitsWarper(share)


def words() -> StageWords:
    """Its texts."""
    return StageWords(
        label=_("top-H"),
        hint=_("keep the most likely tokens up to this share of the entropy; 0: all"),
        off=_("0: off"),
        on=_("the most likely, up to {percent} of the entropy"),
        refused=_("top_h is {value}, but it is a share of the entropy and must lie between 0 (off) and 1."),
        path={
            "in": _("entropy up to this token {sum}, at most {limit} bits: kept"),
            "out": _("entropy up to this token {sum}, more than {limit} bits: cut off"),
            "behind": _("not among the {n} most likely: cut off"),
        },
    )


STAGE = StageSpec(
    key="top_h",
    order=38,
    kind=float,
    off=0.0,
    most=1.0,
    at_most=1.0,
    slider=(0, 1, 0.01),
    doc="Of the hundred likeliest tokens keep those until their part of the entropy exceeds this share of it; 0 is off.",
    formula=r"\text{top-H:}\quad \text{most likely first while } {-\sum_i} p_i \log p_i \le h \cdot H",
    rule=rule,
    words=words,
)
