"""JavaScript of figures: tooltips, tick labels, what follows the pointer. All of it stands here.

Bokeh makes functions of such texts in the browser, which a Content-Security-Policy without ``unsafe-eval`` forbids. So a page of our server has
them as functions already (`script`), and ``compat/without_eval.js`` takes the one whose name stands in the text's first line. A notebook and a
saved page have no policy, and Bokeh's own way works.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bokeh.models import CustomJS, CustomJSHover, CustomJSTickFormatter

__all__ = ["CODES", "Code", "callback", "hover", "script", "ticks"]

WITHOUT_EVAL = Path(__file__).parents[1] / "compat" / "without_eval.js"

CALLBACK = "cb_obj, cb_data, cb_context"
HOVER = "value, format, special_vars"
TICKS = "tick, index, ticks"


@dataclass(frozen=True)
class Code:
    """One function.

    Attributes:
        name: letters and dashes. given: what Bokeh calls it with. args: what else it uses, by name. body: JavaScript.
    """

    name: str
    given: str
    args: tuple[str, ...]
    body: str

    @property
    def text(self) -> str:
        """As Bokeh gets it."""
        return f"// tx:{self.name}\n{self.body}"

    @property
    def function(self) -> str:
        """As the page has it."""
        return f"({{{', '.join(self.args)}}}, {self.given}) => {{\n{self.body}\n}}"


_EXACT = """
const exact = (v) => {
  if (!Number.isFinite(v)) return v > 0 ? "∞" : v < 0 ? "−∞" : "—"
  for (let p = 1; p < 10; p++) { const s = v.toPrecision(p); if (Math.fround(Number(s)) === Math.fround(v)) return String(Number(s)).replace("-", "−") }
  return String(v)
}
return exact(value)
"""
_AT = "const c = Math.round(special_vars.x), r = Math.round(special_vars.y);"
_MOSAIC = "const h = tops.findIndex((top, i) => r >= top && r < top + side && c >= lefts[i] && c < lefts[i] + side)"
_ROOMY = """
if (figure.properties.inner_width.is_unset) return // not laid out yet: it will be told then
const all = ticker.tags
const apart = all.length > 1 ? figure.inner_width / (range.end - range.start) * (all[1] - all[0]) : Infinity
const step = axis.major_label_orientation > 0 ? Math.max(1, Math.ceil(16 / apart)) : 1
const shown = all.filter((_one, i) => i % step === 0)
if (shown.length !== ticker.ticks.length) ticker.ticks = shown
"""
_FIT = """
const pen = document.createElement("canvas").getContext("2d")
const [size, margin] = sources[0].tags.length ? sources[0].tags : [11, 6]
pen.font = `${size}px Helvetica, Arial, sans-serif`
if (figure.properties.inner_width.is_unset) return // not laid out yet: it will be told then
const room = figure.inner_width / Math.abs(range.end - range.start) - margin
const fits = (text) => pen.measureText(text).width <= room
const shorter = (text) => {
  if (fits(text)) return text
  const signs = [...text]
  while (signs.length && !fits(signs.join("") + "…")) signs.pop()
  return signs.length ? signs.join("") + "…" : ""
}
if (cut) for (const source of sources) {
  const text = [...source.data.whole].map(shorter)
  if (text.some((one, i) => one !== source.data.text[i])) source.data = {...source.data, text}
}
const on = cut || sources.every((source) => [...source.data.text].every(fits))
for (const renderer of renderers) if (renderer.visible !== on) renderer.visible = on
"""
_FOLLOW = """
const next = {...cursor.data}, r = Math.round(cb_obj.y), c = Math.round(cb_obj.x)
const inside = y.start > r && r > y.end - 1 && x.start < c + 0.5 && c < x.end
const set = (name, v) => {
  if (!name || Object.is(next[name][0], v)) return false
  next[name] = [v]
  return true
}
const a = set(row, inside ? r : NaN), b = set(column, inside ? c : NaN)
if (a || b) cursor.data = next
"""
_LEAVE = """
const next = {...cursor.data}
for (const name of [row, column]) if (name) next[name] = [NaN]
cursor.data = next
"""
_SEVEN = "String(Number(Math.fround(value).toPrecision(7))).replace('-', '−')"

CODES: dict[str, Code] = {
    code.name: code
    for code in (
        Code("exact", HOVER, (), _EXACT),
        Code("seven", HOVER, (), f"return Number.isFinite(value) ? {_SEVEN} : '–'"),
        Code("whole", HOVER, (), "return String(Math.round(value))"),
        Code(
            "cell-words",
            HOVER,
            ("rows", "columns", "row0", "column0", "template"),
            f"{_AT}\nreturn template.replace('{{r}}', () => rows[r - row0] ?? r).replace('{{c}}', () => columns[c - column0] ?? c)",
        ),
        Code(
            "cell-name",
            HOVER,
            ("name", "row_step", "column_step"),
            f"{_AT}\nreturn name.replace('{{r}}', r * row_step).replace('{{c}}', c * column_step)",
        ),
        Code(
            "mosaic-words",
            HOVER,
            ("tops", "lefts", "side", "heads"),
            f"{_AT}\n{_MOSAIC}\nreturn h < 0 ? '' : heads[h]",
        ),
        Code(
            "mosaic-name",
            HOVER,
            ("tops", "lefts", "side", "step", "total", "name"),
            f"{_AT}\n{_MOSAIC}\n"
            "if (h < 0) return ''\n"
            "const part = (i) => step > 1 ? `${Math.floor(i * total / side)}…` : i\n"
            "return name.replace('{h}', h).replace('{r}', part(r - tops[h])).replace('{c}', part(c - lefts[h]))",
        ),
        Code(
            "stream-name",
            HOVER,
            ("blocks",),
            f"{_AT}\nreturn r < blocks ? `‖blocks.${{r}}.resid_pre[${{c}}]‖` : `‖blocks.${{blocks - 1}}.resid_post[${{c}}]‖`",
        ),
        Code("percent", TICKS, (), "return Math.abs(Math.round(tick * 1000) / 10) + ' %'"),
        Code("thousands", TICKS, (), "return tick.toLocaleString('en')"),
        Code("roomy", CALLBACK, ("figure", "range", "axis", "ticker"), _ROOMY),
        Code("fit", CALLBACK, ("figure", "range", "sources", "renderers", "cut"), _FIT),
        Code("follow", CALLBACK, ("cursor", "row", "column", "x", "y"), _FOLLOW),
        Code("leave", CALLBACK, ("cursor", "row", "column"), _LEAVE),
    )
}
"""All of them, by name: ``exact`` is a float32 with as many digits as it takes to get it back, ``seven`` one with seven digits."""


def callback(name: str, **args: Any) -> CustomJS:
    """A Bokeh callback that calls the function `name`, with `args` as its further arguments."""
    return CustomJS(code=CODES[name].text, args=args)


def hover(name: str, **args: Any) -> CustomJSHover:
    """A tooltip's formatter that calls the function `name`, with `args` as its further arguments."""
    return CustomJSHover(code=CODES[name].text, args=args)


def ticks(name: str) -> CustomJSTickFormatter:
    """An axis' tick formatter that calls the function `name`."""
    return CustomJSTickFormatter(code=CODES[name].text)


@cache
def script() -> str:
    """For the head of a page, after Bokeh's scripts: all of them as functions."""
    lines = WITHOUT_EVAL.read_text(encoding="utf-8").splitlines()
    without_eval = "\n".join(line for line in lines if not line.startswith("//")).replace("export function", "function")
    functions = ",\n".join(f'"{code.name}": {code.function}' for code in CODES.values())
    return f"{{\n{without_eval}\nwithoutEval({{\n{functions}\n}})\n}}"
