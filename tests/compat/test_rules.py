"""Every workaround says for which versions it is, why, where it belongs, and which test says when to drop it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from txpanel.compat import process_wide

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "txpanel" / "compat"
BUNDLE = ROOT / "txpanel" / "toolkit" / "served"
NO_WORKAROUND = {"__init__", "old_names", "own_bokeh", "process_wide", "replacing", "tried"}
FILES = sorted(path for path in FOLDER.iterdir() if path.suffix in (".py", ".js") and path.stem not in NO_WORKAROUND)
FIELDS = ("Versions", "Reason", "Upstream", "Test")


def head(path: Path) -> str:
    """What a file says before its code."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return ast.get_docstring(ast.parse(text)) or ""
    lines = [line.removeprefix("//").strip() for line in text.splitlines()]
    return "\n".join(lines[: next(i for i, line in enumerate(text.splitlines()) if not line.startswith("//"))])


def field(path: Path, name: str) -> str:
    found = re.search(rf"^{name}: (.+)$", head(path), re.MULTILINE)
    assert found, f"{path.name}: no line “{name}: ...”"
    return found.group(1)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_workaround_says_why_it_is_there(path: Path) -> None:
    for name in FIELDS:
        assert len(field(path, name)) > 10
    assert re.search(r"\d|any", field(path, "Versions"))
    assert re.search(r"\w+/\w|nowhere", field(path, "Upstream")), "repository and file, or nowhere and why"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_its_test_exists(path: Path) -> None:
    file, _, name = field(path, "Test").partition("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_what_is_applied_for_a_process_exists() -> None:
    for name in (name for names in process_wide.AT.values() for name in names):
        assert "def mend() -> None:" in (FOLDER / f"{name}.py").read_text(encoding="utf-8")


def test_only_workarounds_replace_methods_of_libraries() -> None:
    """A name given to a class or module of somebody else, anywhere but here."""
    wrong = []
    for path in sorted((ROOT / "txpanel").rglob("*.js")):
        if path.parent not in (FOLDER, BUNDLE) and re.search(
            r"\.prototype\.\w+ *=[^=]", path.read_text(encoding="utf-8")
        ):
            wrong.append(str(path.relative_to(ROOT)))
    for path in sorted((ROOT / "txpanel").rglob("*.py")):
        if path.parent == FOLDER:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        taken = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and not (node.module or "").startswith(("txpanel", "__future__"))
            for alias in node.names
        } | {
            alias.asname or alias.name.partition(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        for node in ast.walk(tree):
            targets = node.targets if isinstance(node, ast.Assign) else []
            wrong += [
                f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(target)}"
                for target in targets
                if isinstance(target, ast.Attribute)
                and isinstance(root := target.value, ast.Name)
                and root.id in taken - {"sys"}
            ]
    assert not wrong
