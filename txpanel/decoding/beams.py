"""Beam search, watched: transformers' own ``generate(num_beams=...)`` runs, and every choice it makes is kept as a tree.

At each step every kept text (beam) is continued by every token; the continuations with the largest sums of
log-probabilities are considered (`looked_at` of them), the best ``n_beams`` that do not end the text go on, the others are
dropped. Nothing is drawn. A logits processor at the end of transformers' list sees each step's log-probabilities and
makes the same choice from them (``_beam_search``, 5.23); that the two agree is tested.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Literal

import torch
from transformers import GenerationMixin, LogitsProcessor, LogitsProcessorList

from txpanel.decoding.generation import end_tokens
from txpanel.errors import Cancelled, EmptyText, OverLimit, TooLong, Unsupported
from txpanel.messages import _
from txpanel.models.allowance import allowance
from txpanel.models.encoder_decoder import Reading
from txpanel.models.language_model import LanguageModel, opened
from txpanel.models.masked_tokens import refuse_continuation
from txpanel.models.progress import Progress
from txpanel.models.turns import Rank

__all__ = ["BeamNode", "BeamSearch", "Hypothesis", "beam_search"]

State = Literal["kept", "dropped", "ended"]
MOST = 16
NEVER = -1e8
"""transformers gives a text that is not finished a score of minus a billion: nothing below this is one."""


@dataclass(frozen=True, slots=True)
class BeamNode:
    """A continuation that was considered: one token after the text of `parent`.

    Attributes:
        id: its place in `BeamSearch.nodes`.
        parent: id of the node whose text it continues; -1 for the text that was given.
        step: 0 for the first new token.
        token: its id. string: what to show for it.
        log_probability: of the token after that text, natural logarithm.
        score: sum of the log-probabilities from the first new token to this one.
        state: ``"kept"`` goes on, ``"dropped"`` was not among the best, ``"ended"`` is a finished text.
        lived_until: the last step at which something that continues it was still kept or ended.
    """

    id: int
    parent: int
    step: int
    token: int
    string: str
    log_probability: float
    score: float
    state: State
    lived_until: int


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A finished text: the model ended it, or it has the wanted number of tokens.

    Attributes:
        tokens: the new ones.
        score: sum of their log-probabilities divided by ``length ** length_penalty``; the search ranks by it.
        node: id of the last one.
    """

    tokens: tuple[int, ...]
    score: float
    node: int


@dataclass(frozen=True)
class BeamSearch:
    """A beam search and all continuations that it considered.

    Attributes:
        ids: the token ids that were continued, T of them.
        n_beams: how many texts go on from each step. looked_at: how many are considered in each step.
        length_penalty: above 0 favours long texts, below 0 short ones.
        nodes: the tree, step by step, best first within a step.
        hypotheses: the finished texts that are left, best first; the first is what transformers returns.
    """

    ids: tuple[int, ...]
    n_beams: int
    looked_at: int
    length_penalty: float
    nodes: tuple[BeamNode, ...]
    hypotheses: tuple[Hypothesis, ...]

    @cached_property
    def steps(self) -> tuple[tuple[BeamNode, ...], ...]:
        """The nodes of each step, best first."""
        last = max((node.step for node in self.nodes), default=-1)
        return tuple(tuple(node for node in self.nodes if node.step == step) for step in range(last + 1))

    def path(self, node: int) -> tuple[BeamNode, ...]:
        """The nodes from the first new token to this one."""
        found: list[BeamNode] = []
        while node >= 0:
            found.append(self.nodes[node])
            node = found[-1].parent
        return tuple(reversed(found))


def beam_search(
    model: LanguageModel,
    text: str | Sequence[int],
    n_beams: int = 4,
    max_new_tokens: int = 10,
    *,
    length_penalty: float = 1.0,
    early_stopping: bool = False,
    repetition_penalty: float = 1.0,
    no_repeat_ngram_size: int = 0,
    cancel: threading.Event | None = None,
    progress: Callable[[Progress], object] | None = None,
) -> BeamSearch:
    """Search for the continuation with the best score, as ``generate(num_beams=n_beams, do_sample=False)`` does.

    Args:
        model: continues the text. text: a text or token ids.
        n_beams: how many texts go on from each step, 2 or more.
        max_new_tokens: at most this many steps.
        length_penalty: exponent of the length by which a finished text's score is divided.
        early_stopping: end as soon as ``n_beams`` texts are finished.
        repetition_penalty, no_repeat_ngram_size: as in `txpanel.sampling.pipeline`.
        cancel: when set, the next step raises `Cancelled`. progress: called with a `Progress` at each step.

    Returns:
        The tree of all continuations that were considered, and the finished texts, best first.

    Raises:
        ValueError: a number is out of its range. EmptyText, TooLong, OverLimit, Cancelled: in words. Unsupported: there is an image or a sound in the text.
    """
    _require("n_beams", n_beams, 2)
    _require("max_new_tokens", max_new_tokens, 1)
    _check_allowed(n_beams, max_new_tokens)
    refuse_continuation(opened(model))
    model, ids = model.begin(text)
    if model.inputs is not None:
        raise Unsupported(_("Beam search works on text only, and this text has an image or a sound in it."))
    _check_room(model, ids, max_new_tokens)
    allowance().check_tokens(len(ids) + max_new_tokens)
    ends = sorted(end_tokens(model))
    watcher = _Watcher(model, ids, n_beams, ends, max_new_tokens, cancel or threading.Event(), progress)
    with model.lock.turn(Rank.RUN), model.letting_others_in():
        search = model.model.generate
        if model.encoder_inputs is not None:
            # Whisper's own ``generate`` searches a long sound piece by piece, and returns no scores
            search = partial(GenerationMixin.generate, model.model)
        out = search(
            **_search_inputs(model, ids),
            num_beams=n_beams, num_return_sequences=n_beams, do_sample=False, max_new_tokens=max_new_tokens,
            length_penalty=float(length_penalty), early_stopping=early_stopping, temperature=1.0, top_k=50, top_p=1.0,
            repetition_penalty=float(repetition_penalty), no_repeat_ngram_size=no_repeat_ngram_size,
            eos_token_id=ends or None, pad_token_id=ends[0] if ends else 0, return_dict_in_generate=True,
            output_scores=True, logits_processor=LogitsProcessorList([watcher]),
        )  # fmt: skip
    hypotheses = tuple(_finished(watcher, out, len(ids)))
    return BeamSearch(
        tuple(ids), n_beams, watcher.looked_at, float(length_penalty), tuple(_with_lifetimes(watcher.nodes)), hypotheses
    )


@dataclass
class _Watcher(LogitsProcessor):
    """Sees each step of transformers' search from inside and keeps the choice that follows; changes nothing."""

    model: LanguageModel
    ids: list[int]
    n_beams: int
    ends: list[int]
    wanted: int
    cancel: threading.Event
    progress: Callable[[Progress], object] | None
    nodes: list[BeamNode] = field(default_factory=list)
    places: dict[tuple[int, ...], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.looked_at = max(2, 1 + len(self.ends)) * self.n_beams
        self.places[()] = -1

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """[beams, T] ids and [beams, V] log-probabilities of the next token; the latter are returned as they are."""
        if self.cancel.is_set():
            raise Cancelled(_("The search was stopped."))
        allowance().check()
        step = input_ids.shape[1] - len(self.ids)
        if self.progress:
            text = _("Step {i} of {n}").format(i=step + 1, n=self.wanted)
            self.progress(Progress("generate", message=text))
        self._choose(step, input_ids[:, len(self.ids) :].tolist(), scores.detach().float().cpu())
        return scores

    def _choose(self, step: int, texts: list[list[int]], scores: torch.Tensor) -> None:
        so_far = torch.full(
            (len(texts),), -1e9, dtype=torch.float32
        )  # at the first step all beams are the same text: one of them counts
        parents = [self.places[tuple(text)] for text in texts]
        for row, parent in enumerate(parents):
            if step or row == 0:
                so_far[row] = self.nodes[parent].score if parent >= 0 else 0.0
        totals, places = torch.topk((scores + so_far[:, None]).flatten(), self.looked_at)
        kept = 0
        for rank, (total, place) in enumerate(zip(totals.tolist(), places.tolist(), strict=True)):
            row, token = divmod(place, scores.shape[1])
            if total < NEVER:
                continue
            stops = token in self.ends or step + 1 == self.wanted
            state: State = "dropped"
            if stops:
                state = "ended" if rank < self.n_beams else "dropped"
            elif kept < self.n_beams:
                state, kept = "kept", kept + 1
            self._add(parents[row], step, token, float(scores[row, token]), total, state, texts[row])

    def _add(
        self, parent: int, step: int, token: int, chance: float, score: float, state: State, text: list[int]
    ) -> None:
        string = str(self.model.tokens([token]).strings[0])
        self.places[(*text, token)] = len(self.nodes)
        self.nodes.append(BeamNode(len(self.nodes), parent, step, token, string, chance, score, state, step))


def _search_inputs(model: LanguageModel, ids: list[int]) -> dict[str, Any]:
    """The arguments for ``generate``: the text; for an encoder-decoder the source and the decoder's first ids."""
    written = torch.tensor([ids], device=model.device)
    if model.encoder_inputs is not None:
        return {**model.encoder_inputs.named, "decoder_input_ids": written}
    read = written if not isinstance(model, Reading) else torch.tensor([model.source_ids], device=model.device)
    begun = {"input_ids": read, "attention_mask": torch.ones_like(read)}
    return begun if read is written else {**begun, "decoder_input_ids": written}


def _finished(watcher: _Watcher, out: Any, given: int) -> Iterator[Hypothesis]:
    """The texts that transformers returned, without padding and without entries for unfinished texts."""
    for row, score in zip(out.sequences.tolist(), out.sequences_scores.tolist(), strict=True):
        tokens = row[given:]
        end = next((i + 1 for i, token in enumerate(tokens) if token in watcher.ends), len(tokens))
        node = watcher.places.get(tuple(tokens[:end]))
        if score > NEVER and node is not None:
            yield Hypothesis(tuple(tokens[:end]), score, node)


def _with_lifetimes(nodes: list[BeamNode]) -> list[BeamNode]:
    """The nodes with `lived_until`: children come after their parents."""
    until = [node.step if node.state != "dropped" else node.step - 1 for node in nodes]
    for node in reversed(nodes):
        if node.parent >= 0:
            until[node.parent] = max(until[node.parent], until[node.id])
    return [replace(node, lived_until=last) for node, last in zip(nodes, until, strict=True)]


def _check_room(model: LanguageModel, ids: list[int], wanted: int) -> None:
    if not ids:
        raise EmptyText(_("There is no text yet. Type at least one character for the model to continue."))
    if len(ids) + wanted > model.max_tokens:
        text = _("{n} tokens and {wanted} new ones are more than the model's context of {room} tokens. Ask for fewer.")
        raise TooLong(text.format(n=len(ids), wanted=wanted, room=model.max_tokens))


def _check_allowed(n_beams: int, wanted: int) -> None:
    """Whether the request on which this thread works may search so widely."""
    allowed = allowance()
    most = allowed.limits.max_beams
    if most and n_beams > most:
        allowed.refused("beams")
        raise OverLimit(
            _("{n} beams are more than the {most} that this server allows in one search.").format(n=n_beams, most=most)
        )
    most = allowed.limits.max_new_tokens
    if most and wanted > most:
        allowed.refused("new-tokens")
        text = _("{n} new tokens are more than the {most} that this server generates at a time.")
        raise OverLimit(text.format(n=wanted, most=most))


def _require(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least or (name == "n_beams" and value > MOST):
        text = _("{name} is {value}, but it must be a whole number, at least {least}{most}.")
        most = _(" and at most {most}").format(most=MOST) if name == "n_beams" else ""
        raise ValueError(text.format(name=name, value=value, least=least, most=most))
