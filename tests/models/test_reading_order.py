"""Where a norm stands is read from the order in which the code calls it, whatever it is called."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor, nn

from txpanel.models.reading_order import calls, norm_places


class Block(nn.Module):
    def __init__(self, *norms: str) -> None:
        super().__init__()
        self.mix, self.think = nn.Linear(4, 4), nn.Linear(4, 4)
        for name in norms:
            setattr(self, name, nn.LayerNorm(4))


class Before(Block):
    def forward(self, x: Any) -> Any:
        x = x + self.mix(self.one(x))  # the norm is called first though it is named later
        return x + self.think(self.two(x))


class After(Block):
    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x + self.mix(x))
        return self.two(x + self.think(x))


class Both(Block):
    def forward(self, x: Tensor) -> Tensor:
        x = x + self.two(self.mix(self.one(x)))
        return x + self.four(self.think(self.three(x)))


class Odd(Block):
    def forward(self, x: Tensor) -> Tensor:
        return x + self.think(self.mix(self.two(self.one(x))))


@pytest.mark.parametrize(
    ("kind", "place", "names"),
    [
        (Before, "pre", {"ln1": "one", "ln2": "two"}),
        (After, "post", {"ln1": "one", "ln2": "two"}),
        (Both, "sandwich", {"ln1": "one", "attn_norm": "two", "ln2": "three", "mlp_norm": "four"}),
    ],
)
def test_where_norms_stand_by_the_order_of_calls(kind: type[Block], place: str, names: dict[str, str]) -> None:
    block = kind(*names.values())
    found = norm_places(block, "mix", "think")
    assert found is not None
    assert found == (place, {own: getattr(block, name) for own, name in names.items()})


def test_what_the_order_does_not_tell_is_not_guessed() -> None:
    assert norm_places(Odd("one", "two"), "mix", "think") is None
    assert norm_places(Before("one", "two"), "mix", "elsewhere") is None


def test_arguments_come_before_what_is_called_with_them() -> None:
    assert calls(Before)[:2] == ("one", "mix")
