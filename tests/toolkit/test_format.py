"""Numbers are written as they are."""

from __future__ import annotations

import math

import pytest

from txpanel.toolkit.format import brief, count, number, percent, size
from txpanel.toolkit.labels import shorten


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (-23252.0, "−23,252"),
        (0.12345, "0.1235"),
        (12.3456, "12.35"),
        (-0.99996, "−1.000"),  # as −1.0004 is: the same number of digits
        (9.99996, "10.00"),
        (0.0004321, "4.321e−4"),
        (-2.5e-12, "−2.500e−12"),
        (1234567.5, "1.235e6"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (math.nan, "–"),
    ],
)
def test_number(value: float, written: str) -> None:
    assert number(value) == written


@pytest.mark.parametrize(
    ("share", "written"),
    [
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.1197, "12.0 %"),
        (0.0099, "0.99 %"),
        (0.00996, "1.0 %"),
        (0.00042, "0.042 %"),
        (1e-9, "1.0e−7 %"),
        (0.9998, "99.980 %"),
        (0.9999986, "99.99986 %"),
        (1 - 1e-9, "> 99.9999 %"),
        (1 + 1e-9, "100 %"),
        (1.92, "192.0 %"),
        (math.nan, "–"),
    ],
)
def test_percent(share: float, written: str) -> None:
    assert percent(share) == written


def test_nothing_but_zero_is_written_as_zero() -> None:
    for power in range(-40, 0):
        assert set(number(10.0**power)) - set("0.−e% ")
        assert float(percent(10.0**power).split()[0].replace("−", "-")) > 0


def test_count_and_size() -> None:
    assert count(49152) == "49,152"
    assert [size(n) for n in (12, 1500, 98_000_000, 2.5e9)] == ["12 bytes", "1.5 kB", "98 MB", "2.5 GB"]


@pytest.mark.parametrize(
    ("text", "seen"),
    [(" ", "␣"), ("\n\n", "↵↵"), ("\u00a0", "⟨U+00A0⟩"), ("", ""), (" a", " a"), ("x" * 20, "x" * 11 + "…")],
)
def test_a_label_can_be_seen(text: str, seen: str) -> None:
    assert shorten(text) == seen


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.0, "0"), (0.2, ".20"), (-0.044, "−.04"), (0.0049, "≈0"), (-1e-9, "≈0"), (0.994, ".99"), (0.996, "1"), (3.44, "3.4"), (-9.96, "−10"),
        (-12.3, "−12"), (123.4, "123"),
    ],
)  # fmt: skip
def test_a_number_in_a_cell_is_short_and_never_a_false_zero(value: float, written: str) -> None:
    assert brief(value) == written
    assert len(written) <= 4
