"""Numbers as people read them, and never as something they are not: a small probability is small, not 0.00."""

from __future__ import annotations

import math

__all__ = ["brief", "count", "number", "percent", "size"]


def number(value: float, digits: int = 4) -> str:
    """A number with `digits` significant digits.

    Zero is ``"0"`` and nothing else is; below 0.001 and from a million on in powers of ten (``2.5e−7``). The minus is a
    real minus sign, thousands are grouped, infinities and missing values have their own signs. ``tx.number`` in the
    browser writes the same.

    Example:
        >>> number(0.0004321), number(-23252.0), number(0.12345)
        ('4.321e−4', '−23,252', '0.1235')
    """
    value = float(value)
    if math.isnan(value):
        return "–"
    sign = "−" if value < 0 else ""
    size = abs(value)
    if math.isinf(size):
        return f"{sign}∞"
    if size == 0:
        return "0"
    if size == int(size) and size < 1e15:
        return f"{sign}{int(size):,}"
    if size >= 1e6 or size < 1e-3:
        return sign + _scientific(size, digits)
    places = max(0, digits - 1 - _power(size, digits))
    return f"{sign}{size:,.{places}f}"


def brief(value: float) -> str:
    """A number in at most four signs, for cells: "3.4", "−12", ".25", "−.04"; "≈0" where that would be a false 0."""
    size, sign = abs(value), "−" if value < 0 else ""
    if size < 0.005:
        return "0" if value == 0 else "≈0"
    if size < 0.995:
        return sign + f"{size:.2f}"[1:]
    digits = f"{size:.1f}" if size < 9.95 else f"{size:.0f}"
    return sign + digits.removesuffix(".0")


def percent(share: float, digits: int = 2) -> str:
    """A share (0 to 1) in percent: one place from 1 % on, significant digits below.

    100 % is only for exactly 1; what is nearly that gets as many nines as it takes.

    Example:
        >>> percent(0.1197), percent(0.00042), percent(1e-9)
        ('12.0 %', '0.042 %', '1.0e−7 %')
    """
    share = float(share)
    if math.isnan(share):
        return "–"
    if share in (0.0, 1.0):
        return f"{int(share * 100)} %"
    part = share * 100
    if part >= 99.95:
        missing = 100 - part
        if missing < -1e-4:  # a sum of shares, such as a column of a pattern
            return f"{part:.1f} %"
        if missing < 1e-4:  # also what rounding may have left above 1
            return "> 99.9999 %" if share < 1 else "100 %"
        return f"{part:.{1 - math.floor(math.log10(missing))}f} %"
    if part < 1e-3:
        return f"{_scientific(part, digits)} %"
    places = 1 if part >= 1 else max(1, digits - 1 - _power(part, digits))
    return f"{part:.{places}f} %"


def count(n: int) -> str:
    """A whole number with grouped thousands."""
    return f"{n:,}".replace("-", "−")


def size(nbytes: float) -> str:
    """Bytes in the unit that fits: ``"98 MB"``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if nbytes < 1000 or unit == "GB":
            return f"{nbytes:,.0f} {unit}" if nbytes >= 10 or unit == "bytes" else f"{nbytes:,.1f} {unit}"
        nbytes /= 1000
    raise AssertionError("unreachable")


def _power(size: float, digits: int) -> int:
    """The power of ten of a number that is rounded to so many digits: 0.99996 is 1.000, as 1.0004 is, not 1.0000."""
    return int(f"{size:.{max(0, digits - 1)}e}".split("e")[1])


def _scientific(value: float, digits: int) -> str:
    mantissa, power = f"{value:.{max(0, digits - 1)}e}".split("e")
    return f"{mantissa}e{'−' if power.startswith('-') else ''}{int(power.lstrip('+-'))}"
