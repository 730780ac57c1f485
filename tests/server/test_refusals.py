"""Each refusal is a line of the log and a counter, and says nothing that anybody wrote."""

from __future__ import annotations

import ast
import logging
import re
from pathlib import Path

import pytest

from txpanel.models import metrics
from txpanel.server import refusals

ROOM = Path(refusals.__file__).parents[1]


def test_a_line_and_a_counter(caplog: pytest.LogCaptureFixture) -> None:
    before = metrics.REFUSALS.values().get("text", 0)
    with caplog.at_level(logging.WARNING, "txpanel.server.refusals"):
        refusals.refuse("text", "192.0.2.7")
        refusals.refuse("text")
    assert [record.getMessage() for record in caplog.records] == [
        "refused kind=text address=192.0.2.7",
        "refused kind=text address=-",
    ]
    assert metrics.REFUSALS.values()["text"] == before + 2


def test_every_kind_that_is_refused_is_listed_and_the_other_way_round() -> None:
    used = set()
    for path in ROOM.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and re.search(r"(^|\.)(refuse|refused)$", ast.unparse(node.func)):
                parts = [part for argument in node.args[:1] for part in ast.walk(argument)]
                found = [part.value for part in parts if isinstance(part, ast.Constant)]
                used |= {value for value in found if isinstance(value, str) and value}
    assert used == set(refusals.KINDS)
