"""All colours of txpanel: one meaning, one colour, in light and in dark.

Python (Bokeh, HoloViews) takes colours from `colour` and `Scale`; the browser side takes the same values as CSS custom
properties (`css_variables`), written with ``light-dark()`` so that a component follows the theme of its page.
Colour maps are straight lines in OKLab, so equal steps of a value are equal steps for the eye.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from bokeh.models import LinearColorMapper

__all__ = ["COLOURS", "RAMPS", "Kind", "Scale", "colour", "contrast", "css_variables", "gradient", "oklab", "ramp"]

Kind = Literal["probability", "signed", "magnitude"]

COLOURS: dict[str, tuple[str, str]] = {
    # meaning: (light, dark). The "-ink" ones are for text (contrast 4.5 : 1), the others for marks (3 : 1).
    "query": ("#2f6fde", "#7fabff"),
    "query-ink": ("#2a66d0", "#8fb5ff"),
    "key": ("#e4572e", "#ff8a66"),
    "key-ink": ("#b93d16", "#ff9a7a"),
    "value": ("#17938a", "#3cc4b8"),
    "value-ink": ("#0f766e", "#56d0c5"),
    "mlp": ("#5b5bd6", "#9d9dff"),
    "mlp-ink": ("#4f4fc4", "#aeaeff"),
    "focus": ("#7c3aed", "#b08cff"),
    "focus-ink": ("#6d28d9", "#c0a4ff"),
    "focus-soft": ("#ede7fd", "#2c2450"),
    "focus-mid": ("#c4b5fd", "#6b4fc0"),
    "on-focus": ("#ffffff", "#150b2e"),
    "lane": ("#8494ac", "#66748f"),
    "closed": ("#8b7e66", "#a3977d"),
    "background": ("#f6f8fb", "#0c1220"),
    "surface": ("#ffffff", "#141c2d"),
    "raised": ("#ffffff", "#1a2438"),
    "sunken": ("#f1f4f8", "#0f1726"),
    "border": ("#dbe2ea", "#2b3750"),
    "control": ("#76849b", "#72809b"),
    "text": ("#1f2937", "#e8edf6"),
    "soft": ("#475569", "#b7c2d4"),
    "muted": ("#5f6b7c", "#98a5ba"),
    "good": ("#0b7a53", "#4fd6a0"),
    "good-soft": ("#e6f6ef", "#12362b"),
    "warn": ("#92580c", "#f2bd63"),
    "warn-soft": ("#fdf3dc", "#3a2c10"),
    "bad": ("#b42318", "#ff9c90"),
    "bad-soft": ("#fdecea", "#401d1c"),
}

RAMPS: dict[Kind, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "probability": (("#f5f2ff", "#5b21b6"), ("#1b1a33", "#7a55e0", "#ded4ff")),
    "magnitude": (("#eef8f7", "#0f766e"), ("#12262c", "#1f9e93", "#b5f5ec")),
    "signed": (("#1d4ed8", "#ffffff", "#c2570c"), ("#75a4ff", "#182032", "#ff9d57")),
}
STEPS = 256
FINE = 512  # colours of a square root in even steps of the value

TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def colour(meaning: str, *, dark: bool = False) -> str:
    """The colour of a meaning, as ``#rrggbb``.

    Args:
        meaning: a key of `COLOURS`, such as ``"query"`` or ``"value-ink"``.
        dark: whether it stands on the dark theme's surface.

    Raises:
        KeyError: no such meaning.
    """
    return COLOURS[meaning][int(dark)]


def _linear(hex_colour: str) -> np.ndarray:
    srgb = np.array([int(hex_colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def oklab(hex_colour: str) -> np.ndarray:
    """OKLab coordinates (L, a, b) of ``#rrggbb``, float64 [3] (Björn Ottosson, "A perceptual color space for image processing")."""
    return np.asarray(TO_LAB @ np.cbrt(TO_LMS @ _linear(hex_colour)))


def _hex(lab: np.ndarray) -> str:
    linear = np.linalg.solve(TO_LMS, np.linalg.solve(TO_LAB, lab) ** 3).clip(0, 1)
    srgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return "#" + "".join(f"{int(np.floor(c * 255 + 0.5)):02x}" for c in srgb)


def contrast(first: str, second: str) -> float:
    """WCAG 2 contrast ratio of two colours, 1 to 21."""
    a, b = (float(_linear(c) @ np.array([0.2126, 0.7152, 0.0722])) for c in (first, second))
    return (max(a, b) + 0.05) / (min(a, b) + 0.05)


@lru_cache(maxsize=4096)  # of each colour of each ramp once: a map has hundreds of cells
def _ink(ground: str) -> str:
    return max(("#05030c", "#ffffff"), key=lambda c: contrast(c, ground))


@lru_cache
def ramp(kind: Kind, dark: bool = False) -> tuple[str, ...]:
    """The 256 colours of a colour map, lowest first, even steps in OKLab."""
    stops = np.array([oklab(c) for c in RAMPS[kind][int(dark)]])
    if kind == "signed":  # zero is the middle colour, whatever the lengths of the two arms
        places = np.array([0.0, 0.5, 1.0])
    else:
        legs = np.linalg.norm(np.diff(stops, axis=0), axis=1)
        places = np.concatenate([[0.0], np.cumsum(legs)]) / legs.sum()
    at = np.linspace(0, 1, STEPS)
    lab = np.stack([np.interp(at, places, stops[:, axis]) for axis in range(3)], axis=1)  # [256, 3]
    return tuple(_hex(row) for row in lab)


def gradient(kind: Kind, *, dark: bool | None = None, steps: int = 9) -> str:
    """The colour map as a CSS ``linear-gradient``; for both themes at once unless `dark` says which."""
    at = [round(i * (STEPS - 1) / (steps - 1)) for i in range(steps)]
    light_side, dark_side = ramp(kind, False), ramp(kind, True)
    if dark is not None:
        stops = [(dark_side if dark else light_side)[i] for i in at]
    else:
        stops = [f"light-dark({light_side[i]},{dark_side[i]})" for i in at]
    return f"linear-gradient(90deg,{','.join(stops)})"


FONTS = (
    'Roboto,"Helvetica Neue",Arial,"Hiragino Sans","Hiragino Kaku Gothic ProN","Noto Sans JP","Noto Sans CJK JP",'
    '"BIZ UDPGothic","Yu Gothic UI",Meiryo,sans-serif'
)
"""The page's font families: Roboto, which comes with it, and for Japanese those of macOS, Linux, Android and Windows."""


def css_variables(selector: str = ":host") -> str:
    """CSS rule that defines every colour as ``--tx-<meaning>`` and every ramp as ``--tx-ramp-<kind>`` (a gradient)."""
    lines = [f"--tx-{meaning}:light-dark({light},{dark});" for meaning, (light, dark) in COLOURS.items()]
    lines += [f"--tx-ramp-{kind}:{gradient(kind)};" for kind in RAMPS]
    return f"{selector}{{{''.join(lines)}}}"


@dataclass(frozen=True)
class Scale:
    """From numbers to colours: the one mapper that a picture and its legend share.

    Args:
        kind: ``"probability"`` (0 to 1, colours by the square root: most weights of a long row are small), ``"signed"``
            (centred on 0) or ``"magnitude"`` (0 upwards).
        low, high: the values at the two ends; beyond them the end's colour is used.
        dark: which theme.
    """

    kind: Kind
    low: float
    high: float
    dark: bool = False

    @classmethod
    def of(cls, kind: Kind, values: Any = None, *, dark: bool = False) -> Scale:
        """The scale that fits `values` (any array; NaN and infinities are left out)."""
        if kind == "probability":
            return cls(kind, 0.0, 1.0, dark)
        array = np.asarray(values, dtype=np.float64)
        finite = array[np.isfinite(array)]
        most = float(np.abs(finite).max()) if finite.size else 1.0
        most = most or 1.0
        return cls(kind, -most if kind == "signed" else 0.0, most, dark)

    def themed(self, dark: bool) -> Scale:
        """The same scale on the other theme's surface."""
        return replace(self, dark=dark)

    @property
    def colours(self) -> tuple[str, ...]:
        """256 colours, lowest first."""
        return ramp(self.kind, self.dark)

    @property
    def palette(self) -> tuple[str, ...]:
        """Colours in even steps of the value, for Bokeh's linear mapper."""
        if self.kind != "probability":
            return self.colours
        return tuple(self.colours[int(i)] for i in np.rint(np.sqrt(np.linspace(0, 1, FINE)) * (STEPS - 1)))

    def index(self, values: Any) -> np.ndarray:
        """uint8 positions in `colours`, same shape as `values`: what travels to the browser (1 byte a cell)."""
        span = self.high - self.low or 1.0
        part = (np.nan_to_num(np.asarray(values, dtype=np.float64), nan=self.low) - self.low) / span
        part = np.sqrt(part.clip(0, 1)) if self.kind == "probability" else part
        return np.asarray(np.floor(part.clip(0, 1) * (STEPS - 1) + 0.5).astype(np.uint8))

    def hex(self, value: float) -> str:
        """The colour of one number."""
        return self.colours[int(self.index(value))]

    def ink(self, value: float) -> str:
        """Black or white: what can be read on the colour of `value`."""
        return _ink(self.hex(value))

    def inks(self, values: Any) -> list[str]:
        """`ink` of each number."""
        return [_ink(self.colours[i]) for i in self.index(values).tolist()]

    def mapper(self) -> LinearColorMapper:
        """A Bokeh colour mapper (masked cells, NaN, are transparent)."""
        return LinearColorMapper(palette=list(self.palette), low=self.low, high=self.high, nan_color="rgba(0,0,0,0)")

    def legend(self, *, both_themes: bool = True) -> dict[str, Any]:
        """What a legend shows: the gradient and the numbers at its ends (and 0 where it is inside)."""
        ends = [self.low, 0.0, self.high] if self.low < 0 < self.high else [self.low, self.high]
        middle = {"middle": self.high / 4} if self.kind == "probability" else {}  # the colour half way
        return middle | {
            "gradient": gradient(self.kind, dark=None if both_themes else self.dark, steps=17),
            "ticks": ends,
            "kind": self.kind,
        }
