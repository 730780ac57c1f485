"""The whole model as one picture: every token has a lane, and all that is computed for it lies on that lane."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Event
from typing import Any, ClassVar

import numpy as np
import panel as pn
from panel.viewable import Viewable

from txpanel.decoding.stages import for_browser
from txpanel.messages import _
from txpanel.session.selection import PLACES
from txpanel.session.worker import Dispatch, Worker, immediately
from txpanel.toolkit.card import flow
from txpanel.toolkit.explained import highlighted_cells
from txpanel.toolkit.incoming import heard
from txpanel.toolkit.instead import Instead
from txpanel.toolkit.part_words import first_writes, mixer_name, writes
from txpanel.toolkit.picture import Table, Tools
from txpanel.views.background import when_loaded
from txpanel.views.base import View
from txpanel.views.flow import data
from txpanel.views.flow.component import FlowPicture
from txpanel.views.flow.next_tokens import came, drawn, next_payload, odds_payload, sample_at
from txpanel.views.flow.table import facts, tables
from txpanel.views.flow.window import Window
from txpanel.views.flow.words import no_heads, not_drawn, place_words, texts
from txpanel.views.instead_card import CARD

__all__ = ["FlowView"]

ODDS_AFTER = 250
"""Milliseconds after a run at which the logits of the whole vocabulary follow the picture."""
AT_ONCE = 200
"""Texts of up to this many tokens are drawn at once; for longer ones a block is computed in a thread."""
BESIDE = {"position": "relative", "z-index": "1", "pointer-events": "none", "--tools-side": "flex-end"}
"""The picture's tools stand at the end of the line of its legend, where that leaves them the room (``legend.js``)."""
Part = tuple[str, Any, Callable[[], dict[str, Any]]]


def session_dispatch() -> Dispatch | None:
    """How a worker hands results to this session; None outside a server, where work is done at once."""
    doc = pn.state.curdoc
    if doc is None or doc.session_context is None:
        return None

    return partial(when_loaded, doc)


class FlowView(View):
    """The flow from token to next token. Draws nothing that `txpanel.views.flow.data` does not take from the trace."""

    id: ClassVar[str] = "flow"
    title: ClassVar[str] = _("The model at work")
    order: ClassVar[int] = 0
    first: ClassVar[bool] = True
    on_top: ClassVar[bool] = True

    def __panel__(self) -> Viewable:
        self.picture = FlowPicture(
            texts=texts(), stages=for_browser(), settings_key=self.state.name, sizing_mode="stretch_width", margin=0
        )
        self.picture.on_message = self._on_message
        self.tools = Tools(
            self._table, "flow", partial(facts, self.state), sizing_mode="stretch_width", margin=0, styles=BESIDE
        )
        self.instead = Instead(lambda layer: self.state.focus(layer=layer))
        self.not_drawn = flow(self.instead, sizing_mode="stretch_width", visible=False, stylesheets=[CARD])
        dispatch = session_dispatch()
        self._threaded = dispatch is not None
        self._builder, self._writer, self._gridder = Worker(dispatch), Worker(dispatch), Worker(dispatch)
        self._keys: dict[str, Any] = {}
        self._norms: dict[int, dict[str, np.ndarray]] = {}  # layer -> attn, mlp float32 [T] of the trace `_uid`
        self._uid = 0
        self._start: int | None = None
        self.follow(self._update, "trace", "layer", "head", "query", "key", "sampled", "tree", empty=self._blank)
        self.follow(self._light, "question", "trace")
        self.follow(self._odds_soon, "trace", "query", "busy")
        self.picture.param.update(opened=self.opened, openable=self.openable)
        for name in ("opened", "openable"):
            self.watch(self, lambda event: self.picture.param.update(**{event.name: event.new}), name)
        return pn.Column(self.picture, self.tools, self.not_drawn, sizing_mode="stretch_width", margin=0)

    def close(self) -> None:
        """Stops what is being computed for the picture."""
        if self._built is not None:
            for worker in (self._builder, self._writer, self._gridder):
                worker.cancel()
            self.picture.on_message = None
        super().close()

    # --- what is shown ------------------------------------------------------------------------------------------------

    def _update(self) -> None:
        """Sends what has changed, and only that, in one event."""
        state, trace = self.state, self.state.trace
        if trace.anatomy.cross_there:
            self._blank()
            heading = _("Encoder-decoder models are not drawn here yet")
            self.instead.param.update(heading=heading, paragraphs=not_drawn(trace))
            self.not_drawn.visible, self.picture.visible = True, False
            return
        self.not_drawn.visible, self.picture.visible = False, True
        new = trace.uid != self._uid
        if new:
            self._uid, self._norms, self._start = trace.uid, data.kept_norms(trace), None
            self._gridder.cancel()
        window = self._window()
        todo = [part for part in self._parts(window) if self._keys.get(part[0]) != part[1]]
        job = partial(self._build, todo, state.query, state.key)
        self._builder.cancel()
        if self._threaded and window.total > AT_ONCE:
            self.picture.busy = _("The block is being computed …")
            self._builder.submit(job)
        else:
            job(Event(), immediately)
        if new and len(self._norms) < trace.anatomy.n_layers:
            self._writer.submit(partial(self._collect_norms, trace))

    def _build(self, todo: list[Part], query: int, key: int, cancel: Event, publish: Dispatch) -> None:
        built: dict[str, Any] = {}
        for name, _key, build in todo:
            if cancel.is_set():
                return
            built[name] = build()
        publish(lambda: self._show(built | {"query": query, "key": key}, {name: key for name, key, _build in todo}))

    def _show(self, changes: dict[str, Any], keys: dict[str, Any]) -> None:
        if self.state is None or self.state.trace is None or self.state.trace.uid != self._uid:
            return
        self._keys |= keys
        self.picture.param.update(busy="", **changes)
        self.tools.visible = True
        self.tools.changed()
        self._send_writes(changes["query"])

    def _light(self) -> None:
        """The cells that the open card is about, for the browser to mark where it draws them."""
        cells = highlighted_cells(self.state.trace, self.state.question)
        self.picture.lit = [{"name": name, "at": index} for name, index in cells]

    def _blank(self) -> None:
        """There is no run any more: the picture is emptied, so that it shows no numbers of a text that is gone."""
        self._keys, self._uid = {}, 0
        self.not_drawn.visible, self.picture.visible = False, True
        for worker in (self._builder, self._writer, self._gridder):
            worker.cancel()
        self.picture.param.update(tokens={}, block={}, head={}, next={}, odds={}, small={}, writes={}, busy="")
        self.tools.visible = False

    def _table(self) -> Table:
        total = len(self.state.trace.tokens.ids) if self.state.trace is not None else 0
        return tables(self.state, Window.around(total, self.state.query, self._start), self._norms)

    def _parts(self, window: Window) -> list[Part]:
        """All parts of the picture: the parameter, what it depends on, and how it is built."""
        state, trace, uid = self.state, self.state.trace, self._uid
        layer, head, query, token, after = state.layer, state.head, state.query, drawn(state), came(state)
        stamp = f"{uid}/{window.start}/{window.count}"  # parts are drawn together only if they have the same
        return [
            ("anatomy", uid, lambda: _shape(trace)),
            ("tokens", stamp, lambda: data.token_payload(trace, window) | {"stamp": stamp, "trace_stamp": uid}),
            (
                "block",
                (stamp, layer),
                lambda: data.block_payload(trace, layer, window) | no_heads(trace, layer) | {"stamp": stamp},
            ),
            (
                "head",
                (stamp, layer, head),
                lambda: data.head_payload(trace, layer, head, window) | {"stamp": stamp},
            ),
            (
                "next",
                (uid, query, token, state.settings, *after.values()),
                lambda: (
                    next_payload(trace, query, token, sample_at(state))
                    | place_words(trace, query)
                    | {"stamp": uid, "came": after}
                ),
            ),
            ("small", (uid, layer), lambda: data.layer_payload(trace, layer, data.THUMB) | {"stamp": uid}),
        ]

    def _window(self) -> Window:
        total, query = len(self.state.trace.tokens.ids), self.state.query
        window = Window.around(total, query, self._start)
        if self._start is not None and self._keys.get("query") not in (None, query) and not window.holds(query):
            window = Window.around(total, query)  # a token outside the window was chosen: go there
        self._keys["query"] = query
        self._start = window.start if window.count < total else None
        return window

    # --- what the browser needs to move the next tokens by itself ---------------------------------------------------------

    def _odds_soon(self) -> None:
        """Sends the V logits after the picture, when no more tokens are being generated: they are needed only when a slider is moved."""
        doc = pn.state.curdoc
        if not self._threaded or doc is None:
            self._send_odds()
        elif not self.state.busy:
            when_loaded(doc, self._send_odds, after=ODDS_AFTER)

    def _send_odds(self) -> None:
        if self.state is None or self.state.trace is None or self.state.busy:
            return
        key = (self.state.trace.uid, self.state.query)
        if self._keys.get("odds") != key:
            self._keys["odds"] = key
            self.picture.odds = odds_payload(self.state.trace, self.state.query) | {"stamp": key[0]}

    # --- what takes longer: something of every block --------------------------------------------------------------------

    def _collect_norms(self, trace: Any, cancel: Event, publish: Dispatch) -> None:
        found: dict[
            int, dict[str, np.ndarray]
        ] = {}  # all so far, each time: results that come fast may arrive out of order
        for layer in range(trace.anatomy.n_layers):
            if cancel.is_set():
                return
            found[layer] = data.write_norms(trace, layer)
            last = layer == trace.anatomy.n_layers - 1
            publish(partial(self._norms_arrived, trace.uid, dict(found), last or layer % 4 == 3))

    def _norms_arrived(self, uid: int, found: dict[int, dict[str, np.ndarray]], show: bool) -> None:
        if uid == self._uid and self.state is not None:
            self._norms |= found
            if show:
                self._send_writes(self.state.query)

    def _send_writes(self, query: int) -> None:
        layers = self.state.trace.anatomy.n_layers
        key = (self._uid, query, len(self._norms))
        if self._keys.get("writes") != key:
            self._keys["writes"] = key
            self.picture.writes = data.writes_payload(self._norms, layers, query) | {"stamp": self._uid}

    def _compute_grid(self, trace: Any, cancel: Event, publish: Dispatch) -> None:
        for layer in range(trace.anatomy.n_layers):
            if cancel.is_set():
                return
            if not trace.anatomy.blocks[layer].has_attention:
                continue
            part = data.layer_payload(trace, layer, data.MINI) | {"stamp": trace.uid}
            publish(partial(self._grid_arrived, part))

    def _grid_arrived(self, part: dict[str, Any]) -> None:
        if part["stamp"] == self._uid:
            self.picture.grid_part = part

    # --- what the browser asks for ------------------------------------------------------------------------------------

    @heard
    def _on_message(self, message: Any) -> None:
        handlers = {
            "focus": self._focus,
            "act": self._act,
            "open": self._open,
            "close": self._close_opened,
            "next": self._ask_next,
            "window": self._move,
            "grid": self._grid,
        }
        kind = message.get("type") if isinstance(message, dict) else None
        if kind in handlers and self.state is not None and self.state.trace is not None:
            handlers[kind](message)

    def _focus(self, message: dict[str, Any]) -> None:
        wanted = message.get("focus")
        if isinstance(wanted, dict):
            self.state.focus(**{place: int(wanted[place]) for place in PLACES if place in wanted})

    def _act(self, message: dict[str, Any]) -> None:
        self._focus(message)
        match message.get("ask"):
            case [str(name), dict(index)] if name in self.state.trace:
                self.state.ask(name, **{str(axis): int(place) for axis, place in index.items()})
        self.open_for(str(message.get("open") or ""))

    def _open(self, message: dict[str, Any]) -> None:
        """Opens the view of a tensor; one that is open stays open."""
        self.open_for(str(message.get("tensor") or ""))

    def _close_opened(self, _message: dict[str, Any]) -> None:
        self.opened = ""

    def _ask_next(self, message: dict[str, Any]) -> None:
        trace, token, shown = self.state.trace, message.get("id"), self.picture.next
        position = int(message.get("position", -1))
        if token is not None:
            self.state.ask(trace.lens_name(trace.anatomy.n_layers, position, "probs"), vocab=int(token))
        elif position == shown.get("position"):
            self.state.ask(shown["left"])
        self.open_for("probs")

    def _move(self, message: dict[str, Any]) -> None:
        self._start = int(message.get("start", 0))
        self._update()

    def _grid(self, _message: dict[str, Any]) -> None:
        self._gridder.submit(partial(self._compute_grid, self.state.trace))


def _shape(trace: Any) -> dict[str, Any]:
    anatomy = trace.anatomy
    blocks = anatomy.blocks
    wrote = [writes(block) for block in blocks]
    return {
        "layers": anatomy.n_layers,
        "heads": max(block.n_heads for block in blocks),
        "all_heads": sum(block.n_heads for block in blocks),
        "of_block": [block.n_heads for block in blocks],
        "names": [mixer_name(block) for block in blocks],
        "wrote": [[names.get("mixer", ""), names.get("mlp", "")] for names in wrote],
        "closed": [[bool({"mixer", "block"} & block.opaque.keys()), "mlp" in block.opaque] for block in blocks],
        "first": first_writes(anatomy),
        "width": anatomy.width,
        "vocab": anatomy.vocab,
        "final_norm": anatomy.final_norm,
    }
