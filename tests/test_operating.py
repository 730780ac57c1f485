"""docs/operating.md and the files beside it: every option and variable in them is there, and the Dockerfile's lines do what they say."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from txpanel.models import metrics
from txpanel.models.environment import VARIABLES
from txpanel.models.limits import GENEROUS, STRICT, words
from txpanel.server.cli import parser

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "operating"
PAGE = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
FILES = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}


def serve_lines() -> Iterator[str]:
    """Every call of `txpanel serve` in the page and its files, continued lines joined."""
    for text in (PAGE, *FILES.values()):
        for line in text.replace("\\\n", " ").splitlines():
            if found := re.search(r"txpanel serve((?:\s+(?!&&|\|)[^\s`]+)*)", line):
                yield found.group(1)


def test_the_options_in_them_are_options_of_the_command() -> None:
    lines = [line for line in serve_lines() if line.strip()]
    assert len(lines) >= 2
    for line in lines:
        words = [word for word in shlex.split(line.replace("%i", "5006")) if word not in ("...", "$@", "…")]
        parser().parse_args(["serve", *words])


def test_every_option_that_is_named_is_there() -> None:
    (serve,) = [action.choices["serve"] for action in parser()._actions if getattr(action, "choices", None)]
    known = {option for action in serve._actions for option in action.option_strings}
    others = {"--deep", "--num-procs", "--build-arg", "--model"}  # of doctor, Panel, Docker
    named = set(re.findall(r"`[^`\n]*?(--[a-z][\w-]+)", PAGE)) - others
    assert {
        name for name in named if not (any(o.startswith(name) for o in known) if name.endswith("-") else name in known)
    } == set()


def test_every_variable_that_is_named_is_there() -> None:
    for text in (PAGE, *FILES.values()):
        assert set(re.findall(r"TXPANEL_[A-Z_]+[A-Z]", text)) <= set(VARIABLES)


def test_every_metric_is_described() -> None:
    named = {
        f"txpanel_{figure.name}{'_total' * isinstance(figure, metrics.Counter)}" for figure in metrics.ALL.values()
    }
    assert set(re.findall(r"^\| `(txpanel_\w+)` \|", PAGE, re.MULTILINE)) == named


def test_the_limits_are_those_of_the_server() -> None:
    rows = re.findall(r"^\| `TXPANEL_(MAX_\w+)` \| (\d+) \| (\d+) \|", PAGE, re.MULTILINE)
    described = {name.lower(): (int(strict), int(generous)) for name, strict, generous in rows}
    assert described == {name: (getattr(STRICT, name), getattr(GENEROUS, name)) for name in words()}


def test_every_file_is_linked() -> None:
    assert {name for name in FILES if f"(operating/{name})" not in PAGE} == set()


# -- Dockerfile --------------------------------------------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    """Its lines as instruction and rest, in order."""
    text = re.sub(r"^#.*\n", "", FILES["Dockerfile"], flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in text.splitlines() if line.strip()]


def of(instruction: str) -> list[str]:
    return [rest for name, rest in instructions() if name == instruction]


def test_the_python_of_the_image_is_one_that_we_run_on() -> None:
    (base,) = of("FROM")
    assert base.startswith("python:")
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    assert base == f"python:{wanted.removeprefix('>=')}-slim"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the image holds: the files that are copied and nothing else, and from these the package as pip installs it (without what it needs)."""
    root = tmp_path_factory.mktemp("image")
    (root / "app").mkdir()
    place = root / "app"
    for name, rest in instructions():
        if name == "WORKDIR":
            place = root / rest.lstrip("/")
            place.mkdir(parents=True, exist_ok=True)
        if name == "COPY":
            *sources, target = rest.split()
            for source in sources:
                whole = root / target.lstrip("/") if target.startswith("/") else place / target
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, whole, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    whole = whole / Path(source).name if target.endswith("/") else whole
                    whole.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(ROOT / source, whole)
    (install,) = [rest for rest in of("RUN") if rest.startswith("pip install")]
    words = [word for word in shlex.split(install)[2:] if word != "--no-cache-dir"]
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(root / "site"), *words]
    subprocess.run(command, cwd=root / "app", check=True)
    return root


@pytest.mark.sweep
@pytest.mark.slow
def test_the_container_serves_and_its_health_check_tells(image: Path, tmp_path: Path) -> None:
    """The entry point with the installed package, as user and network of a container would run it, on another port."""
    (entry,) = [shlex.split(rest)[1] for rest in of("COPY") if "entrypoint" in rest]
    script = image / entry.lstrip("/")
    assert script.stat().st_mode & stat.S_IXUSR
    assert json.loads(of("ENTRYPOINT")[0]) == [script.name]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = dict(word.split("=", 1) for rest in of("ENV") for word in shlex.split(rest))
    variables = {name: value.replace("/models", str(tmp_path / "models")) for name, value in variables.items()}
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "txpanel"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m txpanel "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    paths = {"PYTHONPATH": str(image / "site"), "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    offline = {"HF_ENDPOINT": "http://127.0.0.1:9", "TXPANEL_MODEL": "nano", "TXPANEL_PLUGINS": "none"}
    text = script.read_text(encoding="utf-8").replace("--port 7860", f"--port {port}")
    assert text != script.read_text(encoding="utf-8")
    script.write_text(text, encoding="utf-8")
    (check,) = of("HEALTHCHECK")
    probe = json.loads(check.partition("CMD ")[2])
    assert probe[0] == "python"
    probe = [sys.executable, *(word.replace(":7860", f":{port}") for word in probe[1:])]
    log = (tmp_path / "log").open("w+", encoding="utf-8")
    process = subprocess.Popen(
        [str(script)], env={**os.environ, **variables, **paths, **offline}, cwd=tmp_path, stdout=log, stderr=log
    )
    try:
        for _again in range(600):
            healthy = subprocess.run(probe, capture_output=True, check=False).returncode == 0
            if healthy or process.poll() is not None:
                break
            time.sleep(0.2)
        log.seek(0)
        assert healthy, log.read()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/txpanel", timeout=30) as answer:
            assert answer.status == 200
        with pytest.raises(urllib.error.HTTPError, match="403"):  # it listens on every address: figures are for nobody
            urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30)
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
        log.close()
    assert code in (0, 143, -signal.SIGTERM)
    assert subprocess.run(probe, capture_output=True, check=False).returncode != 0


@pytest.mark.parametrize("space", ["", "me-txpanel.hf.space"])
def test_a_space_is_told_its_name_and_who_shows_it(space: str, tmp_path: Path) -> None:
    (tmp_path / "txpanel").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n', encoding="utf-8")
    (tmp_path / "txpanel").chmod(0o755)
    variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}", **({"SPACE_HOST": space} if space else {})}
    told = subprocess.run(
        [FOLDER / "entrypoint", "--models", "a, b"], env=variables, capture_output=True, text=True, check=True
    )
    words = told.stdout.splitlines()
    assert words[0] == "serve"
    assert words[-2:] == ["--models", "a, b"]
    given = parser().parse_args(words)
    assert given.address == "0.0.0.0"
    assert given.allow_websocket_origin == ([space] if space else [])


def test_the_space_gets_all_that_its_image_is_built_from(tmp_path: Path) -> None:
    (block,) = [block for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) if "../space" in block]
    *lines, last = block.replace("../space", str(tmp_path / "space")).strip().splitlines()
    assert last.startswith(".venv/bin/hf upload ")
    subprocess.run(["sh", "-euc", "\n".join(lines)], cwd=ROOT, check=True)
    wanted = ["Dockerfile", *(source for rest in of("COPY") for source in rest.split()[:-1])]
    assert [source for source in wanted if not (tmp_path / "space" / source).exists()] == []
    assert (tmp_path / "space" / "README.md").read_text(encoding="utf-8") == FILES["space.md"]


def test_the_space_says_how_it_is_run() -> None:
    head = FILES["space.md"].split("---")[1]
    said = dict(line.split(": ", 1) for line in head.strip().splitlines())
    assert said["sdk"] == "docker"
    assert said["app_port"] == of("EXPOSE")[0]
    assert f"--port {said['app_port']}" in FILES["entrypoint"]


# -- systemd ---------------------------------------------------------------------------------------------------------------------


def test_the_unit_keeps_models_where_it_may_write() -> None:
    unit = FILES["txpanel@.service"]
    assert "ProtectSystem=strict" in unit
    (state,) = re.findall(r"^StateDirectory=(\w+)$", unit, re.MULTILINE)
    folders = re.findall(r"^Environment=(?:TXPANEL_CACHE|HF_HOME)=(\S+)$", unit, re.MULTILINE)
    assert len(folders) == 2
    assert all(folder.startswith(f"/var/lib/{state}/") for folder in folders)


def test_the_ports_are_those_of_nginx() -> None:
    ports = re.findall(r"server 127\.0\.0\.1:(\d+)", FILES["nginx.conf"])
    assert ports == ["5006", "5007"]
    assert all(f"txpanel@{port}" in PAGE for port in ports)
