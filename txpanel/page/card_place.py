"""The place of the “why this number” card: beside the unfolded view, or in a corner of the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import panel as pn
import param

from txpanel.messages import _
from txpanel.page.card_dock import CardDock
from txpanel.page.view_area import build_before_shown
from txpanel.views.frame import ViewFrame

if TYPE_CHECKING:
    from txpanel.session.state import ModelState

__all__ = ["CardPlace"]

BESIDE_CSS = """
:host{flex:0 0 416px!important;align-self:stretch!important;height:auto!important;max-height:none!important;padding-left:16px;box-sizing:border-box}
@media (max-width:1100px){:host{flex:none!important;width:auto!important;padding:0}}
"""
CARD_CSS = """
:host{position:sticky;top:60px;max-height:calc(100vh - 76px);overflow:auto;box-sizing:border-box;background:var(--tx-surface);
  border:1px solid var(--tx-border);border-radius:14px;padding:16px 18px;scrollbar-width:thin}
:host([data-dock]){position:fixed;left:var(--tx-x);top:var(--tx-y);max-height:var(--tx-h);width:400px!important;z-index:30;
  box-shadow:0 10px 40px rgb(15 23 42/.24)}
:host([data-dock][data-several]){width:min(832px,calc(100vw - 48px))!important}
@keyframes come{from{translate:16px 0;opacity:0}}
@media (prefers-reduced-motion:no-preference){:host{animation:come .26s cubic-bezier(.2,.7,.2,1)}}
@media (max-width:1100px){:host{position:fixed;inset:auto 0 0 0;width:100%!important;max-height:58vh;z-index:40;border-radius:16px 16px 0 0;
  box-shadow:0 -10px 32px rgb(15 23 42/.22)} :host(.idle){display:none!important}}
@media print{:host{position:static!important;max-height:none!important;width:auto!important;box-shadow:none}}
"""
"""The card stands beside the view; while that is below the screen it lies in the screen's corner (`CardDock`), on a narrow page always."""


class CardPlace(param.Parameterized):
    """Builds the card with the first question, and shows it while there is one.

    The card is the page's own part, not a view that is found by an entry point.

    Args:
        bar: a component that stands on the page already; see `txpanel.page.view_area.build_before_shown`.

    Attributes:
        column: where the card stands. frame: of the card, None before `attach`.
    """

    opened = param.String(default="", doc="Id of the unfolded view: it is scrolled to, unless a question was asked.")
    dark = param.Boolean(default=False, doc="Whether the page is dark.")

    def __init__(self, bar: Any, **params: Any) -> None:
        super().__init__(**params)
        self.frame: ViewFrame | None = None
        self._bar = bar
        self._state: ModelState | None = None
        self._watchers: list[Any] = []
        self.dock = CardDock(lambda _data: None, opened=self.opened)
        self.card = pn.Column(margin=0, stylesheets=[CARD_CSS], css_classes=["idle"], sizing_mode="stretch_width")
        self.column = pn.Column(self.dock, self.card, margin=0, stylesheets=[BESIDE_CSS], visible=False)
        self.param.watch(lambda event: setattr(self.dock, "opened", event.new), "opened")
        self.param.watch(self._theme_changed, "dark")

    def attach(self, state: ModelState) -> None:
        """Follows the questions of a state."""

        def load() -> Any:
            from txpanel.views.why.view import WhyCard  # late: its first import is slow, and nobody has asked yet

            return WhyCard

        self._state = state
        self.frame = ViewFrame(state, load, name=_("Why this number"), dark=self.dark)
        self._watchers = [
            state.param.watch(self._question_changed, "question"),
            state.param.watch(self._count_cards, "pinned"),
        ]
        self._question_changed()

    def close(self) -> None:
        """Closes the card and follows no more questions."""
        self.dock.close()
        for watcher in self._watchers:
            if self._state is not None:
                self._state.param.unwatch(watcher)
        if self.frame is not None:
            self.frame.close()
        self._watchers, self.frame, self._state = [], None, None

    def _question_changed(self, *_events: Any) -> None:
        asked = self._state is not None and self._state.question is not None
        if asked and self.frame is not None and self.frame.view is None and not self.frame.failed:
            build_before_shown(self.frame, self._bar)
            self.card[:] = [self.frame.layout]
        self.column.visible = asked
        self.card.css_classes = [] if asked else ["idle"]
        self.dock.asked = self.dock.asked + 1 if asked else 0
        self._count_cards()

    def _count_cards(self, *_events: Any) -> None:
        self.dock.cards = 1 + len(self._state.pinned) if self._state is not None else 0

    def _theme_changed(self, *_events: Any) -> None:
        if self.frame is not None:
            self.frame.dark = self.dark
