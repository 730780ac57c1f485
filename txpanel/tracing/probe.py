"""The text that a model is verified with, and one plain run of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from txpanel.errors import TxpanelError, Unsupported
from txpanel.messages import _
from txpanel.models.inspect_model import text_config
from txpanel.models.language_model import LanguageModel
from txpanel.models.token_head import refuse_other_logits
from txpanel.tracing.module_calls import Call
from txpanel.tracing.passes import last_logits_only, with_cache
from txpanel.tracing.taps import Taps

TOKENS = 23
"""Tokens of the text, if there are no short windows; a prime, so that a model that fills texts up to some multiple is seen to do so."""
LONGEST_WINDOW = 64
"""Windows of up to so many tokens are passed by the text."""


@dataclass(frozen=True)
class Probe:
    """One plain run.

    Attributes:
        ids: int64 [T]. streams: before each block and after the last, [T, D] as computed. calls: each block's other arguments.
        logits: float32 [T, V] on the CPU. tuple_output: length of the tuple that a block returns; 0: it returns the stream alone.
        start: position of the first token.
        hands_on: a block gives the next one more than the stream. state: what the encoder made of the source, [S, D]; ``None``: there is none.
    """

    ids: Tensor
    streams: list[Tensor]
    calls: list[Call]
    logits: Tensor
    tuple_output: int
    start: int = 0
    hands_on: bool = False
    state: Tensor | None = None


def probe_ids(model: LanguageModel) -> Tensor:
    """int64 [T]: ids from all over the vocabulary, none of them special, some twice."""
    config, vocab = text_config(model.model), model.anatomy.vocab
    special = {0, *_named_ids(config), *_named_ids(model.model.config)}
    special |= {int(i) for i in getattr(model.tokenizer, "all_special_ids", None) or []}
    windows = [block.window for block in model.anatomy.blocks if block.window and block.window <= LONGEST_WINDOW]
    n = max(TOKENS, *(window + 8 for window in windows)) if windows else TOKENS
    n = max(1, min(n, model.max_tokens))
    usable = [i for i in (((k * 7919 + 11) % vocab) for k in range(4 * n + 64)) if i not in special] or [0]
    ids = [usable[k % len(usable)] for k in range(n)]
    if n > 8:
        ids[n // 2] = ids[2]
    return torch.tensor(ids)


def _named_ids(config: Any) -> set[int]:
    """Ids that a config gives a meaning of their own (end of text, an image's place)."""
    found: set[int] = set()
    for key, value in vars(config).items():
        if key.endswith(("token_id", "token_index", "token_ids")):
            found |= {int(i) for i in (value if isinstance(value, (list, tuple)) else [value]) if isinstance(i, int)}
    return found


def probed(model: LanguageModel) -> Probe:
    """The plain run that a model is compared with.

    Raises:
        Unsupported: in words: the model does not run on a text, or hands on no residual stream.
    """
    return probed_on(model, probe_ids(model))


def probed_on(model: LanguageModel, ids: Tensor, *, last: int = 0) -> Probe:
    """The plain run of a text, with logits after the ``last`` tokens (0: after all).

    Raises:
        Unsupported: as `probed`.
    """
    family, blocks = model.anatomy.family, model.anatomy.n_layers
    try:
        found = run(model, ids, last=last)
    except TxpanelError:
        raise
    except Exception as error:  # whatever a model's own code may raise
        reason = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(":")[:300]
        if model.inputs is not None:
            words = _(
                "The model cannot be run on these inputs ({reason}). Make them with its own processor, of one text."
            )
            raise Unsupported(words.format(reason=reason)) from error
        types = sorted({str(p.dtype).removeprefix("torch.") for p in model.model.parameters() if p.is_floating_point()})
        if len(types) > 1:
            words = _(
                "'{family}' could not be run on a text ({reason}). Its weights have several types: {types}. Convert them to "
                "one first, such as model.to(torch.float32)."
            )
            raise Unsupported(words.format(family=family, reason=reason, types=", ".join(types))) from error
        words = _("'{family}' could not be run on a text ({reason}), so it cannot be opened.")
        raise Unsupported(words.format(family=family, reason=reason)) from error
    if len(found.calls) != blocks or len(found.streams) != blocks + 1:
        raise Unsupported(_not_one_by_one(family, blocks, len(found.calls)))
    shapes = {tuple(stream.shape) for stream in found.streams}
    if len(shapes) > 1 or len(next(iter(shapes))) != 2:
        words = _(
            "The blocks of '{family}' pass on more than one vector per token (shapes {shapes}), and txpanel shows one "
            "residual stream. Open another model, or report this family."
        )
        raise Unsupported(words.format(family=family, shapes=", ".join(map(str, sorted(shapes)))))
    if next(iter(shapes))[0] != len(found.ids):
        raise Unsupported(padded(model, next(iter(shapes))[0], len(found.ids)))
    refuse_other_logits(family, found.logits, last or len(found.ids), model.anatomy.vocab)
    return found


def padded(model: LanguageModel, vectors: int, tokens: int) -> str:
    """Why a model is refused that fills a text up, or leaves tokens out."""
    words = _(
        "'{family}' gives its blocks {vectors} vectors for {tokens} tokens, so vectors cannot be assigned to tokens. "
        "Open another model, or report this family."
    )
    return words.format(family=model.anatomy.family, vectors=vectors, tokens=tokens)


def _not_one_by_one(family: str, blocks: int, calls: int) -> str:
    """Why a model is refused whose blocks do not run once each."""
    if calls > blocks:
        why = _(
            "'{family}' runs the same blocks several times: it has {blocks}, and {calls} calls were seen. "
            "Open another model, or report this family."
        )
    elif not calls:
        why = _(
            "'{family}' does not call the {blocks} blocks that were found in it, or calls their code directly, which cannot be recorded. "
            "Open another model, or report this family."
        )
    else:
        why = _(
            "'{family}' does not go through its {blocks} blocks once each, one after another ({calls} calls were seen). "
            "Open another model, or report this family."
        )
    return why.format(family=family, blocks=blocks, calls=calls)


class _Enough(Exception):
    """Ends a pass of which only the first blocks are wanted."""


def run(
    model: LanguageModel, ids: Tensor, cache: Any = None, *, start: int = 0, until: int | None = None, last: int = 0
) -> Probe:
    """One pass over ids that keeps every block's input and call, and all logits.

    Args:
        cache: keys and values before these ids; ``None``: without. start: position of the first token, where it is not the usual one.
        until: the last block that is wanted; what follows is not run, and there are no logits.
        last: after how many tokens, from the end, logits are wanted; 0: after all.
    """

    def told(layer: int) -> None:
        if until is not None and layer == until + 1:
            raise _Enough

    more = with_cache(model.model, cache)
    if start:
        more["position_ids"] = torch.arange(start, start + len(ids), device=model.device)[None]
    more |= last_logits_only(model.model, last) if last else {}
    more |= model.arguments(ids, 0 if cache is None else cache.get_seq_length())
    logits, taps = torch.empty(0), Taps(model.parts.blocks, told=told)
    try:
        logits = model.forward(ids[None].to(model.device), **more).logits[0, -last:].detach().float().cpu()
    except _Enough:
        pass
    finally:
        taps.remove()
    streams = [stream[0] for stream in taps.streams]
    more_than_it, state = taps.hands_on, model.source_state()
    return Probe(ids, streams, taps.calls, logits, taps.tuple_output, start, more_than_it, state)
