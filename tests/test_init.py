"""The public names: there, imported late, and complete."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import txpanel


@pytest.mark.parametrize("name", txpanel.__all__)
def test_every_public_name_can_be_used(name: str) -> None:
    assert getattr(txpanel, name) is not None


def test_public_and_listed_names_are_the_same() -> None:
    assert set(txpanel.__all__) == {"__version__", *txpanel._PUBLIC}
    assert set(dir(txpanel)) == set(txpanel.__all__)


def test_functions_are_functions_whatever_was_imported_before() -> None:
    """A submodule of the same name would take the function's place as soon as somebody imports it."""
    importlib.import_module("txpanel.page.dashboard")
    importlib.import_module("txpanel.tracing.record")
    importlib.import_module("txpanel.models.loading")
    for name in ("load", "explain", "generate", "record", "open_trace"):
        assert callable(getattr(txpanel, name)), name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = txpanel.nonsense  # type: ignore[attr-defined]


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, txpanel; assert not {'torch', 'panel', 'transformers', 'numpy', 'param'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
