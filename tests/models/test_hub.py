"""The hub, against a stand-in on this machine: the real huggingface_hub client, real HTTP, real interruptions."""

from __future__ import annotations

import hashlib
import shutil
import ssl
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import txpanel
from tests.models.conftest import Seen
from tests.models.standin import COMMIT, Server, hub_handler, serving
from txpanel.errors import BadFile, Cancelled, DownloadFailed, ModelNotFound, Unsupported
from txpanel.models import cache, checksums
from txpanel.models.provenance import Provenance
from txpanel.models.sources import hub

REPO = "someone/small"
WEIGHTS = "model.safetensors"


@pytest.fixture
def server(whole: Path, cache_root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    (whole / "pytorch_model.bin").write_bytes(b"a pickle that nobody may fetch")
    (whole / "modeling_own.py").write_text("raise SystemExit", encoding="utf-8")
    with serving(hub_handler({REPO: whole})) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "2")
        yield running


def same(folder: Path, whole: Path) -> bool:
    return all((folder / name).read_bytes() == (whole / name).read_bytes() for name in ("config.json", WEIGHTS))


def test_download_brings_what_is_needed_and_no_code_or_pickles(server: Server, whole: Path, seen: Seen) -> None:
    assert hub.cached(REPO) is None
    folder = hub.fetch(REPO, seen)
    assert same(folder, whole)
    made = cache.find(hub.key(REPO))
    assert made is not None
    assert made.provenance == Provenance("hub", REPO, COMMIT)
    assert hub.cached(REPO) == folder
    assert not server.files(".bin")
    assert not server.files(".py")
    total = made.nbytes
    assert seen.reports[-1].done == seen.reports[-1].total == total
    assert [report.done for report in seen.reports] == sorted(report.done for report in seen.reports)


def test_a_second_time_asks_for_no_file(server: Server, seen: Seen) -> None:
    folder = hub.fetch(REPO, seen)
    before = len(server.asked)
    assert hub.fetch(REPO, seen) == folder
    assert len(server.asked) == before


def test_cut_in_the_middle_goes_on_from_there(server: Server, whole: Path, seen: Seen) -> None:
    server.cut[WEIGHTS] = 1
    folder = hub.fetch(REPO, seen)
    assert same(folder, whole)
    ranges = [ask[2] for ask in server.files(WEIGHTS) if ask[0] == "GET"]
    assert ranges[0] == ""
    assert 0 < int(ranges[1].removeprefix("bytes=").rstrip("-")) < (whole / WEIGHTS).stat().st_size


@pytest.mark.slow
def test_stopped_in_the_middle_the_next_start_goes_on(server: Server, whole: Path, seen: Seen) -> None:
    cancel = threading.Event()
    stopping = Seen(cancel)
    server.slow = 0.05
    stopping._callback = lambda report: cancel.set() if report.done > 150_000 else None
    with pytest.raises(Cancelled):
        hub.fetch(REPO, stopping)
    assert hub.cached(REPO) is None
    server.slow = 0.0
    before = len(server.asked)
    assert same(hub.fetch(REPO, seen), whole)
    resumed = [ask[2] for ask in server.asked[before:] if ask[0] == "GET" and ask[1].endswith(WEIGHTS)]
    assert len(resumed) == 1
    assert resumed[0].startswith("bytes=")


def test_cancel_is_quick(server: Server) -> None:
    server.slow = 0.5
    cancel = threading.Event()
    threading.Timer(2.5, cancel.set).start()
    begun = time.monotonic()
    with pytest.raises(Cancelled):
        hub.fetch(REPO, Seen(cancel))
    assert time.monotonic() - begun < 6


def test_no_such_model(server: Server, seen: Seen) -> None:
    with pytest.raises(ModelNotFound, match=r"The hub has no model someone/else"):
        hub.fetch("someone/else", seen)


@pytest.mark.parametrize(
    ("status", "code", "error", "words"),
    [
        (401, "GatedRepo", DownloadFailed, "agreement to its licence"),
        (403, "", DownloadFailed, "agreement to its licence"),
        (401, "", ModelNotFound, "or it is private"),
        (500, "", DownloadFailed, "answered 500"),
        (503, "", DownloadFailed, "answered 503"),
    ],
)
def test_refusals_in_words(
    server: Server, seen: Seen, status: int, code: str, error: type[Exception], words: str
) -> None:
    server.status = status
    server.headers = {"X-Error-Code": code} if code else {}
    with pytest.raises(error, match=words):
        hub.fetch(REPO, seen)


@pytest.mark.sweep
def test_silence_is_given_up_within_seconds(server: Server, seen: Seen) -> None:
    server.silent = 60
    begun = time.monotonic()
    with pytest.raises(DownloadFailed, match="did not answer in time"):
        hub.fetch(REPO, seen)
    assert time.monotonic() - begun < 25


def test_an_unreachable_hub_is_said(
    cache_root: Path, seen: Seen, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free_port}")
    with pytest.raises(DownloadFailed, match="connection to the hub failed"):
        hub.fetch(REPO, seen)


def test_only_pickles_are_refused(server: Server, whole: Path, seen: Seen) -> None:
    (whole / WEIGHTS).unlink()
    with pytest.raises(Unsupported, match="no safetensors"):
        hub.fetch(REPO, seen)
    assert not server.files(".bin")


def test_switched_off(server: Server, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert not hub.reachable(REPO)
    with pytest.raises(DownloadFailed, match="HF_HUB_OFFLINE"):
        hub.fetch(REPO, seen)
    assert not server.asked


def test_no_permission_to_write(server: Server, seen: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("a file where the cache should be", encoding="utf-8")
    monkeypatch.setenv("TXPANEL_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(DownloadFailed, match="TXPANEL_CACHE"):
        hub.fetch(REPO, seen)


def test_reachable(server: Server) -> None:
    assert hub.reachable(REPO)
    assert not hub.reachable("someone/else")
    server.silent = 30
    begun = time.monotonic()
    assert not hub.reachable(REPO, timeout=0.5)
    assert time.monotonic() - begun < 1.5


def test_a_download_of_another_tool_is_used(server: Server, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import hf_hub_download

    for name in ("config.json", "tokenizer.json", WEIGHTS):
        file = hf_hub_download(REPO, name, cache_dir=hub.shared_cache(), endpoint=server.url)
    other = Path(file).parent
    before = len(server.asked)
    assert hub.cached(REPO) == other
    assert hub.fetch(REPO, seen) == other
    assert len(server.asked) == before


def test_an_unfinished_download_does_not_count(server: Server, seen: Seen) -> None:
    weights = hub.fetch(REPO, seen) / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-100])
    assert hub.cached(REPO) is None
    assert hub.cached(REPO) or same(hub.fetch(REPO, seen), weights.parent)


@pytest.mark.sweep
def test_a_line_that_keeps_breaking_is_told(server: Server, whole: Path, seen: Seen) -> None:
    server.cut["config.json"] = 100
    begun = time.monotonic()
    with pytest.raises(DownloadFailed, match="What has arrived is kept"):
        hub.fetch(REPO, seen)
    assert time.monotonic() - begun < 30
    server.cut = {}
    assert same(hub.fetch(REPO, seen), whole)


def test_wrong_content_is_thrown_away(server: Server, whole: Path, seen: Seen) -> None:
    server.forged = '"' + "0" * 64 + '"'
    with pytest.raises(DownloadFailed, match="arrived damaged"):
        hub.fetch(REPO, seen)
    assert hub.cached(REPO) is None
    server.forged = ""
    assert same(hub.fetch(REPO, seen), whole)


def shared_snapshot(whole: Path, tmp_path: Path) -> Path:
    """A download as Hugging Face's own tools leave it: content under its SHA-256, names as links to it."""
    repo = tmp_path / "hf" / "hub" / f"models--{REPO.replace('/', '--')}"
    snapshot = repo / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repo / "blobs").mkdir()
    for file in whole.iterdir():
        content = repo / "blobs" / hashlib.sha256(file.read_bytes()).hexdigest()
        shutil.copyfile(file, content)
        (snapshot / file.name).symlink_to(content)
    return snapshot


def test_damage_in_the_cache_of_other_tools_is_noticed_and_a_copy_of_our_own_brought(
    server: Server, whole: Path, tmp_path: Path
) -> None:
    (whole / "pytorch_model.bin").unlink()
    snapshot = shared_snapshot(whole, tmp_path)
    assert hub.damaged(REPO, snapshot) is None
    model = txpanel.load(REPO)
    before = model.trace("CAB=").logits.values
    assert model.source.kind == "hub"
    assert not server.asked
    content = (snapshot / WEIGHTS).resolve()
    harmed = bytearray(content.read_bytes())
    harmed[len(harmed) // 5 :] = bytes(len(harmed) - len(harmed) // 5)
    content.write_bytes(harmed)
    with pytest.raises(BadFile, match="is damaged: its content"):
        txpanel.load(REPO, offline=True)
    again = txpanel.load(REPO)
    assert server.files(WEIGHTS)
    assert again.source.where == REPO
    assert (again.trace("CAB=").logits.values == before).all()
    assert content.read_bytes() == bytes(harmed), "their cache is not ours to write to"


def test_what_was_looked_at_wholly_once_is_looked_at_cheaply(
    cache_root: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = shared_snapshot(whole, tmp_path)
    assert hub.damaged(REPO, snapshot) is None
    monkeypatch.setattr(checksums, "whole", None)
    assert hub.damaged(REPO, snapshot) is None


def test_a_disk_that_is_full_is_said_and_what_is_half_there_is_no_model(
    server: Server, whole: Path, cache_root: Path, seen: Seen
) -> None:
    etag = hashlib.sha256((whole / WEIGHTS).read_bytes()).hexdigest()
    folder = cache_root / "partial" / hub.key(REPO)
    folder.mkdir(parents=True)
    part = folder / f"{WEIGHTS}.{hashlib.sha256(etag.encode()).hexdigest()[:16]}.part"
    part.symlink_to("/dev/full")
    with pytest.raises(DownloadFailed, match="The disk is full"):
        hub.fetch(REPO, seen)
    assert hub.cached(REPO) is None
    assert cache.contents() == []
    part.unlink()
    assert same(hub.fetch(REPO, seen), whole)


def test_the_hub_is_asked_with_the_certificates_of_the_download(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python's own, which urllib takes, are none on a fresh macOS, and lack a company's on Windows."""

    def none(*given: Any, **named: Any) -> Any:
        raise ssl.SSLCertVerificationError("unable to get local issuer certificate")

    monkeypatch.setattr(urllib.request.OpenerDirector, "open", none)
    assert hub.reachable(REPO)
