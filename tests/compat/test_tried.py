"""What was tried, what may be installed and what the suite runs with say the same; and what is imported is declared."""

from __future__ import annotations

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from txpanel.compat.tried import PYTHON, TRIED, was_tried

ROOT = Path(__file__).parents[2]


def declared() -> dict[str, Requirement]:
    """What installing txpanel brings, by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {found.name: found for found in map(Requirement, project["dependencies"])}


def pinned() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {
        canonicalize_name(name): Version(version)
        for name, found, version in (line.partition("==") for line in lines)
        if found
    }


def test_every_dependency_was_tried() -> None:
    assert set(TRIED) == set(declared())


@pytest.mark.parametrize("name", TRIED)
def test_the_range_is_what_was_tried(name: str) -> None:
    wanted, (lowest, newest) = declared()[name].specifier, TRIED[name]
    assert [bound.version for bound in wanted if bound.operator == ">="] == [lowest]
    assert wanted.contains(newest) or wanted.contains(f"{newest}.9")
    assert was_tried(name, str(pinned()[canonicalize_name(name)])), "constraints.txt has a version outside"


@pytest.mark.parametrize("name", ["panel", "bokeh"])
def test_where_we_replace_methods_the_range_ends_with_what_was_tried(name: str) -> None:
    major, minor = Version(TRIED[name][1]).release
    assert not declared()[name].specifier.contains(f"{major}.{minor + 1}")


def test_each_python_that_was_tried_is_named_to_the_index() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [
        one.rpartition(" ")[2]
        for one in project["classifiers"]
        if one.startswith("Programming Language :: Python :: 3.")
    ]
    assert (named[0], named[-1]) == PYTHON
    assert project["requires-python"] == f">={PYTHON[0]}"
    assert was_tried("Python", "3.12.9")
    assert not was_tried("Python", "3.14.0")


def test_within_and_outside() -> None:
    assert was_tried("transformers", "5.21.0")
    assert was_tried("transformers", "5.24.7")
    assert was_tried("torch", "2.13.0+cpu")
    assert not was_tried("transformers", "5.20.9")
    assert not was_tried("transformers", "5.25.0")
    assert not was_tried("panel", "2.0")
    assert was_tried("somebody-elses-package", "0.1")


def test_what_is_imported_is_declared() -> None:
    named = {canonicalize_name(name) for name in declared()} | {"txpanel"}
    providers = packages_distributions()
    missing = []
    for path in sorted((ROOT / "txpanel").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for top in {module.partition(".")[0] for module in modules} - set(sys.stdlib_module_names):
                if not named & {canonicalize_name(name) for name in providers.get(top, [top])}:
                    missing.append(f"{path.relative_to(ROOT)}: {top}")
    assert not missing
