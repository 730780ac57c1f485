"""An address that names a module imports nothing; files of components that are here are still given out."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from panel.io.server import ComponentResourceHandler
from panel.template.vanilla import VanillaTemplate
from tornado.web import HTTPError

from txpanel.compat import component_files, replacing
from txpanel.toolkit.text import Rich

FILE = "panel.template.vanilla/VanillaTemplate/_css/vanilla.css"


def handler() -> SimpleNamespace:
    return SimpleNamespace(_resource_attrs=ComponentResourceHandler._resource_attrs)


def ours(address: str) -> str:
    component_files.mend()
    return str(ComponentResourceHandler.parse_url_path(handler(), address))


def test_panel_still_imports_what_an_address_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When this fails, Panel looks before it imports: drop `component_files`."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "named_by_an_address.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    with pytest.raises(SystemExit, match="imported"):
        replacing.original(ComponentResourceHandler, "parse_url_path")(handler(), "named_by_an_address/x/_js/y")


@pytest.mark.parametrize(
    "address",
    [
        "named_by_an_address/x/_js/y",
        "unittest.__main__/x/_js/y",
        "antigravity/x/_js/y",
        "sys/path/_js/y",  # a module that is here, and something in it that is no component
        "os/environ/_js/y",
        "txpanel/load/_js/y",  # a module that imports what is asked for
        "panel/Row/_css/y",  # a component, by another module's name
        "panel.layout.base/Row/__init__/y",
        "/x/_js/y",
        "x",
        "",
        "txpanel.toolkit.text/Rich/_bundle_path/y",  # an attribute that holds no file
        "panel.template.vanilla/VanillaTemplate/_css/../../../config.py",
    ],
)
def test_nothing_is_imported_and_nothing_else_given_out(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "named_by_an_address.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    assert Rich
    before = set(sys.modules)
    with pytest.raises(HTTPError) as refused:
        ours(address)
    assert refused.value.status_code in (400, 403, 404)
    assert set(sys.modules) == before


def test_a_component_that_is_here_has_its_files() -> None:
    assert component_files.component(FILE) is VanillaTemplate
    assert Path(ours(FILE)).read_text(encoding="utf-8")
