"""Vectors as strips: each number has its place, can be hovered over, and can be asked about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import param

from txpanel.messages import _
from txpanel.toolkit.component import Component
from txpanel.toolkit.picture import Table


@dataclass(frozen=True)
class VectorStrip:
    """One row of a strip picture.

    Args:
        label: what a person reads left of the strip.
        values: the vector, float32 ``[n]``; empty for a line of text only.
        tensor: name of the tensor it is a row of.
        index: the named indices of that row, in the tensor's order; the strip runs along the dimension ``axis``.
        axis: name of the dimension along the strip.
        derived: where the numbers are computed from tensors instead of being one: how, with ``{i}`` for the place along the strip.
        group: strips of one group share a colour scale, so that they can be compared by eye.
        tail: what stands right of the strip; beside a tensor's row of features it is the row's length, and can be asked for.
    """

    label: str
    values: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    tensor: str = ""
    index: Mapping[str, int] = field(default_factory=dict)
    axis: str = "feature"
    derived: str = ""
    group: str = ""
    sign: str = ""
    note: str = ""
    tail: str = ""
    strong: bool = False
    hue: str = ""
    marks: tuple[int, ...] = ()
    ask: bool = True

    @property
    def length(self) -> str:
        """The tensor that the tail is a number of; empty where it is none."""
        long = self.ask and self.tail and self.tensor and not self.derived and self.axis == "feature"
        return f"{self.tensor}.norm" if long else ""


def scale_of(vectors: Sequence[np.ndarray]) -> float:
    """Where the colours of these vectors saturate: the 99.5 % quantile of the magnitudes (a few outliers would bleach the rest)."""
    sizes = np.abs(np.concatenate([np.ravel(v) for v in vectors])) if vectors else np.zeros(0)
    sizes = sizes[np.isfinite(sizes)]
    top = float(np.quantile(sizes, 0.995)) if sizes.size else 0.0
    return top or float(sizes.max(initial=0.0)) or 1.0


def pack(strips: Sequence[VectorStrip]) -> tuple[list[dict[str, Any]], np.ndarray]:
    """What is sent to the browser: a description per row, and all vectors one after the other as float32 ``[sum n]``."""
    groups: dict[str, list[np.ndarray]] = {}
    for i, strip in enumerate(strips):
        groups.setdefault(strip.group or f"#{i}", []).append(strip.values)
    scales = {name: scale_of(vectors) for name, vectors in groups.items()}
    rows, start = [], 0
    for i, strip in enumerate(strips):
        rows.append({
            "label": strip.label, "note": strip.note, "tail": strip.tail, "sign": strip.sign, "strong": strip.strong,
            "tensor": strip.tensor, "derived": strip.derived, "index": list(strip.index.values()), "start": start, "length": len(strip.values),
            "scale": scales[strip.group or f"#{i}"], "hue": strip.hue, "marks": list(strip.marks),
            "ask": strip.ask and bool(strip.tensor), "measured": strip.length,
        })  # fmt: skip
        start += len(strip.values)
    values = np.concatenate([np.zeros(0, np.float32), *(np.asarray(s.values, np.float32) for s in strips)])
    return rows, values


def strip_table(strips: Sequence[VectorStrip]) -> Table:
    """The table of a strip picture: a row per place, a column per strip."""
    size = max((len(strip.values) for strip in strips), default=0)
    columns = [[*strip.values.tolist(), *[None] * (size - len(strip.values))] for strip in strips]
    names = [f"{strip.label} ({strip.derived or strip.tensor})" for strip in strips]
    return Table([_("index"), *names], zip(range(size), *columns, strict=True), _("Numbers of the strips"))


class VectorStrips(Component):
    """Strips of real vectors; ``on_pick(name, index)`` is called for a number that was clicked, or a vector's length."""

    rows = param.List(default=[], doc="One description per row, made by `pack`.")
    values = param.Array(default=np.zeros(0, np.float32), doc="All vectors, one after the other, float32.")
    words = param.Dict(default={}, doc="Translated texts of the component.")
    lights = param.List(
        default=[], doc="Per strip the places that light up: numbers that the question is about; -1 is the tail."
    )
    version = param.Integer(default=0, doc="Counts the pictures; the browser redraws when it changes.")

    _module = "vector_strips.js"
    _styles = "vector_strips.css"

    def __init__(self, on_pick: Callable[..., None] | None = None, **params: Any) -> None:
        words = {
            "legend": _("full colour from this value; each pixel shows the number with the largest absolute value"),
            "strip": _("{label}: {n} numbers of {tensor}"),
            "why": _("why this number:"),
            "own": _(
                "each strip has its own colour scale; each pixel shows the number with the largest absolute value"
            ),
        }
        super().__init__(words=words, **{"sizing_mode": "stretch_width", **params})
        self._on_pick = on_pick
        self._strips: tuple[VectorStrip, ...] = ()
        self._cells: tuple[tuple[str, Mapping[str, int]], ...] = ()

    @property
    def strips(self) -> tuple[VectorStrip, ...]:
        """What is drawn."""
        return self._strips

    def show(self, strips: Sequence[VectorStrip]) -> None:
        """Draw these strips instead."""
        self._strips = tuple(strips)
        rows, values = pack(strips)
        self.param.update(rows=rows, values=values, lights=self._lights(), version=self.version + 1)

    def light(self, cells: Iterable[tuple[str, Mapping[str, int]]]) -> None:
        """Mark these cells (tensor name, index) wherever they lie on a strip."""
        self._cells = tuple(cells)
        self.lights = self._lights()

    def _lights(self) -> list[list[int]]:
        return [
            [
                index.get(s.axis, -1)
                for name, index in self._cells
                if (name == s.tensor and not s.derived and {**s.index, s.axis: index.get(s.axis)} == dict(index))
                or (name == s.length and dict(s.index) == dict(index))
            ]
            for s in self._strips
        ]

    def _handle_msg(self, data: Any) -> None:
        try:
            strip, i = self._strips[int(data["row"])], int(data["index"])
        except (KeyError, TypeError, ValueError, IndexError):
            return
        if self._on_pick is not None and i == -1 and strip.length:
            self._on_pick(strip.length, **strip.index)
        elif self._on_pick is not None and strip.ask and 0 <= i < len(strip.values):
            self._on_pick(strip.tensor, **{**strip.index, strip.axis: i})
