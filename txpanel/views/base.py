"""The base class of every view, built in or from another package: one state in, one Panel object out."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import panel as pn
import param
from panel.io.document import unlocked
from panel.io.state import set_curdoc
from panel.viewable import Viewable

from txpanel.compat import process_wide
from txpanel.compat.held_exits import is_held
from txpanel.compat.inlined_styles import shown
from txpanel.compat.one_look_through import one_look_through
from txpanel.messages import again
from txpanel.toolkit.palette import Kind, Scale
from txpanel.views.running import at_work

__all__ = ["API_VERSION", "View"]

API_VERSION = 1
"""The version of this class that plugins are written against (`View.api_version`)."""

Callback = Callable[[], Any]


def _built_once(build: Callable[[View], Any]) -> Callable[[View], Any]:
    """Lets `__panel__` run once: Panel calls it at every display, and each call would add its watchers again."""

    @functools.wraps(build)
    def panel(self: View) -> Any:
        if self._built is None:
            if pn.state.curdoc is not None and pn.state.curdoc.session_context is not None:
                process_wide.apply("view")
            self._built = build(self)
        return self._built

    return panel


class View(pn.viewable.Viewer):
    """A picture of the trace that a `ModelState` holds.

    A view reads the state and the trace, never another view. It implements `__panel__`, which is run once; what changes
    afterwards is fed through `follow`.

    Example:
        >>> class TokenCount(View):
        ...     id, title, order = "token-count", "Tokens", 15
        ...     def __panel__(self):
        ...         pane = pn.pane.Str("")
        ...         self.follow(lambda: setattr(pane, "object", str(len(self.state.trace.tokens.ids))), "trace")
        ...         return pane
    """

    id: ClassVar[str] = ""
    """Stable name, in lower case with hyphens: equal to the name of the entry point."""
    title: ClassVar[str] = ""
    """What stands above the view on the page."""
    order: ClassVar[int] = 100
    """Where it stands: smaller numbers first. Built-in views use 0 to 70."""
    requires: ClassVar[frozenset[str]] = frozenset()
    """Tensor names without block prefix (such as ``"pattern"``) without which the view has nothing to show."""
    shows: ClassVar[frozenset[str]] = frozenset()
    """Tensor names without block prefix for which the page may open it: a click on ``blocks.3.pattern`` in the flow
    opens the first view that shows ``"pattern"``."""
    api_version: ClassVar[int] = API_VERSION
    """The version of this base class that the view was written for."""
    first: ClassVar[bool] = False
    """Whether it is updated at once, before the other views, which follow a moment later; true of the flow and the card."""
    on_top: ClassVar[bool] = False
    """Whether it always stands on top of the page, as the flow does, instead of having a tab."""

    state = param.ClassSelector(
        class_=param.Parameterized, allow_refs=False, doc="The shared model state, a `txpanel.ModelState`."
    )
    active = param.Boolean(
        default=True, doc="Whether the view is on screen: one that is not puts its updates off until it is."
    )
    dark = param.Boolean(default=False, doc="Whether the page is dark; the page sets it, `mapper` follows it.")
    opened = param.String(default="", doc="Id of the view unfolded below the flow; setting it opens that view.")
    openable = param.Dict(
        default={},
        doc="Tensor name without block prefix -> id of the view that is opened for it; the page sets it from `shows`.",
    )

    def __init__(self, state: Any, **params: Any) -> None:
        self._built: Any = None
        self._watchers: list[tuple[param.Parameterized, Any]] = []
        self._pending: dict[int, Callback] = {}
        self._scheduled = False
        self._on_error: Callable[[BaseException], None] | None = None
        params.setdefault("dark", pn.config.theme == "dark")
        super().__init__(state=state, **params)
        self.param.watch(self._catch_up, "active")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__panel__" in cls.__dict__:
            cls.__panel__ = _built_once(cls.__dict__["__panel__"])  # type: ignore[assignment,method-assign]

    @classmethod
    def named(cls, trace: Any) -> str:
        """What the view's tab is called where this run is shown: its `title`, unless it says something of the model.

        Args:
            trace: the run; None while there is none.
        """
        return str(again(cls.title))

    def __panel__(self) -> Viewable:
        """Builds the view: any Panel object. Must work while `state.trace` is None (nothing has run yet)."""
        raise NotImplementedError(f"{type(self).__name__} does not implement __panel__")

    def follow(self, callback: Callback, *names: str, empty: Callback | None = None) -> None:
        """Calls `callback` now, if there is a trace, and whenever one of the state's parameters `names` changes.

        Args:
            callback: takes nothing; reads what it needs from ``self.state``. Not called while there is no trace.
            names: parameters of the state; ``"trace"`` when none is given.
            empty: called instead of `callback` while there is no trace.

        An exception in it is shown on the card of the view's frame and leaves the other views alone; outside a frame it
        is raised.
        """

        def run() -> None:
            if self.state is None:
                return
            step = callback if self.state.trace is not None else empty
            if step is not None:
                self._guarded(step)

        def changed(*_events: Any) -> None:
            self._pending[id(callback)] = run
            if self.active and not self._postpone():
                self._catch_up()

        self._watchers.append((self.state, self.state.param.watch(changed, list(names or ("trace",)))))
        if self.active and self._ready_to_look():
            run()
        else:
            self._pending[id(callback)] = run

    def watch(self, source: param.Parameterized, callback: Callable[[Any], Any], *names: str) -> None:
        """Watches parameters of an object (a stream, a component, the view itself) until `close`; errors go to the card."""
        watcher = source.param.watch(lambda event: self._guarded(lambda: callback(event)), list(names))
        self._watchers.append((source, watcher))

    def mapper(self, kind: Kind, values: Any = None) -> Any:
        """A Bokeh colour mapper of this page's theme which follows light and dark.

        Args:
            kind: see `txpanel.toolkit.palette.Scale`.
            values: what it is to be scaled to; call `Scale.of` and set ``low`` and ``high`` yourself for later changes.
        """
        scale = Scale.of(kind, values if values is not None else [1.0], dark=self.dark)
        mapper = scale.mapper()
        self.watch(self, lambda event: setattr(mapper, "palette", list(scale.themed(event.new).palette)), "dark")
        return mapper

    def open_for(self, tensor: str) -> None:
        """Opens the view that shows a tensor, such as ``"blocks.3.pattern"`` or ``"pattern"``; nothing where none does."""
        from txpanel.tracing.names import (
            split_name,
        )  # late: the room of tracing brings torch, and the page is painted before

        self.opened = self.openable.get(split_name(tensor)[1], self.opened)

    def close(self) -> None:
        """Lets go of the state: nothing is called any more, and the view can be freed."""
        for source, watcher in self._watchers:
            source.param.unwatch(watcher)
        self._watchers.clear()
        self._pending.clear()
        self._on_error = None
        self._built = None
        self.state = None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return shown(self._create_view(), include, exclude)

    def _postpone(self) -> bool:
        """On a served page the views that are `first` are updated first, the others once that has been sent, with the newest state."""
        document = pn.state.curdoc
        if self.first or document is None or document.session_context is None or not pn.state.loaded:
            return False
        if not self._scheduled:
            self._scheduled = True
            document.add_next_tick_callback(functools.partial(self._run_scheduled, document))
        return True

    def _run_scheduled(self, document: Any) -> None:
        self._scheduled = False
        with set_curdoc(document), unlocked():
            self._catch_up()

    def _ready_to_look(self) -> bool:
        """Whether the block in focus can be shown at once; if not (a long text), it is replayed in a thread, and then `_catch_up` is called."""
        ready = getattr(self.state, "ready_to_look", None)
        return ready is None or ready(self._catch_up)

    def _catch_up(self, _event: Any = None) -> None:
        if self.active and self._pending and self._ready_to_look():
            pending, self._pending = list(self._pending.values()), {}
            for run in pending:
                run()

    def _guarded(self, step: Callback) -> None:
        try:
            with one_look_through(), at_work(type(self)):
                step()
        except BaseException as error:
            if self._on_error is None or not is_held(error):
                raise
            self._on_error(error)
