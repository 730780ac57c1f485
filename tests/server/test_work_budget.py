"""Who makes much work of few words waits for his share while others are here; others do not, and nobody waits alone."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from bokeh.document import Document
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from tests.server.served import Running, served
from txpanel.compat import kept_connections
from txpanel.models import metrics
from txpanel.server import entry_limits, work_budget
from txpanel.server.admission import Admission
from txpanel.server.work_budget import LONGEST, ROOM, SHARE, Budget, measured


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def spends(budget: Budget, session: str, times: int, seconds: float = 0.1) -> None:
    for _each in range(times):
        budget.spent(session, seconds)


def test_the_first_seconds_of_work_are_free_and_further_ones_wait(clock: Clock) -> None:
    budget = Budget(clock)
    budget.spent("other", 0.1)
    spends(budget, "a", 19)
    assert budget.pause("a") == 0
    spends(budget, "a", 3)
    assert budget.pause("a") == pytest.approx(0.2 / SHARE)
    assert budget.pause("other") == 0
    clock.now += 0.2 / SHARE + 0.001
    assert budget.pause("a") == 0


def test_who_is_alone_does_not_wait_and_is_soon_as_others_when_somebody_comes(clock: Clock) -> None:
    budget = Budget(clock)
    spends(budget, "a", 1000)
    assert budget.pause("a") == 0
    budget.spent("other", 0.1)
    assert budget.pause("a") == pytest.approx(work_budget.DEEPEST / SHARE)
    clock.now += 60  # the other one has done nothing for a while
    spends(budget, "a", 1000)
    assert budget.pause("a") == 0


def test_a_ping_is_nobody_at_work(clock: Clock) -> None:
    budget = Budget(clock)
    spends(budget, "a", 100)
    spends(budget, "other", 50, 0.00001)
    assert budget.pause("a") == 0


def test_those_who_have_used_up_theirs_share_half_of_the_thread(clock: Clock) -> None:
    budget = Budget(clock)
    names = [f"flooder {n}" for n in range(20)]
    budget.spent("other", 0.1)
    done, due = 0.0, dict.fromkeys(names, clock.now)
    until = clock.now + 400
    while clock.now < until:  # each sends as soon as it is read, what takes 0.2 s
        for name in names:
            if due[name] <= clock.now:
                budget.spent(name, 0.2)
                done += 0.2
                due[name] = clock.now + max(0.2, budget.pause(name))
        budget.spent("other", 0.001)
        clock.now += 0.1
    first = len(names) * ROOM
    assert 400 * SHARE * 0.8 < done - first < 400 * 0.65
    assert max(due.values()) - until <= LONGEST
    assert budget.pause("other") == 0


def test_a_session_that_has_ended_is_forgotten(clock: Clock) -> None:
    budget = Budget(clock)
    budget.spent("other", 0.1)
    spends(budget, "a", 30)
    budget.forget("a")
    assert budget.pause("a") == 0
    assert set(budget._accounts) == {"other", "a"}


def busy(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_only_its_own_work_is_measured() -> None:
    told: list[float] = []

    async def mine() -> str:
        busy(0.05)
        await asyncio.sleep(0.2)
        busy(0.05)
        return "done"

    async def theirs() -> None:
        await asyncio.sleep(0.05)
        busy(0.1)

    async def both() -> str:
        other = asyncio.ensure_future(theirs())
        said: str = await measured(mine(), told.append)
        await other
        return said

    assert asyncio.run(both()) == "done"
    assert told == [pytest.approx(0.1, abs=0.03)]


def test_errors_and_cancellations_pass_through_and_are_measured_too() -> None:
    told: list[float] = []

    async def fails() -> None:
        await asyncio.sleep(0)
        raise KeyError("x")

    async def waits() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            told.append(-1)
            raise

    async def main() -> None:
        with pytest.raises(KeyError):
            await measured(fails(), told.append)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.ensure_future(_wrapped(waits())), 0.05)

    async def _wrapped(work: Any) -> None:
        await measured(work, told.append)

    asyncio.run(main())
    assert len(told) == 3
    assert told[1] == -1


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr(entry_limits, "admission", Admission())
    monkeypatch.setattr(entry_limits, "budget", Budget())
    with served() as found:
        yield found


async def opened(running: Running, token: str) -> Any:
    asked = HTTPRequest(running.root.replace("http", "ws", 1) + "/txpanel/ws", headers={"Origin": running.root})
    there = await websocket_connect(asked, subprotocols=["bokeh", token])
    assert '"ACK"' in str(await there.read_message())
    return there


async def pulled(socket: Any, times: int) -> float:
    """Seconds until a page has its whole document so many times."""
    begin = time.monotonic()
    for n in range(times):
        for piece in ({"msgid": str(n), "msgtype": "PULL-DOC-REQ"}, {}, {}):
            await socket.write_message(json.dumps(piece))
    answers = 0
    while answers < times:
        answers += '"PULL-DOC-REPLY"' in str(await socket.read_message())
    return time.monotonic() - begin


async def closed(*sockets: Any) -> None:
    for socket in sockets:
        socket.close()
        while await socket.read_message() is not None:
            pass
        socket.protocol = None  # else Tornado warns of a connection that it takes for open


def test_a_whole_document_is_given_a_few_times_and_then_now_and_then(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry_limits, "WHOLE", (2.0, 2.0))
    before, tokens = int(metrics.REFUSALS.values().get("work", 0)), [running.get().token for _each in range(2)]

    async def both() -> tuple[float, float]:
        one, other = await opened(running, tokens[0]), await opened(running, tokens[1])
        flood = asyncio.ensure_future(pulled(one, 4))
        await asyncio.sleep(0.3)
        theirs = await pulled(other, 1)
        mine = await flood
        await closed(one, other)
        return mine, theirs

    mine, theirs = asyncio.run(asyncio.wait_for(both(), 30))
    assert mine > 0.9
    assert theirs < mine
    assert int(metrics.REFUSALS.values()["work"]) >= before + 1


def test_a_page_that_waits_hears_that_the_server_is_there(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pings wait behind what is not read; without a sign of life it would say that the server does not answer."""
    monkeypatch.setattr(entry_limits, "WHOLE", (1.0, 0.8))
    monkeypatch.setattr(entry_limits, "CALM", 0.3)
    kept_connections.mend()
    token = running.get().token

    async def wait() -> list[str]:
        socket = await opened(running, token)
        await socket.write_message('txpanel {"kind":"begin"}')
        for n in range(2):
            for piece in ({"msgid": str(n), "msgtype": "PULL-DOC-REQ"}, {}, {}):
                await socket.write_message(json.dumps(piece))
        heard = []
        while sum('"PULL-DOC-REPLY"' in one for one in heard) < 2:
            heard.append(str(await socket.read_message()))
        await closed(socket)
        return heard

    heard = asyncio.run(asyncio.wait_for(wait(), 30))
    assert sum('"kind": "pong"' in one for one in heard) >= 2


@pytest.mark.sweep
def test_messages_that_make_much_work_are_read_later_while_somebody_else_is_here(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry_limits, "WHOLE", (1000.0, 1000.0))
    monkeypatch.setattr(work_budget, "ROOM", 0.3)
    monkeypatch.setattr(
        work_budget, "SHARE", 0.02
    )  # little: on a busy machine the work takes long, and what was used up comes back by the clock
    own = Document.to_json

    def dear(self: Document, *args: Any, **named: Any) -> Any:
        busy(0.05)
        return own(self, *args, **named)

    monkeypatch.setattr(Document, "to_json", dear)
    before, tokens = int(metrics.REFUSALS.values().get("work", 0)), [running.get().token for _each in range(2)]

    async def both() -> tuple[float, list[float]]:
        one, other = await opened(running, tokens[0]), await opened(running, tokens[1])
        await pulled(other, 1)
        flood = asyncio.ensure_future(pulled(one, 8))
        theirs = []
        for _each in range(3):
            await asyncio.sleep(0.2)
            theirs.append(await pulled(other, 1))
        mine = await flood
        await closed(one, other)
        return mine, theirs

    mine, theirs = asyncio.run(asyncio.wait_for(both(), 60))
    assert mine > 1  # 0.4 s of work; the other one waits for a piece of it at a time
    assert min(theirs) < mine / 2
    assert int(metrics.REFUSALS.values()["work"]) >= before + 1
