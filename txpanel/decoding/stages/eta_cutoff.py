"""Eta cutoff (Hewitt et al. 2022, arXiv 2210.15191): tokens less likely than a limit are removed; the limit is lower where the entropy is high."""

from __future__ import annotations

from txpanel.decoding.stage_spec import Processor, StageSpec, StageWords
from txpanel.messages import _


def rule(epsilon: float) -> Processor:
    """The processor of transformers."""
    from transformers.generation.logits_process import EtaLogitsWarper  # late: the page comes first

    return EtaLogitsWarper(epsilon)


def words() -> StageWords:
    """Its texts."""
    return StageWords(
        label=_("eta"),
        hint=_("keep tokens with at least this probability, or less if the entropy is high; 0: all"),
        off=_("0: off"),
        on=_("probability at least {percent}, or less if the entropy is high"),
        refused=_("eta_cutoff is {value}, but it is a probability and must be 0 (off) or more, and less than 1."),
        path={
            "enough": _("{p} ≥ {limit}: kept (entropy {h} bits)"),
            "less": _("{p} < {limit}: cut off (entropy {h} bits)"),
            "first": _("{p} < {limit}, but the most likely token is always kept"),
        },
    )


STAGE = StageSpec(
    key="eta_cutoff",
    order=90,
    kind=float,
    off=0.0,
    most=0.99,
    at_most=1.0 - 1e-6,
    slider=(0, 0.1, 0.0005),
    doc="Keep tokens at least this likely, or its root times e to minus the entropy (in nats) where that is less; always the likeliest; 0 is off.",
    formula=r"\text{eta:}\quad \text{keep } i \text{ if } p_i \ge \min(\epsilon, \sqrt{\epsilon}\, e^{-H})",
    rule=rule,
    words=words,
)
