"""Old module names still lead to their modules, with a warning; also for a plugin's import statement."""

from __future__ import annotations

import importlib
import subprocess
import sys
import warnings

import pytest

from txpanel.compat.old_names import MOVED


@pytest.mark.parametrize(("old", "new"), MOVED.items())
def test_an_old_name_is_the_module_itself_and_says_so(old: str, new: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for parent in (".".join(old.split(".")[:n]) for n in range(1, old.count(".") + 1)):
            importlib.import_module(f"txpanel.{parent}")
    sys.modules.pop(f"txpanel.{old}", None)
    with pytest.warns(DeprecationWarning, match=f"txpanel.{new}"):
        module = importlib.import_module(f"txpanel.{old}")
    assert module is importlib.import_module(f"txpanel.{new}")
    assert module.__name__ == f"txpanel.{new}"
    assert module.__spec__ is not None
    assert module.__spec__.name == f"txpanel.{new}"


@pytest.mark.sweep
def test_statements_of_a_notebook_written_for_0_1_run() -> None:
    lines = [
        "from txpanel.state import ModelState",
        "from txpanel.components import Component",
        "from txpanel.components.text import Rich, rich",
        "from txpanel.views.palette import colour",
        "import txpanel.views.numbers",
        "from txpanel.generation import generate",
        "assert txpanel.views.numbers.count(1234)",
    ]
    done = subprocess.run([sys.executable, "-W", "default", "-c", "\n".join(lines)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "txpanel.session.state now" in done.stderr


def test_a_name_that_never_was_is_still_missing() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_room"):
        importlib.import_module("txpanel.no_such_room")
