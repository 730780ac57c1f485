"""What the docs say about getting there: the browsers that the page needs, and a first view that is whole."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import txpanel
from txpanel.testing import check_view
from txpanel.views.base import View

ROOT = Path(__file__).parents[1]
INSTALLING = (ROOT / "docs" / "installing.md").read_text(encoding="utf-8")

SINCE = {
    r"light-dark\(": (123, 120, 17.5), r"Promise\.withResolvers": (119, 121, 17.4), r":has\(": (105, 121, 15.4), r"checkVisibility\(": (105, 106, 17.4),
    r"@container": (105, 110, 16.0), r"color-mix\(": (111, 113, 16.2), "subgrid": (117, 71, 16.0), "OffscreenCanvas": (69, 105, 16.4),
    r"\.findLast\(": (97, 104, 15.4), "adoptedStyleSheets": (73, 101, 16.4), r"\?\?=": (85, 79, 14.0),
}  # fmt: skip
"""What our scripts and styles use, and since when Chrome (and Edge), Firefox and Safari have it, as MDN's tables say."""
NEWER = r"field-sizing|interpolate-size|@scope|startViewTransition|moveBefore|anchor-name|Iterator\.from|Uint8Array\.fromBase64"
"""What none of our minimum has, and a page cannot do without (`@starting-style` only fades something in)."""


def ours() -> str:
    paths = [path for kind in ("js", "css", "py") for path in (ROOT / "txpanel").rglob(f"*.{kind}")]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths if "served" not in path.parts)


def test_the_browsers_that_are_named_have_what_the_page_uses() -> None:
    text = ours()
    used = {feature: since for feature, since in SINCE.items() if re.search(feature, text)}
    assert len(used) > 6
    said = re.search(r"Chrome or Edge ([\d.]+), Firefox ([\d.]+), Safari ([\d.]+)", INSTALLING)
    assert said is not None
    assert tuple(float(one) for one in said.groups()) == tuple(map(float, map(max, zip(*used.values(), strict=True))))
    assert not re.findall(NEWER, text)
    idle = {
        path.name
        for path in (ROOT / "txpanel").rglob("*.js")
        if "served" not in path.parts and "requestIdleCallback" in path.read_text(encoding="utf-8")
    }
    assert idle == {"when_idle.js"}, "Safari has none"


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("page", ["README.md", "docs/plugins.md"])
def test_the_first_view_keeps_the_rules(page: str) -> None:
    code = next(block for block in blocks(page, "python") if "txpanel.View)" in block)
    found: dict[str, Any] = {"txpanel": txpanel}
    exec(code, found)  # our own docs
    (view,) = (one for one in found.values() if isinstance(one, type) and issubclass(one, View))
    check_view(view)
    assert view.id == "surprisal"


@pytest.mark.sweep
@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "README.ja.md"])
def test_the_cell_for_a_notebook_runs_as_it_stands(page: str) -> None:
    """In a Python that has imported nothing before; with the model that is inside the package, which has three blocks."""
    code = next(block for block in blocks(page, "python") if "txpanel.load(" in block)
    told = {"smollm2-135m": "nano", "Data visualization empowers users to": "CBABBC=", "blocks.5.": "blocks.1."}
    for usual, small in told.items():
        assert usual in code
        code = code.replace(usual, small)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert "blocks.0" in done.stdout


def test_the_first_package_can_be_built() -> None:
    (text,) = blocks("docs/plugins.md", "toml")
    given = tomllib.loads(text)
    assert (
        given["build-system"]["build-backend"].partition(".")[0]
        == Requirement(given["build-system"]["requires"][0]).name
    )
    assert {"name", "version", "dependencies"} <= set(given["project"])
    assert given["project"]["entry-points"]["txpanel.views"] == {"surprisal": "my_package:SurprisalView"}
