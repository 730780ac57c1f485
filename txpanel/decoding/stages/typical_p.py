"""Typical-p (Meister et al. 2022, arXiv 2202.00666): the tokens whose surprisal is closest to the entropy are left."""

from __future__ import annotations

from txpanel.decoding.stage_spec import Processor, StageSpec, StageWords
from txpanel.messages import _


def rule(mass: float) -> Processor:
    """The processor of transformers, with a faster sort."""
    from txpanel.decoding.fast_sort import TypicalP  # late: the page comes first

    return TypicalP(mass)


def words() -> StageWords:
    """Its texts."""
    return StageWords(
        label=_("typical-p"),
        hint=_("keep tokens whose surprisal is closest to the entropy, up to this probability; 1: all"),
        off=_("1: off"),
        on=_("surprisal closest to the entropy, up to {percent}"),
        refused=_("typical_p is {value}, but it is a probability and must be above 0 and at most 1 (off)."),
        path={
            "near": _("surprisal {s} bits, entropy {h}: difference {d}, at most {limit}: kept"),
            "far": _("surprisal {s} bits, entropy {h}: difference {d}, more than {limit}: cut off"),
        },
    )


STAGE = StageSpec(
    key="typical_p",
    order=70,
    kind=float,
    off=1.0,
    least=1e-6,
    most=1.0,
    positive=True,
    at_most=1.0,
    slider=(0.01, 1, 0.01),
    doc="Keep the tokens whose surprisal is closest to the entropy until they reach this probability; 1 is off.",
    formula=r"\text{typical-p:}\quad \text{closest } \lvert -\log p_i - H \rvert \text{ first, until they reach it}",
    rule=rule,
    words=words,
)
