"""What a stage of sampling declares about itself, once: all else (settings, links, boxes, cards) iterates over the declarations.

Nothing here needs torch: a page shows the settings before that is imported.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

__all__ = ["Processor", "StageSpec", "StageWords", "is_number", "is_whole"]

Processor = Callable[[Any, "torch.Tensor"], "torch.Tensor"]
"""The ids so far [1, T] and the logits [1, V], float32 -> logits [1, V]; a removed token is at minus infinity."""


@dataclass(frozen=True, kw_only=True)
class StageWords:
    """What the page says of a stage, in the language of the page.

    Attributes:
        label: its name, in a column's head or beside a slider.
        hint: what its number means, beside its box in the top bar; not needed where it has a slider there.
        off, on, zero: what it does at its value, below its slider; with ``{value}`` and ``{percent}``. `zero` is for 0, where
            that is not off.
        refused: what is said of an impossible ``{value}``.
        column, column_zero: below its column's head, with ``{value}``; empty: how many tokens are left.
        path: sentences on the path of one token through the stages, by the names that the stage's JavaScript uses.
        card: what the view's card says of it; empty: it is named among those of its kind.
    """

    label: str
    off: str
    on: str
    refused: str
    path: Mapping[str, str]
    hint: str = ""
    zero: str = ""
    column: str = ""
    column_zero: str = ""
    card: str = ""


@dataclass(frozen=True, kw_only=True)
class StageSpec:
    """One stage between the model's logits and the draw.

    Its rule in the browser stands beside it, in a ``.js`` of the same name (``decoding/stage_rules.js`` says what that exports).

    Attributes:
        key: name of the setting, of the stage and of the word in an address.
        order: its place in the chain, any number; that of transformers' ``generate`` where that has it.
        kind: int or float. off: the value that changes nothing.
        least, most: its range on the page. slider: the slider's ends and its step.
        positive: whether 0 itself is impossible. at_most: the largest value that makes sense at all.
        removes: it removes tokens; else it changes logits and removes none (temperature at 0 apart).
        looks_back: whether it needs the ids so far.
        in_bar: its slider stands in the top bar; else it is a box behind "more".
        doc: what the number does, for scripts. formula: LaTeX, empty for none.
        rule: makes the processor for a value. words: makes the texts; called when they are shown, in the language of then.
    """

    key: str
    order: float
    kind: type[int] | type[float]
    off: float
    most: float
    slider: tuple[float, float, float]
    doc: str
    rule: Callable[[Any], Processor] = field(repr=False)
    words: Callable[[], StageWords] = field(repr=False)
    least: float = 0
    positive: bool = False
    at_most: float = math.inf
    removes: bool = True
    looks_back: bool = False
    in_bar: bool = False
    formula: str = ""

    def check(self, value: object) -> None:
        """Refuses what this setting cannot be.

        Raises:
            ValueError: in words.
        """
        right = is_whole(value) if self.kind is int else is_number(value)
        if not (right and 0 <= value <= self.at_most and value < math.inf and (value > 0 or not self.positive)):  # type: ignore[operator]
            raise ValueError(self.words().refused.format(value=value))

    def for_browser(self) -> dict[str, Any]:
        """All that the page needs to know of it."""
        low, high, step = self.slider
        return {
            "key": self.key,
            "off": self.off,
            "whole": self.kind is int,
            "positive": self.positive,
            "least": self.least,
            "most": self.most,
            "slider": {"least": low, "most": high, "step": step},
            "removes": self.removes,
            "looks_back": self.looks_back,
            "in_bar": self.in_bar,
            "words": asdict(self.words()),
        }


def is_number(value: object) -> bool:
    """Whether something is a number, of Python or NumPy; truth values are none."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def is_whole(value: object) -> bool:
    """Whether something is a whole number by its type; 1.0 is none."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
