"""What is left out of our pages, and that the libraries still put it there (when they don't, `page_resources` can go)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import panel as pn
import pytest
from bokeh.embed.bundle import extension_dirs
from bokeh.models import InlineStyleSheet
from bokeh.resources import Resources
from jinja2 import Template
from panel.io.document import Document
from panel.io.resources import CDN_DIST, bundle_resources
from panel.io.state import set_curdoc

from txpanel.compat import page_resources
from txpanel.page import theme

PAGE = theme.pmui.Page  # whose package says where its fonts are


def context_of(*objects: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What Panel's server gives to the template of a page with these objects, and what is left of it."""
    document = Document()
    with set_curdoc(document):
        for thing in objects:
            document.add_root(thing.get_root(document))
        bundle = bundle_resources(document.roots, Resources(mode="server"))
        scripts, sheets = bundle
        whole = {"bokeh_js": scripts, "bokeh_css": sheets}
        return whole, page_resources.trimmed(whole)


def withheld(context: dict[str, Any]) -> dict[str, list[str]]:
    found = re.search(r'id="tx-late">(.*?)</script>', context["bokeh_js"])
    assert found is not None
    result: dict[str, list[str]] = json.loads(found[1])
    return result


def test_the_scripts_of_models_that_are_not_there_are_left_out() -> None:
    pn.widgets.Tabulator.param  # noqa: B018  (Panel registers its model when it is imported)
    import panel.models.tabulator  # noqa: F401

    whole, left = context_of(pn.Column("text"))
    assert "tabulator.min.js" in whole["bokeh_js"], "Panel does not add it any more: this can go"
    tags = left["bokeh_js"].partition('<script type="application/json"')[0]
    assert not re.search("tabulator|luxon|bokeh-gl", tags)
    kept = re.findall(r'src="[^"]*/([\w.-]+\.js)', tags)
    assert [name for name in kept if name != "bokeh-tables.min.js"] == [
        "bokeh.min.js",
        "bokeh-widgets.min.js",
        "panel.min.js",
    ]  # 3.10 has it in panel's
    late = withheld(left)
    names = [
        re.split(r"[/?]", address.partition("?")[0])[-1] for address in late["panel.models.tabulator.DataTabulator"]
    ]
    assert names == ["tabulator.min.js", "luxon.min.js", "tabulator_simple.min.css"]
    assert "bokeh-gl" in late["Canvas"][0]


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # Panel's own
def test_the_scripts_of_models_that_are_there_stay() -> None:
    _whole, left = context_of(pn.widgets.Tabulator(pd.DataFrame({"a": [1]})))
    tags = left["bokeh_js"].partition('<script type="application/json"')[0]
    assert "tabulator.min.js" in tags
    assert re.search(r"tabulator_\w+\.min\.css", left["bokeh_css"])
    assert "panel.models.tabulator.DataTabulator" not in withheld(left)


def test_each_font_is_asked_for_the_letters_that_it_has() -> None:
    css = page_resources._fonts("../")
    folder = Path(extension_dirs["panel-material-ui"])
    for face in css.split("@font-face")[1:]:
        if "Roboto" in face:
            assert "unicode-range:" in face
        for name in re.findall(r'url\("\.\./static/extensions/panel-material-ui/([^"]+)"\)', face):
            assert (folder / name).is_file()
    assert len(re.findall("font-family:Roboto", css)) == 18
    assert "font-weight:400 700" not in css  # a face of its own, which would take the regular letters' place
    for name in ("math", "symbols"):
        faces = [face for face in re.findall(r"@font-face\{[^}]*\}", css) if f"roboto-{name}-" in face]
        assert sorted(re.findall(r"font-weight:(\d+)", "".join(faces))) == ["400", "700"]
        assert all(f"roboto-{name}-400-" in face for face in faces)
    assert not re.search("U\\+25A0-27BF|U\\+0?1D00-1DBF", css)


def test_the_workaround_for_fonts_is_still_needed() -> None:
    """When this fails, panel-material-ui says for all of its faces which letters they have."""
    source = (Path(extension_dirs["panel-material-ui"]) / "material-icons.css").read_text(encoding="utf-8")
    faces = [face for face in re.findall(r"@font-face\s*\{[^}]*\}", source) if "Roboto" in face]
    assert [face for face in faces if "unicode-range" not in face]


def test_panels_style_sheets_are_in_the_document_once() -> None:
    document = Document()
    page_resources.inline_styles(document)
    with set_curdoc(document):
        root = pn.Column(pn.Row("a"), pn.Row("b")).get_root(document)
    sheets = [sheet for model in root.select({"type": pn.models.layout.Column}) for sheet in model.stylesheets]
    inline = {sheet.id: sheet for sheet in sheets if isinstance(sheet, InlineStyleSheet)}
    assert not [sheet for sheet in sheets if "Imported" in type(sheet).__name__]
    assert len([sheet for sheet in inline.values() if "arc_spinner.svg" in sheet.css]) == 1
    assert all("url('../assets" not in sheet.css for sheet in inline.values())
    cache = page_resources.inlined(document)
    assert cache is not None
    assert f"{CDN_DIST}css/no_such_file.css" not in cache
    assert "https://example.org/x.css" not in cache


def test_a_trimmed_template_is_a_template() -> None:
    trimmed = page_resources.trim(Template("{{ title }}|{{ bokeh_css }}|{{ bokeh_js }}"))
    assert isinstance(trimmed, Template)
    with set_curdoc(Document()):
        text = trimmed.render({"title": "t", "bokeh_js": "", "bokeh_css": "", "resources": None})
    assert text.startswith("t|<style>@font-face")
    assert "tx-late" in text


def test_a_first_picture_that_cannot_be_written_costs_the_page_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def first(_page: str, _scripts: list[str]) -> str:
        raise ValueError("nan")

    trimmed = page_resources.trim(Template("{{ title }}|{{ bokeh_js }}|{{ plot_script }}"), first=lambda: first)
    with set_curdoc(Document()):
        text = trimmed.render({"title": "t", "bokeh_js": "b", "bokeh_css": "", "plot_script": "p", "resources": None})
    assert re.fullmatch(r"t\|b.*\|p", text, re.DOTALL)
    assert "a page has no first picture" in caplog.text
