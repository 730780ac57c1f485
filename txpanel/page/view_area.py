"""Where the views stand: those on top of the page, the tabs of the others, and the one that is unfolded below them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import panel as pn
import param

from txpanel.compat import late_models
from txpanel.messages import _
from txpanel.page.frames import Part, openable, parts
from txpanel.page.sheet import SheetHead
from txpanel.page.tabs import Tabs
from txpanel.toolkit.component import Component
from txpanel.toolkit.waiting import Waiting
from txpanel.views.frame import ViewFrame

if TYPE_CHECKING:
    from txpanel.session.state import ModelState

__all__ = ["ViewArea"]

FIRST_SHOWN = "pattern"
"""A tensor: the view that shows it is unfolded at the start."""

TOP_CSS = ":host{min-height:580px}"
"""What lies below keeps its place while a view on top is built."""
UNFOLDED_CSS = """
:host{display:grid;grid-template-columns:minmax(0,1fr);min-height:70vh!important}
.leaf{grid-area:1/1;transition:opacity .28s ease,translate .28s ease,display .28s allow-discrete}
.leaf.folded{opacity:0;translate:0 -14px} .leaf.gone{transition:none}
@starting-style{.leaf{opacity:0;translate:0 -14px}}
@media (prefers-reduced-motion:reduce){.leaf{transition:none}}
"""
"""All views lie in one grid cell: one fades out while the next fades in (where the browser cannot animate `display` they just change). While the next
one is still being built, the old one is hidden at once (`gone`)."""
SHEET_CSS = """
@keyframes rise{from{translate:0 40px;opacity:0}}
@media (max-width:640px) and (prefers-reduced-motion:no-preference){:host(.sheet){animation:rise .28s cubic-bezier(.2,.7,.2,1)}}
@media (max-width:640px){:host(.sheet){position:fixed;inset:64px 0 0 0;width:auto!important;max-width:none;height:calc(100dvh - 64px)!important;z-index:35;
  overflow:hidden auto;overscroll-behavior:contain;box-sizing:border-box;padding:0 10px 24px;background:var(--tx-background);
  border-radius:16px 16px 0 0;box-shadow:0 0 0 100vmax rgb(15 23 42/.45)}}
"""
"""On a phone a view that is opened lies over the page. The one that is open from the start stands in the page, below the flow."""

WIDE: dict[str, Any] = {"sizing_mode": "stretch_width", "margin": 0}


class ViewArea(param.Parameterized):
    """All views of a page, each built when it is first needed.

    Args:
        later: calls a function after what is there has been sent to the browser.
        bar: a component that stands on the page already: through it the browser gets the definitions of components that come later.
        on_system_theme: called with True when the browser says that its system is dark, False when light.

    Attributes:
        top: views that always stand on top. tabs: the other views' names. lower: the unfolded view, on a phone as a sheet.
    """

    opened = param.String(default="", doc="Id of the view that is unfolded; empty: none.")
    dark = param.Boolean(default=False, doc="Whether the page is dark.")

    def __init__(
        self,
        *,
        later: Callable[[Callable[[], None]], None],
        bar: Any,
        on_system_theme: Callable[[bool], None],
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self.parts: list[Part] = []
        self._state: ModelState | None = None
        self._later, self._bar, self._on_system_theme = later, bar, on_system_theme
        self._built: set[str] = set()
        self._narrow = self._at_start = self._started = False
        self._make_layout()
        self.param.watch(self._open_changed, "opened")
        self.param.watch(self._theme_changed, "dark")

    def _make_layout(self) -> None:
        self.top = pn.Column(stylesheets=[TOP_CSS], **WIDE)
        label = _("Parts of the model")
        said = {"label": label, "close_label": _("Close what is open"), "failed_label": _("failed")}
        self.tabs = Tabs(self._on_tab, visible=False, **said, **WIDE)
        self.waiting = Waiting(gives_way=True, **WIDE)
        look = {"css_classes": ["tx-unfolded"], "stylesheets": [UNFOLDED_CSS]}
        self.unfolded = pn.Column(self.waiting, **WIDE, **look)
        self.sheet = SheetHead(self._on_sheet, close_label=_("Close"), **WIDE)
        grows = {"styles": {"flex": "1 1 0", "min-width": "0"}, "stylesheets": [SHEET_CSS]}
        self.lower = pn.Column(self.sheet, self.unfolded, **WIDE, **grows)

    # -- the state -----------------------------------------------------------------------------------------------------------

    def attach(self, state: ModelState) -> None:
        """Makes a frame for each view that is installed; nothing is built yet."""
        self._state = state
        self.parts = parts(state)
        targets = openable(self.parts)
        for part in self.parts:
            part.frame.param.update(dark=self.dark, active=False, opened=self.opened, openable=targets)
            part.frame.param.watch(self._draw_tabs, "failed")
            part.frame.param.watch(lambda event: setattr(self, "opened", event.new), "opened")
        self._draw_tabs()

    def show(self, *, there: bool, drawn: bool = True) -> None:
        """Shows the views, or nothing while there is no run; the first time it builds them. `drawn`: whether what is on top is a picture, with its height."""
        sheets = [TOP_CSS] if drawn else []
        if self.top.stylesheets != sheets:
            self.top.stylesheets = sheets
        self.top.visible = there and any(part.on_top for part in self.parts)
        self.lower.visible = self.tabs.visible = there
        self._draw_tabs()
        if there and not self._started:
            self._started = True
            for part in self.parts:
                if part.on_top:
                    self._build(part)
                    put(part.frame, self.top)
            self._later(self._unfold_first)

    def on_top(self) -> list[Component]:
        """What the views on top are made of, from top to bottom; nothing where that is not components of ours only."""
        if not self._started or not self.top.visible:
            return []
        shown = list(_shown(self.top))
        return [one for one in shown if isinstance(one, Component)] if all(map(_is_ours, shown)) else []

    def close(self) -> None:
        """Closes all views."""
        self.tabs.close()
        self.sheet.close()
        for part in self.parts:
            part.frame.close()
        self.parts, self._state = [], None

    # -- one view is unfolded ------------------------------------------------------------------------------------------------

    def below(self) -> list[Part]:
        """The views that have a tab, in their order."""
        return [part for part in self.parts if not part.on_top]

    def _title(self, part: Part) -> str:
        return part.named(self._state.trace if self._state is not None else None)

    def _part(self, name: str) -> Part | None:
        return next((part for part in self.below() if part.id == name), None)

    def _unfold_first(self) -> None:
        if self.opened and self._part(self.opened) is None:
            self.opened = ""
        if self.opened:
            self._unfold()
            return
        first = openable(self.parts).get(FIRST_SHOWN) or next((part.id for part in self.below()), "")
        self._at_start = True
        self.opened = first
        self._at_start = False

    def _open_changed(self, event: Any) -> None:
        if not self._started:
            return
        if self._narrow and not self.opened and not self.sheet.shown and self._part(event.old) is not None:
            self._at_start = True  # on a phone the first view lies below the flow, and nothing folds it there
            self.opened = event.old
            self._at_start = False
            return
        self._say_what_comes()  # first: no frame may show the old view under the new tab
        self._raise_sheet(self.opened)
        self._draw_tabs()
        self._later(self._unfold)

    def _raise_sheet(self, name: str) -> None:
        part = self._part(name)
        shown = part is not None and not self._at_start
        self.sheet.param.update(title=self._title(part) if part is not None else "", shown=shown)
        self.lower.css_classes = ["sheet"] if shown else []

    def _say_what_comes(self) -> None:
        comes = [self._title(part) for part in self.below() if part.id == self.opened and part.id not in self._built]
        if comes:  # hide the old view now: it would stand under the new tab and cover the waiting line
            self._show_only(None, "gone")
        self.waiting.text = _("Loading: {part} …").format(part=comes[0]) if comes else ""

    def _unfold(self) -> None:
        if not self.parts:
            return
        part = self._part(self.opened)
        if part is None and self.opened:
            self.opened = ""
            return
        if part is not None:
            self._build(part)
            if part.frame.layout not in list(self.unfolded):
                put(part.frame, self.unfolded)
        self._show_only(part)
        for each in self.parts:
            each.frame.opened = self.opened
        self._draw_tabs()

    def build_all(self) -> None:
        """Builds the views that were not opened yet, hidden behind the open one."""
        self.show(there=True)
        for part in self.below():
            self._build(part)
            if part.frame.layout not in list(self.unfolded):
                put(part.frame, self.unfolded)
        self._show_only(self._part(self.opened))

    def _show_only(self, part: Part | None, *gone: str) -> None:
        for other in self.below():  # hidden, not taken away: it is there at once when it is unfolded again
            css = ["leaf", f"view-{other.id}"] if other is part else ["leaf", "folded", f"view-{other.id}", *gone]
            other.frame.layout.param.update(visible=other is part, css_classes=css)
            other.frame.active = other is part

    def _build(self, part: Part) -> None:
        if part.id not in self._built:
            self._built.add(part.id)
            part.frame.active = True
            build_before_shown(part.frame, self._bar)

    def _draw_tabs(self, *_events: Any) -> None:
        tabs = [{"id": p.id, "title": self._title(p), "failed": p.frame.failed} for p in self.below()]
        self.tabs.param.update(tabs=tabs, chosen=self.opened)

    # -- what the browser says -----------------------------------------------------------------------------------------------

    def _on_tab(self, data: dict[str, Any]) -> None:
        self.opened = str(data.get("open", ""))

    def _on_sheet(self, data: dict[str, Any]) -> None:
        if "narrow" in data:
            self._narrow = bool(data["narrow"])
        if "dark" in data:
            self._on_system_theme(bool(data["dark"]))
        if "open" in data:
            self.opened = ""
        if data.get("reveal") == self.opened and self.opened and not self.sheet.shown:
            self._raise_sheet(self.opened)  # it was open, below the flow; whoever asks for it on a phone gets the sheet

    def _theme_changed(self, *_events: Any) -> None:
        for part in self.parts:
            part.frame.dark = self.dark


def _shown(box: Any) -> Iterator[Any]:
    """What is shown in a column, from top to bottom; of boxes in it what they hold. Another kind of box counts as a thing of its own."""
    for one in box:
        if one.visible:
            yield from _shown(one) if isinstance(one, pn.Column) else [one]


def _is_ours(one: Any) -> bool:
    return isinstance(one, Component) and bool(one._key)


def put(frame: ViewFrame, column: pn.Column) -> None:
    """Puts a view on the page; where Panel cannot draw what the view has built, its error card, so that later views can still be put there."""
    try:
        column.append(frame.layout)
    except BaseException as error:
        frame.fail(error, drawn=True)
        column.param.trigger("objects")


def build_before_shown(frame: ViewFrame, bar: Any) -> None:
    """Builds a view before it is put on the page, so that the browser can be told of its components first.

    Args:
        frame: of the view.
        bar: a component that stands on the page already.
    """
    frame.build()
    if pn.state.curdoc is not None:
        late_models.teach(pn.state.curdoc, bar)
