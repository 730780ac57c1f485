"""The nano model, which comes with txpanel: no download."""

from __future__ import annotations

import pytest

import txpanel


@pytest.fixture(scope="session")
def model() -> txpanel.LanguageModel:
    return txpanel.load("nano")
