"""Saves a run as a download (one message) and reads an uploaded one (in chunks)."""

from __future__ import annotations

import base64
import binascii
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from txpanel.errors import TxpanelError
from txpanel.messages import _
from txpanel.models.progress import size_text

if TYPE_CHECKING:
    from txpanel.session.state import ModelState

LARGEST = 128_000_000
"""Bytes of a file that a page takes."""


class Files:
    """Saves and opens runs for one page.

    Args:
        send: hands a message to the browser.
    """

    def __init__(self, send: Callable[[dict[str, Any]], None]) -> None:
        self._send = send
        self._coming: IO[bytes] | None = None

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
            if self._piece(data):
                self._open(state, str(data.get("name", "")))
        except (TxpanelError, ValueError) as error:
            self.close()
            state.param.update(error=str(error))

    def close(self) -> None:
        """Forgets a file that has come in part."""
        if self._coming is not None:
            self._coming.close()
        self._coming = None

    def _piece(self, data: dict[str, Any]) -> bool:
        if data.get("at") == 0:
            self.close()
            self._coming = tempfile.NamedTemporaryFile(prefix="txpanel-", suffix=".safetensors")  # noqa: SIM115 - until it is whole
        if self._coming is None:
            return False
        try:
            piece = base64.b64decode(str(data.get("data", "")), validate=True)
        except binascii.Error as error:
            raise ValueError(_("The file did not arrive whole. Try again.")) from error
        if self._coming.tell() + len(piece) > LARGEST:
            text = _("This file is larger than {most}, the most that the page takes.")
            raise ValueError(text.format(most=size_text(LARGEST)))
        self._coming.write(piece)
        return bool(data.get("last"))

    def _open(self, state: ModelState, name: str) -> None:
        from txpanel.session import run_file  # late: torch; the page is painted before it is imported
        from txpanel.session.sampling_params import values

        assert self._coming is not None
        self._coming.flush()
        found = run_file.read(Path(self._coming.name), name)
        self.close()
        if not isinstance(found, run_file.SavedRun):
            state.trace = found
            return
        state.param.update(**values(found.settings))
        state.restore(found.record, model=found.model)
