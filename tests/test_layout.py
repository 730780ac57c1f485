"""The house rules that a machine can check: imports point one way, names do not collide, files stay readable."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "txpanel"
SHIPPED = sorted(PACKAGE.rglob("*.py"))
TESTS = [
    path
    for path in sorted(ROOT.glob("tests/**/*.py")) + sorted(ROOT.glob("plugins/*/tests/**/*.py"))
    if path != Path(__file__)
]
SOURCES = [
    path
    for folder in ("txpanel", "plugins")
    for suffix in ("py", "js", "mjs", "css", "html")
    for path in sorted((ROOT / folder).rglob(f"*.{suffix}"))
    if "tests" not in path.parts and "node_modules" not in path.parts
]

HEADLESS = (
    "errors", "messages", "models", "views.discovery", "server.cli", "tracing", "decoding", "decoding.generation", "sampling", "session.state",
)  # fmt: skip
"""What scripts and notebooks use; those that need neither torch nor a model first."""


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> list[tuple[str, int]]:
    """Every module that a file imports, with the line, `TYPE_CHECKING` blocks left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            node.body = [ast.Pass()]
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, (
                f"{path}:{node.lineno}: relative import (panel serve runs the package under a second name)"
            )
            found += [(f"{node.module}.{alias.name}", node.lineno) for alias in node.names]
    return found


def unmarked_late_imports(text: str) -> list[int]:
    """Lines of imports inside functions that do not say why they wait; of several in a row the first one says it for all."""
    lines, found = text.splitlines(), []
    for function in ast.walk(ast.parse(text)):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(function):
            for body in (getattr(node, name, []) for name in ("body", "orelse", "finalbody")):
                before: ast.stmt | None = None
                for statement in body if isinstance(body, list) else []:
                    first = not isinstance(before, ast.Import | ast.ImportFrom)
                    if isinstance(statement, ast.Import | ast.ImportFrom) and first:
                        said = "".join(lines[max(0, statement.lineno - 2) : statement.end_lineno])
                        found += [] if "# late: " in said else [statement.lineno]
                    before = statement
    return sorted(set(found))


def test_an_import_inside_a_function_says_why() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: add `# late: <reason>`, or import at the top"
        for path in SHIPPED
        for line in unmarked_late_imports(path.read_text(encoding="utf-8"))
    ]
    assert not wrong, "\n".join(wrong)


def test_unmarked_late_imports_are_found() -> None:
    marked = "def f():\n    import a  # late: slow\n    import b\n"
    assert not unmarked_late_imports(marked)
    assert unmarked_late_imports("import a\ndef f():\n    if a:\n        import b\n") == [4]
    assert unmarked_late_imports(
        "class A:\n    def f(self):\n        try:\n            import b\n        finally:\n            pass\n"
    ) == [4]


def test_only_ui_imports_panel_material_ui() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in SHIPPED
        for name, line in imports(path)
        if name.split(".")[0] == "panel_material_ui" and path != PACKAGE / "page" / "theme.py"
    ]
    assert not wrong, "\n".join(wrong)


def test_the_core_runs_without_panel() -> None:
    """One process imports all of them, one after the other, and says after which one the page's libraries were there."""
    code = f"""
import importlib, sys
for room in {HEADLESS}:
    importlib.import_module("txpanel." + room)
    found = [name for name in ("panel", "bokeh", "holoviews") if name in sys.modules]
    assert not found, f"txpanel.{{room}} imports {{found}}"
print("all")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout.strip()) == (0, "all"), done.stderr


def test_import_txpanel_is_light() -> None:
    code = "import sys, txpanel; print([m for m in ('torch', 'transformers', 'panel') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_no_name_shadows_another_module() -> None:
    """`panel serve txpanel` puts txpanel/ itself first on sys.path: its names are then top-level names."""
    taken = set(sys.stdlib_module_names) | (set(packages_distributions()) - {"txpanel"})
    ours = {path.stem for path in PACKAGE.glob("*.py")} | {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    assert not (ours - {"__init__", "__main__", "__pycache__"}) & taken
    assert importlib.util.find_spec("txpanel") is not None


def test_no_name_has_a_meaning_for_panel() -> None:
    """Folders and files that Panel picks up silently beside main.py."""
    assert not {path.name for path in PACKAGE.iterdir()} & {
        "templates",
        "theme.yaml",
        "server_lifecycle.py",
        "main.ipynb",
    }


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_source_file_is_readable_and_safe(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 400, "over 400 lines: is it one thing?"
    for words, why in FORBIDDEN.items():
        found = [
            f"{path.relative_to(ROOT)}:{n}: {line.strip()}"
            for n, line in enumerate(text.splitlines(), 1)
            if re.search(words, line)
        ]
        assert not found, f"{why}:\n" + "\n".join(found)


RANDOM = r"Math\.random|np\.random\.(?!default_rng\(|Generator|PCG64|Philox)|numpy\.random|torch\.rand"
RANDOM += r"|(?<![.\w])random\.(random|uniform|gauss)|^(import random|from random import)"
CODE = r"trust_remote_code *= *True|torch\.load\(|pickle\.load|(?<![.\w])(eval|exec)\(|unsafe_allow_html|(inner|outer)HTML *[+=]|insertAdjacentHTML"
FORBIDDEN = {
    RANDOM: "nothing that is drawn may be random, and a sampler's draw comes from a seeded generator",
    CODE: "input could become code or markup",
    r"TODO|FIXME|XXX|raise NotImplementedError(?!\()|coming soon|\bstub\b|\bdummy\b": "unfinished",
    # (a pattern that finds such addresses, to replace them, has a backslash in it)
    r"https?://(cdn|unpkg|esm\.sh|fonts\.)(?!\\)": "the page would need the internet",
}


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_tests_prove_something(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = re.findall(r"pytest\.skip\(|mark\.skip|importorskip|assert True\b", text)
    assert not found, found


def test_public_functions_are_annotated_and_documented() -> None:
    """mypy and ruff check the same in CI; this keeps it true for who only runs pytest."""
    missing = []
    for path in SHIPPED:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree), f"{path.relative_to(ROOT)} does not say what it is for"
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                and node.returns is None
                and node.name != "__init__"
            ):
                missing.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert not missing, "\n".join(missing)
