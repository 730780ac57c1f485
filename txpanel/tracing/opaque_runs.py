"""Parts of a model that are not opened, run by their own code: a module with another input, or the steps before and after the blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from txpanel.errors import NoSuchTensor, Stale, Unsupported
from txpanel.messages import _
from txpanel.models.anatomy import Anatomy
from txpanel.models.encoder_decoder import Source
from txpanel.models.language_model import LanguageModel
from txpanel.models.tokens import Place
from txpanel.models.torch_modes import ordinary
from txpanel.tracing.compare import gap
from txpanel.tracing.module_calls import ModuleCall, call_of, handed_on, taken
from txpanel.tracing.names import GIVEN, split_name
from txpanel.tracing.operations.base import Operation
from txpanel.tracing.operations.opaque import Opaque
from txpanel.tracing.operations.placed import Placed
from txpanel.tracing.passes import Replacement, last_logits_only, skipping, with_cache
from txpanel.tracing.recording import not_repeatable


class _Arrived(Exception):
    """Ends a pass at a block."""


def called(model: LanguageModel, call: ModuleCall) -> Callable[[Tensor], Tensor]:
    """A module as a function of its stream: float32 [T, D] on the CPU -> the same."""

    def run(stream: Tensor) -> Tensor:
        with model.lock, model.running():
            return ordinary(call(stream.to(model.device)).float().cpu())

    return run


def first_stream(model: LanguageModel, ids: Tensor) -> Tensor:
    """What the model makes of token ids before its first block: int64 [T] -> float32 [T, D]."""
    found = _arriving(model, ids, 0, {})
    if found is None:
        raise Unsupported(_("The step from the tokens to the first block cannot be run alone."))
    return ordinary(found.float().cpu())


def through(model: LanguageModel, layer: int, ids: Tensor, stream: Tensor) -> Tensor:
    """The input of the block after ``layer`` in a pass in which only block ``layer`` runs: streams [T, D] -> [T, D], as computed.

    Args:
        ids: int64 [T], for the pass. stream: the block's input.
    """

    def work(forward: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            given, (rest, named) = taken(args, kwargs)
            return forward(stream[None].to(given), *rest, **named)

        return run

    found = _arriving(model, ids, layer + 1, {layer: work})
    if found is None:
        raise Unsupported(_("What follows blocks.{layer} cannot be run alone.").format(layer=layer))
    return found


def _arriving(model: LanguageModel, ids: Tensor, layer: int, working: Mapping[int, Replacement]) -> Tensor | None:
    """The input of block ``layer`` in a pass in which only the blocks of ``working`` run: [T, D], as computed; ``None``: the pass never reaches it."""

    def arrive(_forward: Callable[..., Any]) -> Callable[..., Any]:
        def kept(*args: Any, **kwargs: Any) -> Any:
            found.append(taken(args, kwargs)[0][0].detach())
            raise _Arrived

        return kept

    found: list[Tensor] = []
    with model.lock, model.running(), skipping(model, model.parts.tuple_output, {**working, layer: arrive}):
        try:
            model.forward(ids[None].to(model.device), **with_cache(model.model, None), **model.arguments(ids))
        except _Arrived:
            return found[0]
    return None


def handed(model: LanguageModel, layer: int, output: Tensor, ids: list[int], stream: Tensor) -> Tensor:
    """The next block's input for a block's output: the output itself, except in models that change the stream in between."""
    return through(model, layer, torch.tensor(ids), stream) if model.parts.blocks[layer].between else output


def logits_of(model: LanguageModel, stream: Tensor, text: Tensor | None = None) -> Tensor:
    """Logits for any streams, by the model's own code after its last block: [n, D] -> float32 [n, V].

    They are computed in a pass in which the last block returns these streams, and the others return their input.

    Args:
        text: int64 [n], the ids of a run whose streams these are; then only the last logits may be there. ``None``: any streams.
    """
    last = len(model.parts.blocks) - 1

    def give(_forward: Callable[..., Any]) -> Callable[..., Any]:
        def given(*args: Any, **kwargs: Any) -> Any:
            before = taken(args, kwargs)[0]
            return handed_on(stream[None].to(before), model.parts.tuple_output)

        return given

    ids = torch.zeros(len(stream), dtype=torch.long) if text is None else text
    more = {} if text is None or model.anatomy.fills else {**last_logits_only(model.model), **model.arguments(text)}
    with model.lock, model.running(), skipping(model, model.parts.tuple_output, {last: give}):
        output = model.forward(ids[None].to(model.device), **with_cache(model.model, None), **more)
    return output.logits[0].float().cpu()


def put_in(model: LanguageModel) -> Tensor:
    """The vectors that a model puts where an image or a sound stands, computed again: float32 [n, D]."""
    assert model.inputs is not None
    entered = as_given(model, torch.tensor(model.inputs.ids))[0]
    if entered is None:  # in the run of which these places are known, it was given
        raise not_repeatable("embed")
    return entered[places_of(model.inputs.places)]


def places_of(places: tuple[Place, ...]) -> list[int]:
    """The positions of the tokens that stand for an image or a sound."""
    return [at for place in places for at in range(place.start, place.stop)]


def as_given(model: LanguageModel, ids: Tensor) -> tuple[Tensor | None, Tensor]:
    """For token ids the ``inputs_embeds`` that the inner language model is given, and the input of its first block: float32 [T, D] each.

    They are equal unless positions, types or a norm come in between. ``None``: the inner model is given ids, and looks up the rows itself.
    """
    given: list[Tensor] = []

    def before(_module: nn.Module, _args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        found = kwargs.get("inputs_embeds")
        if found is not None:
            given.append(found.detach()[0].float().cpu())

    first = model.parts.blocks[0].block
    around = [module for module in model.watch.modules if first in module.modules() and module is not first]
    hooks = [module.register_forward_pre_hook(before, with_kwargs=True) for module in around]
    try:
        stream = first_stream(model, ids)
    finally:
        for hook in hooks:
            hook.remove()
    facts = model.anatomy
    between = facts.embed_after or facts.embed_projection or facts.embed_norm or facts.positions == "learned"
    return (given[-1] if given else None) if between else stream, stream


class Run(Protocol):
    """What a part that is not opened asks of a run; a :class:`~txpanel.tracing.Trace` is one."""

    model: LanguageModel | None
    anatomy: Anatomy
    provenance: dict[str, str]

    @property
    def source(self) -> Source | None:
        """What an encoder has read."""

    @property
    def stale(self) -> str | None:
        """A sentence if the model has changed since."""

    def called(self, layer: int, part: str) -> ModuleCall:
        """How the part's module was called."""

    def tensor(self, name: str) -> Tensor:
        """A tensor of the run."""

    def unembed(self, stream: Tensor) -> Tensor:
        """Streams [n, D] -> logits [n, V]."""


def bound(run: Run, operation: Operation) -> Operation:
    """An operation bound to a run: that of a part that is not opened gets the call of its module as in the run."""
    model = run.model
    if model is not None and isinstance(operation, Placed):
        return replace(operation, call=partial(put_in, model))
    if model is None or not isinstance(operation, Opaque):
        return operation
    if operation.part == "embed":
        return replace(operation, call=partial(first_stream, model))
    if operation.part == "output":
        return replace(operation, call=partial(_way_out, run, operation))
    layer = operation.layer
    if operation.part.startswith("encoder"):
        return replace(operation, call=partial(_of_encoder, run, operation.part, layer))
    assert layer is not None

    def call(stream: Tensor) -> Tensor:
        if operation.part == "block" and model.parts.blocks[layer].between:
            return through(model, layer, run.tensor("tokens"), stream).float().cpu()
        if operation.part in model.parts.blocks[layer].alone_differs:
            raise not_repeatable(operation.output)
        return called(model, run.called(layer, operation.part))(stream)

    return replace(operation, call=call)


def _way_out(run: Run, operation: Opaque, x: Tensor) -> Tensor:
    """Logits by the model's own code, of one stream alone; where that gives others than in the run, of all streams of the run and its ids."""
    model, row = run.model, operation.row
    if row is None or model is None:
        return run.unembed(x)[0]
    stale = run.stale
    if stale is not None:
        raise Stale(stale)
    recorded = run.tensor("logits")
    found = logits_of(model, x[row][None])[0]
    if not gap(None, {}, found, recorded, model.dtype).ok:
        found = logits_of(model, x, run.tensor("tokens"))[row - len(x)]
    if not gap(None, {}, found, recorded, model.dtype).ok:
        raise not_repeatable(operation.output)
    return found


def _of_encoder(run: Run, part: str, layer: int | None, x: Tensor) -> Tensor:
    """The encoder as a whole or what it makes before its first block, from ids [S], a sound or a picture; or one of its blocks, from a stream [S, D]."""
    model, source = run.model, run.source
    assert model is not None
    assert model.pair is not None
    if part == "encoder_block":
        if source is None or layer is None or not source.calls:
            raise not_repeatable(f"encoder.blocks.{layer}.resid_post")
        module, args, kwargs = source.calls[layer]
        return called(model, call_of(module, args, kwargs)[1])(x)
    with model.lock, model.running():
        inputs = model.encoder_inputs
        if inputs is None:
            read = model.pair.read(x[None].to(model.device))
        else:
            given = inputs.named[inputs.reads]
            read = model.pair.read_inputs({**inputs.named, inputs.reads: x.to(given)})
        return read.state if part == "encoder" else read.streams[0].float().cpu()


def check_attention(anatomy: Anatomy, layer: int) -> None:
    """Refuse in words to look for heads in a block that has none to show.

    Raises:
        NoSuchTensor: why it has none.
    """
    if 0 <= layer < anatomy.n_layers and not anatomy.blocks[layer].has_attention:
        raise NoSuchTensor(no_attention(anatomy, layer))


def no_attention(anatomy: Anatomy, layer: int) -> str:
    """Why a block has no heads to show."""
    block = anatomy.blocks[layer]
    reason = block.opaque.get("mixer") or block.opaque.get("block")
    if reason is None:
        return _("blocks.{layer} of this model has only an MLP, so it has no attention.").format(layer=layer)
    return (
        _("The attention of blocks.{layer} is not opened: {reason}.").format(layer=layer, reason=reason.rstrip("."))
        if (block.kind == "attention")
        else _("blocks.{layer} has no attention to show: {reason}.").format(layer=layer, reason=reason.rstrip("."))
    )


def unknown(run: Run, name: str) -> str:
    """Why a run has no tensor of a name, where that is known."""
    anatomy, model = run.anatomy, run.provenance.get("model", "this model")
    layer, _own = split_name(name)
    opaque = anatomy.blocks[layer].opaque if layer is not None and layer < anatomy.n_layers else {}
    if opaque:
        words = _("This run has no tensor named '{name}': blocks.{layer} is not fully opened. {reasons}")
        reasons = " ".join(f"{part}: {reason.rstrip('.')}." for part, reason in opaque.items())
        return words.format(name=name, layer=layer, reasons=reasons)
    if name.startswith(GIVEN) and run.model is None:
        words = _(
            "'{name}' was given to the model beside the text, and a saved run does not keep it. Load the model and run it again."
        )
        return words.format(name=name)
    words = _("This run has no tensor named '{name}'. trace.names() lists those that exist for {model}.")
    return words.format(name=name, model=model)
