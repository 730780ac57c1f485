"""The whole dashboard: the bar on top, the flow, the views that unfold below it, and "why this number" beside them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import panel as pn
import param

from txpanel.compat import late_models
from txpanel.messages import _
from txpanel.page import offline
from txpanel.page.card_dock import CardDock
from txpanel.page.sheet import SheetHead
from txpanel.page.tabs import Tabs
from txpanel.page.timeline.controller import TimelineController
from txpanel.page.top_bar.controller import Bar
from txpanel.toolkit.text import Rich, rich
from txpanel.toolkit.waiting import Waiting
from txpanel.views.frame import ViewFrame

if TYPE_CHECKING:
    from txpanel.models.language_model import LanguageModel
    from txpanel.page.frames import Part
    from txpanel.session.state import ModelState

__all__ = ["Dashboard", "explain"]

FLOW = "flow"
FIRST_OPEN = "attention"

ROOT_CSS = """
:host{background:var(--tx-background);color:var(--tx-text);font-family:Roboto,"Helvetica Neue",Arial,sans-serif;min-height:100%}
"""
BODY_CSS = """
:host{padding:6px 24px 28px;box-sizing:border-box;gap:8px;flex:none!important;height:auto!important;min-height:100%;max-height:none!important}
@media (max-width:640px){:host{padding:6px 10px 20px}}
"""
FLOW_CSS = ":host{min-height:640px}"
"""What lies below keeps its place while the flow comes."""
UNFOLDED_CSS = """
:host{gap:16px;align-items:flex-start;flex-wrap:nowrap;flex:none!important;height:auto!important;max-height:none!important}
@media (max-width:1100px){:host{flex-wrap:wrap}}
"""
TURN_CSS = """
:host{display:grid;grid-template-columns:minmax(0,1fr);min-height:70vh!important}
.leaf{grid-area:1/1;transition:opacity .28s ease,translate .28s ease,display .28s allow-discrete}
.leaf.folded{opacity:0;translate:0 -14px}
@starting-style{.leaf{opacity:0;translate:0 -14px}}
@media (prefers-reduced-motion:reduce){.leaf{transition:none}}
"""
"""Views stand in one place: one goes while the next one comes, in the browser alone (where `display` can't ease they just change)."""
LEAF_CSS = """
@keyframes rise{from{translate:0 40px;opacity:0}}
@media (max-width:640px) and (prefers-reduced-motion:no-preference){:host(.sheet){animation:rise .28s cubic-bezier(.2,.7,.2,1)}}
@media (max-width:640px){:host(.sheet){position:fixed;inset:64px 0 0 0;width:auto!important;max-width:none;height:calc(100dvh - 64px)!important;z-index:35;
  overflow:hidden auto;overscroll-behavior:contain;box-sizing:border-box;padding:0 10px 24px;background:var(--tx-background);
  border-radius:16px 16px 0 0;box-shadow:0 0 0 100vmax rgb(15 23 42/.45)}}
"""
"""On a phone a part that somebody opens lies over the page. The one that is open from the start stands in it, below the flow."""
BESIDE_CSS = """
:host{flex:0 0 416px;align-self:stretch!important;height:auto!important;max-height:none!important;padding-left:16px;box-sizing:border-box}
@media (max-width:1100px){:host{flex:none;width:auto!important;padding:0}}
"""
WHY_CSS = """
:host{position:sticky;top:128px;max-height:calc(100vh - 148px);overflow:auto;box-sizing:border-box;background:var(--tx-surface);
  border:1px solid var(--tx-border);border-radius:14px;padding:16px 18px;scrollbar-width:thin}
:host([data-dock]){position:fixed;top:auto;bottom:16px;right:var(--tx-edge);width:400px!important;max-height:62vh;z-index:30;
  box-shadow:0 10px 40px rgb(15 23 42/.24)}
:host([data-dock=left]){right:auto;left:24px} :host([data-dock][data-several]){width:min(832px,calc(100vw - 48px))!important}
@keyframes come{from{translate:16px 0;opacity:0}}
@media (prefers-reduced-motion:no-preference){:host{animation:come .26s cubic-bezier(.2,.7,.2,1)}}
@media (max-width:1100px){:host{position:fixed;inset:auto 0 0 0;width:100%!important;max-height:58vh;z-index:40;border-radius:16px 16px 0 0;
  box-shadow:0 -10px 32px rgb(15 23 42/.22)} :host(.idle){display:none!important}}
"""
"""The card stands beside the view; while that is below the screen it lies in the screen's corner (`CardDock`), on a narrow page always."""


class Dashboard(pn.viewable.Viewer):
    """Everything about one state on one page; it stands before the state is there (`attach`).

    Args:
        state: what to show; may come later.
        fixed: whether the model cannot be changed here.
        on_theme: called with True for dark when the theme changes.
        later: calls a function after what is there has been sent to the browser; at once by default.
    """

    dark = param.Boolean(default=False, doc="Whether it is dark.")
    follows = param.Boolean(default=False, doc="Whether dark is the system's choice, until somebody chooses.")
    opened = param.String(default="", doc="Id of the view that is unfolded below the flow.")

    def __init__(
        self,
        state: ModelState | None = None,
        *,
        fixed: bool = False,
        on_theme: Callable[[bool], None] | None = None,
        later: Callable[[Callable[[], None]], None] | None = None,
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self.state: ModelState | None = None
        self.parts: list[Part] = []
        self.why: ViewFrame | None = None
        self.strip = TimelineController()
        self.bar = Bar(self._other_theme, fixed=fixed, pace=lambda: self.strip.pace)
        self._on_theme = on_theme
        self._later = later or (lambda step: step())
        self._watchers: list[tuple[Any, Any]] = []
        self._built: set[str] = set()
        self._syncing = False
        self._narrow = self._starting = False
        self._make_layout()
        self.param.watch(self._theme_changed, "dark")
        self.param.watch(self._open_changed, "opened")
        if state is not None:
            self.attach(state)

    def _make_layout(self) -> None:
        self.flow = pn.Column(sizing_mode="stretch_width", margin=0, stylesheets=[FLOW_CSS])
        self.empty = Rich(look="lead", sizing_mode="stretch_width", margin=(40, 0), paragraphs=_welcome())
        label = _("Parts of the model")
        self.tabs = Tabs(self._tab_told, label=label, failed_label=_("failed"), sizing_mode="stretch_width", margin=0)
        self.tabs.visible = False
        turn = {"css_classes": ["tx-unfolded"], "stylesheets": [TURN_CSS]}
        self.waiting = Waiting(gives_way=True, sizing_mode="stretch_width", margin=0)
        self.unfolded = pn.Column(self.waiting, margin=0, sizing_mode="stretch_width", **turn)
        self.sheet = SheetHead(self._sheet_told, close_label=_("Close"), sizing_mode="stretch_width", margin=0)
        lies = {"styles": {"flex": "1 1 0", "min-width": "0"}, "stylesheets": [LEAF_CSS]}
        self.leaf = pn.Column(self.sheet, self.unfolded, margin=0, sizing_mode="stretch_width", **lies)
        self.dock = CardDock(lambda _data: None)
        self.card = pn.Column(margin=0, stylesheets=[WHY_CSS], css_classes=["idle"], sizing_mode="stretch_width")
        self.beside = pn.Column(self.dock, self.card, margin=0, stylesheets=[BESIDE_CSS], visible=False)
        self.below = pn.FlexBox(
            self.leaf, self.beside, margin=0, sizing_mode="stretch_width", stylesheets=[UNFOLDED_CSS]
        )
        self.body = pn.Column(
            self.empty,
            self.strip.component,
            self.flow,
            self.tabs,
            self.below,
            sizing_mode="stretch_width",
            margin=0,
            stylesheets=[BODY_CSS],
        )

    def __panel__(self) -> pn.Column:
        if not hasattr(self, "_layout"):
            self._layout = pn.Column(
                self.bar.component, self.body, sizing_mode="stretch_width", margin=0, stylesheets=[ROOT_CSS]
            )
            self._layout.styles = self._scheme()
        return self._layout

    # -- the state ---------------------------------------------------------------------------------------------------------

    def attach(self, state: ModelState) -> None:
        """Shows a state; once."""
        from txpanel.page.frames import parts

        self.state = state
        self.bar.attach(state)
        self.strip.attach(state)
        self.parts = parts(state)
        for part in self.parts:
            part.frame.param.update(dark=self.dark, active=False)
            self._watch(part.frame, self._draw_tabs, "failed")
        self.why = self._why_frame()
        self._watch(state, self._trace_came, "trace")
        self._watch(state, self._asked, "question")
        self._watch(state, self._count_cards, "pinned")
        self._draw_tabs()
        self._trace_came()
        self._asked()

    def close(self) -> None:
        """The session is over: nothing is held any more."""
        self.bar.close()
        self.strip.close()
        self.tabs.close()
        self.sheet.close()
        self.dock.close()
        for source, watcher in self._watchers:
            source.param.unwatch(watcher)
        self._watchers.clear()
        for frame in [part.frame for part in self.parts] + ([self.why] if self.why else []):
            frame.close()
        self.parts, self.why = [], None
        if self.state is not None:
            self.state.close()
        self.state = None

    def _watch(self, source: Any, callback: Callable[..., None], *names: str) -> None:
        self._watchers.append((source, source.param.watch(callback, list(names))))

    def _why_frame(self) -> ViewFrame:
        def load() -> Any:
            from txpanel.views.why.view import WhyCard

            return WhyCard

        return ViewFrame(self.state, load, name=_("Why this number"), dark=self.dark)

    def _trace_came(self, *_events: Any) -> None:
        there = self.state is not None and self.state.trace is not None
        self.empty.visible = not there
        self.flow.visible = self.below.visible = self.tabs.visible = there
        if not there or self._built:
            return
        flow = self._part(FLOW)
        if flow is not None:
            self._build(flow)
            self.flow[:] = [flow.frame.layout]
            flow.frame.active = True
        self._later(self._first_unfold)

    def _first_unfold(self) -> None:
        if self.opened and self._part(self.opened) is None:
            self.opened = ""
        if not self.opened:
            ids = [part.id for part in self._foldable()]
            self._starting = True
            self.opened = FIRST_OPEN if FIRST_OPEN in ids else ids[0] if ids else ""
            self._starting = False
        else:
            self._unfold()

    def _asked(self, *_events: Any) -> None:
        asked = self.state is not None and self.state.question is not None
        if asked and self.why is not None and self.why.view is None and not self.why.failed:
            self._build_frame(self.why)
            self.card[:] = [self.why.layout]
        self.beside.visible = asked
        self.card.css_classes = [] if asked else ["idle"]
        self.dock.asked = self.dock.asked + 1 if asked else 0
        self._count_cards()

    def _count_cards(self, *_events: Any) -> None:
        self.dock.cards = 1 + len(self.state.pinned) if self.state is not None else 0

    # -- views ---------------------------------------------------------------------------------------------------------------

    def _foldable(self) -> list[Part]:
        return [part for part in self.parts if part.id != FLOW]

    def _part(self, name: str) -> Part | None:
        return next((part for part in self.parts if part.id == name), None)

    def _build(self, part: Part) -> None:
        if part.id not in self._built:
            self._built.add(part.id)
            part.frame.active = True
            self._build_frame(part.frame)
            self._link(part.frame)

    def _build_frame(self, frame: ViewFrame) -> None:
        """Builds a view before it is put on the page, so that the browser can be told of its components first."""
        frame.build()
        if pn.state.curdoc is not None:
            late_models.teach(pn.state.curdoc, self.bar.component)

    def _link(self, frame: ViewFrame) -> None:
        """A view may ask for another one to be unfolded (a click in the flow), through its own ``opened``."""
        if frame.view is not None:
            frame.view.opened = self.opened
            self._watch(frame.view, lambda event: setattr(self, "opened", event.new), "opened")

    def _tab_told(self, data: dict[str, Any]) -> None:
        self.opened = str(data.get("open", ""))

    def _sheet_told(self, data: dict[str, Any]) -> None:
        if "narrow" in data:
            self._narrow = bool(data["narrow"])
        if "dark" in data:
            self._later(partial(self._system_is, dark=bool(data["dark"])))
        if "open" in data:
            self.opened = ""

    def _system_is(self, *, dark: bool) -> None:
        if self.follows:
            self.dark = dark

    def _raise_sheet(self, name: str) -> None:
        part = self._part(name)
        shown = part is not None and part.id != FLOW and not self._starting
        self.sheet.param.update(title=part.title if part is not None else "", shown=shown)
        self.leaf.css_classes = ["sheet"] if shown else []

    def _open_changed(self, event: Any) -> None:
        if self._built:
            if self._narrow and not self.opened and not self.sheet.shown and self._part(event.old) is not None:
                self.opened = event.old  # it stood far below, in the page; who clicks on it on a phone wants to see it
                return
            self._raise_sheet(self.opened)
            self._draw_tabs()
            self._say_what_comes()
            self._later(self._unfold)

    def _say_what_comes(self) -> None:
        comes = [part.title for part in self.parts if part.id == self.opened and part.id not in self._built]
        if comes:  # what was open would stand under the name of what comes, and the line would give way to it
            self._show_only(None)
        self.waiting.text = _("{part} is being built …").format(part=comes[0]) if comes else ""

    def _unfold(self) -> None:
        if self.state is None:
            return
        part = self._part(self.opened) if self.opened != FLOW else None
        if part is None and self.opened:
            self.opened = ""
            return
        if part is not None:
            self._build(part)
            if part.frame.layout not in list(self.unfolded):
                self.unfolded.append(part.frame.layout)
        self._show_only(part)
        for each in self.parts:
            if each.frame.view is not None:
                each.frame.view.opened = self.opened
        self._draw_tabs()

    def _show_only(self, part: Part | None) -> None:
        for other in self._foldable():  # hidden, not taken away: it is there at once when it is unfolded again
            css = ["leaf"] if other is part else ["leaf", "folded"]
            other.frame.layout.param.update(visible=other is part, css_classes=css)
            other.frame.active = other is part

    def _draw_tabs(self, *_events: Any) -> None:
        tabs = [{"id": p.id, "title": p.title, "failed": p.frame.failed} for p in self._foldable()]
        self.tabs.param.update(tabs=tabs, chosen=self.opened)
        self.dock.opened = self.opened

    # -- light and dark ------------------------------------------------------------------------------------------------------

    def _other_theme(self) -> None:
        self.follows = False
        self.dark = not self.dark

    def _scheme(self) -> dict[str, str]:
        if self.follows:
            return {"color-scheme": "light dark"}  # the browser decides, before anything has been said
        return {"color-scheme": "dark" if self.dark else "light"}

    def _theme_changed(self, *_events: Any) -> None:
        if hasattr(self, "_layout"):
            self._layout.styles = self._scheme()
        for frame in [part.frame for part in self.parts] + ([self.why] if self.why else []):
            frame.dark = self.dark
        if self._on_theme is not None:
            self._on_theme(self.dark)

    # -- outside a server ----------------------------------------------------------------------------------------------------

    def save(self, filename: str | Path, **kwargs: Any) -> None:
        """Writes the dashboard as one HTML file that works without network and server.

        What the browser does by itself works in it; what needs the model (another text, another block) says so.
        """
        offline.save(self.__panel__(), filename, **kwargs)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        offline.notebook()
        return super()._repr_mimebundle_(include, exclude)


def explain(text: str, model: LanguageModel | str | None = None, **params: Any) -> Dashboard:
    """The whole dashboard of a model on a text: shows itself in a notebook, and has ``.servable()`` and ``.save("x.html")``.

    Args:
        text: what the model runs on.
        model: a `LanguageModel`, or a name for `txpanel.load`; the model that the page would start with by default.
        **params: of the `ModelState`, such as ``layer=3`` or ``temperature=0.8``.

    Raises:
        TxpanelError: the text is empty or too long, or the model cannot be found, in words.
    """
    import txpanel
    from txpanel.models.choice import choose
    from txpanel.session.state import ModelState

    reason = _("You chose it.")
    if model is None:
        chosen = choose()
        model, reason = chosen.name, chosen.reason
    if isinstance(model, str):
        model = txpanel.load(model)
    state = ModelState(model=model, text=text, model_name=model.name, model_reason=reason, **params)
    return Dashboard(state, fixed=True)


def _welcome() -> list[Any]:
    return rich(
        _(
            "Type a text above and press Enter: the model runs on it, and every number on the way to its next token can be "
            "looked at here.\n\nNothing on this page is made up: each number is in the run, or recomputed from it."
        )
    )
