"""What tornado says about a connection that has gone is not logged; everything else is."""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import Any

import pytest
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError, WebSocketProtocol13

from txpanel.compat import closed_tabs


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("asyncio"), "filters", [])


class Gone(WebSocketProtocol13):
    """A connection whose other side is not there any more."""

    def __init__(self) -> None:
        self._message_bytes_out, self._compressor = 0, None

    def _write_frame(self, *_args: Any, **_options: Any) -> asyncio.Future[None]:
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        written.set_exception(StreamClosedError())
        return written


def _logged(caplog: pytest.LogCaptureFixture, error: Exception | None = None) -> list[type[BaseException] | None]:
    """Errors that asyncio logs when nobody waits for a message to `Gone`, or for a task with another error."""

    async def fails() -> None:
        assert error is not None
        raise error

    async def write() -> None:
        task = Gone().write_message("hello") if error is None else asyncio.ensure_future(fails())
        await asyncio.sleep(0.01)
        del task
        gc.collect()

    caplog.clear()
    asyncio.run(write())
    return [record.exc_info[0] for record in caplog.records if record.name == "asyncio" and record.exc_info]


def test_tornado_still_leaves_an_error_that_nobody_retrieves(caplog: pytest.LogCaptureFixture) -> None:
    """When this fails, tornado has mended it: drop `closed_tabs`."""
    assert _logged(caplog) == [WebSocketClosedError]


def test_it_is_not_logged_and_other_errors_are(caplog: pytest.LogCaptureFixture) -> None:
    closed_tabs.mend()
    closed_tabs.mend()
    assert len(logging.getLogger("asyncio").filters) == 1
    assert _logged(caplog) == []
    assert _logged(caplog, ZeroDivisionError()) == [ZeroDivisionError]
