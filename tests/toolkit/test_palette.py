"""Colours: readable, even, and the same for a picture and its legend."""

from __future__ import annotations

import numpy as np
import pytest

from txpanel.toolkit.palette import COLOURS, RAMPS, Kind, Scale, contrast, css_variables, oklab, ramp

TEXT = [m for m in COLOURS if m.endswith("-ink")] + ["text", "soft", "muted", "good", "warn", "bad"]
MARKS = ["query", "key", "value", "mlp", "focus", "control"]
KINDS: list[Kind] = list(RAMPS)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("surface", ["background", "surface", "raised", "sunken"])
def test_contrast(dark: bool, surface: str) -> None:
    ground = COLOURS[surface][dark]
    assert {m: c for m in TEXT if (c := contrast(COLOURS[m][dark], ground)) < 4.5} == {}
    assert {m: c for m in MARKS if (c := contrast(COLOURS[m][dark], ground)) < 3} == {}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "ground"),
    [
        ("good", "good-soft"),
        ("warn", "warn-soft"),
        ("bad", "bad-soft"),
        ("on-focus", "focus"),
        ("focus-ink", "focus-soft"),
    ],
)
def test_contrast_on_coloured_grounds(ink: str, ground: str, dark: bool) -> None:
    assert contrast(COLOURS[ink][dark], COLOURS[ground][dark]) >= 4.5


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_ramps_are_perceptually_even(kind: Kind, dark: bool) -> None:
    lab = np.array([oklab(c) for c in ramp(kind, dark)])
    steps = np.linalg.norm(lab[16::16] - lab[:-16:16], axis=1)
    arms = [steps[: len(steps) // 2], steps[len(steps) // 2 + 1 :]] if kind == "signed" else [steps]
    for arm in arms:  # rounding to 8 bits leaves some unevenness
        assert arm.max() / arm.min() < 1.25


def test_light_ends_are_the_design() -> None:
    assert (ramp("probability")[0], ramp("probability")[-1]) == ("#f5f2ff", "#5b21b6")
    assert (ramp("signed")[0], ramp("signed")[-1]) == ("#1d4ed8", "#c2570c")


def test_scale_index_and_legend_agree() -> None:
    scale = Scale.of("signed", [-1.0, 3.0, np.nan, np.inf])
    assert (scale.low, scale.high) == (-3.0, 3.0)
    assert scale.index([-3.0, 0.0, 3.0, 99.0]).tolist() == [0, 128, 255, 255]
    legend = scale.legend(both_themes=False)
    assert legend["ticks"] == [-3.0, 0.0, 3.0]
    assert scale.hex(-3.0) in legend["gradient"]
    assert scale.hex(3.0) in legend["gradient"]
    assert scale.mapper().palette == list(scale.colours)


def test_probabilities_are_coloured_by_their_root_as_in_the_flow() -> None:
    scale = Scale.of("probability")
    assert scale.index([0.0, 0.01, 0.25, 1.0]).tolist() == [0, 26, 128, 255]
    middle = scale.legend()["middle"]
    assert scale.hex(middle) == scale.colours[128]
    palette = scale.mapper().palette
    assert (palette[0], palette[-1]) == (scale.colours[0], scale.colours[-1])
    for p in (0.02, 0.2, 0.25, 0.5, 0.9):
        assert abs(scale.colours.index(palette[round(p * (len(palette) - 1))]) - int(scale.index(p))) <= 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dark", [False, True])
def test_what_is_written_on_a_colour_can_be_read(kind: Kind, dark: bool) -> None:
    scale = Scale.of(kind, [-1.0, 1.0], dark=dark)
    assert min(contrast(scale.ink(v), scale.hex(v)) for v in np.linspace(scale.low, scale.high, 200)) >= 4.5


def test_scale_of_nothing_is_still_a_scale() -> None:
    assert Scale.of("signed", []).high == 1.0
    assert Scale.of("magnitude", np.zeros(3)).high == 1.0


def test_css_has_every_colour() -> None:
    css = css_variables()
    assert all(f"--tx-{meaning}:light-dark({light},{dark});" in css for meaning, (light, dark) in COLOURS.items())
