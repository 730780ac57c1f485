"""One session of the served page. The page is painted at once; the model is shown when it is loaded."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import panel as pn
from bokeh.document import Document
from panel.io.document import unlocked
from panel.io.state import set_curdoc

from txpanel.compat import dead_document, kept_connections, late_models, page_leak, process_wide
from txpanel.compat.thread_handover import hand_over
from txpanel.decoding.settings import USUAL
from txpanel.errors import ModelNotFound
from txpanel.messages import _, again, same_language
from txpanel.models import metrics
from txpanel.models.limits import limits
from txpanel.page import address, language, theme
from txpanel.page.browser_storage import BrowserStorage
from txpanel.page.connection.component import Connection
from txpanel.page.dashboard import Dashboard
from txpanel.page.top_bar.words import default_text
from txpanel.server import policy, upkeep, visitors
from txpanel.server.refusals import refuse
from txpanel.server.start_up import WARM, warm_up
from txpanel.server.work_budget import budget

if TYPE_CHECKING:
    from txpanel.models.progress import Progress
    from txpanel.session.state import ModelState
    from txpanel.session.tree_codec import TreeRecord

__all__ = ["Session", "of", "serve", "warm_up"]

log = logging.getLogger("txpanel.server.session_page")

ADDRESS_EVERY = 2.0
"""Seconds between two updates of the address while tokens are generated: browsers block pages that write it too often."""


def serve() -> None:
    """Puts the page of a new session into the current document; called by ``main.py``."""
    process_wide.apply("page")
    metrics.OPENED.add()
    Session()


_open: weakref.WeakKeyDictionary[Document, weakref.ref[Session]] = weakref.WeakKeyDictionary()


def of(document: Document) -> Session | None:
    """The session whose page a document is; None once it has ended."""
    found = _open.get(document)
    return found() if found is not None else None


class Session:
    """The session of one browser tab: a dashboard on a page, its state, and its address."""

    def __init__(self) -> None:
        self.given = address.read(pn.state.location.search or "") if pn.state.location else {}
        self.doc: Document = pn.state.curdoc
        self.visitor = str(self.doc.session_context.id) if self.doc.session_context else ""
        self.language = language.chosen(self.given.get("lang"), _header(self.doc, "Accept-Language"))
        language.speak(self.doc, self.language)
        late_models.knows_all(self.doc)
        _open[self.doc] = weakref.ref(self)
        self.ended = threading.Event()
        self._gate = threading.Lock()
        self._waiting: list[Callable[[], Any]] | None = []
        self.state: ModelState | None = None
        self._written = 0.0  # time of the last update of the address during a generation
        look = {"dark": self.given.get("dark", False), "follows": "dark" not in self.given}
        look["opened"] = self.given.get("view", "")
        self.dashboard = Dashboard(on_theme=self._themed, later=self._later, **look)
        self.bar, self.body = self.dashboard.bar.component, self.dashboard.body
        self.bar.languages = language.others(self.language)
        self.kept = BrowserStorage(self.bar, self.given.get("film", ""))
        self.dashboard.bar.on_kept = lambda data: self.dispatch(partial(self.kept.answered, data))
        self.connection = Connection(styles={"position": "absolute"}, margin=0) if kept_connections.mended() else None
        parts = [self.bar, *([self.connection] if self.connection else []), self.body, self.dashboard.lessons.component]
        self.page = theme.page(
            parts, title="txpanel", dark=None if look["follows"] else look["dark"], first=self.dashboard.first_picture
        )
        self.page.servable(title="txpanel")
        pn.state.on_session_destroyed(self._end)
        upkeep.begun()
        pn.state.onload(self._loaded)
        if WARM.is_set():
            self._begin()
        else:
            self.dashboard.bar.say(_("Starting: loading PyTorch and the model code, once per server"))
            pn.state.onload(threading.Thread(target=same_language(self._wait_for_imports), daemon=True).start)

    # -- beginning -----------------------------------------------------------------------------------------------------------

    def _wait_for_imports(self) -> None:
        try:
            warm_up()
        except BaseException as error:  # in this thread nobody else would say it
            log.exception("txpanel could not be imported")
            said = _("The model code could not be loaded: {error}").format(error=error)
            self.dispatch(lambda: self.dashboard.bar.say(said))
        else:
            self.dispatch(self._begin)

    def _begin(self) -> None:
        from txpanel.session.state import ModelState  # late: torch; the page is painted before it is imported

        given = {name: self.given[name] for name in address.OF_THE_STATE if name in self.given}
        given |= address.settings(self.given)
        host = self._host()
        permit, allowed = partial(self._permit, host), limits(public=policy.is_public(host))
        refused = partial(refuse, address=self._address())
        self.state = ModelState(
            dispatch=self.dispatch, visitor=self.visitor or None, permit=permit, limits=allowed, refused=refused,
            usual={} if address.holds_a_run(self.given) else USUAL, **policy.options(), **given,
        )  # fmt: skip
        self.dashboard.bar.offer(policy.allowed_models(host), any_model=policy.any_model(host))
        self.dashboard.attach(self.state)
        lessons = self.dashboard.lessons
        lessons.begin(*(self.given.get(name, "") for name in ("lesson", "step", "class")))
        self.kept.then(self._begin_run)

    def _begin_run(self, found: TreeRecord | None) -> None:
        """The text and the model; with a run that the browser has kept, if the address names one."""
        if self.state is None:
            return
        if not self.state.text:  # else the person has typed something already
            self._begin_text(self.state, found)
        self._choose_model()
        if "why" in self.given:
            self._unasked = self.state.param.watch(self._ask_again, "trace")
            self._ask_again()
        told = ["text", "tree", "chat", "busy", "model_name", "question", *address.OF_THE_STATE]
        self.state.param.watch(self._write_address, told)
        self.dashboard.param.watch(self._write_address, ["opened", "dark", "follows"])
        self.dashboard.lessons.on_moved = self._write_address

    def _begin_text(self, state: ModelState, found: TreeRecord | None) -> None:
        """The text of the address, with what was generated from it. What can't be brought back is said."""
        # late: torch; the page is painted before it is imported
        from txpanel.session.tree_codec import TreeRecord, unpack

        text, chat, tree = (
            self.given.get(name, usual) for name, usual in (("text", ""), ("chat", False), ("film", ""))
        )
        bare = TreeRecord(text or default_text(self.given.get("model", "")), chat)
        if found is None and self.kept.asked:
            found = replace(bare, note=_not_here())
        elif found is None and tree:
            try:
                found = unpack(tree, text, chat)
            except ValueError as error:
                found = replace(bare, note=str(error))
        if found is not None or chat:
            state.restore(found or TreeRecord(text, chat))
        elif "text" in self.given:
            state.text = text

    def _ask_again(self, *_events: Any) -> None:
        """The question of the address, as soon as there is a run to ask about."""
        state, question = self.state, self.given["why"]
        if state is None or state.trace is None:
            return
        state.param.unwatch(self._unasked)
        trace = state.trace
        read = 0 if trace.source is None else len(trace.source.tokens)
        if question.fits(len(trace.tokens.ids), read):
            self.dispatch(lambda: state.ask(question.name, **question.index))

    def _host(self) -> str | None:
        """Where the visitor comes from, as the connection says; None without a server, in a program's own process."""
        context = self.doc.session_context
        if context is None:
            return None
        payload = getattr(context, "token_payload", None) or {}
        if "txpanel_peer" in payload:
            return str(payload["txpanel_peer"])
        return visitors.peer(context.request) if getattr(context, "request", None) is not None else None

    def _address(self) -> str:
        """Whose page it is, for the log."""
        payload = getattr(self.doc.session_context, "token_payload", None) or {}
        return str(payload.get("txpanel_address", ""))

    def _permit(self, host: str | None, name: str) -> None:
        try:
            policy.permit(name, host)
        except ModelNotFound:
            refuse("model", self._address())
            raise

    def say(self, sentence: str) -> None:
        """A sentence for the person, from the server itself."""
        self.dispatch(lambda: self.state.param.update(notice=sentence) if self.state is not None else None)

    def left(self) -> None:
        """The page was closed: nothing more is worked out for it. The session itself is dropped by the server a little later."""
        if self.state is not None:
            self.state.stop()

    def _choose_model(self) -> None:
        """The address names a model, or we choose one, which may take seconds when no hub answers."""
        if "model" in self.given and self.state is not None:
            self._named = self.state.param.watch(self._named_failed, "error")
            self._load(self.given["model"], _("The address of this page names this model."))
            return
        self._choose()

    def _named_failed(self, event: Any) -> None:
        """The model that the address names cannot be loaded: choose another one, and say why."""
        if self.state is None or not event.new:
            return
        self.state.param.unwatch(self._named)
        if self.state.model is None:
            self._choose(instead=event.new)

    def _choose(self, instead: str = "") -> None:
        from txpanel.models.choice import choose_at_once  # late: torch; the page is painted before it is imported

        before = choose_at_once()
        if before is not None:
            policy.offer(before.name)
            if not instead and self._shown_at_once(before.name, again(before.reason)):
                return
        self.dashboard.bar.explain(instead)
        self.dashboard.bar.say(_("Looking for a model"))

        def choose() -> None:
            from txpanel.models.choice import choose  # late: torch; the page is painted before it is imported

            try:
                chosen = choose()
            except BaseException as error:  # in this thread nobody else would say it
                log.exception("no model could be chosen")
                said = _("No model could be chosen: {error}").format(error=str(error) or type(error).__name__)
                self.dispatch(lambda: self._say_problem(said))
                return
            policy.offer(chosen.name)  # the program's own choice: visitors may have it, and come back to it
            self.dispatch(lambda: self._load(chosen.name, f"{instead} {chosen.reason}".strip()))

        threading.Thread(target=same_language(choose), daemon=True).start()

    def _say_problem(self, said: str) -> None:
        if self.state is not None:
            self.state.param.update(busy=False, progress=None, error=said)

    def _load(self, name: str, reason: str) -> None:
        if self.state is not None and not self._shown_at_once(name, reason):
            self.state.text = self._text_for(name)
            self.state.load(name, reason)

    def _shown_at_once(self, name: str, reason: str) -> bool:
        """Whether a model that is loaded is shown with its run already, and so in the document that the browser gets first."""
        try:
            policy.permit(name, self._host())
        except ModelNotFound:  # `load` meets it again, and says so
            return False
        return self.state is not None and self.state.load_at_once(name, reason, self._text_for(name))

    def _text_for(self, name: str) -> str:
        """What a model is to run on: the text that somebody gave, else the model's own example."""
        given = "" if self.state is None else self.state.text
        return given if given or "text" in self.given else default_text(name)

    def dispatch(self, function: Callable[[], Any]) -> None:
        """Calls a function on this session's thread, with its document current; drops it once the session has ended.

        Until the browser has the page, it waits: Panel drops what changes between the moment in which the document is
        sent and the one in which the browser says that it is there (`panel.io.document`, ``_drain_unconnected_events``).
        """
        with self._gate:
            if self._waiting is not None:
                self._waiting.append(function)
                return
        if not self.ended.is_set():
            hand_over(self.doc, partial(self._call, function))

    def _loaded(self) -> None:
        """The browser has the page: what waited for it is called."""
        with self._gate:
            waiting, self._waiting = self._waiting or [], None
        for function in waiting:
            self.dispatch(function)

    def _later(self, function: Callable[[], None]) -> None:
        """As `dispatch`, but after what is there has gone to the browser."""
        if self._waiting is not None:
            self.dispatch(function)
        elif not self.ended.is_set():
            hand_over(self.doc, partial(self._call, function), after=30)

    def _call(self, function: Callable[[], Any]) -> None:
        if not self.ended.is_set():
            # unlocked: in Panel's own queue to the browser, where nothing overtakes the figures it belongs to
            with budget.work(self.visitor), set_curdoc(self.doc), unlocked():
                function()

    # -- while it runs -------------------------------------------------------------------------------------------------------

    def _themed(self, dark: bool) -> None:
        if not self.dashboard.follows:
            theme.choose(self.page, dark=dark)
        self.page.dark_theme = dark

    def _write_address(self, *_events: Any) -> None:
        if self.state is None or not self._address_due(self.state.progress):
            return
        values = {name: getattr(self.state, name) for name in address.OF_THE_STATE}
        trace = self.state.trace
        if trace is None or (not trace.anatomy.fills and self.state.query == trace.answer):
            values["query"] = None  # the last token is the default; of a model that fills gaps it says which gap
        if self.state.progress is not None:  # while tokens are generated, the seed is that of the newest one
            values["seed"] = self.state.tree.settings(self.state.tree.at).seed
        values |= {"why": self.state.question, "model": self.state.model_name, "view": self.dashboard.opened}
        values |= {"dark": None if self.dashboard.follows else self.dashboard.dark, "lang": self.given.get("lang")}
        values |= self.dashboard.lessons.in_address()
        # not by Panel's Location: that makes an entry in the browser's history of each change, and Back would seem dead
        self.bar.address = address.write(values | self._run_in_address(self.state))

    def _address_due(self, progress: Progress | None) -> bool:
        """Whether to write the address now: not while a model loads, and while tokens are generated only every `ADDRESS_EVERY` seconds."""
        if progress is None:
            return True
        now = time.monotonic()
        if progress.stage != "generate" or now < self._written + ADDRESS_EVERY:
            return False
        self._written = now
        return True

    def _run_in_address(self, state: ModelState) -> dict[str, Any]:
        """The text with what was generated from it; where that is too long, the name under which the browser keeps it."""
        from txpanel.session import tree_codec  # late: torch; the page is painted before it is imported

        tree = state.tree
        drawn = tree_codec.record(tree)
        packed = tree_codec.pack(drawn) if tree.nodes else ""
        text = tree.root.text if tree.nodes else state.text
        fits = len(packed) <= address.LONGEST_FILM and len(text) <= address.LONGEST_TEXT
        if not fits:
            packed = self.kept.keep(drawn)
            text = state.text if len(state.text) <= address.LONGEST_TEXT else text  # what another browser can show
        self.dashboard.bar.share(fits)
        return {"text": text, "film": packed or None, "chat": state.chat or None}

    def _end(self, _context: Any) -> None:
        """The tab was closed: release everything, so that its traces are freed."""
        if not self.ended.is_set():
            upkeep.ended()
            budget.forget(self.visitor)
        self.ended.set()
        self._waiting = None
        dead_document.let_go(self.doc)
        self.dashboard.close()
        if self.connection is not None:
            self.connection.close()
        page_leak.release(self.page)
        self.state = None


def _header(document: Document, name: str) -> str:
    """A header of the request for the page; empty without one."""
    request = getattr(document.session_context, "request", None)
    return str(request.headers.get(name, "")) if request is not None else ""


def _not_here() -> str:
    return _(
        "The run of this address is too long for an address. The browser in which it was made keeps it, and this "
        "browser does not have it. Save the run there (⇪) and open the file here."
    )
