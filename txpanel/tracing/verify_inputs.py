"""A model that is given an image or a sound is compared with its own untouched run of it, before anything of that run is shown.

Where the image stands the first stream is what the model has put there; masks, positions and what else follows from it are those of the run.
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
from txpanel.tracing.passes import ODD
from txpanel.tracing.probe import Probe, probe_ids, probed_on, run
from txpanel.tracing.replay import replay
from txpanel.tracing.verify import continues, leaves, settle
from txpanel.tracing.verify_block import change

MORE = 6
"""Tokens after the text with which it is tried whether the run can be continued."""


def verify_inputs(model: LanguageModel) -> None:
    """Compare a model with its run of what it is given, and close what does not agree: changes its anatomy, its parts, and what is known of the inputs.

    Raises:
        Unsupported: in words, if its residual stream or its logits can't be had. TooLong: the text has more tokens than the model has positions.
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
    """Note where tokens of an image, or all that were given, see later ones too."""
    if not model.anatomy.blocks[layer].has_attention:
        return
    try:
        look = replay(model, layer, probe.streams[layer], probe.calls[layer]).tensors["mask"]
    except (*ODD, TxpanelError):  # `settle` says it
        return
    if bool(look.triu(1).any()):
        change(model, layer, causal=False)


def _find_places(model: LanguageModel, probe: Probe) -> None:
    """Where the model puts something else than tokens' rows, and which module has made it."""
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
    if entered is not None:  # else it is given ids alone: every row is the table's, or the first stream is another one
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
    """Which tokens enter as something else than their row of the table."""
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
    """First and last (exclusive) of tokens in a row that stand for the same."""
    start = 0
    for at in range(1, len(kinds) + 1):
        if at == len(kinds) or (kinds[at], other[at]) != (kinds[start], other[start]):
            if other[start]:
                yield start, at
            start = at


class _Heard:
    """Inside, what the modules give that stand beside the blocks' is kept, in order, with their paths."""

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
    """The module that gave this row, up to a factor; where none did, the last that was called."""
    for name, given in reversed(outputs):
        length = given.norm(dim=-1) * row.norm() + 1e-30
        if bool(((given @ row) / length > 1 - 1e-5).any()):
            return name
    return outputs[-1][0] if outputs else ""


def _output(model: LanguageModel, probe: Probe) -> None:
    """The logits of the run from its last stream."""
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
    """Whether a run that goes on after the text that was given has the streams of one pass."""
    more = probe_ids(model)[: max(0, min(MORE, model.max_tokens - len(ids)))]
    model.parts.continues = False
    if not len(more):
        return
    try:
        whole = run(model, torch.cat([ids, more]), last=1)
        model.parts.continues = continues(model, [ids, more], whole)
    except Exception:  # whatever a model's own code may raise of a text that is longer than what belongs to it
        model.parts.continues = False
