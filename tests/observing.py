"""Hooks of tests that only look on, marked as the package's own: anybody else's may change what a run computes, so nothing is reused with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def looking_on(hook: Callable[..., Any]) -> Callable[..., Any]:
    """The hook, which no look at the model takes for a change of it."""
    hook.__module__ = "txpanel.testing"
    return hook
