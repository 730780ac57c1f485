"""What people install: the wheel, built from the source package, in an environment that has nothing of this checkout."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import socket
import subprocess
import sys
import tarfile
import time
import tomllib
import zipfile
from collections.abc import Callable
from contextlib import suppress
from email.parser import Parser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import torch
from playwright.sync_api import expect

from tests.ui.conftest import start_command, stop_server
from tests.ui.tab import PATIENCE, Tab

ROOT = Path(__file__).parents[2]
TOLD = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = TOLD["project"]
pytestmark = pytest.mark.sweep


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with both packages; building them also checks them with twine and check-wheel-contents."""
    folder = tmp_path_factory.mktemp("dist")
    command = [str(ROOT / "scripts" / "package"), str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of a new environment with the wheel; what it depends on is lent by the one that runs the tests.

    `tests/compat/test_tried.py` sees to it that all that is imported is declared.
    """
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    python = str(programs / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(pip, check=True)
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    mine = subprocess.run([python, "-c", where], capture_output=True, text=True, encoding="utf-8", check=True).stdout
    lent = str(Path(torch.__file__).parents[1])
    (Path(mine.strip()) / "lent.pth").write_text(lent + "\n", encoding="utf-8")
    return programs


def test_the_wheel_has_what_runs_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    listed = subprocess.run(
        ["git", "ls-files", "txpanel"], cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=True
    )
    here = {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}
    assert {name for name in names if name.startswith("txpanel/")} == here
    assert {"txpanel/py.typed", "txpanel/toolkit/served/txpanel.js", "txpanel/models/nano/model.safetensors"} <= names
    assert not [name for name in names if name.endswith(".pot")]
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"txpanel"}
    assert wheel.stat().st_size < 2_500_000


def test_the_source_package_can_be_tested(built: Path) -> None:
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "pyproject.toml",
        "hatch_build.py",
        "constraints.txt",
        "scripts/test",
        "tests/conftest.py",
        "LICENSE",
    } <= names
    assert not [name for name in names if name.endswith(".pot") or name.startswith((".ci", ".venv", "node_modules"))]


@pytest.fixture
def page_for(built: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """What the package's page shows, for a repository at that address."""
    monkeypatch.syspath_prepend(str(ROOT / ".tools"))  # hatchling, of `built`
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def make(repository: str) -> dict[str, Any]:
        metadata = {"version": PROJECT["version"]}
        module.PackagePage(str(ROOT), {"repository": repository}).update(metadata)
        return metadata

    return make


LINKS = re.compile(r"(!?)\[[^\]]*\]\(([^)\s]+)\)")


def test_the_page_on_the_index_leads_into_the_repository(page_for: Callable[[str], dict[str, Any]]) -> None:
    repository, version = "https://forge.example/us/txpanel", PROJECT["version"]
    page = page_for(repository + "/")
    links = LINKS.findall(page["readme"]["text"])
    assert len(links) > 20
    for picture, target in [*links, ("", page["urls"]["Documentation"]), ("", page["urls"]["Changelog"])]:
        below = f"{repository}/{'raw' if picture else 'blob'}/v{version}/"
        assert target.startswith(below), target
        assert (ROOT / target.removeprefix(below).partition("#")[0]).exists(), target
    assert page["urls"].keys() == {"Repository", "Documentation", "Changelog", "Issues"}


def test_without_an_address_none_is_made_up(page_for: Callable[[str], dict[str, Any]]) -> None:
    page = page_for("")
    assert page["urls"] == {}
    assert not LINKS.findall(page["readme"]["text"])
    assert "The guide is docs/plugins.md, a whole package" in page["readme"]["text"]


def test_the_wheel_says_what_it_is(wheel: Path, page_for: Callable[[str], dict[str, Any]]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        told = Parser().parsestr(archive.read(name).decode())
    page = page_for(TOLD["tool"]["hatch"]["metadata"]["hooks"]["custom"]["repository"])
    assert str(told.get_payload()) == page["readme"]["text"]
    assert dict(line.split(", ") for line in told.get_all("Project-URL", [])) == page["urls"]
    assert told["License-Expression"] == "Apache-2.0"
    assert told["Author"]
    wanted = {re.split(r"[<>=; ]", one)[0] for one in told.get_all("Requires-Dist", []) if "extra ==" not in one}
    assert len(wanted) == len(PROJECT["dependencies"])


def test_the_wheel_installs_its_commands_and_views(installed: Path, tmp_path: Path) -> None:
    def says(*command: str) -> str:
        settings = {**os.environ, "PYTHONPATH": "", "TXPANEL_PLUGINS": "none"}  # the plugin's code lies in the checkout
        ran = subprocess.run(
            command, cwd=tmp_path, env=settings, capture_output=True, text=True, encoding="utf-8", check=False
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    assert says(str(installed / "txpanel"), "--version") == f"txpanel {PROJECT['version']}\n"
    place = says(str(installed / "python"), "-c", "import txpanel; print(txpanel.__file__)")
    assert Path(place).is_relative_to(installed.parent), "the checkout was imported"
    rows = says(str(installed / "txpanel"), "plugins", "--strict").splitlines()
    assert {row.split()[0] for row in rows[1:]} >= set(PROJECT["entry-points"]["txpanel.views"])
    out = tmp_path / "run.safetensors"
    says(str(installed / "txpanel"), "export", "CBABBC=", "--model", "nano", "-o", str(out))
    assert out.stat().st_size > 10_000


def beside(guide: str, folder: Path) -> str:
    """Builds the package whose two files a guide has, with what lies in its folder already, and installs it. Returns where, for PYTHONPATH."""
    code, toml = (re.findall(rf"```{kind}\n(.*?)```", guide, re.DOTALL)[0] for kind in ("python", "toml"))
    (folder / "my_package").mkdir(exist_ok=True)
    (folder / "my_package" / "__init__.py").write_text(code, encoding="utf-8")
    (folder / "pyproject.toml").write_text(toml, encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "-q"]
    making = ["wheel", "--no-deps", "--no-index", "--no-build-isolation", "-w", "dist", "."]
    subprocess.run([*pip, *making], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT / ".tools")}, check=True)
    (made,) = (folder / "dist").glob("*.whl")
    assert made.name == "my_package-0.1.0-py3-none-any.whl"
    where = str(folder / "beside")
    subprocess.run([*pip, "install", "--no-deps", "--target", where, str(made)], check=True)
    return where


def test_the_first_package_of_the_guide_is_installed_beside_it(installed: Path, tmp_path: Path) -> None:
    where = beside((ROOT / "docs" / "plugins.md").read_text(encoding="utf-8"), tmp_path)
    command = [str(installed / "txpanel"), "plugins"]
    settings = {**os.environ, "PYTHONPATH": where}
    rows = subprocess.run(
        command, cwd=tmp_path, env=settings, capture_output=True, text=True, encoding="utf-8", check=True
    ).stdout
    assert re.search(r"^surprisal +my-package +0\.1\.0 +ok +Surprisal$", rows, re.MULTILINE), rows


def test_a_package_of_lessons_made_as_the_guide_says_is_listed_and_led_through(
    installed: Path, tmp_path: Path, new_tab: Callable[..., Tab]
) -> None:
    guide = (ROOT / "docs" / "lessons.md").read_text(encoding="utf-8").partition("## Bring it with a package")[2]
    settings = {**os.environ, "PYTHONPATH": ""}

    def says(*command: str) -> str:
        line = [str(installed / "txpanel"), "lessons", *command]
        ran = subprocess.run(
            line, cwd=tmp_path, env=settings, capture_output=True, text=True, encoding="utf-8", check=False
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    says(*guide.partition("`txpanel lessons ")[2].partition("`")[0].split())  # new my_package/lessons/letters
    settings["PYTHONPATH"] = where = beside(guide, tmp_path)
    assert re.search(r"^letters +my-package +en +2 +A lesson of my own$", says(), re.MULTILINE)
    assert "Checked 1 lesson on nano" in says("check", "letters")
    command = [str(installed / "txpanel"), "serve", "--model", "nano", "--port", "0"]
    server = start_command(tmp_path, command, r"txpanel is at (\S+)", PYTHONPATH=where)
    try:
        wait_until_it_listens(server.url)
        page = new_tab().open(server.address(text="CBABBC=", lang="en")).page
        page.get_by_role("button", name="Start here").click()
        box = page.get_by_role("dialog", name="Lesson: ")
        box.get_by_role("button", name="Lessons ▾").click()
        box.get_by_role("button", name="A lesson of my own").click()
        expect(box.get_by_role("heading", name="How many tokens?")).to_be_visible()
        box.get_by_role("textbox").or_(box.get_by_role("spinbutton")).fill("7")
        box.get_by_role("button", name="Check").click()
        expect(box).to_contain_text("There are 7. The last one is “=”.")
        page.wait_for_load_state("networkidle")
        page.goto("about:blank")
    finally:
        stop_server(server)


def wait_until_it_listens(address: str) -> None:
    """Our own command says first where the page will be."""
    there, limit = urlsplit(address), time.monotonic() + PATIENCE / 1000
    while True:
        with suppress(OSError), socket.create_connection((there.hostname or "", there.port or 0)):
            return
        assert time.monotonic() < limit
        time.sleep(0.1)


@pytest.mark.parametrize("by", ["txpanel serve", "panel serve"])
def test_the_installed_package_opens_the_page(
    by: str, installed: Path, tmp_path: Path, new_tab: Callable[..., Tab]
) -> None:
    command, says = [str(installed / "txpanel"), "serve", "--model", "nano", "--port", "0"], r"txpanel is at (\S+)"
    if by == "panel serve":  # as docs/installing.md has it
        where = [str(installed / "python"), "-c", "import txpanel; print(*txpanel.__path__)"]
        place = subprocess.run(
            where, cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", check=True
        ).stdout.strip()
        command = [str(installed / "python"), "-m", "panel", "serve", place, "--address", "localhost", "--port", "0"]
        says = r"running at: (http://\S+)"
    server = start_command(tmp_path, command, says, PYTHONPATH="", TXPANEL_PLUGINS="none")
    try:
        wait_until_it_listens(server.url)
        page = new_tab().open(server.address(text="CBABBC=", temperature=0)).page
        assert page.get_by_role("textbox", name="Prompt").input_value() == "CBABBC="
        page.wait_for_load_state("networkidle")
        page.goto("about:blank")  # before the server goes: what the page still asks for would be an error
    finally:
        stop_server(server)
    assert not [line for line in server.lines if "Traceback" in line], io.StringIO("\n".join(server.lines)).read()
