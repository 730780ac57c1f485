"""Top-nσ (Tang et al. 2024, arXiv 2411.07641): tokens whose logit is at most n standard deviations below the largest are left.

As the paper's algorithm and its authors' code have it: after the temperature, before anything else cuts. The maximum and
the standard deviation (sample, n - 1) are those of all logits that are not removed yet. Both scale with the temperature, so
which tokens are left does not depend on it. transformers 5.23 has no processor of this kind.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from txpanel.decoding.stage_spec import Processor, StageSpec, StageWords
from txpanel.messages import _

if TYPE_CHECKING:
    import torch


def rule(n: float) -> Processor:
    """The processor: [1, V] -> [1, V]; what is removed is at minus infinity."""

    def run(ids: Any, row: torch.Tensor) -> torch.Tensor:
        left = row[row > -math.inf].double()
        if len(left) < 2:
            return row
        return row.masked_fill(row < left.max() - n * left.std(), -math.inf)

    return run


def words() -> StageWords:
    """Its texts."""
    return StageWords(
        label=_("top-nσ"),
        hint=_("keep tokens whose logit is at most n standard deviations below the largest; 0: all"),
        off=_("0: off"),
        on=_("logits at most {value} σ below the largest"),
        refused=_("top_n_sigma is {value}, but it must be a number of standard deviations, 0 (off) or more."),
        path={
            "near": _("{x} ≥ {max} − {n} × {sigma} = {limit}: kept"),
            "far": _("{x} < {max} − {n} × {sigma} = {limit}: cut off"),
        },
    )


STAGE = StageSpec(
    key="top_n_sigma",
    order=35,
    kind=float,
    off=0.0,
    most=100.0,
    slider=(0, 5, 0.05),
    doc="Keep the tokens whose logit is at most this many standard deviations of all logits below the largest; 0 is off.",
    formula=r"\text{top-n}\sigma\text{:}\quad \text{keep } i \text{ if } x_i' \ge \max_j x_j' - n \cdot \sigma(x')",
    rule=rule,
    words=words,
)
