"""The frame around every view: an error inside it becomes a card with a sentence, and the rest of the page goes on."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Any

import panel as pn
import param

from txpanel.errors import TxpanelError
from txpanel.messages import _
from txpanel.toolkit.text import ErrorCard
from txpanel.views.base import API_VERSION, View

__all__ = ["ViewFrame", "short_traceback"]

log = logging.getLogger("txpanel.views")

Load = Callable[[], type[View]]


def short_traceback(error: BaseException, lines: int = 14) -> str:
    """The last lines of an error's traceback, which are the ones its author needs."""
    text = "".join(traceback.format_exception(error)).rstrip().splitlines()
    return "\n".join(text if len(text) <= lines else ["…", *text[-lines:]])


def _sentence(error: BaseException) -> str:
    if isinstance(error, TxpanelError):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


class ViewFrame(pn.viewable.Viewer):
    """Builds one view, and shows a card in its place when importing, building or updating it fails.

    Args:
        state: the shared model state.
        load: returns the view's class; importing the plugin happens in here and may raise.
        name: what people call the view, for the card: its entry point.
        origin: where it comes from, such as ``"txpanel-lens 0.1"``.

    The view is built when `build` is called (the page does so once there is a trace), so that the page stands before
    its pictures do.
    """

    active = param.Boolean(default=True, doc="Whether the view is on screen; passed on to it.")
    dark = param.Boolean(default=False, doc="Whether the page is dark; passed on to the view.")
    opened = param.String(default="", doc="Id of the view unfolded on the page: passed on to the view, and back.")
    openable = param.Dict(default={}, doc="Which view is opened for which tensor; passed on to the view.")
    failed = param.Boolean(default=False, doc="Whether the error card stands in the view's place.")

    def __init__(self, state: Any, load: Load, *, name: str, origin: str = "", **params: Any) -> None:
        self.state = state
        self.load = load
        self.label = name
        self.origin = origin
        self.view: View | None = None
        self.error: Exception | None = None
        self._layout = pn.Column(sizing_mode="stretch_width", margin=0)
        super().__init__(**params)
        self.param.watch(self._pass_on, ["active", "dark", "opened", "openable"])

    @classmethod
    def of(cls, state: Any, view: type[View], **params: Any) -> ViewFrame:
        """The frame of a view class."""
        return cls(state, lambda: view, name=view.id or view.__name__, **params)

    def __panel__(self) -> pn.Column:
        if self.view is None and self.error is None:
            self.build()
        return self._layout

    @property
    def layout(self) -> pn.Column:
        """Where the view or its card stands; empty until `build`."""
        return self._layout

    def build(self) -> None:
        """Builds the view, again if it was built before. Never raises for what the view does."""
        self._drop()
        phase = _("be imported")
        try:
            view_class = self.load()
            self._check(view_class)
            phase = _("be built")
            passed = {"active": self.active, "dark": self.dark, "opened": self.opened, "openable": self.openable}
            self.view = view = view_class(self.state, **passed)
            view.param.watch(lambda event: setattr(self, "opened", event.new), "opened")
            view._on_error = lambda error: self._show(error, _("be updated"))
            content = pn.panel(view.__panel__())
        except Exception as error:
            self._show(error, phase)
        else:
            if self.error is None:  # else an update failed while it was built, and the card is shown already
                self._layout[:] = [content]

    def fail(self, error: Exception) -> None:
        """Shows the card without trying: the view was found to be broken before. `retry` tries again."""
        self._show(error, _("be imported"))

    def retry(self) -> None:
        """Tries once more, from the import on."""
        self.build()

    def close(self) -> None:
        """Closes the view; the frame is empty afterwards and may be freed."""
        self._drop()
        self._layout.clear()
        self.state = None

    @staticmethod
    def _check(view_class: type[View]) -> None:
        if not (isinstance(view_class, type) and issubclass(view_class, View)):
            raise TypeError(_("{what} is not a txpanel.View").format(what=view_class))
        if view_class.api_version != API_VERSION:
            sentence = _("It was written for version {theirs} of txpanel's views, this is version {ours}.")
            raise TypeError(sentence.format(theirs=view_class.api_version, ours=API_VERSION))

    def _drop(self) -> None:
        view, self.view, self.error, self.failed = self.view, None, None, False
        if view is not None:
            try:
                view.close()
            except Exception:
                log.exception("the view %s failed while it was closed", self.label)

    def _pass_on(self, *events: Any) -> None:
        if self.view is not None:
            try:
                self.view.param.update(**{event.name: event.new for event in events})
            except Exception as error:
                self._show(error, _("be updated"))

    def _show(self, error: Exception, phase: str) -> None:
        log.error("the view %s could not %s", self.label, phase, exc_info=error)
        self.error, self.failed = error, True
        origin = _(" ({origin})").format(origin=self.origin) if self.origin else ""
        heading = _("The view “{name}”{origin} could not {phase}").format(name=self.label, origin=origin, phase=phase)
        words = {
            "heading": heading,
            "reason": _sentence(error),
            "advice": _("Everything else on this page goes on. If it happens again, tell the author of the view."),
            "details": short_traceback(error),
        }
        standing = self._layout[0] if len(self._layout) else None
        if isinstance(standing, ErrorCard):  # changed, not replaced: somebody may be about to click on it
            standing.param.update(**words)
        else:
            self._layout[:] = [ErrorCard(on_retry=self.retry, sizing_mode="stretch_width", **words)]
