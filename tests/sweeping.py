"""Cases of one kind: the first of them in the suite, all others in the sweep (`scripts/sweep`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

__all__ = ["first"]


def first(n: int, cases: Iterable[Any]) -> list[Any]:
    """For `pytest.mark.parametrize`: marks every case but the first `n` as `sweep`."""
    return [case if i < n else apart(case) for i, case in enumerate(cases)]


def apart(case: Any) -> Any:
    """One case, in the sweep; a tuple is the values of several arguments."""
    return pytest.param(*case if isinstance(case, tuple) else (case,), marks=pytest.mark.sweep)
