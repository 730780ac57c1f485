"""Recording a run: one forward pass with the model's own kernels that keeps every block's input, and nothing else.

A text that begins like one of the recent ones re-runs only from its first changed token: the prefix's keys, values and
checkpoints are still there (:mod:`txpanel.tracing.prefix`). Rows computed in different passes agree to float rounding, not
bit for bit (matrix products of other shapes add in another order).
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache

from txpanel.errors import EmptyText, TooLong, TxpanelError
from txpanel.messages import _, plural
from txpanel.models.language_model import LanguageModel
from txpanel.tracing.prefix import LIMIT, Prefix, Prefixes, cache_bytes
from txpanel.tracing.recording import Recording
from txpanel.tracing.replay import last_logits_only, with_cache
from txpanel.tracing.rows import Rows, roomy_cache
from txpanel.tracing.trace import Trace
from txpanel.tracing.verify import is_verified, proven, verify

_prefixes: WeakKeyDictionary[LanguageModel, Prefixes] = WeakKeyDictionary()


def record(model: LanguageModel, text: str | list[int], *, reuse: bool = True) -> Trace:
    """Run ``model`` once on a text (or token ids) and return the :class:`Trace`.

    Args:
        text: the text, or its token ids. reuse: start from the first token that no recent run of this model shares.

    Raises:
        EmptyText: no token to run on. TooLong: more tokens than the model has positions. Both say what to do.
    """
    ids = model.encode(text) if isinstance(text, str) else [int(token) for token in text]
    _check_length(model, ids)
    with model.lock, torch.inference_mode():
        recording = _run(model, ids, prefixes(model).longest(ids) if reuse else None)
    tokens = model.tokens(ids, text if isinstance(text, str) else None)
    trace = Trace(
        recording,
        anatomy=model.anatomy,
        tokens=tokens,
        text=b"".join(tokens.pieces).decode("utf-8", "replace"),
        model=model,
    )
    if not (is_verified(model) or proven(model.anatomy.family)):
        verify(trace)
    return trace


def extend(trace: Trace, ids: list[int]) -> Trace:
    """A trace of ``trace``'s tokens and ``ids`` after them; what was computed is not computed again.

    Raises:
        TxpanelError: if the trace was opened from a file without its model.
    """
    if trace.model is None:
        raise TxpanelError(
            "This trace was opened without its model, so it can't be continued. Load the model and record the text again."
        )
    return record(trace.model, [*(int(token) for token in trace.tokens.ids), *ids])


def _check_length(model: LanguageModel, ids: list[int]) -> None:
    if not ids or (len(ids) == 1 and ids[0] in model.tokenizer.all_special_ids and ids[0] in _added(model)):
        raise EmptyText(
            _("There is no text yet: type at least one character, and the model has something to continue.")
        )
    if len(ids) > model.max_tokens:
        more = len(ids) - model.max_tokens
        words = plural(
            "This text has {n:,} tokens, and {model} can read {room:,}. Shorten it by about {more:,} token or choose a model "
            "with a longer context.",
            "This text has {n:,} tokens, and {model} can read {room:,}. Shorten it by about {more:,} tokens or choose a model "
            "with a longer context.",
            more,
        )
        raise TooLong(words.format(n=len(ids), model=model.title, room=model.max_tokens, more=more))


def _added(model: LanguageModel) -> list[int]:
    """The special tokens that the tokenizer puts around any text, even an empty one."""
    return model.encode("")


def prefixes(model: LanguageModel) -> Prefixes:
    """The recent runs of a model, which others can continue; they are kept as long as the model."""
    return _prefixes.setdefault(model, Prefixes())


def _run(model: LanguageModel, ids: list[int], prefix: Prefix | None) -> Recording:
    done = len(prefix.ids) if prefix is not None else 0
    cache = prefix.cache if prefix is not None else roomy_cache()
    taps = Taps(model.parts.blocks, calls=prefix is None)
    try:
        fresh = torch.tensor([ids[done:]], device=model.device)
        output = model.model(input_ids=fresh, **with_cache(model.model, cache), **last_logits_only(model.model))
    finally:
        taps.remove()
    streams, rows = [stream[0] for stream in taps.streams], None
    if prefix is not None:
        rows, streams = Rows.grown(prefix.streams, prefix.rows, streams)
    if cache_bytes(cache) <= LIMIT and cache.get_seq_length() == len(ids):
        prefixes(model).keep(Prefix(list(ids), cache, streams, rows))
    logits = output.logits[0, -1].detach().float().cpu()
    if (
        logits.untyped_storage().nbytes() > logits.nbytes
    ):  # the model unembeds all positions: a view would keep all of them in memory
        logits = logits.clone()
    return Recording(streams, taps.calls, logits, reused=done, tuple_output=taps.tuple_output, rows=rows)


class Taps:
    """Forward hooks that keep every block's input [1, T, D], its call arguments (with ``calls``), and the last block's output."""

    def __init__(self, blocks: list[Any], *, calls: bool = True) -> None:
        self._wanted = calls
        self.streams: list[Tensor] = []
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self.tuple_output = False
        self._hooks = [b.block.register_forward_pre_hook(self._before, with_kwargs=True) for b in blocks]
        self._hooks.append(blocks[-1].block.register_forward_hook(self._after))

    def _before(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.streams.append((args[0] if args else kwargs["hidden_states"]).detach())
        if not self._wanted:
            return
        rest, named = list(args[1:]), dict(kwargs)
        if not args:
            named.pop("hidden_states")
        self.calls.append((tuple(_no_cache(x) for x in rest), {key: _no_cache(x) for key, x in named.items()}))

    def _after(self, _: nn.Module, args: Any, output: Any) -> None:
        self.tuple_output = isinstance(output, tuple)
        self.streams.append((output[0] if self.tuple_output else output).detach())

    def remove(self) -> None:
        """Remove all hooks."""
        for hook in self._hooks:
            hook.remove()


def _no_cache(value: Any) -> Any:
    """Call arguments without the cache: a replay must neither read nor grow it."""
    return None if isinstance(value, Cache) else value
