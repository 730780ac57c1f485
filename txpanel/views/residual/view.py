"""Residual stream and norms: the stream of every token through all blocks, what is added to it, and the logit lens before each block."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import panel as pn

from txpanel.messages import _
from txpanel.models.memory import Store
from txpanel.models.tokens import visible
from txpanel.toolkit.card import Legend, Rich, card, engineers, flow, picture, provenance, rich
from txpanel.toolkit.explained import highlighted_cells
from txpanel.toolkit.format import number
from txpanel.toolkit.lines import Lines, Writes
from txpanel.toolkit.palette import Scale
from txpanel.toolkit.part_words import first_writes, writer_name, writes
from txpanel.toolkit.vector_strips import VectorStrips, strip_table
from txpanel.views.background import background, one_by_one, plot
from txpanel.views.base import View
from txpanel.views.residual import tables
from txpanel.views.residual.data import STATISTICS, Lens, Stream, lens, stream
from txpanel.views.residual.highlights import on_curves, on_share
from txpanel.views.residual.lengths import Sizes, stream_name
from txpanel.views.residual.logit_lens import LensGrid
from txpanel.views.residual.norm_lines import feed_statistic
from txpanel.views.residual.strips import strips
from txpanel.views.residual.words import cosine_words, formulas, lead, notes, share_words, writes_words

_STREAMS: Store[int, Stream] = Store("streams", lambda found: found.nbytes, most=64)
_LENSES: Store[tuple[int, int], Lens] = Store("lenses", lambda found: found.nbytes, most=64)
"""Streams of the last runs, by the trace's uid, and lenses, by uid and token: some kB each, and all sessions look at the same traces."""


HALF = 340
"""Pixels that two pictures side by side need each."""
WIDE: dict[str, Any] = {"sizing_mode": "stretch_width", "styles": {"min-width": "0", "flex": "1 1 100%"}}


class ResidualView(View):
    """The residual stream through all blocks.

    Shows what attention and MLP wrote at each (norm and direction), how long the stream is for every token, the norms' mean, variance
    and scale, the strips of one block, and the logit lens with the model's own final norm, whose last row is the model's answer.
    """

    id: ClassVar[str] = "residual"
    title: ClassVar[str] = _("All blocks")
    order: ClassVar[int] = 40
    requires: ClassVar[frozenset[str]] = frozenset({"resid_pre", "resid_post"})
    shows: ClassVar[frozenset[str]] = frozenset(
        [
            "resid_pre",
            "resid_mid",
            "resid_post",
            "ln1",
            "ln2",
            "attn_norm",
            "mlp_norm",
            "ln_final",
            "attn_out",
            "mlp_out",
            *("mixer_in", "mixer_out", "mlp_in", "block_in", "block_out"),
        ]
    )

    @classmethod
    def named(cls, trace: Any) -> str:
        """As the flow calls what opens it."""
        if trace is None:
            return super().named(trace)
        n = trace.anatomy.n_layers
        return _("The only block") if n == 1 else _("All {n} blocks").format(n=n)

    def __panel__(self) -> pn.viewable.Viewable:
        self._blocks, self._lenses = background(), background()
        self._stream: Stream | None = None
        self._lens: Lens | None = None
        self._words, self._fold = Rich(sizing_mode="stretch_width"), engineers()
        self._strips = VectorStrips(on_pick=self.state.ask)
        self._writes = Writes(self, tap=self._write_tapped)
        self._cosines = Lines(self, tap=self._cosine_tapped)
        self._grid: LensGrid | None = None
        self._share: Lines | None = None
        self._sizes: Sizes | None = None
        self._stats: dict[str, Lines] = {}
        self._shown: dict[str, Any] = {}
        layout = card("", self._words, *self._first_pictures(), beside=[self._fold])
        self.follow(self._run_changed, "trace")
        self.follow(self._place_changed, "trace", "layer", "query")
        self.follow(self._lens_wanted, "trace", "query")
        self.follow(self._light, "question", "trace")
        # a figure takes 5 to 20 ms: those below the window are made when they come into sight
        rest = [self._lens_picture, self._ends_and_sizes, self._statistics]
        one_by_one(layout.pictures, rest, _("More pictures are loading …"), self._guarded)
        return layout

    def _picture(self, name: str, title: str, shown: Any, table: Any, width: int, legend: Any = None) -> Any:
        """A picture of this view; `width`: pixels below which it gets a line of its own, 0 for a picture that always has one."""
        basis = f"1 1 {width}px" if width else "1 1 100%"
        made = self._shown[name] = picture(
            title,
            "",
            shown,
            table=table,
            legend=legend,
            name=f"residual-{name}",
            source=lambda: provenance(self.state, "resid_post"),
            sizing_mode="stretch_width",
            styles={"min-width": "0", "flex": basis},
        )
        return made

    def _first_pictures(self) -> list[Any]:
        """The pictures at the top."""
        wrote = lambda: tables.writes(self._stream, self.state.query, self._first)  # noqa: E731
        parts = lambda: strip_table(self._strips.strips)  # noqa: E731
        return [
            self._picture("strips", _("Residual stream in one block"), self._strips, parts, 0),
            self._picture("writes", _("What each block adds"), plot(self._writes.figure, 260), wrote, HALF),
            self._picture("cosines", _("Direction of what is added"), plot(self._cosines.figure, 260), wrote, HALF),
        ]

    def _lens_picture(self) -> Any:
        """The lens is a product with the whole unembedding for each block: it is computed when it comes into sight."""
        hover = (_("cell"), _("its probability"), _("lens"))
        grid = LensGrid(self, "probability", "layer", "token", tap=self._lens_tapped, hover=hover)
        legend = Legend(caption=_("probability of the token in the cell"), sizing_mode="stretch_width")
        legend.show(Scale.of("probability"))
        table = lambda: tables.grid(self._lens, self.state.trace)  # noqa: E731
        self._picture("lens", _("Logit lens"), plot(grid.figure, 420), table, 0, legend)
        self._grid = grid
        if self.state.trace is not None:
            self._lens_wanted()
        return self._shown["lens"]

    def _ends_and_sizes(self) -> Any:
        """The probability of the final token on its way, and the norm of the residual stream."""
        share = Lines(self, tap=self._share_tapped)
        hover = (_("cell"), _("norm"), _("tensor"))
        sizes = Sizes(self, "magnitude", "layer", "token", tap=self._size_tapped, hover=hover, gaps=False)
        self._legend = Legend(caption=_("norm of the residual stream"), sizing_mode="stretch_width")
        listed = lambda: tables.listed(self._lens)  # noqa: E731
        norms = lambda: tables.sizes(self._stream, self.state.trace)  # noqa: E731
        title = _("Norm of the residual stream")
        made = [
            self._picture("share", _("Logit lens: the final token"), plot(share.figure, 230), listed, HALF),
            self._picture("sizes", title, plot(sizes.figure, 260), norms, HALF, self._legend),
        ]
        self._share, self._sizes = share, sizes
        trace = self.state.trace
        if trace is not None:
            self._shown["share"].visible = trace.model is not None
            if self._lens is not None:
                self._show_share(self._lens)
        self._show_late()
        return flow(*made, **WIDE)

    def _statistics(self) -> Any:
        """Mean, variance and scale of the norms."""
        titles = {"mean": _("Mean"), "var": _("Variance"), "scale": _("Scale")}
        stats = lambda: tables.statistics(self._stream, self.state.query)  # noqa: E731
        lines = {kind: Lines(self, tap=partial(self._stat_tapped, kind)) for kind in STATISTICS}
        made = [
            self._picture(f"norm-{kind}", titles[kind], plot(lines[kind].figure, 200), stats, 220)
            for kind in STATISTICS
        ]
        self._stats = lines
        self._show_late()
        return flow(*made, **WIDE)

    def close(self) -> None:
        """See `View.close`."""
        if self._built is not None:
            self._blocks.cancel()
            self._lenses.cancel()
        super().close()

    # -- what changes ------------------------------------------------------------------------------------------------

    def _run_changed(self) -> None:
        trace = self.state.trace
        self._stream, self._lens = _STREAMS.get(trace.uid), None
        if self._stream is not None:
            return

        def job(cancel: Any, publish: Any) -> None:
            found = stream(
                trace,
                cancel,
                lambda done, of: publish(lambda: self._tell("writes", _("block {done} of {of} …"), done, of)),
            )
            if found is not None:
                publish(lambda: self._guarded(lambda: self._stream_there(trace, found)))

        self._blocks.submit(job)

    def _stream_there(self, trace: Any, found: Stream) -> None:
        _STREAMS.put(trace.uid, found, owner=trace.uid)
        if self.state is not None and self.state.trace is trace:
            self._stream = found
            self._place_changed()

    def _tell(self, name: str, template: str, done: int, of: int) -> None:
        there = self._stream if name == "writes" else self._lens
        if self.state is not None and there is None:
            self._subtitle(name, template, done=done, of=of)

    def _lens_wanted(self) -> None:
        trace, at = self.state.trace, self.state.query
        self._lens = None
        for name in {"lens", "share"} & self._shown.keys():
            self._shown[name].visible = trace.model is not None
        if trace.model is None or self._grid is None:
            return
        kept = _LENSES.get((trace.uid, at))
        if kept is not None:
            self._lenses.cancel()
            self._show_lens(trace, kept)
            return

        def job(cancel: Any, publish: Any) -> None:
            found = lens(
                trace,
                at,
                stop=cancel,
                tell=lambda done, of: publish(lambda: self._tell("lens", _("row {done} of {of} …"), done, of)),
            )
            if found is not None:
                _LENSES.put((trace.uid, at), found, owner=trace.uid)
                publish(lambda: self._guarded(lambda: self._show_lens(trace, found)))

        self._lenses.submit(job)

    def _place_changed(self) -> None:
        trace, layer, at = self.state.trace, self.state.layer, self.state.query
        self._strips.show(strips(trace, layer, at))
        self._subtitle(
            "strips",
            _("block {layer}, “{token}”: what is added to the residual stream, on one colour scale"),
            layer=layer + 1,
            token=self._token(),
        )
        self._show_words()
        if self._stream is not None:
            self._show_stream(self._stream)
        if self._lens is not None and self._share is not None:
            self._share.here.location = layer
        self._light()
        for shown in self._shown.values():
            shown.tools.changed()

    def _token(self) -> str:
        return visible(self.state.trace.tokens.strings[self.state.query])

    def _show_words(self) -> None:
        trace, layer, at = self.state.trace, self.state.layer, self.state.query
        self._words.paragraphs = lead(trace, layer, at, self._stream)
        self._fold.formula.latex = formulas(trace, layer)
        self._fold.notes.paragraphs = notes(trace, layer)

    def _show_stream(self, found: Stream) -> None:
        at, layer = self.state.query, self.state.layer
        blocks = self.state.trace.anatomy.blocks
        self._writes.feed(
            found.attn[:, at], found.mlp[:, at], found.attn_cosine[:, at], found.mlp_cosine[:, at], layer,
            names=[writer_name(block, "block" if "block" in block.opaque else "mixer") for block in blocks],
            closed=[(bool({"mixer", "block"} & block.opaque.keys()), "mlp" in block.opaque) for block in blocks],
        )  # fmt: skip
        self._subtitle("writes", writes_words(self.state.trace), token=self._token())
        cosines = {self._first: found.attn_cosine[:, at], _("MLP output"): found.mlp_cosine[:, at]}
        self._cosines.feed(cosines, layer, ("value", "mlp"), low=-1, high=1)
        self._subtitle(
            "cosines",
            cosine_words(self.state.trace),
        )
        self._show_sizes_and_stats(found)

    def _show_late(self) -> None:
        """What has come into sight only now."""
        if self._stream is not None:
            self._show_sizes_and_stats(self._stream)
        if self.state.trace is not None:
            self._light()
        for shown in self._shown.values():
            shown.tools.changed()

    def _show_sizes_and_stats(self, found: Stream) -> None:
        at, layer = self.state.query, self.state.layer
        if self._sizes is not None:
            scale, most = self._sizes.show(found.size, self.state.trace.tokens.strings, at)
            self._legend.show(scale)
            words = _("norm before each block, for every token; full colour from {top}, the largest is {most}")
            self._subtitle("sizes", words, top=number(scale.high, 3), most=number(most, 4))
        for kind, lines in self._stats.items():
            said = feed_statistic(lines, kind, found, at, layer)
            self._shown[f"norm-{kind}"].visible = bool(said)
            if said:
                self._subtitle(f"norm-{kind}", said)

    def _show_lens(self, trace: Any, found: Lens) -> None:
        if self.state is None or self.state.trace is not trace or self._grid is None:
            return
        self._lens = found
        layers = trace.anatomy.n_layers
        self._grid.show(trace, found)
        self._shown["lens"].plot.height = self._grid.figure.height = 56 + 19 * (layers + 1)
        words = (
            _("most likely token at each position if the model ended before each block; {n} tokens up to “{token}”")
            if trace.anatomy.fills
            else _("most likely next token if the model ended before each block; {n} tokens up to “{token}”")
        )
        self._subtitle("lens", words, n=len(found.positions), token=self._token())
        self._show_share(found)
        self._light()
        self._shown["lens"].tools.changed()

    def _show_share(self, found: Lens) -> None:
        if self._share is None:
            return
        most = max(float(found.share.max()), 0.01)
        self._share.feed({found.choice: found.share}, self.state.layer, ("focus",), low=0, high=most, ends=[_("end")])
        self._shown["share"].heading.paragraphs = share_words(found)
        self._shown["share"].tools.changed()

    def _light(self) -> None:
        trace, at, cells = self.state.trace, self.state.query, highlighted_cells(self.state.trace, self.state.question)
        self._strips.light(cells)
        places = on_curves(trace, at, cells)
        self._writes.light(places["writes"])
        names = {"attn_out": self._first, "mlp_out": _("MLP output")}
        self._cosines.light([(layer, names[part]) for layer, part in places["cosines"]])
        for kind, lines in self._stats.items():
            lines.light(places[kind])
        found = self._lens
        if self._share is None:
            return
        layers = [] if found is None else on_share(trace, found.positions[-1], int(found.ids[-1, -1]), cells)
        self._share.light([(layer, found.choice) for layer in layers] if found is not None else [])

    # -- what a person did -------------------------------------------------------------------------------------------

    def _ask_at(self, layer: int, name: str | None, query: int | None = None, **index: int) -> None:
        """Goes to a layer (the end belongs to the last block) and a token, and asks for a number there, if it has one."""
        trace = self.state.trace
        here = self.state.query if query is None else query
        self.state.focus(layer=min(layer, trace.anatomy.n_layers - 1), query=here)
        if name is not None and name in trace:
            self.state.ask(name, **index)

    def _write_tapped(self, layer: int, height: float) -> None:
        """A bar above the lane is what attention wrote, or what stands in its place, below it what the MLP did."""
        self._ask_write(layer, "mixer" if height > 0 else "mlp", "norm")

    def _cosine_tapped(self, layer: int, height: float) -> None:
        self._ask_write(layer, "mixer" if self._cosines.nearest(layer, height) == self._first else "mlp", "cosine")

    def _ask_write(self, layer: int, part: str, kind: str) -> None:
        tensor = writes(self.state.trace.anatomy.blocks[layer]).get(part)
        self._ask_at(layer, f"blocks.{layer}.{tensor}.{kind}" if tensor else None, token=self.state.query)

    @property
    def _first(self) -> str:
        """What the first series of writes is called: not all models have attention everywhere."""
        return first_writes(self.state.trace.anatomy if self.state.trace is not None else None)

    def _stat_tapped(self, kind: str, layer: int, height: float) -> None:
        norm = self._stats[kind].nearest(layer, height)
        if norm is not None:
            pre = "" if layer >= self.state.trace.anatomy.n_layers else f"blocks.{layer}."
            self._ask_at(layer, f"{pre}{norm}.{kind}", token=self.state.query)

    def _size_tapped(self, row: int, column: int) -> None:
        self._ask_at(row, stream_name(self.state.trace.anatomy.n_layers, row) + ".norm", column, token=column)

    def _share_tapped(self, layer: int, _height: float) -> None:
        """The probability of the final choice, as the lens has it there."""
        trace, found = self.state.trace, self._lens
        if found is not None:
            name = trace.lens_name(layer, found.positions[-1], "probs")
            self._ask_at(layer, name, vocab=int(found.ids[-1, -1]))

    def _lens_tapped(self, row: int, column: int) -> None:
        """The probability of the token that the cell names."""
        trace, found = self.state.trace, self._lens
        if found is None or column not in found.positions:  # the lens of the new token is still being computed
            self._ask_at(row, None, column)
        else:
            token = int(found.ids[row, column - found.positions[0]])
            self._ask_at(row, trace.lens_name(row, column, "probs"), column, vocab=token)

    def _subtitle(self, name: str, template: str, **values: Any) -> None:
        self._shown[name].heading.paragraphs = rich(template, **values)
