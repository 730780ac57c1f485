"""A full garbage collection runs when sessions have ended, and seldom otherwise; Python does not run one by itself meanwhile."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import pytest

from txpanel.server.garbage_collection import ENDED, ENDED_SHARE, SELDOM, SHARE, FullCollections

GROWING = """
import gc, sys
from txpanel.server.garbage_collection import FullCollections
found = []
gc.callbacks.append(lambda phase, info: found.append(info["generation"]) if phase == "stop" else None)
if sys.argv[1] == "ours":
    FullCollections().begin(0.0)
kept = [[i] for i in range(600_000)]
young, all_of_them = found.count(0), found.count(2)
class Circle: pass
one = Circle(); one.own = one
import weakref
dead = weakref.ref(one)
del one
FullCollections().now(0.0)
print(young > 0, all_of_them, dead() is None)
"""


@dataclass
class Work:
    """Collections, by a clock of their own."""

    takes: float = 0.0
    time: float = 0.0
    times: int = 0

    def collect(self) -> None:
        self.times += 1
        self.time += self.takes

    def full_collections(self) -> FullCollections:
        return FullCollections(self.collect, lambda: self.time)


def test_pythons_own_full_collections_are_off() -> None:
    def run(who: str) -> list[str]:
        done = subprocess.run([sys.executable, "-c", GROWING, who], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    young, by_itself, freed = run("ours")
    assert (young, int(by_itself), freed) == ("True", 0, "True")
    if sys.version_info < (3, 14):  # which does it bit by bit
        assert int(run("python")[1]) > 0  # else it is no longer needed: drop `NEVER`


def test_ended_sessions_are_collected_together() -> None:
    work = Work()
    full_collections = work.full_collections()
    assert not full_collections.look(0, 1000)  # nobody has been here
    full_collections.begin(1000)
    for now in range(1001, 1009):
        full_collections.ended()
        assert not full_collections.look(3, now)
    assert full_collections.look(3, 1000 + ENDED)
    assert not full_collections.look(3, 1000 + 2 * ENDED)  # none has ended since
    assert work.times == 1


def test_without_ended_sessions_it_collects_seldom_and_only_while_one_is_open() -> None:
    work = Work()
    full_collections = work.full_collections()
    full_collections.begin(0)
    assert not full_collections.look(3, SELDOM - 1)
    assert full_collections.look(3, SELDOM)
    assert not full_collections.look(0, 10 * SELDOM)
    assert full_collections.look(1, 10 * SELDOM)
    assert work.times == 2


@pytest.mark.parametrize(("ended", "share"), [(True, ENDED_SHARE), (False, SHARE)])
def test_the_longer_a_collection_takes_the_longer_the_next_one_waits(ended: bool, share: float) -> None:
    work = Work(takes=4.0)
    full_collections = work.full_collections()
    full_collections.now(0)
    if ended:
        full_collections.ended()
    assert not full_collections.look(50, 4 / share - 1)
    assert full_collections.look(50, 4 / share)
