"""Text files are UTF-8 on every system: without an `encoding`, Windows reads and writes its own code page (cp1252, cp932, ...)."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODES = frozenset("rwaxbt+")


def python_files() -> Iterator[Path]:
    """All that git has or would take, scripts without a suffix included."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=True).stdout
    for path in (ROOT / name for name in listed.splitlines()):
        if path.suffix == ".py" or (
            not path.suffix and path.is_file() and path.read_bytes().startswith(b"#!/usr/bin/env python")
        ):
            yield path


def in_the_code_page(text: str) -> list[int]:
    """Lines that open a text file and leave its encoding to the system."""
    if not re.search(r"open\(|_text\(|TemporaryFile\(", text):
        return []
    calls = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
    return sorted(call.lineno for call in calls if opens_text(call) and not says_encoding(call))


def says_encoding(call: ast.Call) -> bool:
    named = {word.arg for word in call.keywords}  # None: of `**options`
    return bool(named & {"encoding", None}) or (ast.unparse(call.func).endswith("write_text") and len(call.args) > 1)


def opens_text(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    parts = [*call.args, *(word.value for word in call.keywords)]
    given = [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    if any(value and set(value) <= MODES and "b" in value for value in given):
        return False
    said = any(value and set(value) <= MODES for value in given)
    if name.endswith("TemporaryFile") or (name == "open" and isinstance(call.func, ast.Attribute)):
        return said  # bytes by default; others' methods of this name open no files
    return name in ("read_text", "write_text", "fdopen", "open")


def test_every_text_file_says_its_encoding() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in python_files()
        for line in in_the_code_page(path.read_text(encoding="utf-8"))
    ]
    assert not wrong, "\n".join(wrong)


def test_what_has_none_is_found() -> None:
    assert in_the_code_page("p.read_text()\np.read_text(encoding='utf-8')\np.read_bytes()") == [1]
    assert in_the_code_page("p.write_text(x)\np.write_text(x, 'utf-8')") == [1]
    assert in_the_code_page("open(p)\nopen(p, 'rb')\np.open('w')\np.open('wb')\nshop.open()\nos.fdopen(h, 'w')") == [
        1,
        3,
        6,
    ]
    assert in_the_code_page("NamedTemporaryFile('w')\nNamedTemporaryFile(suffix='.x')\nopen(p, mode='r')") == [1, 3]
