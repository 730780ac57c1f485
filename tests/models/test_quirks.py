"""Families are told from each other by name in one file only."""

from __future__ import annotations

import re
from pathlib import Path

import txpanel
from tests.families import FAMILIES
from txpanel.models.quirks import QUIRKS, Quirk, quirk_of

PACKAGE = Path(txpanel.__file__).parent


def test_an_unknown_family_has_the_usual_ways() -> None:
    assert quirk_of("a family of next year") == Quirk()
    assert quirk_of("falcon") is QUIRKS["falcon"] != Quirk()


def test_no_other_file_tells_families_apart_by_name() -> None:
    names = "|".join(sorted({*FAMILIES, *QUIRKS}))
    compared = re.compile(rf"(family|model_type)\b[^\n]*(==|\bin\b)[^\n]*\"({names})\"")
    found = [
        f"{path.relative_to(PACKAGE)}: {line.strip()}"
        for path in PACKAGE.rglob("*.py")
        if path.name != "quirks.py"
        for line in path.read_text(encoding="utf-8").splitlines()
        if compared.search(line)
    ]
    assert not found, "\n".join(found)
    assert compared.search('if self.family in ("gptj", "codegen"):')
