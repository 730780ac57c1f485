"""The bar on top, kept in step with a state: what it shows, and what it asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from txpanel.decoding.ranges import RANGES, within
from txpanel.decoding.settings import USUAL
from txpanel.decoding.stages import for_browser
from txpanel.errors import TxpanelError
from txpanel.messages import _, again, of_kept
from txpanel.models.chat import has_template
from txpanel.models.number_tokens import EXAMPLE, reads_numbers
from txpanel.models.tokens import alone
from txpanel.page.exports import Files
from txpanel.page.top_bar.about import about
from txpanel.page.top_bar.adapters import adapters_of, adapters_said, adapters_shown
from txpanel.page.top_bar.component import TopBar
from txpanel.page.top_bar.facts import (
    block_name,
    entry_facts,
    gaps,
    headless,
    limits_shown,
    of,
    settings_ready,
    size_of_model,
)
from txpanel.page.top_bar.words import bar_words, examples, hearing_hint, numbers_hint
from txpanel.toolkit.incoming import heard

if TYPE_CHECKING:
    from txpanel.models.anatomy import Anatomy
    from txpanel.session.state import ModelState

__all__ = ["Bar"]

PLACES = ("layer", "head", "query")
KINDS = (
    "run",
    "generate",
    "append",
    "chat",
    "save",
    "open",
    "undo",
    "redo",
    "cancel",
    "load",
    "adapters",
    "dismiss",
    "set",
    "focus",
)
"""Kinds of messages from the browser; each has its `_on_<kind>`."""


class Bar:
    """Fills a `TopBar` from a `ModelState` and passes the browser's wishes on to it.

    Args:
        on_theme: called with whether the system is dark when somebody asks for the other theme.
        fixed: whether the model cannot be changed (a dashboard around a model at hand).
        pace: seconds to wait between two generated tokens.
    """

    on_kept: Callable[[dict[str, Any]], None] | None = None
    """Called with what the browser has stored of the run that its address names."""

    def __init__(
        self, on_theme: Callable[[Any], None], *, fixed: bool = False, pace: Callable[[], float] = lambda: 0.0
    ) -> None:
        self._on_theme = on_theme
        self._pace = pace
        self._fixed = fixed
        self._state: ModelState | None = None
        self._watchers: list[Any] = []
        self._early: dict[str, Any] | None = None  # a text that was sent before there was a state
        self._generating = False
        self._runs = 0
        self._offered: tuple[str, ...] | None = None
        self._any_model = True
        self._link: bool | None = None
        self._instead = ""
        self.component = TopBar(
            self._on_message,
            words=bar_words(),
            info=self._info(),
            status=self._status(),
            next={"text": "", "p": 0.0},
            stages=for_browser(),
            settings={name: USUAL[name] for name in RANGES},
            ready=settings_ready(None),
            sizing_mode="stretch_width",
            margin=0,
            styles={"position": "sticky", "top": "0", "z-index": "30"},
        )
        self.files = Files(self.component.send)

    def say(self, text: str) -> None:
        """Shows what is going on while there is no state yet."""
        self.component.status = {**self._status(), "busy": True, "progress": {"text": text}}

    def offer(self, names: Sequence[str], *, any_model: bool) -> None:
        """Sets which models can be chosen, and whether others can be named."""
        self._offered, self._any_model = tuple(names), any_model

    def share(self, fits: bool) -> None:
        """Says that the page has an address, and whether all of the run fits into it."""
        if fits != self._link:
            self._link = fits
            self._draw_info()

    def explain(self, instead: str) -> None:
        """Says why another model runs than the one that was asked for."""
        self._instead = instead
        self._draw_info()

    def attach(self, state: ModelState) -> None:
        """Follows a state from now on."""
        self._state = state
        self.component.settings_key = state.name
        self._runs = int(state.trace is not None)
        self._watchers.append(state.param.watch(self._count, "trace"))
        for draw, names in (
            (self._draw_text, ["text"]),
            (self._draw_info, ["model", "model_name", "model_reason", "trace", "chat"]),
            (self._draw_settings, list(RANGES)),
            (self._draw_status, ["busy", "progress", "error", "notice", "can_undo", "can_redo", "model", "trace"]),
            (self._draw_next, ["sampled", "stale", "trace"]),
            (self._draw_place, ["trace", *PLACES]),
        ):
            self._watchers.append(state.param.watch(draw, names))
        for draw in (
            self._draw_text,
            self._draw_info,
            self._draw_settings,
            self._draw_status,
            self._draw_next,
            self._draw_place,
        ):
            draw()
        early, self._early = self._early, None
        if early is not None:
            self._on_message(early)

    def close(self) -> None:
        """Lets go of the state."""
        if self._state is not None:
            for watcher in self._watchers:
                self._state.param.unwatch(watcher)
        self._watchers.clear()
        self._state = self.on_kept = None
        self.files.close()
        self.component.close()

    # -- what the browser asks for ---------------------------------------------------------------------------------------

    @heard
    def _on_message(self, data: dict[str, Any]) -> None:
        kind = data.get("kind")
        if kind == "theme":
            self._on_theme(data.get("system"))
        elif kind == "kept":
            if self.on_kept is not None:
                self.on_kept(data)
        elif self._state is None:
            self._early = data if kind == "run" else self._early
        else:
            act = getattr(self, f"_on_{kind}") if kind in KINDS else None
            try:
                if act is not None:
                    act(self._state, data)
            except TxpanelError as error:
                self._state.param.update(error=str(error))
            finally:
                self.component.heard = str(data.get("asked", self.component.heard))

    def _on_run(self, state: ModelState, data: dict[str, Any]) -> None:
        text = _clean(data.get("text"))
        if not self._takes(state, text):
            return
        if text == state.text:
            state.run()
        else:
            state.text = text

    def _on_generate(self, state: ModelState, data: dict[str, Any]) -> None:
        n = min(max(int(data.get("n", 1)), 0), 1000)
        if isinstance(data.get("text"), str):
            text = _clean(data["text"])
            if not self._takes(state, text):
                return
            state.text = text
        self._generating = True
        state.generate(n or None, pace=self._pace())

    def _takes(self, state: ModelState, text: str) -> bool:
        """Whether a text is short enough. The page itself sends no longer one, and keeps what was typed."""
        try:
            state.allowed().check_characters(text)
        except TxpanelError as error:
            state.param.update(error=str(error))
            return False
        return True

    def _on_append(self, state: ModelState, data: dict[str, Any]) -> None:
        state.append()

    def _on_chat(self, state: ModelState, data: dict[str, Any]) -> None:
        state.chat = bool(data.get("on")) and has_template(state.model)

    def _on_save(self, state: ModelState, data: dict[str, Any]) -> None:
        self.files.save(state)

    def _on_open(self, state: ModelState, data: dict[str, Any]) -> None:
        self.files.receive(state, data)

    def _on_undo(self, state: ModelState, data: dict[str, Any]) -> None:
        state.undo()

    def _on_redo(self, state: ModelState, data: dict[str, Any]) -> None:
        state.redo()

    def _on_cancel(self, state: ModelState, data: dict[str, Any]) -> None:
        state.cancel()

    def _on_load(self, state: ModelState, data: dict[str, Any]) -> None:
        if not self._fixed:
            state.load(str(data.get("name", "")).strip())

    def _on_adapters(self, state: ModelState, data: dict[str, Any]) -> None:
        known, wanted = adapters_of(state), data.get("on")
        if known is not None and isinstance(wanted, list):
            on = [name for name in (*known.on, *known.names) if name in wanted]
            state.use_adapters(*dict.fromkeys(on))

    def _on_dismiss(self, state: ModelState, data: dict[str, Any]) -> None:
        state.param.update(error=None, notice=None)

    def _on_set(self, state: ModelState, data: dict[str, Any]) -> None:
        found: dict[str, Any] = {}
        for name in RANGES:
            value = within(name, data.get(name))
            if value is not None:
                found[name] = value
        state.param.update(**found)

    def _on_focus(self, state: ModelState, data: dict[str, Any]) -> None:
        state.focus(**{name: int(data[name]) for name in PLACES if isinstance(data.get(name), int | float)})

    # -- what it shows ---------------------------------------------------------------------------------------------------

    def _count(self, _event: Any) -> None:
        self._runs += 1

    def _draw_text(self, *_events: Any) -> None:
        self.component.text = self._state.text if self._state else ""

    def _draw_info(self, *_events: Any) -> None:
        self.component.param.update(info=self._info(), ready=settings_ready(self._state))

    def _draw_settings(self, *_events: Any) -> None:
        self.component.settings = {name: getattr(self._state, name) for name in RANGES}

    def _draw_status(self, *_events: Any) -> None:
        if self._state is not None and not self._state.busy:
            self._generating = False
        self.component.status = self._status()

    def _draw_next(self, *_events: Any) -> None:
        state = self._state
        shown = {"text": "", "p": 0.0}
        if state is not None and state.sampled is not None and state.trace is not None and not state.stale:
            model = state.trace.model
            if model is not None:
                token = int(state.sampled.token)
                shown = {"text": model.tokens([token]).strings[0], "p": float(state.sampled.probabilities[token])}
        self.component.next = shown

    def _draw_place(self, *_events: Any) -> None:
        state = self._state
        if state is None or state.trace is None:
            self.component.place = {}
            return
        anatomy, strings = state.trace.anatomy, state.trace.tokens.strings
        self.component.place = {
            "layer": state.layer,
            "head": state.head,
            "query": state.query,
            "why": {"head": headless(anatomy, state.layer)} if not anatomy.blocks[state.layer].has_attention else {},
            "choices": {
                "layer": [block_name(anatomy, i) for i in range(anatomy.n_layers)],
                "head": of(anatomy.blocks[state.layer].n_heads),
                "query": [_token(i, text) for i, text in enumerate(strings)] if len(strings) <= 2000 else [],
            },
        }

    def _info(self) -> dict[str, Any]:
        state = self._state
        name = state.model_name if state else ""
        shown: dict[str, Any] = {
            "name": name,
            "title": "",
            "facts": "",
            "reason": "",
            "models": [],
            "examples": [],
            "fixed": self._fixed,
            "reads": numbers_hint() if state is not None and reads_numbers(state.model) else "",
            "chat": state.chat if state is not None and has_template(state.model) else None,
            "link": self._link,
            "fills": {},
            "limits": {},
            "about": {},
        }
        if state is None:
            return shown
        shown["fills"] = gaps(state.model)
        texts = [EXAMPLE] if shown["reads"] else shown["fills"].get("examples")
        shown["examples"] = [(text, text) for text in texts] if texts else examples(name)
        pair = state.model.pair if state.model is not None else None
        if pair is not None and not pair.reads_text:
            shown["reads"], shown["examples"] = hearing_hint(pair.reads), []
        shown["limits"] = limits_shown(state.limits)
        shown["models"] = [] if self._fixed else self._choices()
        shown["fixed"] = self._fixed or not self._any_model
        model = state.model
        anatomy = model.anatomy if model is not None else state.trace.anatomy if state.trace is not None else None
        if anatomy is not None:
            shown["title"] = model.title if model is not None else state.trace.provenance.get("model", "")
            shown["facts"] = size_of_model(anatomy)
            shown["reason"] = self._reason(state)
            shown["about"] = self._about(state, anatomy)
        return shown

    def _about(self, state: ModelState, anatomy: Anatomy) -> dict[str, Any]:
        from txpanel.models.openness import Seen, remembered_since, report  # late: only when there is a model

        model = state.model
        parts = model.report() if model is not None else report(anatomy, Seen())
        source = model.source if model is not None else None
        more = [
            (_("why this model"), again(state.model_reason)),
            (_("source"), of_kept(source.note) if source is not None else ""),
        ]
        more += [(_("compared"), remembered_since(parts.remembered))] if parts.remembered else []
        found = about(anatomy, parts, [(label, text) for label, text in more if text])
        return found | {"adapters": adapters_shown(adapters_of(state))}

    def _choices(self) -> list[dict[str, str]]:
        from txpanel.models.catalogue import CATALOGUE, find  # late: only when it is shown

        names = self._offered if self._offered is not None else [entry.name for entry in CATALOGUE]
        entries = {name: find(name) for name in names}
        return [entry_facts(e) if e else {"name": n, "title": n, "facts": "", "note": ""} for n, e in entries.items()]

    def _reason(self, state: ModelState) -> str:
        """What has to be known of this model before anything is typed; all else is in “About this model”."""
        hint = numbers_hint() if reads_numbers(state.model) else ""
        said = [self._instead, adapters_said(adapters_of(state)), hint, gaps(state.model).get("reason", "")]
        return " ".join(filter(None, said))

    def _status(self) -> dict[str, Any]:
        state = self._state
        if state is None:
            return {"ready": False, "busy": False, "generating": False, "progress": None, "runs": 0}
        progress = None
        if state.progress is not None:
            progress = {"text": str(state.progress), "fraction": state.progress.fraction, "can_cancel": True}
        return {
            "ready": state.model is not None,
            "busy": state.busy,
            "generating": self._generating and state.busy,
            "progress": progress,
            "error": state.error,
            "notice": None if _on_the_timeline(state) else state.notice,
            "can_undo": state.can_undo,
            "can_redo": state.can_redo,
            "runs": self._runs,
        }


def _token(i: int, text: str) -> str:
    """A token and its place, by which two of the same text are told apart."""
    return _("{token} · position {pos}").format(token=alone(text)[:24], pos=i + 1)


def _on_the_timeline(state: ModelState) -> bool:
    """Whether the timeline says why generating ended here: once is enough."""
    tree = state.tree
    return bool(tree.at and tree.at == tree.leaf and tree.node(tree.at).ended)


def _clean(text: Any) -> str:
    """Text that can be encoded: a lone half of a surrogate pair, which no text file can hold, becomes a question mark."""
    return str(text or "").encode("utf-8", "replace").decode("utf-8")
