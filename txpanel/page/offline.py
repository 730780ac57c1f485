"""Display and export that need no network: Panel's defaults fetch their scripts from a CDN, ours never do."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import panel as pn
from bokeh.core.validation import check, silence
from bokeh.core.validation.warnings import EMPTY_LAYOUT
from bokeh.document import Document
from bokeh.models.widgets import Widget
from bokeh.resources import INLINE
from panel.io.model import add_to_doc
from panel.io.save import Comm

from txpanel.compat.saved_links import self_contained
from txpanel.compat.unheard_root import unheard
from txpanel.errors import BadFile
from txpanel.messages import _, language
from txpanel.models import disk
from txpanel.page.saved_themes import themes
from txpanel.toolkit.saving import saving

if TYPE_CHECKING:
    from txpanel.session.state import ModelState

__all__ = ["notebook", "save", "saved_facts"]

_ready = False


def notebook() -> None:
    """Loads Panel's scripts into the notebook itself, once per kernel. Does nothing on a server."""
    global _ready
    if not _ready and not pn.state.curdoc:
        pn.extension(inline=True)
        _ready = True


def save(
    content: Any,
    filename: str | Path,
    *,
    title: str = "txpanel",
    facts: Sequence[str] = (),
    views: Sequence[str] = (),
    dark: Callable[[bool], None] | None = None,
    **kwargs: Any,
) -> None:
    """Writes Panel objects as one HTML file with everything inside.

    Args:
        facts: what stands in the line on top: which model, made with what, when. views: ids of the views that can be opened in it.
        dark: switches the content to dark and back; without it the file has the present theme only.

    Raises:
        BadFile: it could not be written; what was there before is there still.
    """
    before, quiet = pn.config.inline, EMPTY_LAYOUT in check.__silencers__
    pn.config.inline = True
    silence(EMPTY_LAYOUT)  # Bokeh warns of empty boxes; ours are filled when they are opened
    page = io.StringIO()
    doc = Document()
    try:
        with saving():
            root = content.get_root(doc, Comm())
            unheard(root)
            add_to_doc(root, doc, hold=True)
            _switch_off(doc)
            found = themes(doc, dark) if dark is not None else {}
            pn.io.save.save(doc, page, title=title, resources=INLINE, **kwargs)
        content._cleanup(root)
    finally:
        pn.config.inline = before
        silence(EMPTY_LAYOUT, quiet)
    told = {"words": {**_words(), "facts": list(facts)}, "views": list(views), "themes": found}
    data = json.dumps(told).replace("<", "\\u003c")
    start, head, rest = self_contained(page.getvalue()).partition("<head>")
    start = re.sub(r'<html( lang="[^"]*")?', f'<html lang="{language().replace("_", "-")}"', start, count=1)
    _write(Path(filename), f"{start}{head}<script>globalThis.txpanelSaved = {data}</script>{rest}")


def _switch_off(doc: Document) -> None:
    """Bokeh's own boxes ask Python: they are grey in a page that has none."""
    for model in doc.models:
        if isinstance(model, Widget) and hasattr(model, "disabled"):
            model.disabled = True
            model.css_classes = [*model.css_classes, "tx-needs"]


def _write(path: Path, text: str) -> None:
    """All of it or nothing: half a page, where the disk is full, would look like a whole one."""
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        new.write_text(text, encoding="utf-8")
        disk.move(new, path)
    except OSError as error:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        said = _("The page could not be written to “{path}”: {reason}. Choose another folder or free some space.")
        raise BadFile(said.format(path=path, reason=error.strerror or error)) from error


def _words() -> dict[str, str]:
    return {
        "banner": _("A saved page"),
        "grey": _("Grey controls need the model: open it with txpanel to use them."),
        "needs": _("needs the model: this is a saved page"),
        "said": _("This is a saved page: another text, block or part needs the model. Open it with txpanel."),
    }


def saved_facts(state: ModelState | None) -> list[str]:
    """What a saved page says of itself: the model, its weights, versions and the day."""
    trace = state.trace if state is not None else None
    if trace is None:
        return []
    known = {str(key): str(value) for key, value in trace.provenance.items()}
    versions = ", ".join(f"{name} {known[name]}" for name in ("txpanel", "transformers", "torch") if known.get(name))
    revision = known.get("source_revision", "")[:12]
    found = [
        known.get("title") or known.get("model", ""),
        known.get("source_where", ""),
        _("revision {revision}").format(revision=revision) if revision else "",
        known.get("source_note", ""),
        _("computed in {dtype}").format(dtype=known["dtype"]) if known.get("dtype") else "",
        versions,
        date.today().isoformat(),
    ]
    return [fact for fact in found if fact]
