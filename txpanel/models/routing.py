"""How a mixture of experts chooses: the rules that routers follow, and which of them a router follows, found by running it.

Shazeer et al., arXiv:1701.06538; Mixtral, arXiv:2401.04088; DeepSeek-V3, arXiv:2412.19437.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from txpanel.models.anatomy import Experts

__all__ = ["biases", "follows", "route"]

ROWS = 64
"""Vectors that a router is tried with."""


def route(logits: Tensor, experts: Experts, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """Experts chosen and their weights, from the router's logits [T, n]: (int64 [T, k], float32 [T, k])."""
    logits = logits.float()
    if experts.router == "topk-softmax":
        top, index = logits.topk(experts.k, -1)
        return index, torch.softmax(top, -1)
    if experts.router == "sigmoid-groups":
        return _grouped(logits.sigmoid(), experts, bias)
    if experts.router in ("softmax", "sigmoid"):
        return _scored(logits, experts, bias)
    weights, index = torch.softmax(logits, -1).topk(experts.k, -1)
    return index, weights / weights.sum(-1, keepdim=True) if experts.router == "softmax-topk-norm" else weights


def _scored(logits: Tensor, experts: Experts, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    scores = torch.softmax(logits, -1) if experts.router == "softmax" else logits.sigmoid()
    choice = logits if experts.chosen_by_logits else scores
    index = (choice if bias is None else choice + bias).topk(experts.k, -1)[1]
    weights = scores.gather(-1, index)
    weights = weights / (weights.sum(-1, keepdim=True) + 1e-20) if experts.normalised else weights
    return index, weights * experts.factor


def _grouped(scores: Tensor, experts: Experts, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    choice = scores if bias is None else scores + bias
    grouped = choice.unflatten(-1, (experts.groups, -1))
    best = grouped.topk(2, -1)[0].sum(-1).topk(experts.kept_groups, -1, sorted=False)[1]
    kept = torch.zeros(grouped.shape[:-1], dtype=torch.bool).scatter_(-1, best, True)
    choice = choice.masked_fill(~kept[..., None].expand_as(grouped).flatten(-2), -torch.inf)
    index = choice.topk(experts.k, -1, sorted=False)[1]
    weights = scores.gather(-1, index)
    weights = weights / (weights.sum(-1, keepdim=True) + 1e-20) if experts.normalised else weights
    return index, weights * experts.factor


def biases(router: Any, mlp: Any) -> list[Tensor]:
    """Numbers, one per expert, that may be added to the scores for the choice."""
    places = [router, getattr(router, "moe_statics", None), mlp]
    found = [getattr(place, name, None) for place in places for name in ("e_score_correction_bias", "expert_bias")]
    return [bias.detach().flatten() for bias in found if isinstance(bias, Tensor)]


def follows(router: nn.Module, weight: Tensor, mlp: nn.Module, first: Experts) -> tuple[Experts, Tensor | None]:
    """The rule that a router follows and the bias that it adds: of all rules, the one with the same results.

    Args:
        weight: of its matrix, [n, D]. first: the rule that its attributes suggest, which stays if none fits.
    """
    x = _waves(ROWS, weight.shape[-1]).to(weight)
    every = biases(router, mlp)
    given = _run(router, x, every)
    if given is None:
        return first, every[0] if every else None
    index, weights = given
    logits = (x @ weight.T).float()
    for rule, bias in _rules(first, every, [router, mlp]):
        try:
            mine, by = route(logits, rule, bias)
        except (RuntimeError, IndexError):
            continue
        if torch.equal(_dense(index, weights, rule.n) != 0, _dense(mine, by, rule.n) != 0) and torch.allclose(
            _dense(index, weights, rule.n), _dense(mine, by, rule.n), rtol=1e-3, atol=1e-4
        ):
            return rule, bias
    return first, every[0] if every else None


def _waves(rows: int, width: int) -> Tensor:
    """Vectors [rows, width] that point in many directions, always the same ones; their numbers are about as large as those after a norm."""
    at = torch.arange(rows * width, dtype=torch.float64).reshape(rows, width)
    return 1.4 * torch.sin((math.sqrt(2) - 1) * at * at + at)


def _run(router: Any, x: Tensor, every: list[Tensor]) -> tuple[Tensor, Tensor] | None:
    """What a router gives for vectors: the experts chosen and their weights; ``None`` where it can't be run alone."""
    for arguments in [(x,), *((x, bias) for bias in every), (x[None],), *((x[None], bias) for bias in every)]:
        try:
            with torch.inference_mode():
                _logits, *rest = router(*arguments)
            index = next(one for one in rest if not one.is_floating_point())
            weights = next(one for one in rest if one.is_floating_point())
        except Exception:  # whatever its code raises
            continue
        if index.shape == weights.shape and index.dim() == 2:
            return index, weights.float()
    return None


def _rules(first: Experts, every: list[Tensor], owners: list[Any]) -> Iterator[tuple[Experts, Tensor | None]]:
    yield first, every[0] if every else None
    names = ("routed_scaling_factor", "route_scale", "router_scaling_factor", "scaling_factor")
    factors = [
        float(value)
        for owner in owners
        for name in names
        if isinstance(value := getattr(owner, name, None), (int, float))
    ]
    groups = [
        (int(g), int(k))
        for owner in owners
        for g, k in [(getattr(owner, "num_group", None) or 1, getattr(owner, "topk_group", None) or 1)]
    ]
    for bias in [*every, None]:
        for factor in dict.fromkeys([1.0, *factors]):
            for normalised in (True, False):
                own = replace(first, normalised=normalised, factor=factor)
                for router in ("softmax", "sigmoid"):
                    for logits in (False, True):
                        yield replace(own, router=router, groups=1, kept_groups=1, chosen_by_logits=logits), bias
                for count, kept in dict.fromkeys(groups):
                    yield replace(own, router="sigmoid-groups", groups=count, kept_groups=kept), bias


def _dense(index: Tensor, weights: Tensor, n: int) -> Tensor:
    """Weights of all experts, [T, n], whatever the order of the chosen ones."""
    return torch.zeros(len(index), n, dtype=torch.float32).scatter_(-1, index.cpu(), weights.float().cpu())
