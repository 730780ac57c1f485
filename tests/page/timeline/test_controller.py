"""The timeline's side of the server: what it sends, how little, and the words for a draw."""

from __future__ import annotations

import base64
import queue
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import txpanel
from txpanel.models.language_model import LanguageModel
from txpanel.page.exports import Files
from txpanel.page.timeline.controller import TimelineController
from txpanel.page.top_bar.controller import Bar
from txpanel.session.state import ModelState
from txpanel.testing import nano_state
from txpanel.toolkit.format import percent


@pytest.fixture
def state() -> ModelState:
    return nano_state("CBABBC=", temperature=1.6, seed=3)


@pytest.fixture
def strip(state: ModelState) -> Iterator[TimelineController]:
    made = TimelineController()
    made.attach(state)
    yield made
    made.close()


def test_its_line_is_kept_free_while_nothing_is_generated(strip: TimelineController, state: ModelState) -> None:
    """So nothing moves when the first token comes: the browser hides a line without tokens and leaves its place."""
    shown = strip.component
    assert (shown.visible, shown.line, shown.prompt) == (True, [], {})
    state.append()
    assert (len(shown.line), shown.prompt["strings"]) == (1, list("CBABBC="))
    state.undo()
    assert (shown.visible, shown.line, shown.prompt) == (True, [], {})


def test_a_step_sends_itself_only(strip: TimelineController, state: ModelState) -> None:
    sent: list[Any] = []
    strip.component.param.watch(lambda event: sent.append(event.new), "added")
    state.generate(5)
    pieces = [each for each in sent if each]
    assert [len(each["items"]) for each in pieces] == [1] * len(pieces)
    assert [each["begin"] for each in pieces] == list(range(len(pieces)))
    assert [token[1] for token in strip.component.line] == [token_node.string for token_node in state.tree.nodes]
    assert strip.component.added == {}
    assert "number of tokens that you set" in strip.component.ended
    assert strip.component.ended_brief == "token limit reached"
    assert strip.component.prompt["strings"] == list("CBABBC=")


def test_the_prompt_s_own_tokens_have_a_probability(strip: TimelineController, state: ModelState) -> None:
    state.append()
    model, ids = state.model.model, state.trace.tokens.ids[:7].astype("int64")
    with torch.no_grad():
        p = model(torch.from_numpy(ids)[None]).logits[0].double().softmax(-1)
    shown = strip.component.scored
    assert shown[0] is None
    assert [each[0] for each in shown[1:]] == pytest.approx([float(p[i - 1, ids[i]]) for i in range(1, 7)], rel=1e-5)
    assert [each[1] for each in shown[1:]] == [int((p[i - 1] > p[i - 1, ids[i]]).sum()) for i in range(1, 7)]
    assert [each[2] for each in shown[1:]] == pytest.approx(state.trace.surprisal()[1:7].tolist(), abs=1e-6)
    sent: list[Any] = []
    strip.component.param.watch(lambda event: sent.append(event.new), "scored")
    state.generate(4)
    assert sent == []  # once for a prompt
    state.text = "A="
    state.append()
    assert [len(each) for each in sent if each] == [2]


def test_while_another_prompt_is_continued_its_tokens_do_not_have_the_numbers_of_the_one_before(
    strip: TimelineController, state: ModelState
) -> None:
    state.append()
    sent: list[tuple[str, int]] = []
    strip.component.param.watch(
        lambda *_events: sent.append(("".join(strip.component.prompt.get("strings", ())), len(strip.component.scored))),
        ["prompt", "scored", "added", "line"],
    )
    state.text = "AB="
    state.generate(3)
    assert {scored for prompt, scored in sent if prompt == "AB="} == {0, 3}
    assert strip.component.scored[1][2] == pytest.approx(state.trace.surprisal()[1])


def test_why_the_token_came(strip: TimelineController, state: ModelState) -> None:
    state.generate(3)
    state.go(1)
    taken = state.tree.node(2)
    shown = strip.component.next
    assert shown["taken"] == shown["drawn"] == taken.token
    assert f"Seed {taken.settings.seed}" in shown["sentence"]
    state.temperature = 40.0
    shown = strip.component.next
    assert shown["uniform"] == taken.draw.uniform  # the same number, on another bar
    assert "temperature 1.6 → 40" in shown["sentence"]
    assert taken.string in shown["sentence"]
    assert len(shown["choices"]) >= 8


def test_what_was_cut_off_can_still_be_chosen(strip: TimelineController, state: ModelState) -> None:
    state.temperature = 0
    state.append()
    shown = strip.component.next
    assert [p > 0 for _id, _text, p, _low, _high in shown["choices"]] == [True] + [False] * 7
    strip._on_message({"kind": "take", "value": shown["choices"][3][0]})
    assert state.tree.node(2).draw is None
    state.go(1)
    assert "was chosen by hand" in strip.component.next["sentence"]


def test_a_draw_without_a_choice_and_one_without_the_first_choice_say_so(
    strip: TimelineController, state: ModelState
) -> None:
    state.append()
    state.top_k = 1
    logits = state.trace.logits.values.astype(float)
    p = np.exp(logits - logits.max())
    shown = percent(float(p.max() / p.sum()))
    assert (
        f"leave only one token, “{strip.component.next['choices'][0][1]}”, so it is always drawn. The model gives it {shown}"
        in strip.component.next["sentence"]
    )
    state.param.update(top_k=0, no_repeat_ngram_size=1)
    first = state.model.tokens([int(logits.argmax())]).strings[0]
    assert f"most likely token, “{first}” ({shown}), was cut off by n-gram." in strip.component.next["sentence"]


def test_a_token_of_spaces_can_be_seen_in_a_sentence(strip: TimelineController, state: ModelState) -> None:
    state.append()
    state.append(32)  # nano's ids are bytes
    state.go(1)
    assert "“␣” was chosen by hand" in strip.component.next["sentence"]


def test_a_number_at_an_edge_is_explained(strip: TimelineController, state: ModelState) -> None:
    state.generate(2)
    state.go(1)
    tree = state.tree
    other = next(token for token, *_rest in strip.component.next["choices"] if token != tree.node(2).token)
    rounded = replace(tree.node(2), token=other, string="?")  # as if it had been drawn where sums are rounded otherwise
    state.tree = replace(tree, nodes=(tree.node(1), rounded))
    assert "The draw gave “?”" in strip.component.next["sentence"]
    assert "here it falls on" in strip.component.next["sentence"]


def test_branches_are_told_apart(strip: TimelineController, state: ModelState) -> None:
    state.generate(3)
    assert strip.component.branches == []
    strip._on_message({"kind": "go", "value": 1})
    assert state.tree.at == 1
    other = next(token for token, *_rest in strip.component.next["choices"] if token != state.tree.node(2).token)
    strip._on_message({"kind": "take", "value": other})
    first, second = strip.component.branches
    assert (first["n"], second["n"], second["current"]) == (3, 2, True)
    assert first["fork"] == first["shared"] == 1
    assert first["logp"] == pytest.approx(state.tree.log_probability(3))
    strip._on_message({"kind": "switch", "value": first["leaf"]})
    assert state.tree.line == [1, 2, 3]
    for nonsense in (
        {"kind": "go", "value": 99},
        {"kind": "switch", "value": -4},
        {"kind": "told", "value": 1},
        {"kind": "go"},
        {"kind": 7, "value": "x"},
    ):
        strip._on_message(nonsense)
    assert state.tree.at == 3


def test_a_file_comes_in_pieces(state: ModelState) -> None:
    sent: list[dict[str, Any]] = []
    files = Files(sent.append)
    state.generate(3)
    tokens = state.trace.tokens.ids.tolist()
    files.save(state)
    assert sent[0]["name"] == "CBABBC.safetensors"
    data = base64.b64decode(sent[0]["data"])
    state.text = "A="
    for at in range(0, len(data), 300):
        piece = base64.b64encode(data[at : at + 300]).decode()
        files.receive(state, {"at": at, "data": piece, "last": at + 300 >= len(data), "name": "x"})
    assert state.trace.tokens.ids.tolist() == tokens
    files.receive(state, {"at": 0, "data": "%%%", "last": True})
    assert "completely" in (state.error or "")
    files.receive(state, {"at": 300, "data": "", "last": True})  # no beginning: nothing happens
    assert state.trace.tokens.ids.tolist() == tokens


def test_a_file_that_is_too_large_is_refused(state: ModelState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("txpanel.page.exports.LARGEST", 10)
    Files(lambda data: None).receive(state, {"at": 0, "data": base64.b64encode(b"x" * 20).decode(), "last": True})
    assert "larger" in (state.error or "")


def test_files_on_their_way_are_bounded_for_all_pages_and_those_that_stopped_make_way(
    state: ModelState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page could leave a file of 16 MB half sent in the system's folder, for as long as it was open."""
    monkeypatch.setattr("txpanel.page.exports._all", weakref.WeakSet())
    monkeypatch.setattr("txpanel.page.exports.LARGEST", 100)
    piece = {"at": 0, "data": base64.b64encode(b"x" * 90).decode()}
    pages = [Files(lambda data: None) for _each in range(12)]
    for page in pages:
        page.receive(state, piece)
    assert "Too many files are being sent" in (state.error or "")
    assert sum(page._coming is not None for page in pages) == 9
    state.error = None
    for page in pages:
        page._last -= 61
    pages[-1].receive(state, piece)
    assert state.error is None
    assert sum(page._coming is not None for page in pages) == 1
    pages[-1].close()


def test_the_bar_knows_chat_and_pace(state: ModelState) -> None:
    bar = Bar(lambda: None, pace=lambda: 0.0)
    bar.attach(state)
    assert bar.component.info["chat"] is None  # nano has no template: the switch isn't there
    bar._on_message({"kind": "chat", "on": True})
    assert not state.chat
    bar._on_message({"kind": "generate", "n": 0})
    assert state.tree.node(state.tree.leaf).ended in ("full", "end of text")
    bar.share(False)
    assert bar.component.info["link"] is False
    bar.close()


def test_why_it_ended_is_said_once(strip: TimelineController, state: ModelState) -> None:
    bar = Bar(lambda _system: None)
    bar.attach(state)
    state.generate(None)
    assert state.notice == strip.component.ended != ""
    assert bar.component.status["notice"] is None
    state.notice = "Something else."
    state.go(1)
    state.notice = "Something else."
    assert bar.component.status["notice"] == "Something else."
    bar.close()


def test_a_conversation_without_a_text_shows_no_template(tiny: Callable[[str], LanguageModel]) -> None:
    model = tiny("llama")
    model.tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    try:
        state, made = ModelState(model=model, text="seven words", chat=True), TimelineController()
        made.attach(state)
        assert made.component.visible
        state.text = ""
        assert state.trace is None
        assert not made.component.visible
        made.close()
    finally:
        model.tokenizer.chat_template = None


@pytest.mark.parametrize("early", [True, False])
def test_a_step_waits_for_the_page_also_when_that_stood_before_there_was_a_state(early: bool) -> None:
    waiting: queue.Queue[Callable[[], object]] = queue.Queue()
    state = ModelState(dispatch=waiting.put, model=txpanel.load("nano"), text="CBABBC=", temperature=0.0)
    strip, pictures = TimelineController(), []
    if early:
        strip._on_message({"kind": "hello", "value": 0})
    strip.attach(state)
    if not early:
        strip._on_message({"kind": "hello", "value": 0})
    try:
        waiting.get(timeout=30)()
        state.param.watch(lambda _event: pictures.append(len(state.tree)), "trace")
        state.generate(5)
        for n in range(1, 6):
            waiting.get(timeout=30)()
            assert len(state.tree) == n
            if n < 5:
                with pytest.raises(queue.Empty):
                    waiting.get(timeout=0.1)  # the next one is not made before the page has drawn this one
                strip._on_message({"kind": "seen", "value": n})
        assert (pictures[0], pictures[-1]) == (1, 5)
        assert len(pictures) < 5  # some of those between pass by with their token alone
    finally:
        strip.close()
        state.close()
