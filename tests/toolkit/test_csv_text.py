"""A spreadsheet runs nothing of a CSV file, Python's csv module reads every text back, and numbers stay numbers."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from txpanel.toolkit.csv_text import comment, line, text_of
from txpanel.toolkit.picture import Table

RUN = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r")
NASTY = st.text(st.sampled_from("=+-@,;\t\r\n \"'#ab1\x00\ufeff＝|"), max_size=8)
TEXTS = st.one_of(NASTY, st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
CELLS = st.one_of(TEXTS, st.integers(-(10**6), 10**6), st.floats(allow_nan=False, allow_infinity=False), st.none())


def cells(text: str, separator: str) -> list[str]:
    """What a spreadsheet with this separator makes of a file."""
    return [cell for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) for cell in row]


def number(cell: str) -> bool:
    """Whether a spreadsheet takes a cell for a number: its sign runs nothing."""
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True


@given(st.lists(st.lists(TEXTS, min_size=1, max_size=4), min_size=1, max_size=4))
@example([["=HYPERLINK(1)", "+1", "-1", "@SUM(1)", "\t=1", "\r=1"]])
@example([['"', "'=1", " =1", "a;=1", "#", "a\r\nb"]])
def test_a_spreadsheet_runs_no_text(rows: list[list[str]]) -> None:
    text = "".join(map(line, rows))
    for separator in ",;\t":
        for cell in cells(text, separator):
            assert not cell.strip(" \ufeff\x00\n").startswith(RUN), (separator, cell)


@given(st.lists(st.lists(CELLS, min_size=1, max_size=5), max_size=4))
def test_csv_reads_the_same_texts_and_numbers_back(rows: list[list[object]]) -> None:
    text = "".join(map(line, rows))
    back = list(csv.reader(io.StringIO(text, newline="")))
    for row, read in zip(rows, back, strict=True):
        for value, cell in zip(row, read or [""], strict=True):
            if isinstance(value, str):
                assert text_of(cell) == value
            elif isinstance(value, float):
                assert float(cell) == value
            else:
                assert cell == ("" if value is None else str(value))


@pytest.mark.parametrize(("value", "cell"), [(-1.5, "-1.5"), (-3, "-3"), (1e-30, "1e-30"), ("-1.5", '"""-1.5"""')])
def test_a_number_stays_a_number_and_a_token_stays_a_text(value: object, cell: str) -> None:
    assert line([value]) == cell + "\n"


@given(TEXTS)
@example("a prompt,=cmd|' /C calc'!A0")
def test_a_comment_makes_no_cell_that_runs(prompt: str) -> None:
    said = comment(prompt, "text")
    assert said.count("\n") == 1
    assert json.loads(said.removeprefix("# text: ")) == prompt
    for separator in ",;\t":
        for cell in said.rstrip("\n").split(separator):
            assert not cell.lstrip(" \"'\ufeff\x00").startswith(RUN[:4])


def test_rows_that_begin_with_a_number_sign_are_no_comments() -> None:
    text = Table.of("tokens", token=["#", "# a"], p=[0.5, -0.25]).csv({"model": "m"})
    rows = [row for row in text.splitlines() if not row.startswith("#")]
    assert list(csv.reader(rows)) == [["token", "p"], ["#", "0.5"], ["# a", "-0.25"]]


def test_the_file_says_how_to_read_it_where_that_matters() -> None:
    tokens = ["=1+1", "the", '"']
    text = Table.matrix([[1.5, -2.0, 0.0]], ["-x"], tokens, corner="query").csv({"text": "a,=b"})
    head = [row for row in text.splitlines() if row.startswith("#")]
    assert head == ['# text: "a\\u002c=b"', '# quoted: "a cell that begins with a double quote is JSON"']
    top, row = csv.reader(row for row in text.splitlines() if not row.startswith("#"))
    assert [text_of(cell) for cell in top] == ["query", *tokens]
    assert [text_of(row[0]), *map(float, row[1:])] == ["-x", 1.5, -2.0, 0.0]
    assert "quoted" not in Table.of("plain", token=["the"], p=[-1.0]).csv({})
