"""Files that are no longer what was written: noticed cheaply where a piece is large, or the file was written to; wholly when asked."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from txpanel.models import checksums

MB = 1 << 20


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights"
    path.write_bytes(random.Random(1).randbytes(6 * MB + 123))
    return path


def overwrite(path: Path, start: int, count: int, *, hide: bool) -> None:
    """Puts other bytes into a file; hides it from its time of modification."""
    before = path.stat()
    with path.open("r+b") as opened:
        opened.seek(start)
        held = opened.read(count)
        opened.seek(start)
        opened.write(bytes(byte ^ 0xFF for byte in held))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns if hide else before.st_mtime_ns + 1))


def test_a_file_as_it_was_is_the_same(file: Path) -> None:
    kept = checksums.take(file)
    assert checksums.same(file, kept)
    assert checksums.same(file, kept, deep=True)
    assert checksums.read(kept.as_dict()) == kept


def test_a_file_that_was_only_touched_or_copied_is_the_same(file: Path) -> None:
    kept = checksums.take(file)
    os.utime(file, ns=(1, 1))
    assert checksums.same(file, kept)


@pytest.mark.parametrize("start", [0, 5, 700_000, 3 * MB + 17, 5 * MB + 123])
def test_a_large_piece_is_noticed_without_reading_the_whole_file(
    file: Path, start: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = checksums.take(file)
    overwrite(file, start, MB + checksums.SAMPLE, hide=True)
    monkeypatch.setattr(checksums, "whole", None)
    assert not checksums.same(file, kept)


def test_one_byte_is_noticed_where_the_file_was_written_to_or_when_all_is_read(file: Path) -> None:
    kept = checksums.take(file)
    overwrite(file, MB + 100_000, 1, hide=True)
    assert checksums.same(file, kept), "between two samples, and nothing says that it was written to"
    assert not checksums.same(file, kept, deep=True)
    os.utime(file)
    assert not checksums.same(file, kept)


@pytest.mark.parametrize("size", [0, 1, checksums.SAMPLE, MB, MB + 1])
def test_files_of_every_size(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\1" * size)
    kept = checksums.take(path)
    assert checksums.same(path, kept)
    path.write_bytes(b"\1" * size + b"\1")
    assert not checksums.same(path, kept)
    path.unlink()
    assert not checksums.same(path, kept)


@pytest.mark.parametrize("given", [None, 3, {}, {"size": "x"}, {"size": 1, "written": 2, "sha256": "a"}])
def test_values_that_make_no_sense_are_no_checksum(given: object) -> None:
    assert checksums.read(given) is None
