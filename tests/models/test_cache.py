from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.models.conftest import Seen
from txpanel.errors import Cancelled, DownloadFailed
from txpanel.models import cache, checksums
from txpanel.models.provenance import Provenance

SOURCE = Provenance("folder", "here", "abc", "a note")


def make(name: str, folder: Path) -> cache.Entry:
    (folder / "config.json").write_text("{}", encoding="utf-8")
    (folder / "model.safetensors").write_bytes(b"12345")
    return cache.finish(name, folder, SOURCE)


def test_the_environment_moves_the_cache(cache_root: Path) -> None:
    assert cache.root() == cache_root


def test_default_is_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TXPANEL_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    monkeypatch.setattr(sys, "platform", "linux")
    assert cache.root() == Path("/somewhere/txpanel")


def test_asking_creates_nothing(cache_root: Path) -> None:
    assert cache.find("gpt2") is None
    assert cache.contents() == []
    assert not cache_root.exists()


def test_a_finished_model_is_found_with_its_origin(cache_root: Path, seen: Seen) -> None:
    with cache.making("m", seen) as folder:
        made = make("m", folder)
    assert made == cache.find("m")
    assert made.provenance == SOURCE
    assert made.nbytes == 7
    assert made.folder == cache_root / "models" / "m"
    assert cache.contents() == [made]
    assert not any((cache_root / "partial").iterdir())


def test_an_interrupted_making_leaves_nothing_that_counts(cache_root: Path, seen: Seen) -> None:
    def interrupted() -> None:
        with cache.making("m", seen) as folder:
            (folder / "config.json").write_text("{}", encoding="utf-8")
            raise InterruptedError

    with pytest.raises(InterruptedError):
        interrupted()
    assert cache.find("m") is None
    assert not any((cache_root / "partial").iterdir())


def test_what_a_killed_process_left_is_swept_away(cache_root: Path, seen: Seen) -> None:
    left = cache_root / "partial" / "m"
    left.mkdir(parents=True)
    (left / "half.gguf").write_bytes(b"x" * 100)
    with cache.making("m", seen) as folder:
        assert list(folder.iterdir()) == []
        make("m", folder)
    assert cache.find("m") is not None


@pytest.mark.parametrize("damage", ["shorter", "gone", "manifest", "other format", "no manifest"])
def test_a_folder_that_is_not_whole_does_not_count_and_is_replaced(cache_root: Path, seen: Seen, damage: str) -> None:
    with cache.making("m", seen) as folder:
        made = make("m", folder)
    manifest = made.folder / cache.MANIFEST
    if damage == "shorter":
        (made.folder / "model.safetensors").write_bytes(b"123")
    elif damage == "gone":
        (made.folder / "model.safetensors").unlink()
    elif damage == "manifest":
        manifest.write_text("{", encoding="utf-8")
    elif damage == "other format":
        manifest.write_text(
            json.dumps({**json.loads(manifest.read_text(encoding="utf-8")), "format": -1}), encoding="utf-8"
        )
    else:
        manifest.unlink()
    assert cache.find("m") is None
    with cache.making("m", seen) as folder:
        make("m", folder)
    assert cache.find("m") is not None


def test_nothing_loadable_is_not_finished(cache_root: Path, seen: Seen) -> None:
    with cache.making("m", seen) as folder:
        (folder / "config.json").write_text("{}", encoding="utf-8")
        with pytest.raises(DownloadFailed, match="could not be prepared"):
            cache.finish("m", folder, SOURCE)


def test_waiting_for_another_is_said_and_can_be_cancelled(cache_root: Path, seen: Seen) -> None:
    cancel = threading.Event()
    waiting = Seen(cancel)
    with cache.locked("m", seen):
        threading.Timer(0.6, cancel.set).start()
        with pytest.raises(Cancelled), cache.locked("m", waiting):
            pass
    assert [report.stage for report in waiting.reports] == ["wait"]
    assert "Another txpanel" in waiting.reports[0].message


MAKER = """
import sys, time
from pathlib import Path
from txpanel.models import cache, checksums
from txpanel.models.progress import Reporter
from txpanel.models.provenance import Provenance
with cache.making("m", Reporter()) as folder:
    made = cache.find("m")
    if made is None:
        (folder / "config.json").write_text("{}")
        with (folder / "model.safetensors").open("wb") as file:
            for part in range(20):
                file.write(bytes([part]) * 1000); file.flush(); time.sleep(0.02)
        cache.finish("m", folder, Provenance("folder", sys.argv[1]))
        print("made")
    else:
        print("found")
"""


def test_two_processes_at_once_make_it_once(cache_root: Path) -> None:
    both = [
        subprocess.Popen([sys.executable, "-c", MAKER, str(n)], stdout=subprocess.PIPE, text=True) for n in range(2)
    ]
    words = [process.communicate(timeout=60)[0].strip() for process in both]
    assert sorted(words) == ["found", "made"]
    made = cache.find("m")
    assert made is not None
    assert made.folder.joinpath("model.safetensors").read_bytes() == b"".join(bytes([n]) * 1000 for n in range(20))


def test_a_killed_maker_blocks_nobody(cache_root: Path, seen: Seen) -> None:
    process = subprocess.Popen([sys.executable, "-c", MAKER, "x"], stdout=subprocess.DEVNULL)
    half = cache_root / "partial" / "m" / "model.safetensors"
    deadline = time.monotonic() + 30
    while not (half.exists() and half.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert cache.find("m") is None
    with cache.making("m", seen) as folder:
        assert list(folder.iterdir()) == []
        make("m", folder)
    assert cache.find("m") is not None


def big(name: str, folder: Path) -> cache.Entry:
    """A finished model with weights of several samples."""
    (folder / "config.json").write_text("{}", encoding="utf-8")
    (folder / "model.safetensors").write_bytes(b"12345678" * 1_000_000)
    return cache.finish(name, folder, SOURCE)


def test_other_bytes_in_a_file_of_the_same_length_are_noticed(cache_root: Path, seen: Seen) -> None:
    with cache.making("m", seen) as folder:
        made = big("m", folder)
    weights = made.folder / "model.safetensors"
    facts = weights.stat()
    assert cache.damaged("m") is None
    with weights.open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"\0" * 4_000_000)
    os.utime(weights, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert cache.find("m") is not None, "by its length it is whole"
    assert cache.damaged("m") == str(weights)


def test_a_model_that_an_older_txpanel_made_gets_its_checksums(cache_root: Path, seen: Seen) -> None:
    with cache.making("m", seen) as folder:
        made = big("m", folder)
    manifest = json.loads((made.folder / cache.MANIFEST).read_text(encoding="utf-8"))
    del manifest["checksums"]
    (made.folder / cache.MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    assert cache.find("m") == made
    assert cache.damaged("m") is None
    (made.folder / "model.safetensors").write_bytes(b"87654321" * 1_000_000)
    assert cache.damaged("m") == str(made.folder / "model.safetensors")


def test_a_copied_cache_is_read_wholly_once(cache_root: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    with cache.making("m", seen) as folder:
        made = big("m", folder)
    os.utime(made.folder / "model.safetensors", ns=(5, 5))
    assert cache.damaged("m") is None
    monkeypatch.setattr(checksums, "whole", None)
    assert cache.damaged("m") is None


@pytest.mark.parametrize("content", ["", "[]", "{", '{"files": 3}', '{"files": {"x": 1}, "checksums": 3}'])
def test_a_manifest_that_makes_no_sense_is_damage(cache_root: Path, seen: Seen, content: str) -> None:
    with cache.making("m", seen) as folder:
        made = big("m", folder)
    (made.folder / cache.MANIFEST).write_text(content, encoding="utf-8")
    assert cache.damaged("m") is not None


def test_a_disk_that_is_full_at_the_last_byte_leaves_no_model_and_the_next_try_works(
    cache_root: Path, seen: Seen
) -> None:
    """As a download does that can go on: what has arrived stays, and is not taken for whole."""
    with cache.making("m", seen, keep=True) as folder:
        full = folder / f"{cache.MANIFEST}.{os.getpid()}.new"
        full.symlink_to("/dev/full")
        with pytest.raises(OSError, match="No space left"):
            big("m", folder)
        assert cache.find("m") is None
        assert not full.exists()
        (folder / cache.MANIFEST).write_text("half a manif", encoding="utf-8")  # as an older txpanel could leave it
    with cache.making("m", seen, keep=True) as folder:
        made = big("m", folder)
    assert cache.find("m") == made
    assert cache.damaged("m") is None
