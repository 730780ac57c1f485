"""What one request may use, by every way in: refused in words before any work, and what was made stays."""

from __future__ import annotations

import base64
import itertools
import json
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.observing import looking_on
from txpanel.decoding import Settings
from txpanel.decoding.beams import beam_search
from txpanel.errors import OverLimit
from txpanel.models.allowance import Allowance, working_under
from txpanel.models.language_model import LanguageModel
from txpanel.models.limits import STRICT, Limits
from txpanel.page.address import read
from txpanel.session import jobs, tree_nodes
from txpanel.session.shared import traces
from txpanel.session.state import ModelState
from txpanel.session.tree_codec import Entry, TreeRecord, record, unpack

Tiny = Callable[[str], LanguageModel]


@pytest.fixture
def model(tiny: Tiny) -> LanguageModel:
    return tiny("llama")


@pytest.fixture
def kinds() -> list[str]:
    """Of what was refused."""
    return []


@pytest.fixture
def limited(model: LanguageModel, kinds: list[str]) -> Callable[..., ModelState]:
    """A session with a text of a few tokens and these limits."""

    def make(text: str = "seven words", **most: int) -> ModelState:
        return ModelState(model=model, text=text, limits=Limits(**most), refused=kinds.append)

    return make


@pytest.fixture
def no_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model must not run."""

    def run(*_more: Any, **_options: Any) -> None:
        raise AssertionError("the model was asked to run")

    monkeypatch.setattr("txpanel.session.shared.record", run)


def link_of_branches(n: int) -> dict[str, Any]:
    """What an address of under 1,000 characters says whose film is so many branches (handed in; it took 13 GB)."""
    facts = {"v": 1, "s": [[1, 0, 1, 0, 1, 1, 0]], "n": [[5, 0, 0, 0, 1, 0]] * n, "a": 1, "l": 1}
    film = base64.urlsafe_b64encode(zlib.compress(json.dumps(facts, separators=(",", ":")).encode(), 9)).decode()
    return read("?text=The+cat&film=" + film.rstrip("="))


def test_a_text_of_too_many_tokens_is_refused_with_both_numbers_and_stays(
    limited: Callable[..., ModelState], kinds: list[str], no_passes: None
) -> None:
    text = "many words " * 30
    state = limited(text, max_tokens=10)
    assert "and this server accepts at most 10" in (state.error or "")
    assert (state.text, state.trace) == (text, None)
    assert kinds == ["text"]


def test_a_text_that_another_session_has_run_is_refused_just_the_same(
    limited: Callable[..., ModelState], model: LanguageModel
) -> None:
    assert len(limited("one two three four five six").trace.tokens.ids) > 3
    assert "at most 3" in (limited("one two three four five six", max_tokens=3).error or "")


def test_a_text_is_not_even_tokenized_where_its_length_says_enough(
    limited: Callable[..., ModelState], kinds: list[str], monkeypatch: pytest.MonkeyPatch, model: LanguageModel
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(type(model), "encode", lambda _self, text: asked.append(len(text)))
    state = limited("x" * 1_000_000, max_tokens=1000)
    assert "1,000,000 characters, and this server accepts at most 40,000" in (state.error or "")
    assert (asked, kinds) == ([], ["text"])


def test_generating_ends_at_as_many_tokens_as_are_given_and_can_go_on(
    limited: Callable[..., ModelState], kinds: list[str]
) -> None:
    state = limited(max_new_tokens=4)
    state.generate(50)
    assert len(state.tree) == 4
    assert "after 4 tokens" in (state.notice or "")
    assert not state.tree.node(4).ended  # the page's sentence "as many as were asked for" would be wrong
    assert (state.busy, kinds) == (False, ["new-tokens"])
    state.generate(3)
    assert (len(state.tree), state.notice, state.tree.node(7).ended) == (7, None, "enough")


def test_until_the_end_has_an_end(limited: Callable[..., ModelState]) -> None:
    state = limited(max_new_tokens=4)
    state.generate(None)
    assert len(state.tree) == 4
    assert "Press Generate to continue" in (state.notice or "")


def test_a_text_grows_up_to_its_limit_and_not_beyond(limited: Callable[..., ModelState], kinds: list[str]) -> None:
    state = limited()
    begin = len(state.trace.tokens.ids)
    state = limited(max_tokens=begin + 3)
    state.generate(50)
    assert len(state.trace.tokens.ids) == begin + 3
    assert f"the text now has {begin + 3} tokens" in (state.notice or "")
    for more in (lambda: state.generate(1), lambda: state.append(5)):
        more()
        assert f"at most {begin + 3}" in (state.error or "")
        assert len(state.tree) == 3


def test_a_tree_has_no_more_tokens_and_branches_than_are_kept(
    limited: Callable[..., ModelState], kinds: list[str]
) -> None:
    state = limited(max_tree_tokens=5, max_branches=2)
    state.generate(4)
    state.go(1)
    state.append(next(token for token in (11, 12) if token != state.tree.node(2).token))
    assert len(state.tree.leaves) == 2
    state.generate(50)
    assert len(state.tree) == 5
    assert "5" in (state.error or state.notice or "")
    state.go(2)
    kinds.clear()
    state.append(11)
    assert "at most 5 are kept" in (state.error or "")
    assert (len(state.tree), kinds) == (5, ["tree"])


def test_another_branch_is_refused_where_there_are_enough(limited: Callable[..., ModelState], kinds: list[str]) -> None:
    state = limited(max_branches=1)
    state.generate(3)
    state.go(1)
    state.append(11)
    assert "2 branches, and at most 1" in (state.error or "")
    assert (len(state.tree), kinds) == (3, ["branches"])


@pytest.mark.parametrize("limits", [STRICT, None], ids=["server", "notebook"])
def test_a_link_of_20000_branches_is_refused_before_any_work(
    limits: Limits | None, model: LanguageModel, kinds: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = link_of_branches(20_000)
    more = {"limits": limits, "refused": kinds.append} if limits else {}
    state = ModelState(model=model, text="before", **more)
    monkeypatch.setattr(tree_nodes, "_bare", lambda *_more: pytest.fail("work was begun"))
    begin = time.thread_time()
    state.restore(unpack(given["film"], given["text"]))
    assert time.thread_time() - begin < 3  # reading what is asked for; the work itself would be minutes
    assert "at most" in (state.notice or "")
    assert (state.text, len(state.tree), state.busy) == ("The cat", 0, False)
    assert state.trace.text.endswith("The cat")
    assert kinds == (["tree"] if limits else [])


def test_a_tree_of_few_tokens_and_many_branches_is_refused(model: LanguageModel, kinds: list[str]) -> None:
    given = link_of_branches(STRICT.max_branches + 1)
    state = ModelState(model=model, limits=STRICT, refused=kinds.append)
    state.restore(unpack(given["film"], given["text"]))
    assert f"{STRICT.max_branches + 1} branches, and at most {STRICT.max_branches}" in (state.notice or "")
    assert kinds == ["branches"]


def tree_of(branches: int, length: int) -> TreeRecord:
    entries: list[Entry] = []
    for branch in range(branches):
        parent = 0
        for place in range(length):
            entries.append(Entry(parent, 3 + branch + 7 * place, Settings(seed=place), True))
            parent = len(entries)
    return TreeRecord("The cat", False, tuple(entries), 1, 1)


def test_branches_of_one_token_are_one_pass_and_none_is_kept(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []
    own = tree_nodes.shared_trace

    def counted(model: LanguageModel, ids: Any, **more: Any) -> Any:
        passes.append(len(ids))
        return own(model, ids, **more)

    monkeypatch.setattr(tree_nodes, "shared_trace", counted)
    traces.clear()
    tree = tree_nodes.remake(model, tree_of(40, 1), Settings())
    assert (len(tree), len(passes), len(traces)) == (40, 1, 0)
    tree_nodes.remake(model, tree_of(5, 3), Settings())
    assert (len(passes), len(traces)) == (6, 0)


def test_a_tree_that_is_made_again_has_the_numbers_that_it_had(model: LanguageModel) -> None:
    state = ModelState(model=model, text="seven words", seed=3)
    state.generate(5)
    state.go(2)
    state.append(11)
    again = tree_nodes.remake(model, record(state.tree), Settings())
    for a, b in zip(state.tree.nodes, again.nodes, strict=True):
        assert (a.token, a.parent, a.rank) == (b.token, b.parent, b.rank)
        assert a.model_p == pytest.approx(b.model_p, rel=1e-4)


def test_a_tree_is_not_made_any_further_when_its_page_is_gone(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    state = ModelState(model=model, text="before")
    own = tree_nodes.shared_trace

    def third_is_the_last(model: LanguageModel, ids: Any, **more: Any) -> Any:
        begun.append(len(ids))
        if len(begun) == 3:
            state.stop()
        return own(model, ids, **more)

    monkeypatch.setattr(tree_nodes, "shared_trace", third_is_the_last)
    state.restore(tree_of(50, 3))
    assert len(begun) == 3


def test_generating_that_takes_too_long_ends_with_a_sentence_and_what_is_made_stays(
    limited: Callable[..., ModelState], kinds: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = limited(max_seconds=10)
    ticks = itertools.count()
    monkeypatch.setattr("txpanel.models.allowance.time.thread_time", lambda: 2.0 * next(ticks))
    state.generate(40)
    assert 0 < len(state.tree) < 10
    assert "worked on this for 10 s" in (state.notice or "")
    assert (state.busy, state.progress, state.stale, state.error) == (False, None, False, None)
    assert len(state.trace.tokens.ids) == len(state.tree.prompt(state.tree.at).ids or ())
    assert kinds == ["time"]


def test_a_run_that_takes_too_long_is_a_sentence(
    limited: Callable[..., ModelState], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = limited(max_seconds=10)
    before = state.trace
    ticks = itertools.count()
    monkeypatch.setattr("txpanel.models.allowance.time.thread_time", lambda: 20.0 * next(ticks))
    state.text = "a text that nobody ran"
    assert "allows for one request" in (state.error or "")
    assert (state.busy, state.trace, state.text) == (False, before, "a text that nobody ran")


@pytest.mark.parametrize(("beams", "tokens", "kind"), [(5, 3, "beams"), (3, 9, "new-tokens")])
def test_a_beam_search_is_as_wide_and_long_as_is_allowed(
    beams: int, tokens: int, kind: str, model: LanguageModel, kinds: list[str]
) -> None:
    with working_under(Allowance(Limits(max_beams=4, max_new_tokens=8), kinds.append)):
        with pytest.raises(OverLimit, match=f"{max(beams, tokens) if kind == 'new-tokens' else beams} "):
            beam_search(model, "The cat", beams, tokens)
        assert len(beam_search(model, "The cat", 4, 2).hypotheses) == 4
    assert kinds == [kind]


def test_jobs_outside_a_session_know_no_limits(model: LanguageModel) -> None:
    tree = jobs.run(model, ModelState(model=model, text="seven words").tree, Settings()).tree
    assert len(tree) == 0


def test_a_pass_that_takes_too_long_ends_between_two_blocks(
    limited: Callable[..., ModelState], model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = limited(max_seconds=10)
    begun: list[int] = []
    hooks = [
        part.block.register_forward_pre_hook(looking_on(lambda *_call, n=n: begun.append(n)))
        for n, part in enumerate(model.parts.blocks)
    ]
    times = iter([0.0, 0.0])  # of the request's begin and its first look; then it takes long
    monkeypatch.setattr("txpanel.models.allowance.time.thread_time", lambda: next(times, 20.0))
    state.text = "one more text that nobody ran"
    for hook in hooks:
        hook.remove()
    assert "allows for one request" in (state.error or "")
    assert begun == [0]
    monkeypatch.undo()
    state.run()
    assert state.error is None
    assert state.trace.text.endswith("nobody ran")
