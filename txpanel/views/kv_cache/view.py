"""The KV-cache view: what is kept of every token, what a step adds to it, and what the step would cost without it."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import panel as pn

from txpanel.messages import _
from txpanel.models.anatomy import Anatomy
from txpanel.models.progress import size_text
from txpanel.toolkit.card import Rich, Table, as_shown, card, engineers, flow, picture, provenance, rich
from txpanel.toolkit.format import count, number
from txpanel.toolkit.instead import Instead
from txpanel.tracing import costs
from txpanel.tracing.trace import Trace
from txpanel.views.base import View
from txpanel.views.instead_card import CARD
from txpanel.views.kv_cache.cache_map import CacheMap
from txpanel.views.kv_cache.data import Kept, kept, step_is_counted
from txpanel.views.kv_cache.words import (
    attention_words,
    counted,
    nothing_kept,
    shape_words,
    special_words,
    uncounted,
    words,
)

__all__ = ["KVCacheView"]

POINTS = 120


class KVCacheView(View):
    """Keys and values that are kept, block by block, and what they save."""

    id: ClassVar[str] = "kv-cache"
    title: ClassVar[str] = _("KV cache")
    order: ClassVar[int] = 62
    requires: ClassVar[frozenset[str]] = frozenset({"k", "v"})
    shows: ClassVar[frozenset[str]] = frozenset({"k", "v"})

    def __panel__(self) -> pn.Column:
        self.words = Rich(heading=_("What the KV cache saves"), paragraphs=[])
        self.map = CacheMap(self._clicked, words=words(), sizing_mode="stretch_width", margin=0)
        self.formulas = engineers(
            r"\text{step with cache} = W + \sum_l H_l (d_l + d^v_l) \min(T, w_l) + D V",
            r"\text{step without} = T\,W + \sum_l H_l (d_l + d^v_l) \sum_{t \le T} \min(t, w_l) + D V",
            notes=rich(
                _(
                    "T: number of tokens. W: number of weights in all matrices that a token goes through (of the experts, "
                    "only those it is sent to). H: heads; d: numbers per key; d^v: numbers per value; w: size of the window "
                    "(T without one); D: size of the residual stream; V: size of the vocabulary. Counted are the "
                    "multiply-adds of matrix products.\n\n"
                    "The bytes are those of the tensors in the cache. It also keeps tokens that are outside a sliding "
                    "window, so that the text can be cut back."
                )
            ),
        )
        self.picture = picture(
            _("Cached keys and values"),
            _("one row per block, one column per token; each cell is one key and one value of every key/value head"),
            self.map,
            table=self._rows,
            name="kv-cache",
            source=lambda: provenance(self.state, "k, v"),
            styles={"flex": "1 1 320px", "min-width": "0"},
        )
        self._held: list[Kept | None] = []
        self.layout = card("", self.words, self.picture, beside=[self.formulas])
        self.instead = Instead(lambda layer: self.state.focus(layer=layer))
        self.nothing = flow(self.instead, sizing_mode="stretch_width", visible=False, stylesheets=[CARD])
        self.follow(self._run, "trace", empty=self._none)
        self.follow(self._count, "layer")
        return as_shown(pn.Column(self.nothing, self.layout, sizing_mode="stretch_width", margin=0))

    def _clicked(self, data: dict[str, Any]) -> None:
        if self.state is not None and self.state.trace is not None:
            self.state.focus(layer=int(data.get("layer", self.state.layer)), key=data["token"])

    def _none(self) -> None:
        self._held = []
        self.layout.visible, self.nothing.visible = True, False
        self.map.param.update(blocks=[], tokens={}, costs={}, bytes=[])
        self.words.paragraphs = rich(
            _("Keys and values of earlier tokens are cached, so only the new token has to be computed.")
        )

    def _run(self) -> None:
        trace, held = self.state.trace, kept(self.state.trace)
        n, anatomy = len(trace.tokens.ids), trace.anatomy
        fresh = n - trace.recording.reused
        costs_of, times = self._costs(anatomy, n) if step_is_counted(trace) else ({}, None)
        self.map.param.update(
            blocks=[
                {
                    "kept": each.tokens,
                    "read": min(each.tokens, block.window or each.tokens),
                    "label": shape_words(each, block),
                }
                if each is not None
                else {"kept": 0, "read": 0, "label": shape_words(each, block)}
                for each, block in zip(held, anatomy.blocks, strict=True)
            ]
            if held
            else [],
            tokens={"n": n, "fresh": fresh, "strings": trace.tokens.strings},
            costs=costs_of,
        )
        self._held = held
        self._count()
        self.formulas.visible = bool(costs_of)
        drawn = bool(held or costs_of)
        self.layout.visible, self.nothing.visible = drawn, not drawn
        if not drawn:
            self.instead.param.update(
                heading=_("No keys and values are cached"),
                paragraphs=[*nothing_kept(trace), *([] if anatomy.fills else rich(uncounted(trace)))],
            )
        self._say(trace, held, fresh, times)
        self.picture.tools.changed()

    @staticmethod
    def _costs(anatomy: Anatomy, n: int) -> tuple[dict[str, Any], float]:
        """What a step costs at each length of the text, and how many times as much without a cache at the last one."""
        at = np.unique(np.linspace(1, n, min(n, POINTS)).astype(int))
        cached, whole = ([int(step(anatomy, int(t))) for t in at] for step in (costs.cached_step, costs.whole_step))
        times = whole[-1] / cached[-1]
        return {
            "at": at.tolist(), "cached": cached, "whole": whole,
            "cached_text": _("{n} million multiply-adds").format(n=number(cached[-1] / 1e6, 3)),
            "whole_text": _("{n} million multiply-adds, {times} times as many").format(
                n=number(whole[-1] / 1e6, 3), times=number(times, 3)
            ),
        }, times  # fmt: skip

    def _count(self) -> None:
        """The bytes worked out: of the block in focus, of all blocks, of each token."""
        self.map.bytes = counted(self._held, self.state.layer)

    def _say(self, trace: Trace, found: list[Kept | None], fresh: int, times: float | None) -> None:
        n, held = len(trace.tokens.ids), [each for each in found if each is not None]
        if not held:
            self.words.paragraphs = nothing_kept(trace) + (rich(uncounted(trace)) if times is None else [])
            return
        total = sum(each.nbytes for each in held)
        said = _(
            "The <k>keys</k> and <v>values</v> of a token do not change when more tokens follow, because tokens "
            "attend only to earlier ones. So they are <b>cached</b>: {total} now, {each} per token ({block} per "
            "block).\n\n{computed}"
        )
        said += (
            _(" Without the cache, the last token would cost {times} times as much.")
            if times is not None
            else f" {uncounted(trace)}"
        )
        computed = (
            _("This run computed <f>{fresh} of {n}</f> tokens; the others were in the cache.")
            if fresh < n
            else _("This run computed <f>all {n}</f> tokens: the cache was empty.")
        ).format(fresh=count(fresh), n=count(n))
        least, most = (size_text(pick(each.nbytes for each in held)) for pick in (min, max))
        block = least if least == most else _("{least} to {most}").format(least=least, most=most)
        self.words.paragraphs = rich(
            said.replace("{computed}", computed), total=size_text(total), each=size_text(total // n), block=block, times=number(times or 1.0, 3),
        ) + special_words(trace) + (attention_words(trace) if len(held) < len(found) else [])  # fmt: skip

    def _rows(self) -> Table:
        """One row per block."""
        trace = self.state.trace
        if trace is None:
            return Table([_("block")], [])
        pairs = [
            (each, block) for each, block in zip(kept(trace), trace.anatomy.blocks, strict=False) if each is not None
        ]
        held, blocks = [each for each, _block in pairs], [block for _each, block in pairs]
        columns: dict[str, Any] = {
            _("block"): [block.index + 1 for block in blocks],
            _("key/value heads"): [each.heads for each in held],
            _("tokens"): [each.tokens for each in held],
            _("numbers per key"): [each.key_dim for each in held],
            _("numbers per value"): [each.value_dim for each in held],
            _("bytes"): [each.nbytes for each in held],
            _("tokens in the window"): [
                min(each.tokens, b.window or each.tokens) for each, b in zip(held, blocks, strict=False)
            ],
        }
        return Table.of(_("cached keys and values, per block"), **columns)
