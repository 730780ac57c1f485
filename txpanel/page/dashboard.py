"""The whole dashboard: the bar on top, the timeline, the views, and the “why this number” card beside them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import panel as pn
import param

from txpanel.compat.inlined_styles import shown
from txpanel.decoding.settings import USUAL
from txpanel.errors import BadText
from txpanel.messages import _
from txpanel.page import offline
from txpanel.page.card_place import CardPlace
from txpanel.page.connection.component import before_it_is_there
from txpanel.page.lessons.controller import LessonController
from txpanel.page.timeline.controller import TimelineController
from txpanel.page.top_bar.controller import Bar
from txpanel.page.view_area import TOP_CSS, ViewArea
from txpanel.toolkit.card import flow
from txpanel.toolkit.first_picture import Piece, with_first_picture
from txpanel.toolkit.palette import FONTS
from txpanel.toolkit.text import Rich, rich

if TYPE_CHECKING:
    from txpanel.compat.page_resources import First
    from txpanel.models.language_model import LanguageModel
    from txpanel.session.state import ModelState
    from txpanel.tracing.trace import Trace

__all__ = ["Dashboard", "explain"]

ROOT_CSS = """
:host{background:var(--tx-background);color:var(--tx-text);font-family:FONTS;min-height:100%}
""".replace("FONTS", FONTS)
BODY_CSS = """
:host{opacity:var(--tx-behind,1)}
:host{padding:6px 24px 28px;box-sizing:border-box;gap:8px;flex:none!important;height:auto!important;min-height:100%;max-height:none!important}
@media (max-width:640px){:host{padding:6px 10px 20px}}
@media print{:host{min-height:0}}
"""
LOWER_CSS = """
:host{gap:16px;align-items:flex-start;flex-wrap:nowrap;flex:none!important;height:auto!important;max-height:none!important}
@media (max-width:1100px){:host{flex-wrap:wrap}}
"""

STAGE = '<div class="head"></div><div class="body"><div class="over"></div><div class="tops"></div><div class="under"></div></div>'
STAGE_CSS = f"""
#tx-first .head,#tx-first .over,#tx-first .under{{display:contents}} #tx-first .body,#tx-first .tops{{display:flex;flex-direction:column}}
{BODY_CSS.replace(":host", "#tx-first .body")}{TOP_CSS.replace(":host", "#tx-first .tops")}
"""
"""Where the parts of the first picture stand: as in the layout below."""


class Dashboard(pn.viewable.Viewer):
    """Everything about one state on one page; it stands before the state is there (`attach`).

    Args:
        state: what to show; may come later.
        fixed: whether the model cannot be changed here.
        on_theme: called with True for dark when the theme changes.
        later: calls a function once the present changes have been sent to the browser; at once by default.

    Attributes:
        bar: on top. timeline: of what was generated. views: all views. card: “why this number”. lessons: what leads through them.
    """

    dark = param.Boolean(default=False, doc="Whether it is dark.")
    follows = param.Boolean(default=False, doc="Whether `dark` follows the system, until a person chooses.")
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
        self._on_theme = on_theme
        self._later = later or (lambda step: step())
        self._system_is_dark = self.dark
        self._watcher: Any = None
        self.timeline = TimelineController()
        self.bar = Bar(self._other_theme, fixed=fixed, pace=lambda: self.timeline.pace)
        bar = self.bar.component
        self.views = ViewArea(
            later=self._later,
            bar=bar,
            on_system_theme=self._system_theme,
            opened=self.opened,
            dark=self.dark,
        )
        self.card = CardPlace(bar, opened=self.opened, dark=self.dark)
        self.lessons = LessonController(self._open_view, lambda: self.views.opened, fixed=fixed, later=self._later)
        self._make_layout()
        self.param.watch(self._theme_changed, ["dark", "follows"])
        self.param.watch(lambda _event: setattr(self.views, "opened", self.opened), "opened")
        self.views.param.watch(self._opened_changed, "opened")
        if state is not None:
            self.attach(state)

    def _make_layout(self) -> None:
        wide: dict[str, Any] = {"sizing_mode": "stretch_width", "margin": 0}
        self.empty = Rich(look="lead", sizing_mode="stretch_width", margin=(40, 0), paragraphs=_welcome())
        self.lower = flow(self.views.lower, self.card.column, stylesheets=[LOWER_CSS], **wide)
        self.body = pn.Column(
            self.empty,
            self.timeline.component,
            self.views.top,
            self.views.tabs,
            self.lower,
            stylesheets=[BODY_CSS],
            **wide,
        )

    def __panel__(self) -> pn.Column:
        if not hasattr(self, "_layout"):
            self._layout = pn.Column(
                self.bar.component,
                self.body,
                self.lessons.component,
                sizing_mode="stretch_width",
                margin=0,
                stylesheets=[ROOT_CSS],
            )
            self._layout.styles = self._scheme()
        return self._layout

    # -- the state -----------------------------------------------------------------------------------------------------------

    def attach(self, state: ModelState) -> None:
        """Shows a state; once."""
        self.state = state
        self.bar.attach(state)
        self.timeline.attach(state)
        self.views.attach(state)
        self._watcher = state.param.watch(self._trace_changed, "trace")
        self._trace_changed()
        self.card.attach(state)
        self.lessons.attach(state)

    def first_picture(self) -> First | None:
        """What is on screen first, if there is a run: the bar, what stands on top, the tabs."""
        pieces = [Piece(component, "tops") for component in self.views.on_top()]
        if not pieces:
            return None
        over = [Piece(one, "over") for one in (self.timeline.component,) if one.visible]
        pieces = [Piece(self.bar.component, "head"), *over, *pieces, Piece(self.views.tabs, "under")]
        return partial(with_first_picture, stage=STAGE, css=STAGE_CSS, pieces=pieces, aside=before_it_is_there())

    def close(self) -> None:
        """The session is over: nothing is held any more."""
        self.lessons.close()
        self.bar.close()
        self.timeline.close()
        self.views.close()
        self.card.close()
        if self.state is not None:
            self.state.param.unwatch(self._watcher)
            self.state.close()
        self.state = self._watcher = None

    def _trace_changed(self, *_events: Any) -> None:
        trace = self.state.trace if self.state is not None else None
        there = trace is not None
        self.empty.visible = not there
        self.lower.visible = there
        drawn = trace is None or not trace.anatomy.cross_there  # the flow of an encoder-decoder is a card
        self.bar.component.pictured = drawn and any(part.on_top for part in self.views.parts)
        self.views.show(there=there, drawn=drawn)

    def _opened_changed(self, _event: Any) -> None:
        self.opened = self.card.opened = self.views.opened  # as it is now: the area may have taken the change back
        self.lessons.view_opened()

    def _open_view(self, name: str) -> None:
        self.views.opened = name

    # -- light and dark ------------------------------------------------------------------------------------------------------

    def _other_theme(self, system: Any = None) -> None:
        if isinstance(system, bool):  # as the click saw it: the browser reports a change of it a frame later
            self._system_is_dark = system
        seen = self._system_is_dark if self.follows else self.dark
        self.param.update(follows=False, dark=not seen)

    def _system_theme(self, dark: bool) -> None:
        self._system_is_dark = dark  # at once: a click on the other theme may come before the pictures have followed
        self._later(self._follow_system)

    def _follow_system(self) -> None:
        if self.follows:
            self.dark = self._system_is_dark

    def _scheme(self) -> dict[str, str]:
        if self.follows:
            return {"color-scheme": "light dark"}  # the browser decides, before anything has been said
        return {"color-scheme": "dark" if self.dark else "light"}

    def _theme_changed(self, *_events: Any) -> None:
        if hasattr(self, "_layout"):
            self._layout.styles = self._scheme()
        self.views.dark = self.card.dark = self.dark
        if self._on_theme is not None:
            self._on_theme(self.dark)

    # -- outside a server ----------------------------------------------------------------------------------------------------

    def save(self, filename: str | Path, **kwargs: Any) -> None:
        """Writes the dashboard as one HTML file that works without network and server.

        All views are in it, with tables and CSV files of their numbers, in light and dark. What the browser does by itself works (tabs, sampling,
        files of pictures); what needs the model (another text, another block) is grey and says so.

        Raises:
            BadFile: it could not be written; what was there before is there still.
        """
        if self.state is not None and self.state.trace is not None:
            self.views.build_all()
        facts = offline.saved_facts(self.state)
        views = [part.id for part in self.views.below()]
        offline.save(self.__panel__(), filename, facts=facts, views=views, dark=self._set_dark, **kwargs)

    def _set_dark(self, dark: bool) -> None:
        self.dark = dark

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        offline.notebook()
        return shown(self._create_view(), include, exclude)


def explain(text: str | Trace, model: LanguageModel | str | None = None, **params: Any) -> Dashboard:
    """The whole dashboard of a model on a text: shows itself in a notebook, and has ``.servable()`` and ``.save("x.html")``.

    Args:
        text: what the model runs on; or a trace, which is shown as it was recorded.
        model: a `LanguageModel`, or a name for `txpanel.load`; the model that the page would start with by default.
        **params: of the `ModelState`, such as ``layer=3`` or ``temperature=0.8``. Without any setting of sampling they are those
            that a page begins with; with one, the others are off.

    Raises:
        TxpanelError: the text is empty or too long, or the model cannot be found, in words.
    """
    import txpanel  # late: torch; the page is painted before it is imported
    from txpanel.models.choice import choose
    from txpanel.models.language_model import opened
    from txpanel.session.state import ModelState

    if not isinstance(text, (str, txpanel.Trace)):
        raise BadText(
            _("explain shows a text or a trace. Of token ids it shows their trace: explain(model.trace(ids)).")
        )
    reason = _("You chose this model.")
    if not isinstance(text, str):
        traced = model if model is not None else text.model
        if isinstance(traced, str):
            traced = txpanel.load(traced)
        name = traced.name if traced is not None else ""
        return Dashboard(
            ModelState(trace=text, model=traced, model_name=name, model_reason=reason, **params), fixed=True
        )
    if model is None:
        chosen = choose()
        model, reason = chosen.name, chosen.reason
    if isinstance(model, str):
        model = txpanel.load(model)
    opened(model)
    usual = {} if params.keys() & USUAL.keys() else USUAL
    state = ModelState(
        model=model, text=text, model_name=model.name, model_reason=reason, usual=usual, **usual | params
    )
    return Dashboard(state, fixed=True)


def _welcome() -> list[Any]:
    return rich(
        _(
            "Type a text above and press Enter. The model runs on it, and you can look at every number that leads to "
            "the next token.\n\nEvery number on this page comes from this run or is recomputed from it."
        )
    )
