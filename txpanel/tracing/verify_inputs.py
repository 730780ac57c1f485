"""A model that is given an image or a sound is compared with its own untouched run of it, before anything of that run is shown.

Where the image stands, the first stream is what the model has put there; masks, positions and the like are those of the run.
What does not agree in this run is closed in this run (:mod:`txpanel.tracing.verify`); the model without the image is not touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from txpanel.errors import TooLong, TxpanelError, Unsupported
from txpanel.messages import _
from txpanel.models.closing import close_end
from txpanel.models.language_model import LanguageModel
from txpanel.models.tokens import Place
from txpanel.tracing import opaque_runs
from txpanel.tracing.compare import gap
from txpanel.tracing.graph.build import Graph
from txpanel.tracing.passes import STRUCTURE_ERRORS
from txpanel.tracing.probe import Probe, probe_ids, probed_on, run
from txpanel.tracing.replay import replay
from txpanel.tracing.verify import continues, leaves, settle
from txpanel.tracing.verify_block import change

MORE = 6
"""Tokens that are appended to test whether the run can be continued."""


def verify_inputs(model: LanguageModel) -> None:
    """Compare a model with its run on its inputs, and close what does not agree: changes its anatomy, its parts, and the facts about the inputs.

    Raises:
        Unsupported: in words, if its residual stream or its logits cannot be recorded. TooLong: the text has more tokens than the model has positions.
    """
    given = model.inputs
    assert given is not None
    if len(given) > model.max_tokens:
        words = _("This text has {n:,} tokens, those of the image or sound included, and {model} can read {room:,}.")
        raise TooLong(words.format(n=len(given), model=model.title, room=model.max_tokens))
    given.deltas, given.places, given.rows, given.grows = {}, (), None, None
    ids = torch.tensor(given.ids)
    with model.lock, model.running():
        probe = probed_on(model, ids, last=1)
        _find_places(model, probe)
        seen: set[Any] = set()
        for layer in range(model.anatomy.n_layers):
            _look_both_ways(model, layer, probe)
            settle(model, layer, probe, seen, reread=False)
        _output(model, probe)
        if model.parts.continues:
            _continuing(model, ids)


def _look_both_ways(model: LanguageModel, layer: int, probe: Probe) -> None:
    """Note a block in which tokens (of an image, or all) also attend to later ones."""
    if not model.anatomy.blocks[layer].has_attention:
        return
    try:
        look = replay(model, layer, probe.streams[layer], probe.calls[layer]).tensors["mask"]
    except (*STRUCTURE_ERRORS, TxpanelError):  # `settle` reports it
        return
    if bool(look.triu(1).any()):
        change(model, layer, causal=False)


def _find_places(model: LanguageModel, probe: Probe) -> None:
    """Find where the model puts other vectors than the tokens' rows, and which module computed them."""
    given = model.inputs
    assert given is not None
    outputs = list[tuple[str, Tensor]]()
    with _Heard(model, outputs):
        entered, stream = opaque_runs.as_given(model, probe.ids)
    first = probe.streams[0].float().cpu()
    if not gap(None, {}, stream, first, model.dtype).ok:
        raise Unsupported(
            _(
                "This model computes another first residual stream from the same inputs each time, so no run of it can "
                "be shown."
            )
        )
    kinds = [given.kinds.get(int(token), "") for token in probe.ids]

    def put(other: list[bool], rows: Tensor) -> None:
        given.places = tuple(
            Place(start, stop, kinds[start], _maker(outputs, rows[start])) for start, stop in _runs(kinds, other)
        )
        given.rows = rows[opaque_runs.places_of(given.places)].clone()

    if "embed" in model.anatomy.opaque:
        put([bool(kind) for kind in kinds], stream if entered is None else entered)
        return
    if entered is not None:  # else the inner model looks up the rows itself: if not, the first stream differs
        put(_others(model, probe.ids, entered), entered)
    agrees = gap(None, {}, _first_stream(model, probe.ids), first, model.dtype)
    model.seen.saw("embed", agrees.size)
    if not agrees.ok:
        model.seen.closed["embed"] = agrees.size
        reason = _("the model computes its first residual stream in a way that txpanel does not know")
        model.anatomy = close_end(model.anatomy, model.parts, "embed", reason)
        if entered is None:
            put([bool(kind) for kind in kinds], stream)


def _others(model: LanguageModel, ids: Tensor, entered: Tensor) -> list[bool]:
    """For each token whether its vector differs from its row of the table."""
    found = list[bool]()
    lookup = Graph(model.anatomy, model.parts).operations["embed"]
    table = model.parts.tables["embed"][1]
    for token, row in zip(ids, entered, strict=True):
        there = int(token) < len(table)
        found.append(not there or not gap(None, {}, lookup.recompute({"tokens": token[None]})[0], row, model.dtype).ok)
    return found


def _first_stream(model: LanguageModel, ids: Tensor) -> Tensor:
    """What enters the first block, by the declared operations."""
    given = model.inputs
    assert given is not None
    graph = Graph(model.anatomy, model.parts, given.places, given.rows)
    values = leaves(model, ids)
    for name in graph.names():
        operation = graph.operations[name]
        values[name] = operation.recompute({source: values[source] for source in operation.inputs})
        if name == "blocks.0.resid_pre":
            break
    return values["blocks.0.resid_pre"]


def _runs(kinds: list[str], other: list[bool]) -> Iterator[tuple[int, int]]:
    """Start and end (exclusive) of each stretch of replaced tokens of one kind."""
    start = 0
    for at in range(1, len(kinds) + 1):
        if at == len(kinds) or (kinds[at], other[at]) != (kinds[start], other[start]):
            if other[start]:
                yield start, at
            start = at


class _Heard:
    """Inside, the outputs of the modules beside the language model (such as an image encoder) are kept, in order, with the modules' paths."""

    def __init__(self, model: LanguageModel, outputs: list[tuple[str, Tensor]]) -> None:
        first, table = model.parts.blocks[0].block, model.model.get_input_embeddings()
        around = [one for one in model.watch.modules if first in one.modules() and one is not first]
        self._modules = [
            child for one in around for child in one.children() if child not in around and child not in (first, table)
        ]
        self._hooks: list[Any] = []
        self._names, self._outputs, self._width = model.parts.names, outputs, model.anatomy.embed_width

    def __enter__(self) -> None:
        for module in self._modules:
            name = self._names.get(id(module), "")
            self._hooks.append(module.register_forward_hook(lambda _m, _args, out, name=name: self._keep(name, out)))

    def __exit__(self, *_error: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _keep(self, name: str, out: Any) -> None:
        for one in _tensors(out):
            if one.is_floating_point() and one.dim() > 1 and one.shape[-1] == self._width:
                self._outputs.append((name, one.detach().float().cpu().reshape(-1, self._width)))


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)) or hasattr(value, "values"):
        for one in value.values() if hasattr(value, "values") else value:
            yield from _tensors(one)


def _maker(outputs: list[tuple[str, Tensor]], row: Tensor) -> str:
    """Path of the module that returned this row, up to a factor; if none did, of the last one that was called."""
    for name, given in reversed(outputs):
        length = given.norm(dim=-1) * row.norm() + 1e-30
        if bool(((given @ row) / length > 1 - 1e-5).any()):
            return name
    return outputs[-1][0] if outputs else ""


def _output(model: LanguageModel, probe: Probe) -> None:
    """Compare the run's logits with those of its last stream.

    Raises:
        Unsupported: they do not agree.
    """
    again = opaque_runs.logits_of(model, probe.streams[-1][-1:])
    found = gap(None, {}, again, probe.logits, model.dtype)
    if not found.ok:
        raise Unsupported(
            _(
                "With these inputs, the model computes its logits from more than the residual stream after its last "
                "block."
            )
        )
    model.seen.saw("output", found.size)


def _continuing(model: LanguageModel, ids: Tensor) -> None:
    """Check whether a run that is continued after the given text has the streams of one pass."""
    more = probe_ids(model)[: max(0, min(MORE, model.max_tokens - len(ids)))]
    model.parts.continues = False
    if not len(more):
        return
    try:
        whole = run(model, torch.cat([ids, more]), last=1)
        model.parts.continues = continues(model, [ids, more], whole)
    except Exception:  # whatever the model's own code may raise for a text longer than the given one
        model.parts.continues = False
