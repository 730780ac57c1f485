"""The table of Transformer Explainer's features is whole, and names nothing that is not there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "transformer-explainer.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (TE-\d\d) \| (.+?) \| (.+) \|$", PAGE, re.MULTILINE)


def test_every_row_is_there_once_and_in_order() -> None:
    assert [row[0] for row in ROWS] == [f"TE-{n:02}" for n in range(1, 83)]


def test_every_test_that_is_named_exists() -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    exist = set(re.findall(r"^def (test_\w+)", sources, re.MULTILINE))
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 60
    assert named - exist == set()


def test_every_file_that_is_named_exists() -> None:
    named = set(re.findall(r"`((?:txpanel|tests)/[\w/.]+\.\w+)`", PAGE))
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
