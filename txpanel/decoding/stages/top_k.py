"""Top-k (Fan et al. 2018, arXiv 1805.04833): the k likeliest tokens are left."""

from __future__ import annotations

from txpanel.decoding.stage_spec import Processor, StageSpec, StageWords
from txpanel.messages import _


def rule(k: int) -> Processor:
    """The processor of transformers."""
    from transformers.generation.logits_process import TopKLogitsWarper  # late: the page comes first

    return TopKLogitsWarper(k)


def words() -> StageWords:
    """Its texts."""
    return StageWords(
        label=_("top-k"),
        hint=_("keep the k most likely tokens; 0: all"),
        off=_("0: off"),
        on=_("the {value} most likely are kept"),
        refused=_("top_k is {value}, but it must be a whole number: 0 (off) or the number of tokens to keep."),
        path={
            "within": _("rank {rank}, at most {k}: kept"),
            "beyond": _("rank {rank}, above {k}: cut off"),
        },
    )


STAGE = StageSpec(
    key="top_k",
    order=40,
    kind=int,
    off=0,
    most=10**7,
    slider=(0, 100, 1),
    doc="Keep the k likeliest tokens (and those that tie with the last of them); 0 is off.",
    formula=r"\text{top-k:}\quad \text{keep } i \text{ if } x_i' \ge \text{the } k\text{-th largest}",
    rule=rule,
    words=words,
)
