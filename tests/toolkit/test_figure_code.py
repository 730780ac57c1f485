"""Figures' JavaScript is in one file, and runs where nothing may be evaluated."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from bokeh.models import Range1d

from tests.browser_modules import ROOT, node
from txpanel.toolkit import figure_code

PAGE = """
// a page whose policy forbids to make functions of texts, and Bokeh's three classes
const native = () => { throw new EvalError("refused by the policy") }
class CustomJS { async _compile_function() { return native() } }
class CustomJSHover { _make_code() { return native() } }
class CustomJSTickFormatter { _make_func() { return native() } }
globalThis.Bokeh = { version: "x", require: () => ({CustomJS, CustomJSHover, CustomJSTickFormatter}) }
globalThis.Function = native
"""
USE = """
const model = (kind, code, args) => Object.assign(new kind(), {code, args})
const map = (args) => new Map(Object.entries(args))
const hover = (code, args, ...given) =>
  model(CustomJSHover, code, map(args))._make_code("value", "format", "special_vars", code)(...Object.values(args), ...given)
const cursor = {data: {r: [NaN], c: [NaN]}}
const [x, y] = [{start: -0.5, end: 3.5}, {start: 3.5, end: -0.5}]
const follow = await model(CustomJS, codes.follow, {cursor, row: "r", column: "c", x, y})._compile_function()
follow.call({}, {x: 1.2, y: 2.1}, {}, {})
let foreign = "ran"
try { model(CustomJSHover, "return 1", {})._make_code() } catch (error) { foreign = error.name }
console.log(JSON.stringify({
  exact: hover(codes.exact, {}, Math.fround(-0.1)),
  cell: hover(codes["cell-words"], {rows: ["$&a"], columns: ["b"], row0: 0, column0: 0, template: "{r} sees {c}"}, 0, "", {x: 0, y: 0.2}),
  ticks: [0.5, -0.25].map((tick) => model(CustomJSTickFormatter, codes.percent, {})._make_func().bind({})(tick, 0, [])),
  cursor: cursor.data, foreign,
}))
"""


def test_it_runs_without_evaluating_and_nothing_else_does(tmp_path: Path) -> None:
    codes = {name: code.text for name, code in figure_code.CODES.items()}
    source = f"{PAGE}{figure_code.script()}\nconst codes = {json.dumps(codes)}\n{USE}"
    (tmp_path / "page.mjs").write_text(source, encoding="utf-8")
    done = subprocess.run([node(), str(tmp_path / "page.mjs")], capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "exact": "−0.1",
        "cell": "$&a sees b",  # a token is text, whatever signs it is made of
        "ticks": ["50 %", "25 %"],
        "cursor": {"r": [2], "c": [1]},
        "foreign": "EvalError",
    }


def test_names_are_found_in_the_first_line() -> None:
    for name, code in figure_code.CODES.items():
        assert re.fullmatch(r"[\w-]+", name)
        assert code.text.startswith(f"// tx:{name}\n")
        assert "</script" not in code.function.lower()


def test_no_other_file_has_javascript_for_bokeh() -> None:
    wrong = re.compile(
        r"\bspecial_vars|\bCustomJS|\bjscallback|\bjslink|js_link\(|\bFlexBox\(|ReactiveHTML\b|[^.]\beval\(|new Function"
    )
    found = {
        path.relative_to(ROOT).as_posix()
        for folder in ("txpanel", "plugins")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".js")
        and "served" not in path.parts
        and wrong.search(path.read_text(encoding="utf-8"))
    }
    allowed = {
        "toolkit/figure_code.py",
        "compat/without_eval.js",
        "testing.py",
        "models/environment.py",
        "toolkit/card.py",
    }
    assert found <= {f"txpanel/{path}" for path in allowed}


def test_what_a_function_uses_is_what_it_is_given() -> None:
    made = figure_code.callback("leave", cursor=Range1d(), row=None, column=None)
    assert set(made.args) == set(figure_code.CODES["leave"].args)
    for path in (ROOT / "txpanel").rglob("*.py"):
        for name in re.findall(
            r'(?:callback\(|hover_code\(|figure_code.hover\(|ticks\(|CODES\[)"([\w-]+)"',
            path.read_text(encoding="utf-8"),
        ):
            assert name in figure_code.CODES, f"{path}: {name}"
