"""The MLP view: neuron by neuron, what the MLP computes for a token and adds to its residual stream."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import panel as pn

from txpanel.messages import _
from txpanel.models.tokens import visible
from txpanel.toolkit.bars import Bars
from txpanel.toolkit.card import Rich, as_shown, card, engineers, flow, picture, provenance
from txpanel.toolkit.explained import highlighted_cells
from txpanel.toolkit.format import count, number, percent
from txpanel.toolkit.vector_strips import VectorStrips, strip_table
from txpanel.views.activation import activation_name
from txpanel.views.background import background, one_by_one, plot
from txpanel.views.base import View
from txpanel.views.instead_card import InsteadCard
from txpanel.views.mlp import tables
from txpanel.views.mlp.curve import ActivationPlot
from txpanel.views.mlp.data import Neurons, NeuronWrite, Routing, activate, curve, neurons, promoted, routing, strongest
from txpanel.views.mlp.neurons import NeuronList
from txpanel.views.mlp.strips import inner_strips, mixture_strips, write_strips
from txpanel.views.mlp.words import lead, notes


class MLPView(View):
    """The MLP of the block in focus for the token in focus.

    Shows its projections up (with the gate, where there is one), every neuron as a point on the model's real activation curve, the neurons
    that write most with the tokens they point to, the down projection as a sum of vectors, and, in a mixture, router and experts.
    """

    id: ClassVar[str] = "mlp"
    title: ClassVar[str] = _("MLP")
    order: ClassVar[int] = 30
    requires: ClassVar[frozenset[str]] = frozenset({"mlp_post", "mlp_out"})
    shows: ClassVar[frozenset[str]] = frozenset(
        [
            "mlp_gate",
            "mlp_pre",
            "mlp_post",
            "mlp_out",
            "router",
            "expert_index",
            "expert_weight",
            "expert_out",
            "shared_post",
        ]
    )

    def __panel__(self) -> pn.viewable.Viewable:
        self._worker, self._slot = background(), 0
        self._found: Neurons | None = None
        self._writers: list[NeuronWrite] = []
        self._route: Routing | None = None
        self._act = np.zeros(0, np.float32)
        self._words, self._fold = Rich(sizing_mode="stretch_width"), engineers()
        self._curve = ActivationPlot(self, tap=self._ask_neuron)
        self._inner, self._written, self._mixed = (VectorStrips(on_pick=self.state.ask) for _i in range(3))
        self._list = NeuronList(on_pick=self._picked, on_token=self._ask_token)
        self._router = Bars(self, "mlp", tap=self._expert_picked, hover=(_("expert"), _("router"), _("tensor")))
        self._instead = InsteadCard(self, "mlp")
        of = self._pictures()
        wide: dict[str, Any] = {"sizing_mode": "stretch_width", "styles": {"min-width": "0", "flex": "1 1 100%"}}
        first = as_shown(flow(*(of[name] for name in ("router", "experts", "curve", "inner")), **wide))
        self._card = card("", self._words, first, of["neurons"], beside=[self._fold])
        self.follow(self._changed, "trace", "layer", "query")
        self.follow(self._neuron_changed, "neuron")
        self.follow(self._light, "question", "trace")
        one_by_one(self._card.pictures, [lambda: of["written"]], _("More pictures are loading …"), self._guarded)
        return as_shown(pn.Column(self._instead.panel, self._card, sizing_mode="stretch_width", margin=0))

    def _pictures(self) -> dict[str, Any]:
        wide: dict[str, Any] = {"sizing_mode": "stretch_width", "styles": {"min-width": "0", "flex": "1 1 100%"}}
        half: dict[str, Any] = {"sizing_mode": "stretch_width", "styles": {"min-width": "0", "flex": "1 1 340px"}}
        made = [
            ("router", _("Router"), "", plot(self._router.figure, 230), lambda: tables.router(self._route), half),
            ("experts", _("Outputs of the experts"), _("each output times its weight; their sum is added to the residual stream"), self._mixed,
             lambda: strip_table(self._mixed.strips), half),
            ("curve", _("Activation function"), "", plot(self._curve.figure, 300), lambda: tables.curve(self._found, self._act), half),
            ("inner", _("Neurons"), "", self._inner, lambda: strip_table(self._inner.strips), half),
            ("neurons", _("Neurons with the largest outputs"), "", self._list, lambda: tables.neurons(self._writers), wide),
            ("written", _("Down projection: a sum of vectors"), _("each neuron adds its column of the down projection, times its activation"), self._written,
             lambda: strip_table(self._written.strips), wide),
        ]  # fmt: skip
        self._shown = {
            name: picture(
                title,
                subtitle,
                shown,
                table=table,
                name=f"mlp-{name}",
                source=lambda: provenance(self.state, f"blocks.{self.state.layer}.mlp_post"),
                **params,
            )
            for name, title, subtitle, shown, table, params in made
        }
        return self._shown

    def close(self) -> None:
        """See `View.close`."""
        if self._built is not None:
            self._worker.cancel()
        super().close()

    # -- what changes ------------------------------------------------------------------------------------------------

    def _changed(self) -> None:
        trace, layer, at = self.state.trace, self.state.layer, self.state.query
        here = trace.anatomy.blocks[layer].has_mlp
        self._card.visible = here
        if not here:
            self._nothing_here()
            return
        self._instead.hide()
        route = routing(trace, layer, at)
        self._route = route
        self._slot = min(self._slot, len(route.chosen) - 1) if route is not None else 0
        self._found = found = neurons(trace, layer, at, self._slot)
        self._writers = strongest(trace, layer, found)
        act = activate(trace, layer, found.x)
        self._act = act if act is not None else found.post
        self._show_words()
        self._show_curve()
        marks = tuple(writer.neuron for writer in self._writers)
        self._inner.show(inner_strips(trace, layer, found, marks))
        self._subtitle(
            "inner",
            _("{n} neurons for “{token}”; triangles mark those with the largest outputs").format(
                n=count(found.x.size), token=self._token()
            ),
        )
        self._written.show(write_strips(trace, layer, found, self._writers))
        self._show_neurons()
        self._show_router(route)
        for shown in self._shown.values():
            shown.tools.changed()
        self._point_to_tokens()

    def _nothing_here(self) -> None:
        """A block without an MLP that is opened: what it has instead, and which blocks have one."""
        self._worker.cancel()
        self._found, self._writers, self._route = None, [], None
        self._instead.show()

    def _token(self) -> str:
        return visible(self.state.trace.tokens.strings[self.state.query])

    def _show_words(self) -> None:
        trace, layer, found = self.state.trace, self.state.layer, self._found
        assert found is not None
        self._words.paragraphs = lead(trace, layer, self.state.query, found, self._act)
        p = f"blocks.{layer}."
        names = ("router", "expert_weight", "mlp_gate", "mlp_pre", "mlp_post", "expert_out", "mlp_proj", "mlp_out")
        self._fold.formula.latex = [trace.operation(p + name).formula for name in names if p + name in trace]
        self._fold.notes.paragraphs = notes(trace.anatomy.blocks[layer].activation)

    def _show_curve(self) -> None:
        trace, layer, found = self.state.trace, self.state.layer, self._found
        assert found is not None
        block = trace.anatomy.blocks[layer]
        where = f"{found.x_name}[{', '.join(map(str, found.at))}]"
        label = f"{_('before the activation function')} · {where}"
        self._curve.feed(curve(trace, layer, found.x), found.x, self._act, [w.neuron for w in self._writers], label)
        words = _("{name}, with the {n} neurons for “{token}” on it; large: those with the largest outputs")
        self._subtitle(
            "curve", words.format(name=activation_name(block.activation), n=count(found.x.size), token=self._token())
        )

    def _show_neurons(self) -> None:
        gated = self._found is not None and self._found.up is not None
        columns = [
            ("x", _("gate") if gated else _("input")),
            *([("up", _("up"))] if gated else []),
            ("post", _("activation")),
        ]
        rows = [
            {
                "neuron": w.neuron,
                "x": w.x,
                "up": w.up,
                "post": w.post,
                "size": w.size,
                "promotes": [list(t) for t in w.promotes],
                "resists": [list(t) for t in w.resists[:2]],
            }
            for w in self._writers
        ]
        self._list.show(rows, columns, self.state.neuron, sizes=self.state.trace.model is not None)
        words = _("the {n} neurons with the largest outputs for “{token}” in block {layer}")
        self._subtitle("neurons", words.format(n=len(rows), token=self._token(), layer=self.state.layer + 1))

    def _show_router(self, route: Any) -> None:
        self._shown["router"].visible = self._shown["experts"].visible = route is not None
        if route is None:
            return
        layer, at = self.state.layer, self.state.query
        shares = dict(zip(route.chosen.tolist(), route.weights.tolist(), strict=True))
        names = [_("expert {n}").format(n=i) for i in range(route.logits.size)]
        texts = [
            f"{number(float(v), 3)}" + (f"  → {percent(shares[i])}" if i in shares else "")
            for i, v in enumerate(route.logits)
        ]
        tensors = [f"blocks.{layer}.router[{at}, {i}]" for i in range(route.logits.size)]
        self._router.feed(names, route.logits, texts, tensors=tensors, chosen=int(route.chosen[self._slot]))
        self._subtitle(
            "router",
            _("router logits; “{token}” goes to the {k} experts with the largest, with these weights").format(
                k=len(route.chosen), token=self._token()
            ),
        )
        self._mixed.show(mixture_strips(self.state.trace, layer, at))

    def _point_to_tokens(self) -> None:
        """The tokens that the neurons' writes point to: a product with the whole unembedding, so it is computed in a thread."""
        trace, layer, writers = self.state.trace, self.state.layer, self._writers
        model = trace.model
        if model is None or not writers:
            return
        writes = np.stack([w.direction * np.float32(w.post) for w in writers])

        def job(cancel: Any, publish: Any) -> None:
            tokens = promoted(model, layer, writes)
            if not cancel.is_set():
                publish(lambda: self._guarded(lambda: self._named(writers, tokens)))

        self._worker.submit(job)

    def _named(self, writers: list[NeuronWrite], tokens: list[Any]) -> None:
        if self.state is None or writers is not self._writers:
            return
        self._writers = [replace(w, promotes=up, resists=down) for w, (up, down) in zip(writers, tokens, strict=True)]
        self._show_neurons()
        self._shown["neurons"].tools.changed()

    def _neuron_changed(self) -> None:
        self._list.param.update(chosen=self.state.neuron, version=self._list.version + 1)

    def _light(self) -> None:
        cells = highlighted_cells(self.state.trace, self.state.question)
        for strips in (self._inner, self._written, self._mixed):
            strips.light(cells)
        self._list.lights = self._lit_neurons(cells)
        self._instead.light()

    def _lit_neurons(self, cells: list[Any]) -> list[list[Any]]:
        """Neuron and column of the list's numbers that the open card is about."""
        found = self._found
        if found is None:
            return []
        parts = {name: part for part, name in reversed(self._tensors(found).items())}  # without a gate "up" is "x"
        here = [
            (parts[name], index)
            for name, index in cells
            if name in parts and all(index.get(dim) == at for dim, at in found.index.items())
        ]
        return [[index["neuron"], part] for part, index in here]

    # -- what a person did -------------------------------------------------------------------------------------------

    def _picked(self, neuron: int, part: str) -> None:
        if part == "focus":
            self.state.focus(neuron=neuron)
            return
        found = self._found
        if found is not None:
            self.state.ask(self._tensors(found)[part], **found.index, neuron=neuron)

    def _ask_token(self, token: int) -> None:
        """The logit of a token that a neuron points to, after the token in focus."""
        trace = self.state.trace
        self.state.ask(trace.lens_name(trace.anatomy.n_layers, self.state.query), vocab=token)

    def _tensors(self, found: Neurons) -> dict[str, str]:
        """The tensor of each column of the list."""
        p = f"blocks.{self.state.layer}."
        return {"x": found.x_name, "up": p + "mlp_pre", "post": p + "mlp_post", "size": p + "mlp_post.write"}

    def _ask_neuron(self, neuron: int) -> None:
        self.state.focus(neuron=neuron)
        self._picked(neuron, "post")

    def _expert_picked(self, expert: int) -> None:
        route = routing(self.state.trace, self.state.layer, self.state.query)
        if route is not None and expert in route.chosen:
            self._slot = int(np.flatnonzero(route.chosen == expert)[0])
            self._changed()
        self.state.ask(f"blocks.{self.state.layer}.router", token=self.state.query, expert=expert)

    def _subtitle(self, name: str, text: str) -> None:
        self._shown[name].heading.paragraphs = [[("", text)]]
