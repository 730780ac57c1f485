"""The table twin and the files of a picture."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import pytest

from txpanel.errors import NoSuchTensor
from txpanel.toolkit.formula import Formula, mathml
from txpanel.toolkit.palette import Scale
from txpanel.toolkit.picture import ROWS_ON_SCREEN, Legend, Table, Tools


def answers(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(tools, "_send_msg", sent.append)
    for kind in ("table", "csv", "provenance", "nonsense"):
        tools._handle_msg({"kind": kind})
    return sent


def test_csv_round_trips_every_float32() -> None:
    values = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    text = Table.matrix(values, list("abc"), ["w", 'x"', "y,", "z\n"], corner="row").csv({"model": "a\nb", "text": "ü"})
    assert text.startswith('# model: "a\\nb"\n# text: "ü"\n')
    rows = list(csv.reader(io.StringIO("".join(line for line in text.splitlines(keepends=True) if line[0] != "#"))))
    assert rows[0] == ["row", "w", 'x"', "y,", "z\n"]
    assert np.array_equal(np.array([[np.float32(v) for v in row[1:]] for row in rows[1:]]), values)


def test_long_tables_say_what_they_leave_out() -> None:
    shown = Table.of("all", i=range(ROWS_ON_SCREEN + 7)).on_screen()
    assert len(shown["rows"]) == ROWS_ON_SCREEN
    assert shown["note"].startswith("7 ")


def test_what_json_has_no_number_for() -> None:
    table = Table.of("odd", v=[np.float32(np.inf), -np.inf, np.nan, np.int64(3)])
    assert table.on_screen()["rows"] == [["∞"], ["−∞"], [""], [3]]
    again = Table.of("odd", v=[np.nan, 3], w=[1.5, np.nan])
    assert again.csv({}).splitlines() == ["v,w", ",1.5", "3,"]


def test_tools_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    tools = Tools(lambda: Table.of("t", a=[1.5]), "name", lambda: {"model": "m"})
    table, text, provenance = answers(tools, monkeypatch)
    assert table["rows"] == [[1.5]]
    first, counting, *rest = text.pop("text").split("\n")
    assert (first, rest) == ('# model: "m"', ["a", "1.5", ""])
    assert "count from 0" in counting, "a file says which base its numbers have"
    assert text == {"kind": "csv", "name": "name"}
    assert provenance == {"kind": "provenance", "name": "name", "text": "model: m"}


def test_tools_say_what_went_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def data() -> Table:
        raise NoSuchTensor("There is no pattern.")

    table, _text, _provenance = answers(Tools(data, "x"), monkeypatch)
    assert table == {"kind": "table", "error": "There is no pattern."}


def test_formula_is_a_tree_of_data() -> None:
    formula = Formula(r"a_{1} = \frac{x}{y}", r"\text{<script>}")
    assert formula.trees[0][0] == "math"
    assert "mfrac" in str(formula.trees[0])
    assert ["mtext", {}, "<script>"] in formula.trees[1][2]
    formula.latex = ["b"]
    assert len(formula.trees) == 1


def test_what_is_no_latex_is_shown_as_text() -> None:
    assert mathml(r"\frac") == ["math", {"display": "block"}, ["mtext", {}, r"\frac"]]


def test_legend_is_made_by_the_scale() -> None:
    legend, scale = Legend(), Scale.of("signed", [2.0])
    legend.show(scale)
    assert legend.scale == scale.legend()
