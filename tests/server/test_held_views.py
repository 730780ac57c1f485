"""A package whose views exit, loop and call themselves as ours do: the server lives, built-in views stay, and the log names it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.frames import Visitor
from tests.ui.conftest import Server, start_server, stop_server

pytestmark = pytest.mark.slow

PLUGIN = """
import sys, time
import panel as pn
from txpanel.views.base import View

class Fatal(BaseException):
    pass

class OnTop(View):
    on_top = True
    error = SystemExit(3)
    def __panel__(self):
        def update():
            if self.state.layer == 1:
                raise self.error
        self.follow(update, "trace", "layer")
        return pn.pane.Str("stands")

class Exits(OnTop):
    id, title, order = "exits", "Exits", 200

class Interrupts(OnTop):
    id, title, order, error = "interrupts", "Interrupts", 201, KeyboardInterrupt()

class Dies(OnTop):
    id, title, order, error = "dies", "Dies", 202, Fatal("of its own kind")

class AtOnce(OnTop):
    id, title, order = "at-once", "At once", 203
    def __init__(self, *given, **params):
        sys.exit("in its constructor")

class Callback(OnTop):
    id, title, order = "callback", "Callback", 204
    def __panel__(self):
        pn.state.curdoc.add_next_tick_callback(lambda: sys.exit("in a callback"))
        async def later():
            sys.exit("in a task")
        pn.state.execute(later, schedule=True)
        return pn.pane.Str("stands")

class Undrawable(OnTop):
    id, title, order = "undrawable", "Undrawable", 205
    def __panel__(self):
        class Pane(pn.pane.Str):
            def _get_model(self, *given, **more):
                raise RuntimeError("cannot be drawn")
        return Pane("x")

class Attention(OnTop):
    id, title, order = "attention", "Not the attention", 1

class Slow(OnTop):
    id, title, order = "slow", "Slow", 206
    def __panel__(self):
        def update():
            if self.state.layer == 1:
                time.sleep(7)
        self.follow(update, "trace", "layer")
        return pn.pane.Str("stands")
"""
ENTRIES = """[txpanel.views]
exits = held_views:Exits
interrupts = held_views:Interrupts
dies = held_views:Dies
at-once = held_views:AtOnce
callback = held_views:Callback
undrawable = held_views:Undrawable
attention = held_views:Exits
mine = held_views:Attention
slow = held_views:Slow
"""
BAR = "page/top_bar/top_bar"


def packaged(site: Path, code: str = PLUGIN, entries: str = ENTRIES) -> str:
    """Installs the package into a folder; the path with it."""
    (site / "held_views.py").write_text(code, encoding="utf-8")
    info = site / "held_views-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: held-views\nVersion: 0.1\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(entries, encoding="utf-8")
    return os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return packaged(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def server(path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start_server(tmp_path_factory.mktemp("server"), PYTHONPATH=path, TXPANEL_PLUGINS="held-views")
    yield running
    stop_server(running)


def heard(server: Server, text: str, seconds: float = 20) -> None:
    limit = time.monotonic() + seconds
    while not any(text in line for line in server.lines):
        assert time.monotonic() < limit, f"no line with {text!r} in the log:\n" + "\n".join(server.lines[-40:])
        time.sleep(0.1)


@pytest.mark.sweep
def test_the_list_of_views_says_whose_names_are_taken(path: str) -> None:
    environment = {**os.environ, "PYTHONPATH": path, "TXPANEL_PLUGINS": "held-views"}
    done = subprocess.run(
        [sys.executable, "-m", "txpanel", "plugins", "--json"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = {(one["package"], one["name"]): one for one in json.loads(done.stdout)}
    assert found["txpanel", "attention"]["status"] == "ok"
    assert found["txpanel", "attention"]["class"] == "txpanel.views.attention.view:AttentionView"
    taken = found["held-views", "attention"]
    assert (taken["status"], "“attention”" in taken["error"], "txpanel" in taken["error"]) == ("shadowed", True, True)
    taken = found["held-views", "mine"]
    assert (taken["status"], "id “attention”" in taken["error"]) == ("shadowed", True)
    assert found["held-views", "exits"]["status"] == "ok"


@pytest.mark.sweep
def test_views_that_exit_are_cards_and_the_server_goes_on(server: Server) -> None:
    async def look() -> None:
        async with Visitor.at(server.url + "?text=CBABBC=") as visitor:
            await visitor.runs("BACAAC=")
            heard(server, "in its constructor")
            heard(server, "in a callback")
            heard(server, "in a task")
            await visitor.say(BAR, {"kind": "focus", "layer": 1})
            await visitor.hear(lambda content: "of its own kind" in content, 30)
            said = "\n".join(
                visitor.since_it_came
            )  # a card may be on the page that is fetched, or come before the first run
            for name in ("Exits", "Interrupts", "Dies", "At once", "Undrawable"):
                assert json.dumps(f"The view “{name}” (held-views 0.1) could not")[1:-1] in said
            assert "cannot be drawn" in said
            await visitor.runs("CABAAB=")
        async with Visitor.at(server.url) as other:
            await other.runs("CABCCB=")

    asyncio.run(look())
    assert server.process.poll() is None


@pytest.mark.sweep
def test_a_slow_view_is_named_and_off_for_new_sessions(server: Server) -> None:
    async def make_it_sleep() -> None:
        async with Visitor.at(server.url) as visitor:
            await visitor.runs("CABABB=")
            await visitor.say(BAR, {"kind": "focus", "layer": 1})
            await visitor.hear(lambda content: "of its own kind" in content, 60)

    if not any("held_views:Slow" in line for line in server.lines):  # else the test before has done it
        asyncio.run(make_it_sleep())
    heard(server, "the view held_views:Slow has been at work for")
    heard(server, "time.sleep(7)")
    heard(server, "off for new sessions")

    async def look() -> None:
        async with Visitor.at(server.url) as visitor:
            await visitor.runs("BACABB=")
            await visitor.say(BAR, {"kind": "focus", "layer": 1})
            begin = time.monotonic()
            await visitor.runs("AACABB=")
            assert time.monotonic() - begin < 6, "it slept again"

    asyncio.run(look())
