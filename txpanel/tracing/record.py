"""Recording a run: one forward pass with the model's own kernels that keeps every block's input, and nothing else.

A text that begins like one of the recent ones re-runs only from its first changed token: the prefix's keys, values and
checkpoints are still there (:mod:`txpanel.tracing.prefix`). Rows computed in different passes agree to float rounding, not
bit for bit (matrix products of other shapes add in another order). So do the pieces of a long text (:mod:`txpanel.tracing.pieces`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache

from txpanel.errors import Cancelled, EmptyText, OverLimit, TooLong, TxpanelError, Unsupported
from txpanel.messages import _, plural
from txpanel.models import metrics
from txpanel.models.as_in_use import moving_rotary
from txpanel.models.changed import State
from txpanel.models.language_model import LanguageModel, opened
from txpanel.models.memory import cap
from txpanel.models.turns import Rank, asking
from txpanel.tracing import answer as answers
from txpanel.tracing import pieces
from txpanel.tracing.adds_up import compare_ends
from txpanel.tracing.growing import check_growth
from txpanel.tracing.passes import in_words, last_logits_only, with_cache
from txpanel.tracing.prefix import Prefix, Prefixes, cache_bytes
from txpanel.tracing.probe import padded
from txpanel.tracing.recording import Recording
from txpanel.tracing.rows import Rows, roomy_cache
from txpanel.tracing.taps import Taps
from txpanel.tracing.trace import Trace
from txpanel.tracing.written import NormHooks

_prefixes: WeakKeyDictionary[LanguageModel, Prefixes] = WeakKeyDictionary()
_seconds: WeakKeyDictionary[LanguageModel, float] = WeakKeyDictionary()
"""How long a model's last pass over a single token took."""
WHOLE = 512
"""Up to so many tokens, all blocks of a model with the user's hooks or replaced functions are compared with each run at once, so that a page shows from
the beginning what is open. In longer texts and in the steps of a generation, a block is compared when it is first looked into."""
MANY = 8
"""From so many new tokens on, computing one more costs no noticeable time."""


def record(model: LanguageModel, text: str | Sequence[int], *, reuse: bool = True) -> Trace:
    """Run ``model`` once on a text (or token ids) and return its :class:`~txpanel.tracing.Trace`.

    Args:
        text: the text, or its token ids. reuse: compute only from the first token on that no recent run of this model shares.

    Raises:
        EmptyText: no token to run on. TooLong: more tokens than the model has positions. BadText: an id that the model has no row for.
            Unsupported: the model's own code does not run on this text. All say what to do.
    """
    model, ids = opened(model).now().begin(text)
    _check_length(model, ids)
    with model.lock.turn(Rank.RUN):
        begin = time.perf_counter()
        check_growth(model, ids)
        recording = _record_current(model, ids, reuse)
    metrics.PASSES.add()
    metrics.PASS_SECONDS.seen(time.perf_counter() - begin)
    if len(ids) - recording.reused == 1:
        _seconds[model] = time.perf_counter() - begin
    metrics.TOKENS.add(len(ids) - recording.reused)
    own = text if isinstance(text, str) and model.pair is None else None  # an encoder's text is another one
    tokens = model.tokens(ids, own, begins=True)
    foreign = bool(model.watch.state.foreign)
    if foreign:
        compare_ends(model, recording, ids)
    trace = Trace(
        recording,
        anatomy=model.anatomy,
        tokens=tokens,
        text=b"".join(tokens.pieces).decode("utf-8", "replace"),
        model=model,
    )
    if foreign and not _continuing.get() and len(ids) <= WHOLE:
        for layer in range(model.anatomy.n_layers):
            trace.check(layer)
    return trace


def _record_current(model: LanguageModel, ids: list[int], reuse: bool) -> Recording:
    """Run the model as it is now; what is kept of earlier runs is used where it is still valid."""
    state = model.state(briefly=_in_a_loop())
    if not _in_a_loop():
        model.read_anew()
    with model.running(), model.letting_others_in():
        given = model.inputs
        reuse = (
            reuse
            and answers.counts_on(model.anatomy, ids)
            and not state.foreign
            and model.parts.continues
            and (model.anatomy.causal or given is not None)
        )
        prefix = prefixes(model).longest(ids, state.key) if reuse else None
        if prefix is not None and given is not None and len(prefix.ids) < len(given):
            prefix = None  # its tokens may see each other: they are read together
        if prefix is not None and not model.watch.rows_same(ids):
            state, prefix = model.state(thorough=True), None
        recording = _recorded(model, ids, prefix, state)
        recording.reads(model.has_read())
    if (
        prefix is not None and not recording.reused
    ):  # its last token was different this time: the model has changed unnoticed
        state = model.state(thorough=True)
    if not recording.reused:
        model.watch.settle()
    recording.state = model.watch.state
    return recording


_continuing: ContextVar[bool] = ContextVar("txpanel_continuing", default=False)


@contextmanager
def continuing() -> Iterator[None]:
    """Inside, each run continues the one before it, in a loop of txpanel that does not change the model."""
    token = _continuing.set(True)
    try:
        yield
    finally:
        _continuing.reset(token)


def _may_be_shown() -> bool:
    """Whether this run may be shown on a page: not each step of a script's loop, which measuring the norms of all blocks would slow down by 4 %."""
    return asking() is not None or not _continuing.get()


def _in_a_loop() -> bool:
    """Whether this run has to be quick, as one of many: a generated token, a visitor's keystroke."""
    return _continuing.get() or asking() is not None


def extend(trace: Trace, ids: list[int]) -> Trace:
    """A trace of ``trace``'s tokens and ``ids`` after them; what was computed is not computed again.

    Raises:
        TxpanelError: if the trace was opened from a file without its model.
    """
    if trace.model is None:
        raise TxpanelError(
            _(
                "This trace was opened without its model, so it cannot be continued. Load the model and record the text again."
            )
        )
    return record(trace.model, [*trace.tokens.ids.tolist(), *ids])


def _check_length(model: LanguageModel, ids: list[int]) -> None:
    alone = (
        model.pair is None and len(ids) == 1 and ids[0] in model.tokenizer.all_special_ids and ids[0] in _added(model)
    )
    if model.anatomy.fills and (not ids or ids == _added(model)):
        raise EmptyText(_("There is no text yet. Type one, with the model's mask token where a token is missing."))
    if not ids or alone:
        raise EmptyText(_("There is no text yet. Type at least one character for the model to continue."))
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
    found = _prefixes.get(model)
    return found if found is not None else _prefixes.setdefault(model, Prefixes())


def _recorded(model: LanguageModel, ids: list[int], prefix: Prefix | None, state: State) -> Recording:
    """Run a text from its first token on that `prefix` does not have; in pieces where other threads would wait for long."""
    done = len(prefix.ids) if prefix is not None else 0
    reader = PieceReader(model, ids, prefix, state.key)
    ends = pieces.ends(model, ids, done)
    for end in ends:
        if not reader.read_to(end):  # a cache that does not continue, or a prefix of another model: one pass
            prefixes(model).forget(state.key)
            model.read_anew()
            reader, ends = PieceReader(model, ids, None, state.key), [len(ids)]
            reader.read_to(len(ids))
            break
    return reader.recording(tuple(ends) if len(ends) > 1 else ())


class PieceReader:
    """A text being read, piece after piece.

    Args:
        prefix: a run of its first tokens, which is continued. key: of the model's state.
    """

    def __init__(self, model: LanguageModel, ids: list[int], prefix: Prefix | None, key: str = "") -> None:
        self.model, self.ids, self.prefix, self._key = model, ids, prefix, key
        self.start = self.done = len(prefix.ids) if prefix is not None else 0
        self._again = int(prefix is not None and self._computes_again() and prefix.computing_again())
        self._angles: list[Tensor] | None = prefix.angles if prefix is not None else None
        self.cache = prefix.cache if prefix is not None else roomy_cache() if model.parts.continues else None
        self._streams: list[list[Tensor]] = []  # of each piece: n_layers + 1 tensors [n, D]
        self._written = prefix.written if prefix is not None else None
        self._taps: Taps
        self._logits: Tensor

    def read_to(self, end: int) -> bool:
        """Read on, up to token ``end``. Returns False if what was read before cannot be continued.

        Raises:
            Cancelled: the request was cancelled. What was read before this piece is kept for a text that begins like it.
        """
        whole, before = self.done == 0 and end == len(self.ids), self._copied()
        taps = Taps(self.model.parts.blocks, calls=whole, told=partial(self._tell, end))
        angles, norm_hooks = Angles(self.model.model), NormHooks(self.model, wanted=_may_be_shown())
        model = self.model.model
        try:
            fresh = torch.tensor([self.ids[self.done - self._again : end]], device=self.model.device)
            more = self.model.arguments(self.ids[:end], self.done - self._again)
            with in_words(self.model):
                output = self.model.forward(fresh, **with_cache(model, self.cache), **last_logits_only(model), **more)
        except (Cancelled, OverLimit):
            if before is not None:
                self.cache = before
                self._keep()
            raise
        finally:
            taps.remove()
            angles.remove()
            norm_hooks.remove()
        streams, again = [stream[0] for stream in taps.streams], self._again
        if any(len(stream) != fresh.shape[1] for stream in streams):
            raise Unsupported(padded(self.model, len(streams[0]), fresh.shape[1]))
        if self._angles is not None and not angles.equal(self._angles):
            return False
        if again and self.prefix is not None and self.prefix.differs([stream[:again] for stream in streams]):
            return False
        norms = norm_hooks.written(again, fresh.shape[1])
        if self.done == 0:
            self._written = norms
        elif self._written is not None:
            self._written = self._written.and_then(norms)
        self._taps, self.done, self._again, self._angles = taps, end, 0, angles.found
        self._streams.append([stream[again:] for stream in streams] if again else streams)
        logits = output[0] if isinstance(output, tuple) else output.logits  # a config may ask for tuples
        self._logits = logits[0, answers.answer(self.model, self.ids) if self.model.anatomy.fills else -1]
        return end == len(self.ids) or (self.cache is not None and self.cache.get_seq_length() == end)

    def recording(self, ends: tuple[int, ...]) -> Recording:
        """What was read, kept for texts that begin like it."""
        streams, rows = self._keep()
        logits = self._logits.detach().float().cpu()
        if (
            logits.untyped_storage().nbytes() > logits.nbytes
        ):  # the model unembeds all positions: a view would keep all of them in memory
            logits = logits.clone()
        taps = self._taps
        return Recording(
            streams,
            taps.calls,
            logits,
            self.start,
            taps.tuple_output,
            rows=rows,
            written=self._written,
            pieces=ends,
            answer=answers.answer(self.model, self.ids),
            gaps=answers.gaps(self.model, self.ids),
        )

    def _keep(self) -> tuple[list[Tensor], Rows | None]:
        """Its streams as they are so far, kept with keys and values unless these are too large or do not continue."""
        streams, rows = _joined(self._streams), None
        if self.prefix is not None:
            rows, streams = Rows.grown(self.prefix.streams, self.prefix.rows, streams)
        if self.cache is not None and cache_bytes(self.cache) <= cap() and self.cache.get_seq_length() == self.done:
            kept = Prefix(
                self.ids[: self.done], self.cache, streams, rows, self._key, self._angles or [], self._written
            )
            prefixes(self.model).keep(kept)
        return streams, rows

    def _computes_again(self) -> bool:
        """Whether the prefix's last token is computed again: always, but in a loop only where it costs little."""
        more = len(self.ids) - self.start
        if more >= MANY or self.model.watch.small or not _in_a_loop():
            return True
        return self.model.watch.may_compute(_seconds.get(self.model, 0.0))

    def _copied(self) -> DynamicCache | None:
        """The keys and values before a further piece, in case it is cancelled halfway; views, nothing is copied."""
        if not self._streams or self.cache is None:
            return None
        return Prefix(self.ids[: self.done], self.cache, [], None).cut(self.done).cache

    def _tell(self, end: int, block: int) -> None:
        """Called before block ``block`` of a pass: report how much of the text is read."""
        who = asking()
        if who is not None and who.read is not None:
            tokens = self.done - self.start + (end - self.done) * block / self.model.anatomy.n_layers
            who.read(tokens / (len(self.ids) - self.start))


class Angles:
    """Forward hooks that keep the rotary angles of this pass, for embeddings whose angles depend on the length of the text."""

    def __init__(self, model: nn.Module) -> None:
        self.found: list[Tensor] = []
        self._thread = threading.get_ident()
        self._hooks = [module.register_forward_hook(self._after) for module in moving_rotary(model)]

    def _after(self, module: nn.Module, _args: Any, _output: Any) -> None:
        if threading.get_ident() == self._thread:
            numbers = [
                b.flatten().float().cpu()
                for name, b in sorted(module._buffers.items())
                if b is not None and "inv_freq" in name
            ]
            self.found.append(torch.cat(numbers).clone())

    def equal(self, others: list[Tensor]) -> bool:
        """Whether they are those of another pass."""
        return len(self.found) == len(others) and all(map(torch.equal, self.found, others))

    def remove(self) -> None:
        """Remove all hooks."""
        for hook in self._hooks:
            hook.remove()


def _joined(streams: list[list[Tensor]]) -> list[Tensor]:
    """The pieces' streams joined; empties the pieces' lists on the way, so that at most one layer is in memory twice."""
    if len(streams) == 1:
        return streams[0]
    layers = len(streams[0])
    return [torch.cat([piece.pop(0) for piece in streams]) for _layer in range(layers)]
