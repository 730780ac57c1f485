"""Which of the two that an attention is handed are the cosines: also far behind the beginning, where the first token's sines are not zero."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import nn

from txpanel.tracing.replay import angles

TURNS = torch.arange(3)[:, None] * torch.tensor([1.0, 0.1])


class CosinesFirst(nn.Module):
    def forward(self, x: torch.Tensor, position_embeddings: Any) -> torch.Tensor:
        cos, sin = position_embeddings
        return x * cos[..., :1] + x * sin[..., :1]


class SinesFirst(nn.Module):
    """As GPT-J's from transformers 5.24 on."""

    def forward(self, x: torch.Tensor, position_embeddings: Any) -> torch.Tensor:
        sin, cos = position_embeddings
        return x * cos[..., :1] + x * sin[..., :1]


@pytest.mark.parametrize("start", [0, 50])
@pytest.mark.parametrize("attention", [CosinesFirst, SinesFirst])
def test_the_code_says_which_are_the_cosines(attention: type[nn.Module], start: int) -> None:
    turns = TURNS + start
    given = (turns.cos()[None], turns.sin()[None])
    kwargs = {"position_embeddings": given if attention is CosinesFirst else given[::-1]}
    facts = SimpleNamespace(rotary=SimpleNamespace(dims=4, backwards=False))
    cos, sin = angles(cast(Any, facts), cast(Any, SimpleNamespace(attn=attention())), kwargs, 3)
    assert torch.equal(cos, turns.cos())
    assert torch.equal(sin, turns.sin())
