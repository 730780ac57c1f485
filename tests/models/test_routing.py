"""The rule of a router is found by running it: whichever it follows, and never one that it does not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from txpanel.models.anatomy import Experts
from txpanel.models.routing import follows, route

FIRST = Experts(6, 2, 0, "softmax-topk-norm")


class Router(nn.Module):
    """Scores by a function, a bias for the choice, weights divided by their sum, a factor."""

    def __init__(self, function: str, *, bias: bool, normalised: bool, factor: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 8, generator=torch.Generator().manual_seed(1)))
        self.function, self.normalised, self.routed_scaling_factor = function, normalised, factor
        if bias:
            self.e_score_correction_bias = nn.Buffer(torch.linspace(0.4, -0.4, 6))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits = x @ self.weight.T
        scores = logits.sigmoid() if self.function == "sigmoid" else logits.softmax(-1)
        index = (scores + getattr(self, "e_score_correction_bias", 0)).topk(2, -1)[1]
        weights = scores.gather(-1, index)
        weights = weights / weights.sum(-1, keepdim=True) if self.normalised else weights
        return logits, weights * self.routed_scaling_factor, index


@pytest.mark.parametrize("function", ["sigmoid", "softmax"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("factor", [1.0, 1.7])
def test_the_rule_that_is_found_gives_what_the_router_gives(
    function: str, bias: bool, normalised: bool, factor: float
) -> None:
    router = Router(function, bias=bias, normalised=normalised, factor=factor)
    rule, added = follows(router, router.weight.detach(), nn.Module(), FIRST)
    x = torch.randn(40, 8, generator=torch.Generator().manual_seed(2))
    logits, weights, index = router(x)
    mine, by = route(logits.detach(), rule, added)
    assert torch.equal(mine, index)
    assert torch.allclose(by, weights.detach(), atol=1e-5)


def test_a_rule_that_nobody_knows_is_left_to_the_comparison() -> None:
    class Odd(Router):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            logits, weights, index = super().forward(x)
            return logits, weights.square(), index

    router = Odd("sigmoid", bias=False, normalised=True, factor=1.0)
    assert follows(router, router.weight.detach(), nn.Module(), FIRST) == (FIRST, None)
