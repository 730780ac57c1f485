"""Display and export that need no network: Panel's defaults fetch their scripts from a CDN, ours never do."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import panel as pn
from bokeh.resources import INLINE

from txpanel.compat.saved_links import self_contained
from txpanel.messages import _

__all__ = ["notebook", "save"]

_ready = False


def notebook() -> None:
    """Loads Panel's scripts into the notebook itself, once per kernel. Does nothing on a server."""
    global _ready
    if not _ready and not pn.state.curdoc:
        pn.extension(inline=True)
        _ready = True


def save(content: Any, filename: str | Path, *, title: str = "txpanel", **kwargs: Any) -> None:
    """Writes Panel objects as one HTML file with everything inside."""
    before = pn.config.inline
    pn.config.inline = True
    page = io.StringIO()
    try:
        content.save(page, title=title, resources=INLINE, **kwargs)
    finally:
        pn.config.inline = before
    told = SAVED.replace("SENTENCE", json.dumps(_needs_model()).replace("<", "\\u003c"))
    head, end, rest = self_contained(page.getvalue()).rpartition("</body>")  # the scripts in it have that word too
    Path(filename).write_text(f"{head}{told}{end}{rest}", encoding="utf-8")


def _needs_model() -> str:
    return _("This page was saved: another text, block or part needs the model. Open it with txpanel to go on.")


SAVED = """<script>
// Whatever somebody does here that is meant for a server goes nowhere: it is said, instead of nothing happening.
document.addEventListener("DOMContentLoaded", () => {
  let hand = -Infinity
  for (const kind of ["pointerup", "keydown", "change"]) addEventListener(kind, () => { hand = performance.now() }, true)
  const line = document.createElement("div")
  line.setAttribute("role", "status")
  line.style.cssText = "position:fixed;z-index:99;inset:auto 0 16px 0;margin:auto;width:fit-content;max-width:calc(100vw - 32px);"
    + "box-sizing:border-box;padding:10px 16px;border-radius:10px;font:14px/1.5 Roboto,Arial,sans-serif;"
    + "background:var(--tx-text);color:var(--tx-surface);box-shadow:0 6px 24px rgb(15 23 42/.3)"
  line.hidden = true
  document.body.append(line)
  let fades = 0
  const say = () => {
    line.hidden = false
    line.textContent = SENTENCE
    clearTimeout(fades)
    fades = setTimeout(() => { line.hidden = true; line.textContent = "" }, 8000)
  }
  const meant = (event) => event.kind === "MessageSent" && performance.now() - hand < 500
  const wait = setInterval(() => {
    const page = globalThis.Bokeh?.documents?.[0]
    if (!page) return
    clearInterval(wait)
    page.on_change((event) => { if (meant(event)) say() }, false)
  }, 100)
}, {once: true})
</script>"""
