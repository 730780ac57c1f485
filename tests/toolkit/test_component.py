"""The JavaScript of components: one file, by address on a server, once inside the page elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import panel as pn
import pytest
from bokeh.document import Document

from txpanel.toolkit import bundle
from txpanel.toolkit.component import FOLDER, Component, beside, palette_source
from txpanel.toolkit.text import Rich
from txpanel.views.flow.component import FlowPicture

ASSIGNED = re.compile(r"\bmodel\.([a-z_]+) *=[^=]")
MODULES = [path for path in FOLDER.rglob("*.js") if path.parent != bundle.FOLDER]


def served() -> Document:
    document: Any = Document()
    context = SimpleNamespace(server_context=object(), destroyed=False, session=None)
    document._session_context = lambda: context
    return document


@pytest.fixture
def foreign(tmp_path: Path) -> type[Component]:
    """A component of another package, whose module is nowhere near ours."""
    (tmp_path / "box.js").write_text("export const render = () => tx.h('b', null, 'here')\n", encoding="utf-8")

    class Foreign(Component):
        _module = tmp_path / "box.js"

    return Foreign


def test_palette_js_is_up_to_date() -> None:
    assert (FOLDER / "toolkit/palette.js").read_text(encoding="utf-8") == palette_source(), "run scripts/palette"


@pytest.mark.parametrize("component", [Rich, FlowPicture])
def test_a_server_names_one_file_for_all(component: Any) -> None:
    properties = component()._get_properties(served())
    assert (properties["bundle"], properties["esm"]) == ("url", bundle.address())
    assert re.fullmatch(r"\./static/extensions/txpanel/txpanel\.js\?v=[0-9a-f]{16}", bundle.address())
    assert f'"{properties["class_name"]}"' in bundle.source()
    assert not properties.get("tags")


def test_without_a_server_the_file_is_in_the_document_once(foreign: type[Component]) -> None:
    layout = pn.Column(Rich(), Rich(), FlowPicture(), foreign())
    models = layout.get_root().references()
    carriers = [model for model in models if getattr(model, "esm", "") == bundle.source()]
    assert len(carriers) == 1
    others = [model for model in models if hasattr(model, "esm") and model not in carriers]
    assert len(others) == 4
    assert all(model.tags == carriers and len(model.esm) < 400 for model in others)


def test_a_component_of_another_package_brings_its_source_and_finds_tx(foreign: type[Component]) -> None:
    for document, where in ((Document(), "globalThis.txpanel"), (served(), bundle.address())):
        source = foreign()._get_properties(document)["esm"]
        first, rest = source.split("\n", 1)
        assert first.startswith("const {tx} = await ")
        assert where in first
        assert rest == "export const render = () => tx.h('b', null, 'here')\n"


def test_text_is_never_markup_and_nothing_is_fetched() -> None:
    for path in MODULES:
        source = path.read_text(encoding="utf-8")
        assert not re.search(r"\.(inner|outer)HTML|insertAdjacentHTML|\beval\(", source), path
        assert not re.search(r"https?://(?!www\.w3\.org/)", source), path  # names of SVG and MathML, not addresses


def test_a_component_takes_from_a_browser_what_its_module_sets_and_nothing_else() -> None:
    """Each parameter that a module assigns is named in `_browser_sets`, and no other is."""
    import txpanel.page.dashboard
    import txpanel.testing  # noqa: F401 - imports what there is
    from txpanel.views.discovery import discover

    discover()
    checked = 0
    for cls in _all_of(Component):
        if not cls._key or "_module" not in cls.__dict__:
            continue
        source = beside(cls, cls._module).read_text(encoding="utf-8")
        assert set(ASSIGNED.findall(source)) == set(cls._browser_sets), cls.__name__
        checked += 1
    assert checked > 15
    everywhere = {name for path in MODULES for name in ASSIGNED.findall(path.read_text(encoding="utf-8"))}
    assert everywhere == {name for cls in _all_of(Component) for name in cls._browser_sets}


def test_what_a_browser_may_not_set_does_not_reach_the_component() -> None:
    from txpanel.toolkit.picture import Fold, Legend

    assert Fold("x")._linked_properties == ("open",)
    assert Legend()._linked_properties == ()


def test_no_sheet_outweighs_the_rule_by_which_bokeh_hides() -> None:
    sheets = [path.read_text(encoding="utf-8") for path in FOLDER.rglob("*.css")]
    assert len(sheets) > 15
    assert not [sheet[:80] for sheet in sheets if re.search(r"(?<!\():host *\{[^}]*display:", sheet)]


def _all_of(cls: type[Component]) -> set[type[Component]]:
    return {cls}.union(*map(_all_of, cls.__subclasses__()))
