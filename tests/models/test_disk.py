"""Windows, as far as another system can play it: a file that somebody has open for a moment."""

from __future__ import annotations

import ast
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from txpanel.models import cache, disk
from txpanel.models.progress import Reporter
from txpanel.models.provenance import Provenance

PACKAGE = Path(disk.__file__).parents[1]


@pytest.fixture
def scanner(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], list[float]]:
    """`scanner(times, code)`: something holds each file, so that Windows refuses so many times. Gives the pauses that were made."""

    def begin(times: int, code: int) -> list[float]:
        paused: list[float] = []
        monkeypatch.setattr(disk.time, "sleep", paused.append)

        def held(own: Callable[..., Any]) -> Callable[..., Any]:
            left = [times]

            def work(*given: Any, **named: Any) -> Any:
                if left[0]:
                    left[0] -= 1
                    error = PermissionError(13, "in use by another process")
                    error.winerror = code  # type: ignore[attr-defined]
                    raise error
                return own(*given, **named)

            return work

        monkeypatch.setattr(os, "replace", held(os.replace))
        monkeypatch.setattr(shutil, "rmtree", held(shutil.rmtree))
        return paused

    return begin


@pytest.mark.parametrize("code", [5, 32])
def test_what_is_held_for_a_moment_is_moved_and_deleted(
    code: int, scanner: Callable[[int, int], list[float]], tmp_path: Path
) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "there").write_bytes(b"old")
    paused = scanner(3, code)
    assert disk.move(tmp_path / "new", tmp_path / "there").read_bytes() == b"new"
    disk.delete(tmp_path / "old", strict=True)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert len(paused) == 6
    assert 0 < sum(paused) < 2


def test_what_stays_held_is_an_error_after_a_second(scanner: Callable[[int, int], list[float]], tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    paused = scanner(100, 32)
    with pytest.raises(PermissionError):
        disk.move(tmp_path / "old", tmp_path / "new")
    with pytest.raises(PermissionError):
        disk.delete(tmp_path / "old", strict=True)
    assert len(paused) == 2 * len(disk.PAUSES)


def test_any_other_error_counts_at_once(scanner: Callable[[int, int], list[float]], tmp_path: Path) -> None:
    paused = scanner(1, 1314)  # a privilege is not held, and will not be
    with pytest.raises(PermissionError):
        disk.move(tmp_path / "a", tmp_path / "b")
    with pytest.raises(FileNotFoundError):
        disk.move(tmp_path / "a", tmp_path / "b")
    assert paused == []
    disk.delete(tmp_path / "a")
    disk.delete(tmp_path / "a", strict=True)


def test_a_model_is_made_while_a_scanner_reads_along(
    scanner: Callable[[int, int], list[float]], cache_root: Path
) -> None:
    with cache.making("mine", Reporter()) as folder:
        (folder / "config.json").write_text("{}", encoding="utf-8")
        (folder / "model.safetensors").write_bytes(b"123")
        assert scanner(2, 32) == []
        cache.finish("mine", folder, Provenance("folder", "here"))
    assert cache.find("mine") is not None
    cache.remove("mine")
    assert cache.find("mine") is None


def test_nobody_else_moves_or_deletes() -> None:
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if path == Path(disk.__file__):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "shutil.rmtree",
                "os.replace",
                "os.rename",
                "shutil.move",
            ):
                wrong.append(f"{path.relative_to(PACKAGE)}:{node.lineno}")
    assert not wrong
