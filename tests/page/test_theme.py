"""The page's frame: everything from panel-material-ui comes through one module."""

from __future__ import annotations

from pathlib import Path

from txpanel.page import theme

PACKAGE = Path(theme.__file__).parent


def test_material_ui_is_imported_in_one_place() -> None:
    users = [
        path.name for path in PACKAGE.rglob("*.py") if "import panel_material_ui" in path.read_text(encoding="utf-8")
    ]
    assert users == ["theme.py"]
