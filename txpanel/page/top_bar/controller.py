"""The bar on top, kept in step with a state: what it shows, and what it asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from txpanel.decoding.ranges import RANGES, within
from txpanel.decoding.settings import OFF
from txpanel.decoding.stages import for_browser
from txpanel.messages import _, plural
from txpanel.models.chat import has_template
from txpanel.page.exports import Files
from txpanel.page.top_bar.component import TopBar
from txpanel.page.top_bar.words import bar_words, examples
from txpanel.toolkit.format import count

if TYPE_CHECKING:
    from txpanel.models.catalogue import Entry
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
    "dismiss",
    "set",
    "focus",
)
"""Kinds of messages from the browser; each has its `_on_<kind>`."""


class Bar:
    """Fills a `TopBar` from a `ModelState` and passes the browser's wishes on to it.

    Args:
        on_theme: called when somebody asks for the other theme.
        fixed: whether the model cannot be changed (a dashboard around a model at hand).
        pace: seconds to wait between two generated tokens.
    """

    on_kept: Callable[[dict[str, Any]], None] | None = None
    """Hears what the browser has kept of a run that its address names."""

    def __init__(
        self, on_theme: Callable[[], None], *, fixed: bool = False, pace: Callable[[], float] = lambda: 0.0
    ) -> None:
        self._on_theme = on_theme
        self._pace = pace
        self._fixed = fixed
        self._state: ModelState | None = None
        self._watchers: list[Any] = []
        self._early: dict[str, Any] | None = None  # a text that somebody ran before there was a state
        self._generating = False
        self._runs = 0
        self._offered: tuple[str, ...] | None = None
        self._any_model = True
        self._link: bool | None = None
        self.component = TopBar(
            self._on_message,
            words=bar_words(),
            info=self._info(),
            status=self._status(),
            next={"text": "", "p": 0.0},
            stages=for_browser(),
            settings={name: OFF[name] for name in RANGES},
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

    def attach(self, state: ModelState) -> None:
        """Follows a state from now on."""
        self._state = state
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

    def _on_message(self, data: dict[str, Any]) -> None:
        kind = data.get("kind")
        if kind == "theme":
            self._on_theme()
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
            finally:
                self.component.heard = str(data.get("asked", self.component.heard))

    def _on_run(self, state: ModelState, data: dict[str, Any]) -> None:
        text = _clean(data.get("text"))
        if text == state.text:
            state.run()
        else:
            state.text = text

    def _on_generate(self, state: ModelState, data: dict[str, Any]) -> None:
        if isinstance(data.get("text"), str):
            state.text = _clean(data["text"])
        self._generating = True
        n = min(max(int(data.get("n", 1)), 0), 1000)
        state.generate(n or None, pace=self._pace())

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
        self.component.info = self._info()

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
            "choices": {
                "layer": [_("{i} of {n}").format(i=i + 1, n=anatomy.n_layers) for i in range(anatomy.n_layers)],
                "head": _of(anatomy.blocks[state.layer].n_heads),
                "query": [f"{i}: {text[:24] if text.strip() else '␣'}" for i, text in enumerate(strings)]
                if len(strings) <= 2000
                else [],
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
            "chat": state.chat if state is not None and has_template(state.model) else None,
            "link": self._link,
        }
        if state is None:
            return shown
        shown["examples"] = examples(name)
        shown["models"] = [] if self._fixed else self._choices()
        shown["fixed"] = self._fixed or not self._any_model
        model = state.model
        anatomy = model.anatomy if model is not None else state.trace.anatomy if state.trace is not None else None
        if anatomy is not None:
            shown["title"] = model.title if model is not None else state.trace.provenance.get("model", "")
            shown["facts"] = _facts(anatomy)
            shown["reason"] = self._reason(state)
        return shown

    def _choices(self) -> list[dict[str, str]]:
        from txpanel.models.catalogue import CATALOGUE, find  # late: only when it is shown

        names = self._offered if self._offered is not None else [entry.name for entry in CATALOGUE]
        entries = {name: find(name) for name in names}
        return [_entry(e) if e else {"name": n, "title": n, "facts": "", "note": ""} for n, e in entries.items()]

    def _reason(self, state: ModelState) -> str:
        parts = [state.model_reason]
        if state.model is not None and state.model.source.note:
            parts.append(state.model.source.note)
        if state.trace is not None:
            n = len(state.trace.tokens.ids)
            parts.append(plural("{n} token", "{n} tokens", n).format(n=count(n)))
        return " ".join(part if part.endswith((".", "!", "?")) else f"{part}." for part in parts if part)

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


def _on_the_timeline(state: ModelState) -> bool:
    """Whether the timeline says why generating ended here: once is enough."""
    tree = state.tree
    return bool(tree.at and tree.at == tree.leaf and tree.node(tree.at).ended)


def _clean(text: Any) -> str:
    """Text that can be encoded: a lone half of a surrogate pair, which no text file can hold, becomes a question mark."""
    return str(text or "").encode("utf-8", "replace").decode("utf-8")


def _of(n: int) -> list[str]:
    return [_("{i} of {n}").format(i=i + 1, n=n) for i in range(n)]


def _facts(anatomy: Any) -> str:
    block = anatomy.blocks[0]
    n = anatomy.n_layers
    blocks = plural("{n} block", "{n} blocks", n).format(n=n)
    if block.n_kv_heads != block.n_heads:
        heads = _("{heads} heads on {kv} k,v").format(heads=block.n_heads, kv=block.n_kv_heads)
    else:
        heads = plural("{n} head", "{n} heads", block.n_heads).format(n=block.n_heads)
    return f"{blocks} · {heads}"


def _entry(entry: Entry) -> dict[str, str]:
    from txpanel.models.progress import size_text  # late: only when it is shown

    facts = [_("{n} M parameters").format(n=count(round(entry.parameters / 1e6)))] if entry.parameters > 1e6 else []
    facts += [size_text(entry.packages.nbytes if entry.packages else entry.nbytes)] if entry.nbytes else []
    return {
        "name": entry.name,
        "title": entry.title,
        "facts": " · ".join([*facts, entry.licence]),
        "note": " ".join(part for part in (entry.note, entry.terms) if part),
    }
