"""The folder where models made ready for use are kept: ``TXPANEL_CACHE``, else the user's cache folder.

Layout::

    <root>/models/<name>/     a finished model: config.json, safetensors, tokenizer files, txpanel.json (written last)
    <root>/partial/<name>/    one being made; only the holder of the lock touches it, whatever is left over is stale
    <root>/locks/<name>.lock  one maker at a time, over all processes
    <root>/verified/          what comparing models with their own runs has shown (:mod:`txpanel.models.remembered`)

``txpanel.json`` holds a checksum of each file. Each time a model is opened they are looked at cheaply (`damaged`), and
a model whose bytes changed is thrown away and made again.

What Hugging Face's own tools have downloaded is used where it is, and never written to.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from txpanel.errors import DownloadFailed
from txpanel.messages import _
from txpanel.models import checksums, disk
from txpanel.models.environment import environment
from txpanel.models.progress import Reporter, size_text
from txpanel.models.provenance import Provenance

MANIFEST = "txpanel.json"
FORMAT = 1  # version of txpanel.json; a folder with another one is made again
CONVERSION = 2
"""Version of the rules by which `txpanel.models.sources.convert` makes files of GGUF; what older rules have made is made again."""
CONVERTED = ("gguf", "package index")
"""Kinds of provenance whose files were converted."""


def root() -> Path:
    """The cache folder; nothing is created. ``TXPANEL_CACHE`` moves it."""
    return environment().cache or _user_cache() / "txpanel"


def _user_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


@dataclass(frozen=True, slots=True)
class Entry:
    """One finished model of the cache.

    Attributes:
        name: the folder's name.
        folder: where it is.
        provenance: where it came from, as written when it was made.
        nbytes: what it takes on disk, in bytes.
    """

    name: str
    folder: Path
    provenance: Provenance
    nbytes: int


def find(name: str) -> Entry | None:
    """The finished model `name`, or ``None``; a folder whose files are missing, of another size, or made by older rules is not finished."""
    folder = root() / "models" / name
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files = manifest["files"]
        old = manifest["provenance"]["kind"] in CONVERTED and manifest.get("conversion", 1) != CONVERSION
        if old or manifest["format"] != FORMAT or any((folder / file).stat().st_size != files[file] for file in files):
            return None
        return Entry(name, folder, Provenance(**manifest["provenance"]), sum(files.values()))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def contents() -> list[Entry]:
    """All finished models, by name."""
    folder = root() / "models"
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return [entry for entry in map(find, names) if entry is not None]


@contextmanager
def making(name: str, reporter: Reporter, *, keep: bool = False) -> Iterator[Path]:
    """A folder in which to make `name`, under a lock that holds over all processes.

    Call `finish` with the folder when it is complete. While another process holds the lock this waits, and reports it.

    Args:
        name: as in `find`.
        reporter: is told about waiting, and asked whether to cancel.
        keep: leave unfinished work for the next time (a download that can go on); else the folder is fresh, and
            removed if nothing came of it.
    """
    base = root()
    folder = base / "partial" / name
    with locked(name, reporter):
        try:
            if not keep:
                disk.delete(folder)
            folder.mkdir(parents=True, exist_ok=True)
            yield folder
        finally:
            if not keep:
                disk.delete(folder)


@contextmanager
def locked(name: str, reporter: Reporter) -> Iterator[None]:
    """Hold the lock of `name`; the system releases it when a process dies, so a dead one blocks nobody."""
    from filelock import FileLock, Timeout  # late: only who makes a model needs a lock

    path = root() / "locks" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    told = False
    while True:
        reporter.check()
        try:
            lock.acquire(timeout=0.2)
            break
        except Timeout:
            if not told:
                reporter.start("wait", _("Another txpanel is preparing {name}; waiting for it").format(name=name))
            told = True
    try:
        yield
    finally:
        lock.release()


def finish(name: str, folder: Path, provenance: Provenance) -> Entry:
    """Put a folder that was made into its place, all at once.

    Raises:
        DownloadFailed: it has no configuration or no weights.
    """
    for path in folder.rglob("*"):
        if path.is_file():  # safetensors are written for their owner alone; a cache may be shared
            path.chmod(path.stat().st_mode | 0o044)
    made = [path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST]  # of an attempt that failed
    files = {path.relative_to(folder).as_posix(): path.stat().st_size for path in made}
    if "config.json" not in files or not any(file.endswith(".safetensors") for file in files):
        raise DownloadFailed(_("{name} could not be prepared: weights or configuration are missing.").format(name=name))
    fields = {key: getattr(provenance, key) for key in ("kind", "where", "revision", "note")}
    manifest: dict[str, Any] = {"format": FORMAT, "name": name, "provenance": fields, "files": files}
    if provenance.kind in CONVERTED:
        manifest["conversion"] = CONVERSION
    manifest["checksums"] = {file: checksums.take(folder / file).as_dict() for file in files}
    _write(folder, manifest)
    target = root() / "models" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    disk.delete(target)  # not finished, or it would have been used
    disk.move(folder, target)
    entry = find(name)
    if entry is None:
        raise DownloadFailed(_("{name} was prepared but cannot be read back from the cache.").format(name=name))
    return entry


def _write(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest in one step: a reader sees the old or the new one, never a part."""
    new = folder / f"{MANIFEST}.{os.getpid()}.new"
    try:
        new.write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        disk.move(new, folder / MANIFEST)
    finally:
        new.unlink(missing_ok=True)


def damaged(name: str, *, deep: bool = False) -> str | None:
    """Check whether the bytes of the finished model `name` are still those that were written.

    A model that an older txpanel made has no checksums: it gets them now.

    Args:
        name: as in `find`.
        deep: read all of every file, not only what looks as if it had been written to.

    Returns:
        The path of a file that has changed; None: all is well.
    """
    folder = root() / "models" / name
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files = {str(file): folder / file for file in manifest["files"]}
        given = manifest.get("checksums", {})
        kept = {file: checksums.read(given.get(file)) for file in files}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return str(folder / MANIFEST)
    changed = False
    for file, path in files.items():
        before = kept[file]
        if before is not None and not checksums.same(path, before, deep=deep):
            return str(path)
        try:
            if before is None or before.written != path.stat().st_mtime_ns:  # such as after it was copied
                given[file] = checksums.take(path).as_dict()
                changed = True
        except OSError:
            return str(path)
    if changed:
        with suppress(OSError):  # a cache that may not be written to is read wholly each time
            _write(folder, {**manifest, "checksums": given})
    return None


def check_space(folder: Path, needed: int) -> None:
    """Raise `DownloadFailed` if the disk of `folder` has not `needed` bytes left: before the download, not in its middle."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DownloadFailed(
            _(
                "The disk is too full: {needed} are needed in {folder}, {free} are free. Set TXPANEL_CACHE to another "
                "folder."
            ).format(needed=size_text(needed), folder=root(), free=size_text(free))
        )


def remove(name: str) -> None:
    """Delete the finished model `name` (it turned out to be damaged)."""
    disk.delete(root() / "models" / name)
