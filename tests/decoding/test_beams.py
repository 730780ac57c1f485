"""Beam search equals transformers' own, and the tree holds every choice that led to it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import torch

import txpanel
from tests.observing import looking_on
from txpanel.decoding.beams import BeamSearch
from txpanel.decoding.generation import end_tokens
from txpanel.errors import Cancelled, EmptyText, TooLong
from txpanel.models.language_model import LanguageModel

Tiny = Callable[[str], LanguageModel]
CASES = [
    (name, beams, tokens, penalty, more)
    for name, more in (
        ("llama", {}),
        ("gpt2", {}),
        ("nano", {}),
        ("llama", {"no_repeat_ngram_size": 2, "repetition_penalty": 1.3}),
    )
    for beams, tokens, penalty in ((2, 6, 1.0), (3, 8, 0.0), (4, 5, 2.0), (6, 10, -1.0))
]


def theirs(
    model: LanguageModel, ids: list[int], beams: int, tokens: int, penalty: float, **more: float
) -> tuple[list[int], float]:
    """The untouched Hugging Face model's answer: new tokens and score."""
    ends = sorted(end_tokens(model))
    out = model.model.generate(
        torch.tensor([ids]), num_beams=beams, do_sample=False, max_new_tokens=tokens, length_penalty=penalty, **more,
        eos_token_id=ends or None, pad_token_id=0, return_dict_in_generate=True, output_scores=True,
    )  # fmt: skip
    found = out.sequences[0, len(ids) :].tolist()
    end = next((i + 1 for i, token in enumerate(found) if token in ends), len(found))
    return found[:end], float(out.sequences_scores[0])


@pytest.mark.parametrize(("name", "beams", "tokens", "penalty", "more"), CASES, ids=str)
def test_sequences_and_scores_are_transformers_own(
    name: str, beams: int, tokens: int, penalty: float, more: dict[str, float], tiny: Tiny, nano: LanguageModel
) -> None:
    model = nano if name == "nano" else tiny(name)
    for text in ("CBABBC=", "AAB", "a b c d"):
        ids = model.encode(text)
        search = txpanel.beam_search(model, text, beams, tokens, length_penalty=penalty, **more)  # type: ignore[arg-type]
        best = search.hypotheses[0]
        expected, score = theirs(model, ids, beams, tokens, penalty, **more)
        assert list(best.tokens) == expected
        assert best.score == score
        agrees_with_itself(search, model, ids, plain=not more)


def agrees_with_itself(search: BeamSearch, model: LanguageModel, ids: list[int], *, plain: bool) -> None:
    """The tree alone, from its log-probabilities, gives the same texts and scores as the search did."""
    for one in search.hypotheses:
        path = search.path(one.node)
        assert tuple(node.token for node in path) == one.tokens
        total = sum(node.log_probability for node in path)
        assert path[-1].score == pytest.approx(total, abs=1e-4)
        assert one.score == pytest.approx(total / len(path) ** search.length_penalty, abs=1e-4)
        assert path[-1].state == "ended"
    assert [one.score for one in search.hypotheses] == sorted((one.score for one in search.hypotheses), reverse=True)
    for step, nodes in enumerate(search.steps):
        assert len(nodes) <= search.looked_at
        assert sum(node.state == "kept" for node in nodes) <= search.n_beams
        assert [node.score for node in nodes] == sorted((node.score for node in nodes), reverse=True)
        for node in nodes:
            parent = search.nodes[node.parent] if node.parent >= 0 else None
            assert (parent is None) == (step == 0)
            assert parent is None or (parent.state == "kept" and parent.step == step - 1)
            assert node.log_probability <= 0
    if plain:  # numbers of a path, against one pass over the whole text
        path = search.path(search.hypotheses[0].node)
        with torch.inference_mode():
            logits = model.model(torch.tensor([[*ids, *(node.token for node in path)]])).logits[0]
        logs = logits.log_softmax(-1)[len(ids) - 1 : -1]
        for row, node in zip(logs, path, strict=True):
            assert node.log_probability == pytest.approx(float(row[node.token]), abs=2e-4)


def test_a_wider_beam_never_finds_less_here_and_beats_greedy(tiny: Tiny) -> None:
    model = tiny("llama")
    greedy = [step.token for step in txpanel.generate(model, "AAB", 6, temperature=0)]
    search = txpanel.beam_search(model, "AAB", 6, 6, length_penalty=0.0)
    with torch.inference_mode():
        ids = model.encode("AAB")
        logs = model.model(torch.tensor([[*ids, *greedy]])).logits[0].log_softmax(-1)[len(ids) - 1 : -1]
    assert search.hypotheses[0].score >= float(sum(row[token] for row, token in zip(logs, greedy, strict=True))) - 1e-4


def test_a_dropped_line_says_how_long_it_lived(tiny: Tiny) -> None:
    search = txpanel.beam_search(tiny("gpt2"), "AAB", 3, 6)
    for node in search.nodes:
        children = [other for other in search.nodes if other.parent == node.id]
        alive = [other.lived_until for other in children]
        own = node.step - 1 if node.state == "dropped" else node.step
        assert node.lived_until == max([own, *alive])
    assert any(node.state == "kept" and node.lived_until == node.step for node in search.nodes)


def test_cancel_progress_and_the_models_lock(tiny: Tiny) -> None:
    model = tiny("llama")
    cancel, told = threading.Event(), []
    calls = 0
    hook = model.model.register_forward_pre_hook(looking_on(lambda *_a: count()))

    def count() -> None:
        nonlocal calls
        calls += 1

    def hear(progress: object) -> None:
        told.append(str(progress))
        if len(told) == 3:
            cancel.set()

    try:
        with pytest.raises(Cancelled):
            txpanel.beam_search(model, "AAB", 2, 20, cancel=cancel, progress=hear)
    finally:
        hook.remove()
    assert told == [f"Step {i} of 20" for i in (1, 2, 3)]
    assert calls == 4  # stopped before the fifth: within one step
    free = []

    def use() -> None:
        with model.lock:  # and gives it back: other tests share this model
            free.append(True)

    thread = threading.Thread(target=use, daemon=True)
    thread.start()
    thread.join(5)
    assert free == [True]


def test_what_makes_no_sense_is_refused_in_words(tiny: Tiny) -> None:
    model = tiny("gpt2")
    for beams in (1, 17, 2.0, True):
        with pytest.raises(ValueError, match="n_beams"):
            txpanel.beam_search(model, "AAB", beams)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_new_tokens"):
        txpanel.beam_search(model, "AAB", 2, 0)
    with pytest.raises(TooLong, match="Ask for fewer"):
        txpanel.beam_search(model, "AAB", 2, model.max_tokens)
    with pytest.raises(EmptyText):
        txpanel.beam_search(model, [], 2)
