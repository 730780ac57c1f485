"""What our JavaScript replaces in BokehJS is there, and does what it was replaced for: read in the source that Bokeh brings."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import bokeh
import pytest
from packaging.version import Version

from txpanel.compat.tried import TRIED

FOLDER = Path(__file__).parents[2] / "txpanel" / "compat"
ADVICE = (
    "compare pages pixel by pixel with and without the workaround, and measure: `python -m benchmarks.replacements`"
)


@cache
def library() -> str:
    return (Path(bokeh.__file__).parent / "server/static/js/bokeh.js").read_text(encoding="utf-8")


def module(name: str) -> str:
    """A module of BokehJS."""
    start = library().index(f"/* {name}.js */ function")
    return library()[start : library().index(".js */ function", start + 60 + len(name))]


def method(name: str, of: str) -> str:
    """The body of a method, its white space in one form."""
    found = re.search(rf"^        {name}\([^)]*\) \{{\n(.*?)^        \}}$", module(of), re.MULTILINE | re.DOTALL)
    assert found, f"{of} has no {name}; {ADVICE}"
    return " ".join(found[1].split())


def test_bokeh_still_lays_out_the_whole_page() -> None:
    """When this fails, Bokeh lays out locally by itself, or in another way: drop `local_layout`, or write it anew."""
    layout = "models/layouts/layout_dom"
    assert "this.parent.invalidate_layout(); } else { this.update_layout(); this.compute_layout(); }" in method(
        "invalidate_layout", layout
    ), ADVICE
    assert (
        "this.parent.compute_layout(); } else { this.measure_layout(); this.update_bbox(); this._compute_layout(); this.after_layout(); }"
        in method("compute_layout", layout)
    ), ADVICE
    assert method("_after_resize", layout).endswith("else { this.compute_layout(); }"), ADVICE


def test_bokeh_still_paints_all_figures_in_one_frame() -> None:
    """When this fails, Bokeh's figures take turns by themselves, or are painted in another way: drop `paint_queue`, or write it anew."""
    plot = module("models/plots/plot_canvas")
    assert "this.throttled_paint()" in method("schedule_paint", "models/plots/plot_canvas"), ADVICE
    assert re.search(r"throttled_paint = .*?this\.repaint\(\);\s*\}\s*\}, 1000 / 60\)", plot, re.DOTALL), ADVICE


def test_the_oldest_bokeh_still_asks_for_each_label() -> None:
    """When this fails, no Bokeh that asks each time is supported any more: drop `css_once`."""
    assert Version(TRIED["bokeh"][0]) < Version("3.10")
    remembers = "_css_cache" in method("_get_css_value", "core/visuals/visual")
    assert remembers == (Version(bokeh.__version__) >= Version("3.10"))


def test_bokeh_still_takes_for_new_what_the_server_sent() -> None:
    """When this fails, Bokeh keeps apart what came from the server: drop `new_models`."""
    document = module("document/document")
    assert re.search(r"_apply_json_patch\(.*?const finalize = .*?this\._new_models\.add\(obj\);", document, re.DOTALL)
    assert "if (!this._new_models.has(model)) {" in document


@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        ("local_layout", "models/layouts/layout_dom"),
        ("paint_queue", "models/plots/plot_canvas"),
        ("css_once", "core/visuals/visual"),
    ],
)
def test_a_workaround_asks_for_the_methods_that_it_replaces(file: str, wanted: str) -> None:
    """Without them it leaves Bokeh alone (`bokehClasses`)."""
    source = (FOLDER / f"{file}.js").read_text(encoding="utf-8")
    assert f'bokehClasses("{file}", {{' in source
    replaced = set(re.findall(r"(?:prototype|\bbox)\.(\w+) = function", source))
    assert replaced
    asked = set(re.findall(r'"(\w+)"', source))
    assert replaced <= asked
    for name in replaced:
        assert method(name, wanted)
