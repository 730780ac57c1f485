"""The hub as a source: what is in its cache, whether it answers, and the download."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from txpanel.errors import DownloadFailed, TxpanelError
from txpanel.messages import _
from txpanel.models import cache, checksums, disk
from txpanel.models.progress import Reporter
from txpanel.models.provenance import Provenance
from txpanel.models.sources import folder as local
from txpanel.models.sources import process
from txpanel.models.sources.process import os_error_text

PATIENCE = 60.0  # seconds without a single byte
SHA256 = re.compile("[0-9a-f]{64}")
WORKER = "txpanel.models.sources.hub_worker"


def endpoint() -> str:
    """The hub's address: ``HF_ENDPOINT``, else the usual one."""
    from huggingface_hub import constants  # late: huggingface_hub takes half a second

    return os.environ.get("HF_ENDPOINT", constants.ENDPOINT).rstrip("/")


def offline() -> bool:
    """Whether the environment forbids the hub (``HF_HUB_OFFLINE``, ``TRANSFORMERS_OFFLINE``)."""
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return any(os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE") for name in names)


def shared_cache() -> Path:
    """The cache of Hugging Face's own tools, as the environment has it now."""
    if chosen := os.environ.get("HF_HUB_CACHE"):
        return Path(chosen).expanduser()
    home = os.environ.get("HF_HOME")
    base = (
        Path(home).expanduser()
        if home
        else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "huggingface"
    )
    return base / "hub"


def key(repo: str) -> str:
    """The name of `repo` in txpanel's cache."""
    return f"hub--{repo.replace('/', '--')}"


def cached(repo: str) -> Path | None:
    """The folder of a complete download of `repo`, ours or one of Hugging Face's own tools, or ``None``."""
    made = cache.find(key(repo))
    if made is not None:
        return made.folder
    for snapshot in _snapshots(shared_cache() / f"models--{repo.replace('/', '--')}"):
        try:
            local.check(snapshot, kind=False)
            aside = _is_aside(repo, snapshot)
        except (TxpanelError, OSError):
            continue
        if not aside:
            return snapshot
    return None


# Hugging Face's tools name large files by their SHA-256; the checksums that were computed are kept in txpanel's own cache.


def _seen(repo: str) -> tuple[Path, dict[str, Any]]:
    path = cache.root() / "checksums" / f"{key(repo)}.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = {}
    return path, found if isinstance(found, dict) else {}


def _keep(path: Path, seen: dict[str, Any]) -> None:
    with suppress(OSError):  # then all bytes are read again next time
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(seen, indent=1), encoding="utf-8")


def _contents(snapshot: Path) -> Iterator[tuple[Path, Path]]:
    """The weights that are links to files named by a SHA-256, and those files."""
    for file in local.weights(snapshot):
        content = file.resolve()
        if SHA256.fullmatch(content.name):
            yield file, content


def damaged(repo: str, snapshot: Path, *, deep: bool = False) -> str | None:
    """Check whether weights in the cache of Hugging Face's own tools have the SHA-256 of their names: all bytes once, then a quick check.

    Args:
        repo: the model's id on the hub. snapshot: the folder of the weights. deep: read all of every file in any case.

    Returns:
        The path of a file that is not; None: all is well, or nothing is known of it.
    """
    path, seen = _seen(repo)
    before = dict(seen)
    for file, content in _contents(snapshot):
        kept = checksums.read(seen.get(content.name))
        if kept is not None and checksums.same(content, kept, deep=deep):
            continue
        made = checksums.take(content)
        if made.sha256 != content.name:
            return str(file)
        seen[content.name] = made.as_dict()
    if seen != before:
        _keep(path, seen)
    return None


def put_aside(repo: str, snapshot: Path) -> bool:
    """Note that the weights there are damaged: they are not used until they change. Nothing is written to that cache."""
    path, seen = _seen(repo)
    seen["aside"] = {content.name: content.stat().st_mtime_ns for _file, content in _contents(snapshot)}
    _keep(path, seen)
    return bool(seen["aside"])


def _is_aside(repo: str, snapshot: Path) -> bool:
    aside = _seen(repo)[1].get("aside")
    if not isinstance(aside, dict):
        return False
    return any(aside.get(content.name) == content.stat().st_mtime_ns for _file, content in _contents(snapshot))


def _snapshots(repo: Path) -> Iterator[Path]:
    """Snapshots: the one ``main`` points to first, then the newest."""
    try:
        current = (repo / "refs" / "main").read_text(encoding="utf-8").strip()
    except OSError:
        current = ""
    try:
        found = sorted((repo / "snapshots").iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    except OSError:
        return
    yield from sorted(found, key=lambda path: path.name != current)


def reachable(repo: str, timeout: float = 3.0) -> bool:
    """Whether the hub answers for `repo` within `timeout` seconds, including the name look-up."""
    if offline():
        return False
    answers: list[bool] = []
    asking = threading.Thread(target=lambda: answers.append(_answers(repo, timeout)), daemon=True)
    asking.start()
    asking.join(timeout)  # a name server that is silent is not covered by the socket's own time-out
    return bool(answers and answers[0])


def _answers(repo: str, timeout: float) -> bool:
    """Whether the hub answers, asked with the downloader's proxies and certificates: Python's own may be missing on Windows and macOS."""
    # late: huggingface_hub takes half a second
    from huggingface_hub.utils import get_session  # type: ignore[attr-defined]

    try:
        reply = get_session().get(f"{endpoint()}/api/models/{repo}", timeout=timeout)
        return bool(reply.status_code == 200 and isinstance(reply.json(), dict))
    except (
        Exception
    ):  # its errors have other names in other versions (httpx, httpx2); whichever it was, it does not answer
        return False


def fetch(repo: str, reporter: Reporter, *, terms: str = "") -> Path:
    """Download `repo` (configuration, tokenizer, safetensors; never code or pickles), or continue a download.

    Returns:
        The folder with its files, in txpanel's cache.

    Raises:
        ModelNotFound, DownloadFailed, Unsupported: in words.
        Cancelled: what has arrived stays, and the next call continues from there.
    """
    if offline():
        raise DownloadFailed(
            _("{repo} is not in the cache, and the hub is switched off (HF_HUB_OFFLINE is set).").format(repo=repo)
        )
    reporter.start("download", terms or _("Asking the hub for {repo}").format(repo=repo))
    env = {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DOWNLOAD_TIMEOUT": os.environ.get("HF_HUB_DOWNLOAD_TIMEOUT", "10"),
        "HF_ENDPOINT": endpoint(),
    }
    try:
        with cache.making(key(repo), reporter, keep=True) as folder:
            done = cached(repo)  # another process fetched it while we waited
            return done or _download(repo, folder, reporter, env)
    except OSError as error:
        raise DownloadFailed(os_error_text(error)) from error


def _download(repo: str, folder: Path, reporter: Reporter, env: dict[str, str]) -> Path:
    commit = process.run(WORKER, [repo, str(folder)], reporter, env=env, patience=PATIENCE)
    for stale in folder.glob("*.part"):  # of an older commit
        stale.unlink()
    try:
        local.check(folder)
    except TxpanelError:
        disk.delete(folder)
        raise
    return cache.finish(key(repo), folder, Provenance("hub", repo, commit)).folder
