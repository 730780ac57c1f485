"""``sys.exit`` in a callback does not end the loop; Ctrl-C and cancellations still do what they do."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from asyncio import events
from collections.abc import Callable

import pytest

from txpanel.compat import held_exits
from txpanel.compat.replacing import original

CTRL_C = """
import asyncio, os, signal, sys
from txpanel.compat import held_exits
held_exits.mend()

async def main():
    loop = asyncio.get_running_loop()
    loop.call_soon(lambda: sys.exit(3))
    def raised_by_a_plugin():
        raise KeyboardInterrupt
    loop.call_soon(raised_by_a_plugin)
    await asyncio.sleep(0.05)
    print("goes on", flush=True)
    loop.call_soon(lambda: os.kill(os.getpid(), signal.SIGINT))
    await asyncio.sleep(0.5)
    print("never", flush=True)

loop = asyncio.new_event_loop()
try:
    loop.run_until_complete(main())
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_exits, "_note_interrupts", lambda: None)  # pytest has a Ctrl-C of its own
    monkeypatch.setattr(events.Handle, "_run", original(events.Handle, "_run"))


def after(callback: Callable[[], object]) -> bool:
    """Whether a loop goes on after a callback."""
    loop = asyncio.new_event_loop()
    try:
        loop.call_soon(callback)
        loop.call_later(0.01, loop.stop)
        loop.run_forever()
    except BaseException:
        return False
    finally:
        loop.close()
    return True


def test_asyncio_still_lets_an_exit_through(own: None) -> None:
    """When this fails, asyncio holds exits by itself: drop that part of `held_exits`."""
    assert not after(sys.exit)
    held_exits.mend()
    assert after(sys.exit)


def test_a_task_that_exits_ends_nothing_but_itself(own: None, caplog: pytest.LogCaptureFixture) -> None:
    held_exits.mend()

    async def exits() -> None:
        sys.exit("by a plugin")

    async def main() -> str:
        task = asyncio.ensure_future(exits())
        await asyncio.sleep(0.01)
        assert task.done()
        assert isinstance(task.exception(), SystemExit)
        return "on"

    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(main()) == "on"
    loop.close()
    assert "by a plugin" in caplog.text


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("default_int_handler", ["goes on", "interrupted"]),
        (
            "SIG_IGN",
            ["goes on", "never"],
        ),  # as under `nohup`, and as a suite that was started in the background inherits it
    ],
)
def test_a_real_interrupt_ends_the_loop_and_one_that_is_raised_does_not(before: str, said: list[str]) -> None:
    program = f"import signal; signal.signal(signal.SIGINT, signal.{before})\n{CTRL_C}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.split("\n")[:2] == said, done.stderr
    assert "KeyboardInterrupt" in done.stderr  # the one that was held is in the log


@pytest.mark.parametrize("error", [asyncio.CancelledError(), GeneratorExit(), KeyboardInterrupt()])
def test_what_is_not_a_views_own_passes(error: BaseException) -> None:
    """In this process nobody notes Ctrl-C, so each `KeyboardInterrupt` counts as real."""
    assert not held_exits.is_held(error)


class Odd(BaseException):
    """Somebody's own kind."""


@pytest.mark.parametrize("error", [SystemExit(3), ValueError("x"), Odd(), BaseExceptionGroup("g", [SystemExit()])])
def test_the_rest_is_held(error: BaseException) -> None:
    assert held_exits.is_held(error)
