"""The frame around every view: an error inside it becomes a card with a sentence, and the rest of the page goes on."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Callable
from typing import Any

import panel as pn
import param

from txpanel.compat.held_exits import is_held
from txpanel.errors import NotUsed, TxpanelError
from txpanel.messages import _
from txpanel.toolkit.text import ErrorCard
from txpanel.views.base import API_VERSION, View
from txpanel.views.running import at_work

__all__ = ["ViewFrame", "short_traceback"]

log = logging.getLogger("txpanel.views")

_FOLDERS = re.compile(r'(?m)^(\s*File ")[^"\n]*?([^"/\\\n]+[/\\][^"/\\\n]+)"')
"""A file in a line of a traceback; the second group has its name and its folder's."""

Load = Callable[[], type[View]]


def short_traceback(error: BaseException, lines: int = 14) -> str:
    """The last lines of an error's traceback, which are the ones its author needs; of files not where they are on the server."""
    whole = "".join(traceback.format_exception(error)).rstrip()
    text = _FOLDERS.sub(r'\g<1>\g<2>"', whole).splitlines()
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
        self.error: BaseException | None = None
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
            with at_work(view_class):
                self.view = view = view_class(self.state, **passed)
                view.param.watch(lambda event: setattr(self, "opened", event.new), "opened")
                view._on_error = lambda error: self._show(error, _("be updated"))
                content = pn.panel(view.__panel__())
                if self.error is None:  # else an update failed while it was built, and the card is shown already
                    self._layout[:] = [content]
        except BaseException as error:
            self._hold(error, phase)

    def fail(self, error: BaseException, *, drawn: bool = False) -> None:
        """Shows the card without trying. `retry` tries again.

        Args:
            error: why.
            drawn: it was built, but Panel could not draw what it built; else it was found before that it can't be used.
        """
        self._hold(error, _("be drawn") if drawn else _("be used"))

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
                with at_work(type(view)):
                    view.close()
            except BaseException as error:
                if not is_held(error):
                    raise
                log.exception("the view %s failed while it was closed", self.label)

    def _pass_on(self, *events: Any) -> None:
        if self.view is not None:
            try:
                with at_work(type(self.view)):
                    self.view.param.update(**{event.name: event.new for event in events})
            except BaseException as error:
                self._hold(error, _("be updated"))

    def _hold(self, error: BaseException, phase: str) -> None:
        """Whatever a view raises ends here, ``sys.exit`` too; a Ctrl-C and a cancellation are not its own, and go on."""
        if not is_held(error):
            raise error
        self._show(error, phase)

    def _show(self, error: BaseException, phase: str) -> None:
        known = isinstance(error, NotUsed)
        if not known:  # else the log has it from who found it: not once more for each page
            log.error("the view %s could not %s", self.label, phase, exc_info=error)
        self.error, self.failed = error, True
        origin = _(" ({origin})").format(origin=self.origin) if self.origin else ""
        text = _("The view “{name}”{origin} could not {phase}")
        if isinstance(error, NotUsed):
            text, phase = (_("The view “{name}”{origin} is switched off") if error.off else text), _("be used")
        heading = text.format(name=self.label, origin=origin, phase=phase)
        words = {
            "heading": heading,
            "reason": _sentence(error),
            "advice": _("Everything else on this page still works. If it happens again, tell the author of the view."),
            "details": "" if known else short_traceback(error),
            "retry_label": "" if getattr(error, "off", False) else _("Try again"),
        }
        standing = self._layout[0] if len(self._layout) else None
        if isinstance(standing, ErrorCard):  # changed, not replaced: a person may be about to click on it
            standing.param.update(**words)
        else:
            self._layout[:] = [ErrorCard(on_retry=self.retry, sizing_mode="stretch_width", **words)]
