"""Scripts, style sheets and fonts that Panel puts into every page of its server, and that a page of ours does not need to fetch.

Panel links to the scripts and style sheets of every model class that was ever imported in the process (Tabulator, luxon), panel-material-ui
to fonts for all scripts of the world, twice and without saying which letters they have, so that one sign which none of them has fetches
all. Here, for documents of ours only:

* the scripts of models that the document does not have come when such a model does (``late_resources.js``);
* style sheets that Panel's server has are in the page, once, instead of a request each;
* fonts are fetched for the letters that are in them;
* our own module is imported by the browser itself, not taken apart by es-module-shims, which is there for import maps.

Versions: Panel 1.9.4 to 1.10.0 (which puts what a view brings later into requests of its own), panel-material-ui 0.16.6.
Reason: requests and bytes of the first load; the tests count both.
Upstream: holoviz/panel, panel/io/resources.py, `bundle_resources`; panel-extensions/panel-material-ui, dist/material-icons.css.
Test: tests/compat/test_page_resources.py::test_the_workaround_for_fonts_is_still_needed
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import panel as pn
from bokeh.embed.bundle import extension_dirs
from bokeh.model import Model
from bokeh.models import InlineStyleSheet
from jinja2 import Environment, Template, pass_context
from jinja2.runtime import Context
from panel.io.resources import CDN_DIST, set_resource_mode
from panel.io.state import state

from txpanel.compat.script_nonces import marked

__all__ = ["InlinedStyles", "inline_styles", "inlined", "trim", "trimmed"]

log = logging.getLogger(__name__)

DIST = Path(pn.__file__).parent / "dist"
PANEL = re.compile(rf"^(?:{re.escape(CDN_DIST)}|[./]*static/extensions/panel/)([\w./@^-]+\.css)(?:\?.*)?$")
SCRIPT = re.compile(r'<script type="text/javascript" src="([^"]+)"></script>\s*')
SHEET = re.compile(r'<link rel="stylesheet" href="([^"]+)"[^>]*>\s*')
DECLARED = re.compile(r"(const declared = )(\{.*\});")
FACE = re.compile(r"@font-face\{[^}]*\}")
COVERED = {
    "latin-ext": "U+100-130,U+132-151,U+154-17F,U+18F,U+192,U+1A0-1A1,U+1AF-1B0,U+1F0,U+1FA-1FF,U+218-21B,U+237,U+259,U+2C7,U+2C9,U+2DD,"
    "U+2F3,U+1E00-1E01,U+1E3E-1E3F,U+1E80-1E85,U+1E9E,U+1EF2-1EF9,U+2020,U+20A3-20A4,U+20A6-20AB,U+20B1,U+20B9-20BA,U+20BC-20BD,U+2113",
    "math": "U+303,U+391-3A1,U+3A3-3A9,U+3B1-3C9,U+3D1,U+3D6,U+2017,U+203C,U+2070,U+2074-208E,U+2105,U+2126,U+212E,U+2202,U+2206,"
    "U+220F,U+2211,U+221A,U+221E,U+222B,U+2248,U+2260,U+2264-2265,U+25CA",
    "symbols": "U+215B-215E,U+25A0,U+25CA-25CB,U+25CF",
}
"""Characters that these files of Roboto contain; their own rules name a thousand more."""

ONE_WEIGHT = ("math", "symbols")
"""Signs, of which one file does for regular and bold."""

WEBGL = "bokeh-gl."
NATIVE = """<script>
importShim = ((shim) => Object.assign((url, ...more) => (/\\/extensions\\/txpanel\\//.test(url) ? import(url) : shim(url, ...more)), shim))(importShim)
</script>
"""


def inline_styles(document: Any) -> None:
    """Panel's own style sheets will be in this document instead of being fetched; before any of its models are made."""
    kept = _kept()
    kept[document] = InlinedStyles(kept.get(document, {}))


def inlined(document: Any) -> InlinedStyles | None:
    """Those of a document, if `inline_styles` was asked for."""
    found = _kept().get(document)
    return found if isinstance(found, InlinedStyles) else None


def _kept() -> Any:
    """Where Panel looks for a style sheet, by document; since 1.10 it has a place for those that are to be inside, which a notebook needs."""
    return getattr(state, "_inline_stylesheets", state._stylesheets)


First = Callable[[str, list[str]], str]
"""Given a page without its scripts, and the scripts: the page that shows something before they run."""


def trim(
    template: Template, script: str = "", first: Callable[[], First | None] | None = None, language: str = ""
) -> Template:
    """A template like the given one, but for pages without what their document does not use.

    Args:
        template: of the document.
        script: of ours, which runs after Bokeh's.
        first: asked when a page is written.
        language: of the page's words, as HTML names it; Panel says English.
    """

    def named(page: str) -> str:
        return page.replace('<html lang="en"', f'<html lang="{language}"', 1) if language else page

    @pass_context
    def page(context: Context) -> str:
        less = trimmed(context.get_all())
        less["bokeh_js"] += f"<script>{script}</script>" if script else ""
        try:
            before = first() if first is not None else None
            if before is not None:
                scripts = [str(less[name]) for name in ("bokeh_js", "plot_script")]
                return marked(before(named(template.render(less | {"bokeh_js": "", "plot_script": ""})), scripts))
        except Exception:  # without a first picture the page still works
            log.exception("a page has no first picture")
        return marked(named(template.render(less)))

    return Environment(autoescape=False).from_string(
        "{{ page() }}", globals={"page": page}
    )  # what it returns is a whole page already


class InlinedStyles(dict[str, Any]):
    """Panel's cache of a document's style sheets, by their address: those that its server has stand in there with their content."""

    def __contains__(self, url: object) -> bool:
        return super().__contains__(url) or _sheet(str(url)) is not None

    def __missing__(self, url: str) -> Any:
        path = _sheet(url)
        if path is None:
            raise KeyError(url)
        made = next((one for key, one in self.items() if _sheet(key) == path), None)
        made = made or InlineStyleSheet(css=_content(path, _root()))
        super().__setitem__(url, made)
        return made

    def __setitem__(self, url: str, sheet: Any) -> None:
        if _sheet(url) is None:
            super().__setitem__(url, sheet)


@cache
def _sheet(url: str) -> Path | None:
    found = PANEL.match(url)
    path = DIST / found[1] if found else None
    return path if path is not None and path.is_file() else None


@cache
def _content(path: Path, root: str) -> str:
    """A style sheet of Panel, its relative ``url()``s rewritten to addresses of the server."""

    def address(found: re.Match[str]) -> str:
        return f"url('{root}static/extensions/panel/{(path.parent / found[1]).resolve().relative_to(DIST.resolve()).as_posix()}')"

    return re.sub(r"url\(['\"]?(?!data:|#)([^'\")]+)['\"]?\)", address, path.read_text(encoding="utf-8"))


def _root() -> str:
    return f"{state.rel_path}/" if state.rel_path else ""


@cache
def _fonts(root: str) -> str:
    """panel-material-ui's faces, each for the letters that are in it."""
    source = (Path(extension_dirs["panel-material-ui"]) / "panel-material-ui.bundle.css").read_text(encoding="utf-8")
    return "".join(_face(face, root) for face in FACE.findall(source))


def _face(face: str, root: str) -> str:
    for name, letters in COVERED.items():
        if f"roboto-{name}-" in face:
            face = re.sub(r"unicode-range:[^}]*", f"unicode-range:{letters}", face)
    for name in ONE_WEIGHT:
        if f"roboto-{name}-700-" in face:
            return ""
        if f"roboto-{name}-400-" in face:
            # two rules: one with a range of weights would be another face, and hide the letters of the regular one
            face += face.replace("font-weight:400", "font-weight:700")
    return face.replace('url("./', f'url("{root}static/extensions/panel-material-ui/')


def trimmed(context: dict[str, Any]) -> dict[str, Any]:
    """What Panel gives to a template, without what the current document does not use."""
    late: dict[str, list[str]] = {}
    context = dict(context)
    with set_resource_mode("server"):
        present = {file for model in _models() for file in _files(type(model))}
        for name, cls in sorted(Model.model_class_reverse_map.items()):
            files = [file for file in _files(cls) if file not in present]
            late.update({name: files} if files else {})
    absent = tuple(file for files in late.values() for file in files)
    scripts, sheets = str(context["bokeh_js"]), str(context["bokeh_css"])
    addresses = {address for pattern, text in ((SCRIPT, scripts), (SHEET, sheets)) for address in pattern.findall(text)}
    full = {file: address for address in addresses for file in absent if _names(address, file)}
    webgl = [address for address in addresses if WEBGL in address]
    withheld = {name: [full[file] for file in files if file in full] for name, files in late.items()} | {
        "Canvas": webgl
    }

    def script(found: re.Match[str]) -> str:
        return "" if found[1] in full.values() or found[1] in webgl else found[0]

    def sheet(found: re.Match[str]) -> str:
        return "" if found[1] in full.values() or "/panel-material-ui/" in found[1] else found[0]

    root = _root()
    listed = json.dumps({name: files for name, files in withheld.items() if files}).replace("<", "\\u003c")
    context["bokeh_js"] = (
        DECLARED.sub(lambda found: f"{found[1]}{_declared(found[2], set(full.values()))};", SCRIPT.sub(script, scripts))
        + NATIVE
        + f'<script type="application/json" id="tx-late">{listed}</script>'
    )
    context["bokeh_css"] = f"<style>{_fonts(root)}</style>\n" + SHEET.sub(sheet, sheets)
    resources = context.get("resources")
    if resources:
        css = {name: _sheet(str(url)) for name, url in resources["css"].items()}
        context["resources"] = {
            **resources,
            "css": {name: url for name, url in resources["css"].items() if css[name] is None},
            "raw_css": [
                *(_content(path, root) for path in css.values() if path is not None),
                *resources["raw_css"],
            ],
        }
    return context


def _declared(told: str, gone: set[str]) -> str:
    """What a page tells Panel's own loader that it has (since 1.10), without what was left out."""
    have = json.loads(told)
    have["libs"] = [lib for lib in have.get("libs", []) if not gone & {*lib.get("js", []), *lib.get("css", [])}]
    have["css"] = [sheet for sheet in have.get("css", []) if sheet not in gone]
    return json.dumps(have).replace("<", "\\u003c")


def _models() -> Iterator[Model]:
    for root in state.curdoc.roots:
        yield from root.references()


def _files(cls: type) -> list[str]:
    """The scripts and style sheets of a model class, as Panel names them on its server."""
    found: list[str] = []
    for attribute in ("__javascript__", "__css__"):
        files = getattr(cls, attribute, None) or []
        found += [files] if isinstance(files, str) else files
    return [file.replace(CDN_DIST, "static/extensions/panel/") for file in found]


def _names(address: str, file: str) -> bool:
    return address.split("?")[0].endswith(file.split("?")[0])
