"""No-repeat n-gram (Paulus et al. 2017, arXiv 1705.04304): what would repeat a run of n tokens is removed."""

from __future__ import annotations

from txpanel.decoding.stage_spec import Processor, StageSpec, StageWords
from txpanel.messages import _


def rule(size: int) -> Processor:
    """The processor of transformers."""
    from transformers.generation.logits_process import NoRepeatNGramLogitsProcessor  # late: the page comes first

    return NoRepeatNGramLogitsProcessor(size)


def words() -> StageWords:
    """Its texts."""
    return StageWords(
        label=_("n-gram"),
        hint=_("no sequence of this many tokens is repeated; 0: off"),
        off=_("0: off"),
        on=_("no sequence of {value} tokens is repeated"),
        refused=_("no_repeat_ngram_size is {value}, but it must be a whole number: 0 (off) or a length in tokens."),
        path={
            "repeats": _("would repeat “{gram}”: cut off"),
            "new": _("repeats no sequence of {n} tokens: kept"),
        },
    )


STAGE = StageSpec(
    key="no_repeat_ngram_size",
    order=20,
    kind=int,
    off=0,
    most=10**7,
    slider=(0, 6, 1),
    looks_back=True,
    doc="Remove each token that would repeat a run of this many tokens; 0 is off.",
    rule=rule,
    words=words,
)
