"""What our JavaScript replaces in BokehJS is there, and does what it was replaced for: read in the source that Bokeh brings."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import bokeh
import pytest

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


def test_bokeh_still_takes_for_new_what_the_server_sent() -> None:
    """When this fails, Bokeh keeps apart what came from the server: drop `new_models`."""
    document = module("document/document")
    assert re.search(r"_apply_json_patch\(.*?const finalize = .*?this\._new_models\.add\(obj\);", document, re.DOTALL)
    assert "if (!this._new_models.has(model)) {" in document


INHERITED = {"after_resize": "models/ui/ui_element"}
"""Methods of a class that this workaround's module only inherits."""


@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        ("local_layout", "models/layouts/layout_dom"),
        ("paint_queue", "models/plots/plot_canvas"),
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
        assert method(name, INHERITED.get(name, wanted))


def test_bokeh_still_makes_functions_of_texts() -> None:
    """When this fails, Bokeh takes functions, or makes them in another way: drop `without_eval`, or write it anew."""
    made = {
        "models/callbacks/customjs": "_compile_function",
        "models/tools/inspectors/customjs_hover": "_make_code",
        "models/formatters/customjs_tick_formatter": "_make_func",
    }
    source = (FOLDER / "without_eval.js").read_text(encoding="utf-8")
    for of, name in made.items():
        body = re.search(rf"{name}\([^)]*\) \{{(.*?)\n        \}}", module(of), re.DOTALL)
        assert body, ADVICE
        assert "new Function(" in body[1], ADVICE
        assert f'"{of}"' in source
        assert f'"{name}"' in source
