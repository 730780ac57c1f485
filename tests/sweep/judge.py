"""One family: a tiny random model of it, opened, and held against the untouched model."""

from __future__ import annotations

import inspect
import random
import traceback
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

import txpanel
from tests.families import masked_tokenizer, tiny_tokenizer
from tests.sweep.configs import MASKED, SMALL, model_of
from txpanel.errors import TxpanelError
from txpanel.models.language_model import LanguageModel
from txpanel.tracing.record import extend
from txpanel.tracing.trace import Trace

TEXT = "hello wörld, a b c"
GAPS = "hello w<mask>rld, a <mask> c"
WROTE = [40, 77, 201, 40, 9]
"""What an encoder-decoder has written so far."""
TOKENS = 4
CELLS = 2
"""Cells per tensor whose terms are added up."""


class Wrong(Exception):
    """Something is shown that is not so."""


@dataclass
class Result:
    """What opens of a family.

    Attributes:
        state: ``open``, ``partly``, ``refused``, ``wrong``, ``crash`` or ``not built``. reason: a sentence, where it is not open.
        stream, logits, generation: ``right``, or why they could not be compared.
            generation: of models that fill gaps what they say in each gap. attention, mlp, norms: blocks in which they are opened, of those that
            have one, as "2/3"; "" where the family has none. cross: the same of cross-attention.
        patterns: blocks whose pattern was compared with eager attention.
        others: kinds of blocks that are no attention, and how many. closed: part -> why it is not opened. seconds: of processor time.
    """

    family: str
    state: str = ""
    reason: str = ""
    stream: str = ""
    logits: str = ""
    generation: str = ""
    attention: str = ""
    mlp: str = ""
    norms: str = ""
    cross: str = ""
    patterns: int = 0
    others: dict[str, int] = field(default_factory=dict)
    closed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def judge(family: str) -> Result:
    """Build, open, trace, compare."""
    result = Result(family)
    try:
        untouched = model_of(family)
    except Exception as error:
        return _end(result, "not built", f"{type(error).__name__}: {_line(error)}")
    try:
        masked = family.endswith(MASKED)
        tokenizer = masked_tokenizer() if masked else tiny_tokenizer()
        model = LanguageModel.wrap(model_of(family), tokenizer, name=family)
        trace = model.trace(GAPS if masked else TEXT)
        if trace.source is not None:
            trace = extend(trace, WROTE)
        _facts(result, trace)
        _compare(result, untouched, model, trace)
    except TxpanelError as error:
        return _end(result, "refused", _line(error))
    except Wrong as error:
        return _end(result, "wrong", str(error))
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        return _end(
            result, "crash", f"{type(error).__name__}: {_line(error)} ({at.filename.rsplit('/', 1)[-1]}:{at.lineno})"
        )
    lacking = any(part.endswith((".mixer", ".cross", ".mlp", ".block")) for part in result.closed)
    return _end(result, "partly" if lacking else "open", _told(result.closed))


def _told(closed: dict[str, str]) -> str:
    """What is closed and why, each reason once."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    for part, reason in closed.items():
        by_reason.setdefault((part.rsplit(".", 1)[-1], reason), []).append(part)
    told = []
    for (kind, reason), parts in by_reason.items():
        blocks = ", ".join(part.split(".")[1] for part in parts if part.startswith("blocks."))
        of = "" if not blocks else f" of block{'s' if len(parts) > 1 else ''} {blocks}"
        told.append(f"{'whole' if kind == 'block' else kind}{of}: {reason}")
    return "; ".join(told)


def _end(result: Result, state: str, reason: str) -> Result:
    result.state, result.reason = state, reason
    return result


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:400]


def _facts(result: Result, trace: Trace) -> None:
    """What is opened, as the anatomy says."""
    anatomy, counts = trace.anatomy, {"attention": [0, 0], "cross": [0, 0], "mlp": [0, 0], "norms": [0, 0]}
    for block in anatomy.blocks:
        if block.kind != "attention":
            result.others[block.kind] = result.others.get(block.kind, 0) + 1
        closed = dict(block.opaque)
        if block.kind not in ("attention", "hybrid"):
            closed.pop("mixer", None)  # nobody opens these: not a lack of this family
        result.closed |= {f"blocks.{block.index}.{part}": reason for part, reason in closed.items()}
        if block.kind == "attention":
            counts["attention"][1] += 1
            counts["attention"][0] += block.has_attention
        if block.cross_there:
            counts["cross"][1] += 1
            counts["cross"][0] += block.cross is not None
        if block.mlp_there:
            counts["mlp"][1] += 1
            counts["mlp"][0] += block.has_mlp
        norms = [part for part in closed if part.startswith("ln") or part.endswith("_norm")]
        counts["norms"][1] += 1
        counts["norms"][0] += not norms and "block" not in closed
    result.closed |= anatomy.opaque
    for name, (some, every) in counts.items():
        setattr(result, name, f"{some}/{every}" if every else "")


def _compare(result: Result, untouched: Any, model: LanguageModel, trace: Trace) -> None:
    ids = torch.tensor([trace.tokens.ids.tolist()])
    _streams(result, untouched, model, trace, ids)
    if trace.anatomy.fills:
        _gaps(result, untouched, model, ids)
    else:
        _generation(result, untouched, model, trace, ids)
    _patterns(result, trace, ids)
    _terms(trace)
    few = [
        1,
        *ids[0, 1 : SMALL["num_attention_heads"]].tolist(),
    ]  # as many tokens as heads: neither may be taken for the other
    _terms((trace.model or model).trace(few))


def _streams(result: Result, untouched: Any, model: LanguageModel, trace: Trace, ids: Tensor) -> None:
    """Every block's input by hooks on the untouched model, what it calls its hidden states, and its logits."""
    names = {id(module): name for name, module in model.model.named_modules()}
    seen: list[Tensor] = []
    hooks = [
        untouched.get_submodule(names[id(parts.block)]).register_forward_pre_hook(
            lambda _m, args, kwargs: seen.append((args[0] if args else kwargs["hidden_states"]).detach().clone()),
            with_kwargs=True,
        )
        for parts in {id(parts.block): parts for parts in model.parts.blocks}.values()
    ]
    with torch.inference_mode():
        try:
            output = untouched(**_asked(trace, ids), output_hidden_states=True, use_cache=False)
        except TypeError:
            seen.clear()
            output = untouched(**_asked(trace, ids))
    for hook in hooks:
        hook.remove()
    streams = trace.recording.streams
    if len(seen) != len(streams) - 1:
        raise Wrong(f"{len(streams) - 1} blocks are shown, and {len(seen)} ran")
    for layer, stream in enumerate(seen):
        _same(f"stream {layer}", streams[layer], stream[0], 1e-5)
    given = getattr(output, "hidden_states" if trace.source is None else "decoder_hidden_states", None)
    if given is not None and len(given) == len(streams) and given[0].shape == seen[0].shape:
        late = not torch.equal(given[0], seen[0])  # some families list what comes out of each block
        for layer in range(late, len(seen)):
            _same(f"hidden state {layer}", streams[layer], given[layer - late][0], 1e-5)
    result.stream = "right"
    logits = output.logits.reshape(-1, output.logits.shape[-1])[trace.answer]
    _same("logits", trace.tensor("logits")[None], logits[None], 1e-5)
    result.logits = "right"


def _asked(trace: Trace, ids: Tensor) -> dict[str, Tensor]:
    """What the untouched model is given: ids [1, T]; of an encoder-decoder beside the source."""
    if trace.source is None:
        return {"input_ids": ids}
    read = torch.tensor([trace.source.tokens.ids.tolist()])
    return {"input_ids": read, "attention_mask": torch.ones_like(read), "decoder_input_ids": ids}


def _same(what: str, ours: Tensor, theirs: Tensor, tolerance: float) -> None:
    """Row by row, by each row's own size."""
    ours, theirs = ours.float(), theirs.float()
    if ours.shape != theirs.shape:
        raise Wrong(f"{what}: {tuple(ours.shape)} shown, {tuple(theirs.shape)} in the model")
    finite = torch.isfinite(theirs)
    if not torch.equal(finite, torch.isfinite(ours)):
        raise Wrong(f"{what}: infinite in other places than in the model")
    ours, theirs = ours.masked_fill(~finite, 0), theirs.masked_fill(~finite, 0)
    off = (ours - theirs).abs().amax(-1) / (theirs.abs().amax(-1) + 1e-9)
    if float(off.max()) > tolerance:
        raise Wrong(f"{what} differs from the untouched model's by {float(off.max()):.2g} of its row")


def _generation(result: Result, untouched: Any, model: LanguageModel, trace: Trace, ids: Tensor) -> None:
    """A few tokens, greedily."""
    given = _asked(trace, ids)
    read, more = given["input_ids"], {"decoder_input_ids": ids} if trace.source is not None else {}
    try:
        with torch.inference_mode():
            said = untouched.generate(
                read, max_new_tokens=TOKENS, do_sample=False, attention_mask=torch.ones_like(read), **more
            )[0, ids.shape[1] :].tolist()
    except Exception as error:
        result.generation = f"transformers itself can't ({type(error).__name__})"
        return
    own = _greedy(untouched, trace, ids)
    runs = trace.model or model
    ours = [step.token for step in txpanel.generate(runs, ids[0].tolist(), max_new_tokens=TOKENS, temperature=0.0)]
    if ours[: len(said)] != said and ours != own:
        raise Wrong(f"generated {ours}, the untouched model {own}, and its generate {said}")
    result.generation = "right" if ours[: len(said)] == said else "as its own passes; generate() differs from them"


def _gaps(result: Result, untouched: Any, model: LanguageModel, ids: Tensor) -> None:
    """The word in each gap, and what is said at the first and the last token."""
    trace = model.trace(ids[0].tolist())
    if len(trace.gaps) != GAPS.count("<mask>") or trace.answer != trace.gaps[0]:
        raise Wrong(f"the gaps are said to be {trace.gaps}, the answer at {trace.answer}")
    with torch.inference_mode():
        theirs = untouched(input_ids=ids).logits[0]
    for place in (*trace.gaps, 0, len(trace.tokens) - 1):
        _same(f"logits at {place}", trace.predicting(place).tensor("logits")[None], theirs[place][None], 1e-5)
    result.generation = "right"


def _greedy(untouched: Any, trace: Trace, ids: Tensor) -> list[int]:
    """The likeliest token of one plain pass after the other."""
    more = {"use_cache": False} if "use_cache" in inspect.signature(type(untouched).forward).parameters else {}
    with torch.inference_mode():
        for _ in range(TOKENS):
            ids = torch.cat([ids, untouched(**_asked(trace, ids), **more).logits[:, -1:].argmax(-1)], -1)
    return ids[0, -TOKENS:].tolist()


def _patterns(result: Result, trace: Trace, ids: Tensor) -> None:
    """Against the eager attention of the untouched model."""
    shown = [block.index for block in trace.anatomy.blocks if f"blocks.{block.index}.pattern" in trace]
    if not shown:
        return
    try:
        with torch.inference_mode():
            output = model_of(result.family, attn="eager")(**_asked(trace, ids), output_attentions=True)
            given = output.attentions if trace.source is None else output.decoder_attentions
    except Exception:
        return
    if trace.source is not None:
        _crossed(trace, output.cross_attentions)
    given = [one for one in given or () if one is not None]
    every = [block.index for block in trace.anatomy.blocks if block.kind == "attention"]
    if len(given) == trace.anatomy.n_layers:
        every = list(range(len(given)))
    if len(given) != len(every):
        return
    for layer, expected in zip(every, given, strict=True):
        if layer not in shown:
            continue
        ours, theirs = trace.tensor(f"blocks.{layer}.pattern"), expected[0].float()
        theirs = theirs[..., : ours.shape[-1]]  # families with sinks have a column for them
        if trace.anatomy.blocks[layer].sinks:  # some families give the weights before the sink takes its share
            ours, theirs = ours / ours.sum(-1, keepdim=True), theirs / theirs.sum(-1, keepdim=True)
        if ours.shape != theirs.shape or float((ours - theirs).abs().max()) > 2e-3:
            off = float((ours - theirs).abs().max()) if ours.shape == theirs.shape else float("nan")
            raise Wrong(f"the pattern of block {layer} differs from eager attention by {off:.2g}")
        result.patterns += 1


def _crossed(trace: Trace, given: Any) -> None:
    """Cross-attention against the eager one."""
    for layer, expected in enumerate(given or ()):
        if f"blocks.{layer}.cross_pattern" not in trace or len(given) != trace.anatomy.n_layers or expected is None:
            continue
        ours = trace.tensor(f"blocks.{layer}.cross_pattern")
        if ours.shape != expected[0].shape or float((ours - expected[0].float()).abs().max()) > 2e-3:
            raise Wrong(f"the cross-attention of block {layer} differs from the eager one")


def _terms(trace: Trace) -> None:
    """Random cells of every tensor: what is said to add up to them does."""
    dice = random.Random(trace.anatomy.family)
    for operation in trace.operations():
        if operation.kind == "opaque":
            continue
        shape = trace.tensor(operation.output).shape
        for _ in range(CELLS):
            cell = {dim: dice.randrange(size) for dim, size in zip(operation.dims, shape, strict=True)}
            found = trace.why(operation.output, **cell)
            if not found.terms or not found.check.ok:
                raise Wrong(f"the terms of {found.text} add up to {found.total}, and it is {found.value}")
