"""The browser side of the top bar."""

from __future__ import annotations

import param

from txpanel.page.messenger import Messenger

__all__ = ["TopBar"]


class TopBar(Messenger):
    """What this is and where to begin, model, prompt, examples, the button that writes; progress and errors; block, head and token."""

    text = param.String(
        default="", doc="The text that the server has; what is typed and not run yet lives in the browser."
    )
    heard = param.String(default="", doc="Id of the last request with a text that the server has handled.")
    info = param.Dict(
        default={},
        doc="name, title, facts, reason (what has to be known before anything is typed), models (name, title, facts, note), "
        "examples (what of, text), fixed, chat, link, limits (new_tokens, "
        "characters, upload; 0: none), about (see `txpanel.page.top_bar.about.about`, with adapters; empty: no model yet).",
    )
    stages = param.List(
        default=[], doc="The declared stages of sampling, as `txpanel.decoding.stages.for_browser` gives them."
    )
    settings = param.Dict(default={}, doc="The sampling settings, the seed among them.")
    ready = param.Dict(default={}, doc="Ready-made settings, a value for each stage: usual, surprise.")
    settings_key = param.String(
        default="", doc="Name of the state whose settings these are (``decoding/live_settings.js``)."
    )
    status = param.Dict(default={}, doc="ready, busy, generating, progress, error, notice, can_undo, can_redo, runs.")
    next = param.Dict(default={}, doc="The drawn next token: text and p.")
    place = param.Dict(
        default={},
        doc="layer, head, query; for each in choices the names of what can be chosen, and in why the reason where there is nothing to choose.",
    )
    pictured = param.Boolean(
        default=True,
        doc="Whether there is a picture in which block, head and token are chosen; else the bar has them always.",
    )
    address = param.String(
        default="", doc="The query string of what is shown; the browser replaces that of its address by it."
    )
    words = param.Dict(default={}, doc="All texts of the bar.")
    languages = param.List(default=[], doc="In which other languages the page can be opened: code, name.")
    kept = param.Dict(default={}, doc="name, data: a run too long for the address, for the browser to keep.")
    wanted = param.String(default="", doc="Name of a run that the browser is asked for; it answers with ``kept``.")

    _module = "top_bar.js"
    _styles = "top_bar.css"
