"""A tree in the state: scrub, branch, undo, stop, bring back; every view sees text, run and draw change at once."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest

from tests.observing import looking_on
from tests.session.test_state import Session
from txpanel.errors import Cancelled
from txpanel.models.language_model import LanguageModel
from txpanel.sampling import Settings
from txpanel.session import jobs
from txpanel.session.shared import traces
from txpanel.session.state import ModelState
from txpanel.session.tree_codec import Entry, TreeRecord, pack, record, unpack
from txpanel.tracing.store import STORE

Tiny = Callable[[str], LanguageModel]


@pytest.fixture
def model(tiny: Tiny) -> LanguageModel:
    return tiny("llama")


@pytest.fixture
def state(model: LanguageModel) -> ModelState:
    made = ModelState(model=model, text="seven words", temperature=1.5, seed=3)
    made.generate(6)
    assert len(made.tree) == 6
    return made


def ids(state: ModelState) -> list[int]:
    return state.trace.tokens.ids.tolist()


def test_a_step_keeps_settings_draw_and_what_the_model_thought(state: ModelState) -> None:
    tree, whole = state.tree, ids(state)
    start = len(whole) - 6
    for n in range(1, 7):
        token_node = tree.node(n)
        assert token_node.token == whole[start + n - 1]
        assert token_node.settings == Settings(temperature=1.5, seed=2 + n)
        state.go(n - 1)
        probabilities = np.exp(state.trace.logits.values.astype(float))
        assert token_node.model_p == pytest.approx(probabilities[token_node.token] / probabilities.sum(), rel=1e-4)
        assert token_node.rank == int((state.trace.logits.values > state.trace.logits.values[token_node.token]).sum())
        assert state.sampled.token == token_node.token
        assert state.sampled.draw == token_node.draw
        assert token_node.p == pytest.approx(state.sampled.probabilities[token_node.token])


def test_scrubbing_changes_everything_in_one_event(state: ModelState) -> None:
    whole, text, events = ids(state), state.text, list[set[str]]()
    names = ["trace", "text", "tree", "sampled", "seed", "query", "layer"]
    state.param.watch(lambda *changes: events.append({change.name for change in changes}), names)
    state.go(2)
    assert events == [{"trace", "text", "tree", "sampled", "seed", "query"}]
    assert ids(state) == whole[:-4]
    assert state.query == len(ids(state)) - 1
    state.go(0)
    assert state.text == state.trace.text == "seven words"
    state.go(6)
    assert (ids(state), state.text) == (whole, text)


def test_a_step_that_is_no_longer_held_is_recorded_again(state: ModelState) -> None:
    state.go(3)
    before = state.trace.logits.values
    state.go(6)
    traces.clear()
    state.go(3)
    assert state.trace.recording.reused == len(ids(state)) - 1  # from keys and values that are still there
    np.testing.assert_allclose(state.trace.logits.values, before, rtol=1e-4, atol=1e-4)


def test_another_candidate_is_another_branch(state: ModelState) -> None:
    first = ids(state)
    state.go(2)
    likely = int(state.trace.logits.values.argmax())
    other = likely if likely != state.tree.node(3).token else int(state.sampled.order[1])
    state.append(other)
    assert ids(state) == [*first[:-4], other]
    state.generate(2)
    assert state.tree.leaves == [6, 9]
    assert state.tree.node(7).draw is None  # nobody drew it
    assert state.tree.fork(6, 9) == 2
    state.switch(6)
    assert ids(state) == first
    assert state.tree.line == [1, 2, 3, 4, 5, 6]
    state.switch(7)
    assert state.tree.at == state.tree.leaf == 9


def test_the_drawn_token_again_is_the_same_step(state: ModelState) -> None:
    state.go(2)
    state.append()
    assert (len(state.tree), state.tree.at, state.tree.leaf) == (6, 3, 6)
    state.go(2)
    state.generate(6)
    assert len(state.tree) == 8


def test_settings_left_at_the_end_are_there_again(state: ModelState) -> None:
    state.param.update(temperature=0.3, seed=77)
    state.go(1)
    assert (state.temperature, state.seed) == (1.5, 4)
    state.go(6)
    assert (state.temperature, state.seed) == (0.3, 77)


def test_undo_and_redo_of_everything(state: ModelState) -> None:
    whole = ids(state)
    state.go(3)
    state.append(ord("x"))
    state.temperature = 0.5
    state.temperature = 0.4  # drawn on: one change
    state.top_k = 7
    state.text = "typed"
    trail = []
    while state.can_undo:
        trail.append((state.text, state.temperature, state.top_k, len(state.tree), state.tree.at))
        state.undo()
    assert trail == [
        ("typed", 0.4, 7, 0, 0),
        (state.tree.root.text + trail[1][0].removeprefix("seven words"), 0.4, 7, 7, 7),
        (trail[1][0], 0.4, 0, 7, 7),
        (trail[1][0], 1.5, 0, 7, 7),
        (trail[4][0], 1.5, 0, 6, 3),
    ]
    assert (state.text, state.seed, len(state.tree)) == ("seven words", 3, 0)
    state.redo()
    assert ids(state) == whole[:-3]
    state.redo()
    assert (state.tree.at, ids(state)) == (7, [*whole[:-3], ord("x")])


def test_a_long_tree_holds_a_row_and_a_distribution_for_each_step(model: LanguageModel) -> None:
    """Bytes, not seconds: linear in the tokens, and nothing of a block that nobody looked into."""
    traces.clear()
    replayed = STORE.nbytes
    state = ModelState(model=model, text="the cat sat", seed=3)
    streams = (model.anatomy.n_layers + 1) * model.anatomy.width * 4
    for n in (25, 50, 100):
        state.generate(n - len(state.tree))
        tokens = len(ids(state))
        runs = n + 1
        assert traces.nbytes <= runs * model.anatomy.vocab * 4 + 6 * tokens * streams + 100_000
        assert len(traces) == runs + 1  # the prompt's is found by its text as well
    assert STORE.nbytes == replayed
    assert len(state._history.entries) <= 4  # each call of generate is one change


def test_stopping_is_said_and_frees_the_model_within_a_step(model: LanguageModel) -> None:
    session = Session(model=model, text="seven words")
    session.settle()
    session.state.generate(60, pace=0.01)
    while len(session.state.tree) < 3:
        session.mailbox.get(timeout=20)()
    passes: list[int] = []
    hook = model.parts.blocks[0].attn.register_forward_hook(looking_on(lambda *_: passes.append(1)))
    session.state.cancel()
    assert session.state.wait(20)
    hook.remove()
    assert len(passes) <= 1  # the step that was under way
    n = len(session.state.tree)
    session.settle()  # results that were on their way are dropped
    assert len(session.state.tree) == n < 20
    assert session.state.tree.node(n).ended == "stopped"
    assert not session.state.busy
    assert model.lock.acquire(timeout=1)
    model.lock.release()


def test_until_the_end(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    state = ModelState(model=model, text="seven", temperature=0)
    state.generate(4)
    fourth = state.tree.node(4).token
    assert state.tree.node(4).ended == "enough"
    stop = next(n for n in range(1, 5) if state.tree.node(n).token == fourth)
    monkeypatch.setattr(model.model.generation_config, "eos_token_id", fourth)
    state.text = "seve"
    state.text = "seven"
    state.generate(None)
    assert len(state.tree) == stop
    assert state.tree.node(stop).ended == "end of text"
    assert state.tree.node(stop).string in (state.notice or "")


def test_a_tree_comes_back_from_its_record(state: ModelState, model: LanguageModel) -> None:
    state.go(2)
    state.append(ord("x"))
    state.generate(2)
    state.go(2)
    before = state.tree
    traces.clear()
    again = ModelState(temperature=1.5, seed=5)
    again.restore(unpack(pack(record(before)), "seven words"))
    assert again.text == "seven words"
    again.model = model  # it waits for its model
    again.restore(unpack(pack(record(before)), "seven words"))
    assert (again.text, ids(again), again.seed) == (state.text, ids(state), state.seed)
    assert again.sampled.token == state.sampled.token
    assert [s.token for s in again.tree.nodes] == [s.token for s in before.nodes]
    for a, b in zip(again.tree.nodes, before.nodes, strict=True):
        assert (a.settings, a.rank, a.draw is None, a.ended) == (b.settings, b.rank, b.draw is None, b.ended)
        assert a.model_p == pytest.approx(b.model_p, rel=1e-3)
    assert record(again.tree) == record(before)


def test_a_token_that_was_drawn_at_an_edge_still_counts_as_drawn(model: LanguageModel) -> None:
    """Token by token and all at once, sums are rounded differently: a number at an edge then falls on the neighbour."""
    state = ModelState(model=model, text="seven words", temperature=1.5)
    for seed in range(20_000):
        state.seed = seed
        sample = state.sampled
        if sample.draw.rank and sample.draw.uniform - sample.draw.low < 1e-5:
            break
    neighbour, other = (int(sample.order[sample.draw.rank - n]) for n in (1, -9))
    for token, drawn in ((neighbour, True), (other, False)):
        entry = Entry(0, token, state.settings, drawn=True)
        again = ModelState(model=model, text="seven words")
        again.restore(TreeRecord("seven words", entries=(entry,), at=1, leaf=1))
        token_node = again.tree.node(1)
        assert (token_node.token, token_node.draw is not None) == (token, drawn)
        if token_node.draw is not None:
            assert (token_node.draw.seed, token_node.draw.uniform, token_node.draw.rank) == (
                seed,
                sample.draw.uniform,
                sample.draw.rank - 1,
            )
            assert token_node.draw.high == pytest.approx(sample.draw.low)
            assert record(again.tree).entries == (entry,)


def test_a_tree_of_another_model_is_refused_in_words(model: LanguageModel) -> None:
    state = ModelState(model=model, text="seven")
    bad = Entry(0, 4000, Settings(), True)
    state.restore(unpack(pack(record(state.tree).__class__("seven", entries=(bad,), at=1, leaf=1)), "seven"))
    assert "not the id" in (state.notice or "")
    assert state.trace.text == state.text == "seven"
    state.text = "again"
    assert state.trace.text == "again"


def test_memory_of_a_long_tree_is_linear(tiny: Tiny) -> None:
    """Twice as many tokens hold about twice as many bytes: rows are held once (the logits of each step beside them)."""
    model, held = tiny("gpt2"), []
    for n, text in ((50, "seven"), (100, "eight")):
        traces.clear()
        state = ModelState(model=model, text=text)
        for i in range(n):
            state.append(5 + i)
        held.append(traces.nbytes)
        state.close()
    assert held[1] < 3 * held[0]  # quadratic: 4


def test_cancelled_error_is_no_error(state: ModelState, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*args: object) -> object:
        raise Cancelled("away")

    monkeypatch.setattr(jobs, "run", cut)
    state.go(1)
    assert state.error is None
    assert state.tree.at == 6
    assert threading.active_count() >= 1
