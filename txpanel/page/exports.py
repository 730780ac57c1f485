"""Saves a run as a download (one message) and reads an uploaded one (in chunks)."""

from __future__ import annotations

import base64
import binascii
import re
import tempfile
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from txpanel.errors import TxpanelError
from txpanel.messages import _
from txpanel.models.progress import size_text

if TYPE_CHECKING:
    from txpanel.session.state import ModelState

LARGEST = 128_000_000
"""Bytes of a file that a page takes, where there is no limit."""
AT_ONCE = 8
"""Uploads of all pages together may take as much as so many of the largest files: the system's temporary folder may be in memory."""
FORGOTTEN = 60.0
"""Seconds without another piece after which an upload may be dropped for others."""

_all: weakref.WeakSet[Files] = weakref.WeakSet()


class Coming:
    """An upload that comes in pieces, as a temporary file, which is deleted with this object.

    On Windows a file that is deleted when it is closed cannot be opened a second time; so it is closed first and deleted by us.
    """

    def __init__(self) -> None:
        self._file = tempfile.NamedTemporaryFile(prefix="txpanel-", suffix=".safetensors", delete=False)  # noqa: SIM115 - until it is whole
        self.close = weakref.finalize(self, _forget, self._file)

    def write(self, piece: bytes) -> None:
        """Adds a piece."""
        self._file.write(piece)

    def whole(self) -> Path:
        """Where all of it can be read, until `close`."""
        self._file.close()
        return Path(self._file.name)


def _forget(file: IO[bytes]) -> None:
    with suppress(OSError):  # the rest of it, on a full disk
        file.close()
    with suppress(OSError):
        Path(file.name).unlink(missing_ok=True)


class Files:
    """Saves and opens runs for one page.

    Args:
        send: hands a message to the browser.
    """

    def __init__(self, send: Callable[[dict[str, Any]], None]) -> None:
        self._send = send
        self._coming: Coming | None = None
        self._came, self._last = 0, 0.0  # bytes of it, and when the last of them came
        _all.add(self)

    def save(self, state: ModelState) -> None:
        """Hands the file of the tree to the browser."""
        if state.model is None:
            return
        from txpanel.session import run_file  # late: torch; the page is painted before it is imported

        data = run_file.to_bytes(state.tree, state.model, state.model_name, state.settings)
        words = re.sub(r"[^\w]+", "-", state.tree.root.text).strip("-")[:40] or "run"
        self._send({"kind": "file", "name": f"{words}.safetensors", "data": base64.b64encode(data).decode()})

    def receive(self, state: ModelState, data: dict[str, Any]) -> None:
        """One piece of a file; the last one opens it. What goes wrong is a sentence."""
        try:
            if self._piece(data, state):
                self._open(state, str(data.get("name", "")))
        except (TxpanelError, ValueError) as error:
            self.close()
            state.param.update(error=str(error))
        except OSError as error:  # such as a full disk
            self.close()
            said = _("The server could not keep the file: {reason}. Try again later.")
            state.param.update(error=said.format(reason=error.strerror or error))

    def close(self) -> None:
        """Forgets a file that has come in part."""
        if self._coming is not None:
            self._coming.close()
        self._coming, self._came = None, 0

    def _piece(self, data: dict[str, Any], state: ModelState) -> bool:
        if data.get("at") == 0:
            self.close()
            self._room(state)
            self._coming = Coming()
        if self._coming is None:
            return False
        most, text = state.limits.max_upload_mb * 1_000_000 or LARGEST, str(data.get("data", ""))
        if self._came + len(text) * 3 // 4 - 2 > most:
            state.allowed().refused("upload-size")
            said = _("This file is larger than {most}, the largest that the page accepts.")
            raise ValueError(said.format(most=size_text(most)))
        try:
            piece = base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise ValueError(_("The file did not arrive completely. Try again.")) from error
        self._coming.write(piece)
        self._came, self._last = self._came + len(piece), time.monotonic()
        return bool(data.get("last"))

    def _room(self, state: ModelState) -> None:
        """Raises if another upload does not fit: those of all pages together are bounded. Uploads that have stopped are dropped first."""
        now, most = time.monotonic(), state.limits.max_upload_mb * 1_000_000 or LARGEST
        for other in list(_all):
            if other._coming is not None and now - other._last > FORGOTTEN:
                other.close()
        if sum(other._came for other in _all) > AT_ONCE * most:
            state.allowed().refused("upload-size")
            raise ValueError(_("Too many files are being sent at the moment. Try again in a minute."))

    def _open(self, state: ModelState, name: str) -> None:
        from txpanel.session import run_file  # late: torch; the page is painted before it is imported
        from txpanel.session.sampling_params import values

        assert self._coming is not None
        try:
            found = run_file.read(self._coming.whole(), name)
        finally:
            self.close()
        if not isinstance(found, run_file.SavedRun):
            state.trace = found
            return
        state.param.update(**values(found.settings))
        state.restore(found.record, model=found.model)
