"""q, k, v of every token as the rows of heat maps, and what the head writes: z, and each head's share of what attention adds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import panel as pn
from bokeh.models import ColumnDataSource

from txpanel.messages import _, plural
from txpanel.toolkit.bars import Bars
from txpanel.toolkit.card import Legend, Rich, Table, picture, provenance, row
from txpanel.toolkit.format import number, percent
from txpanel.toolkit.heatmap import Axis, Heatmap
from txpanel.toolkit.highlights import Cells
from txpanel.toolkit.labels import put
from txpanel.toolkit.palette import Scale
from txpanel.toolkit.rendering import sized
from txpanel.views.attention.data import Cut, Look, cut, vectors
from txpanel.views.attention.head_picture import head_picture
from txpanel.views.attention.words import quoted, share_words, vector_words
from txpanel.views.attention.written import HeadShares, head_shares

__all__ = ["Shares", "Vectors"]

INK = {"q": "query-ink", "k": "key-ink", "v": "value-ink", "z": "query-ink"}
BAR = 22
FRAME = {"q": "query", "k": "key", "v": "key", "z": "query"}


class Vectors:
    """One vector per token, as the rows of a picture; the picture of q, k and v is linked with the pattern.

    Args:
        letters: first letters of the parts shown, such as ``"qkv"``.

    Attributes:
        panel: the pictures. heats: part -> `Heatmap`. values: part -> (tensor's head, float32 [T, dim]).
    """

    def __init__(self, view: Any, cursor: ColumnDataSource, letters: str, after: Sequence[Any] = ()) -> None:
        self.view, self.cursor, self.letters, self.after = view, cursor, letters, after
        self.heats: dict[str, Heatmap] = {}
        self.pictures: dict[str, Any] = {}
        self.legends: dict[str, Legend] = {}
        self.values: dict[str, tuple[int, np.ndarray]] = {}
        self.rows: dict[str, Cut] = {}
        self.chosen = ColumnDataSource({"query": [0], "key": [0]})
        self.panel = row(*after, least=380 if after else 300, spread=not after)

    def feed(self, look: Look) -> None:
        """Another head, block or run."""
        state = self.view.state
        self.values = {
            part: found for part, found in vectors(look.trace, look.layer, look.head).items() if part[0] in self.letters
        }
        for part in self.values:
            same = [found for name, (_at, found) in self.values.items() if name[0] == part[0]]
            self._show(
                part,
                look,
                Scale.of("signed", np.concatenate([x.ravel() for x in same])),
                cut(look.total, state.query if FRAME[part[0]] == "query" else state.key),
            )
        # each step below the one before it, whether three pictures stand in a row or two
        ranks = {part: sum(name[0] == part[0] for name in list(self.values)[:i]) for i, part in enumerate(self.values)}
        ordered = sorted(self.values, key=lambda part: (ranks[part], "qkvz".index(part[0])))
        wanted = [*(self.pictures[part] for part in ordered), *self.after]
        if [id(x) for x in self.panel.objects] != [id(x) for x in wanted]:
            self.panel.objects = wanted
        self.choose()

    def choose(self) -> bool:
        """Frames the chosen tokens; False if one lies outside its window."""
        state = self.view.state
        put(self.chosen, {"query": [state.query], "key": [state.key]})
        return all(rows.start <= getattr(state, FRAME[part[0]]) < rows.stop for part, rows in self.rows.items())

    def _show(self, part: str, look: Look, scale: Scale, rows: Cut) -> None:
        heat, column = self._picture(part)
        at, values = self.values[part]
        block = look.trace.anatomy.blocks[look.layer]
        self.rows[part] = rows
        dims = values.shape[1]
        strings = look.trace.tokens.strings[rows.slice]
        heat.feed(
            values[rows.slice],
            Axis(strings, rows.start),
            Axis([str(i) for i in range(dims)]),
            scale=scale,
            angle=0.0,
            room=(32, 5),
            name=f"blocks.{look.layer}.{part}[{at}, {{r}}, {{c}}]",
            cell=_("{r}, number {c}"),
            at=Cells(f"blocks.{look.layer}.{part}", "token", "dim", {"head" if part[0] in "qz" else "kv_head": at}),
        )
        title, subtitle = vector_words(part, norm=bool(block.qk_norm), rotary=block.rotary is not None)
        if part[0] in "kv" and block.group > 1:
            first = at * block.group + 1
            subtitle += " · " + _("shared by heads {a} to {b}").format(a=first, b=first + block.group - 1)
        if not rows.whole:
            subtitle += " · " + _("tokens {a}–{b} of {n}").format(a=rows.start + 1, b=rows.stop, n=rows.total)
        column.heading.param.update(
            heading=_("{title} · {dims} numbers per token").format(title=title, dims=dims),
            paragraphs=[[("", subtitle)]],
        )
        height = 30 + int(np.clip(22 * len(strings), 60, 420))
        if part == "z":  # as high as the bars beside it: their legends and tools stand on common lines
            height = max(height, min(450, BAR * block.n_heads + 8))
        sized(column, heat.figure, 440, height)
        for glyph, _meaning in heat.frames:
            glyph.glyph.update(x=(dims - 1) / 2, width=dims)
        self.legends[part].show(heat.scale)
        column.tools.changed()

    def _picture(self, part: str) -> tuple[Heatmap, Any]:
        if part not in self.heats:
            letter = part[0]
            heat = Heatmap(
                self.view,
                "signed",
                "token",
                "dim",
                tap=lambda t, d: self._tap(part, t, d),
                inks=(INK[letter], "muted"),
                gaps=False,
                hover=(_("token"), _("value"), _("tensor")),
            )
            heat.link(self.cursor, row=FRAME[letter])
            heat.outline(self.cursor, FRAME[letter], x=0, y=FRAME[letter], line=1.5)
            heat.outline(self.chosen, "focus", x=0, y=FRAME[letter], line=1.5)
            self.legends[part] = Legend()
            column = head_picture(
                self.view.state,
                part,
                heat,
                self.legends[part],
                lambda: self.table(part),
                lambda: self.values[part][0],
            )
            if part == "v":  # where two stand in a row, after both pairs
                column.styles = {**column.styles, "order": "var(--tx-last,0)"}
            self.heats[part], self.pictures[part] = heat, column
        return self.heats[part], self.pictures[part]

    def _tap(self, part: str, token: int, dim: int) -> None:
        state = self.view.state
        state.focus(**{FRAME[part[0]]: token})
        axis = "head" if part[0] in "qz" else "kv_head"
        state.ask(f"blocks.{state.layer}.{part}", **{axis: self.values[part][0], "token": token, "dim": dim})

    def table(self, part: str) -> Table:
        """All tokens' vectors."""
        values = self.values[part][1]
        names = [f"{i} {s}" for i, s in enumerate(self.view.state.trace.tokens.strings)]
        return Table.matrix(
            values,
            names,
            [str(i) for i in range(values.shape[1])],
            corner=_("token / number"),
            caption=self.pictures[part].heading.heading,
        )


class Shares:
    """Each head's share of what attention writes into the chosen token's stream.

    Attributes:
        picture: what is shown. shares: its numbers.
    """

    def __init__(self, view: Any) -> None:
        self.view = view
        self.shares: HeadShares | None = None
        hover = (_("head"), _("norm of its output"), _("tensor"))
        self.bars = Bars(view, "value", ink="value-ink", tap=self._tap, hover=hover)
        self.check = Rich(paragraphs=[], look="note", sizing_mode="stretch_width")
        self.picture = picture(
            " ",
            "",
            pn.pane.Bokeh(self.bars.figure, sizing_mode="stretch_width", margin=0),
            table=self.table,
            name="head-shares",
            source=lambda: provenance(view.state, f"blocks.{view.state.layer}.result"),
        )
        self.picture.append(self.check)

    def feed(self, look: Look, query: int) -> None:
        """Another token, block or run; another head only moves the mark."""
        if self.shares is None or self.shares.token != query or self.of is not look.trace or self.layer != look.layer:
            self.shares, self.of, self.layer = head_shares(look.trace, look.layer, query), look.trace, look.layer
        self.check.paragraphs = share_words(look, self.shares)
        self.bars.figure.visible = self.shares is not None
        token = quoted(look.trace.tokens.strings[query])
        self.picture.heading.heading = _("Output of each head for {token}").format(token=token)
        if self.shares is None:
            return
        norms, toward = self.shares.norms, self.shares.toward
        count = len(norms)
        said = _("norm of z · W_O, and its share of the attention output (along the output's direction)")
        self.picture.heading.paragraphs = [[("", said)]]
        texts = [
            f"{number(float(n), 3)} · {percent(float(t)) if t >= 0 else '−' + percent(-float(t))}"
            for n, t in zip(norms, toward, strict=True)
        ]
        names = [plural("head {n}", "head {n}", 1).format(n=i + 1) for i in range(count)]
        self.bars.feed(
            names,
            norms,
            texts,
            tensors=[f"|blocks.{look.layer}.result[{i}, {query}]|" for i in range(count)],
            chosen=look.head,
        )
        sized(self.picture, self.bars.figure, 460, BAR * count + 8)
        self.picture.tools.changed()

    of: Any = None
    layer: int = -1

    def _tap(self, head: int) -> None:
        state = self.view.state
        state.focus(head=head)
        state.ask(f"blocks.{state.layer}.result.norm", head=head, token=state.query)

    def table(self) -> Table:
        """Length of each head's vector, and its part of the whole."""
        assert self.shares is not None
        count = len(self.shares.norms)
        return Table.of(
            _("output of each head"),
            **{
                _("head"): list(range(count)),
                _("norm"): self.shares.norms.tolist(),
                _("share of the sum"): self.shares.toward.tolist(),
            },
        )
