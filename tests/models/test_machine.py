"""Room for a process: a container's limit counts, at whatever level it stands, and files that the system caches are free."""

from __future__ import annotations

from pathlib import Path

import psutil

from txpanel.models import machine

GB = 10**9


def told(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")


def test_without_a_limit_it_is_the_machines(tmp_path: Path) -> None:
    told(tmp_path / "proc" / "self", cgroup="0::/\n")
    told(tmp_path / "groups", memory__max="max\n", memory__current="5\n")
    found = machine.room(tmp_path / "proc", tmp_path / "groups")
    assert found.total == psutil.virtual_memory().total
    assert not found.contained
    assert not machine.room(tmp_path / "nothing", tmp_path / "nothing").contained


def test_a_containers_limit_counts(tmp_path: Path) -> None:
    told(tmp_path / "proc" / "self", cgroup="0::/\n")
    stat = f"anon 1\ninactive_file {GB // 10}\n"
    told(tmp_path / "groups", memory__max=f"{GB}\n", memory__current=f"{GB // 2}\n", memory__stat=stat)
    assert machine.room(tmp_path / "proc", tmp_path / "groups") == machine.Room(GB, GB * 6 // 10, True)


def test_so_does_that_of_an_outer_group(tmp_path: Path) -> None:
    told(tmp_path / "proc" / "self", cgroup="0::/user.slice/app.scope\n")
    told(tmp_path / "groups" / "user.slice", memory__max=f"{GB}\n", memory__current=f"{GB // 4}\n")
    told(tmp_path / "groups" / "user.slice" / "app.scope", memory__max="max\n", memory__current="7\n")
    assert machine.room(tmp_path / "proc", tmp_path / "groups") == machine.Room(GB, GB * 3 // 4, True)


def test_the_first_version_of_groups_is_understood(tmp_path: Path) -> None:
    told(tmp_path / "proc" / "self", cgroup="5:cpu:/\n4:memory:/docker/abc\n0::/\n")
    place = tmp_path / "groups" / "memory"  # inside the container its own group is the root
    told(
        place,
        memory__limit_in_bytes=f"{GB}\n",
        memory__usage_in_bytes=f"{GB // 2}\n",
        memory__stat="total_inactive_file 0\n",
    )
    assert machine.room(tmp_path / "proc", tmp_path / "groups") == machine.Room(GB, GB // 2, True)
    told(place, memory__limit_in_bytes="9223372036854771712\n")
    assert not machine.room(tmp_path / "proc", tmp_path / "groups").contained
