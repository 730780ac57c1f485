"""Files, links and what a browser has kept, made up by anybody: opened, or refused in words, and nothing else."""

from __future__ import annotations

import base64
import json
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from txpanel.errors import TxpanelError
from txpanel.session import run_file
from txpanel.session.state import ModelState
from txpanel.session.token_tree import TokenTree
from txpanel.session.tree_codec import TreeRecord, pack, record, unpack
from txpanel.testing import nano_state
from txpanel.tracing.record import record as record_trace

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.integers(), st.floats(), st.text(max_size=8)),
    lambda each: st.one_of(st.lists(each, max_size=4), st.dictionaries(st.text(max_size=6), each, max_size=4)),
    max_leaves=8,
)
ROW = st.one_of(JSON, st.integers(0, 40), st.lists(st.integers(-2, 9), min_size=4, max_size=7))
FACTS = st.fixed_dictionaries(
    {},
    optional={
        "v": st.sampled_from([0, 1, 2, 3, True, "2", None, 10**400]),
        "s": st.one_of(JSON, st.lists(st.dictionaries(st.sampled_from(["temperature", "top_k", "top_p", "seed", "odd"]), JSON), max_size=3)),
        "n": st.one_of(JSON, st.lists(ROW, max_size=6)),
        "a": st.one_of(JSON, st.integers(0, 6)),
        "l": st.one_of(JSON, st.integers(0, 6)),
    },
)  # fmt: skip
MANY = settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


def packed(facts: Any) -> str:
    data = zlib.compress(json.dumps(facts).encode())
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@pytest.fixture(scope="module")
def state() -> ModelState:
    made = nano_state("CBABBC=")
    made.generate(3)
    return made


@settings(MANY, max_examples=400)
@given(st.one_of(FACTS, JSON))
def test_a_tree_that_somebody_packed(facts: Any) -> None:
    try:
        found = unpack(packed(facts), "CAB=")
    except ValueError as error:
        assert str(error).endswith(".")
        assert "Traceback" not in str(error)
    else:
        assert unpack(pack(found), "CAB=") == found


@MANY
@given(st.text(max_size=60))
def test_a_text_that_is_no_tree(text: str) -> None:
    with pytest.raises(ValueError, match="damaged"):
        unpack(text)


@settings(MANY, max_examples=60)
@given(FACTS, st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
def test_whatever_was_unpacked_is_restored_or_refused_and_the_next_text_runs(
    state: ModelState, facts: Any, text: str
) -> None:
    try:
        found = unpack(packed(facts), text)
    except ValueError:
        found = TreeRecord(text)
    state.restore(found)
    state.text = "BACA=" if state.text != "BACA=" else "CAB="
    assert b"".join(state.trace.tokens.pieces).decode() == state.text
    assert state.error is None


@MANY
@given(data=st.data())
def test_a_run_file_with_bytes_changed(state: ModelState, tmp_path: Path, data: st.DataObject) -> None:
    own = run_file.to_bytes(state.tree, state.model, "nano", state.settings)
    changed = bytearray(own)
    for _change in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(own) - 1))] = data.draw(st.integers(0, 255))
    opened_or_refused(tmp_path, bytes(changed[: data.draw(st.sampled_from([len(own), len(own), 5, len(own) // 2]))]))


@MANY
@given(
    facts=JSON,
    film=st.one_of(st.text(max_size=9), FACTS.map(packed)),
    form=st.sampled_from(["txpanel run 1", "txpanel run 2", "txpanel run ²", "x"]),
)
def test_a_run_file_that_somebody_wrote(tmp_path: Path, facts: Any, film: str, form: str) -> None:
    texts = {"format": form, "film": film, "facts": json.dumps(facts)}
    opened_or_refused(tmp_path, save({"prompt": np.zeros(3, np.int64)}, texts))


@MANY
@given(data=st.data())
def test_a_trace_file_with_bytes_changed(trace_bytes: bytes, tmp_path: Path, data: st.DataObject) -> None:
    changed = bytearray(trace_bytes)
    header = 8 + int.from_bytes(trace_bytes[:8], "little")
    for _change in range(data.draw(st.integers(1, 6))):
        changed[data.draw(st.integers(0, header - 1))] = data.draw(st.integers(0, 255))
    opened_or_refused(tmp_path, bytes(changed))


@MANY
@given(data=st.data())
def test_a_trace_file_whose_words_were_changed(trace_bytes: bytes, tmp_path: Path, data: st.DataObject) -> None:
    size = int.from_bytes(trace_bytes[:8], "little")
    head = json.loads(trace_bytes[8 : 8 + size])
    words = head["__metadata__"]
    name = data.draw(st.sampled_from(sorted(words)))
    try:
        facts = json.loads(words[name])
    except ValueError:
        facts = None
    if isinstance(facts, dict) and facts and data.draw(st.booleans()):
        facts[data.draw(st.sampled_from(sorted(facts)))] = data.draw(JSON)
        words[name] = json.dumps(facts)
    else:
        words[name] = data.draw(st.one_of(st.text(max_size=9), JSON.map(json.dumps)))
    again = json.dumps(head, ensure_ascii=True).encode()
    opened_or_refused(tmp_path, len(again).to_bytes(8, "little") + again + trace_bytes[8 + size :])


@pytest.fixture(scope="module")
def trace_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("trace") / "t.safetensors"
    record_trace(nano_state().model, "CBA=").save(path)
    return path.read_bytes()


def opened_or_refused(folder: Path, data: bytes) -> None:
    path = folder / "any.safetensors"
    path.write_bytes(data)
    try:
        found = run_file.read(path, "any")
    except TxpanelError as error:
        assert str(error).strip().endswith(".")
        return
    if isinstance(found, run_file.SavedRun):
        assert isinstance(found.record, TreeRecord)
        return
    shown = ModelState(trace=found)
    assert shown.tree == TokenTree() or record(shown.tree).entries == ()
    for name in ("logits", "blocks.0.pattern", "embed"):  # what a page asks for
        if name in found:
            try:
                found[name]
            except TxpanelError as error:
                assert str(error).strip().endswith(".")


@pytest.mark.parametrize(
    "settings_of_it", [[{}] * 60_000 + [{"top_k": 3}], [{}] * 300_000], ids=["last of many", "many"]
)
def test_a_link_with_more_settings_than_tokens_is_refused_at_once(settings_of_it: list[Any]) -> None:
    """A link of 403 characters held the server's thread for minutes: each token looked for its settings among all."""
    film = packed(
        {"v": 2, "s": settings_of_it, "n": [[1, 0, len(settings_of_it) - 1, 0, 1, 0]] + [1] * 15_000, "a": 1, "l": 1}
    )
    assert len(film) < 4000
    begin = time.process_time()
    with pytest.raises(ValueError, match="damaged"):
        unpack(film, "CAB=")
    assert time.process_time() - begin < 1


def test_a_tree_whose_tokens_all_have_settings_of_their_own_is_read_and_written_fast() -> None:
    n = 10_000
    rows = [[1, at, at, 0, 1, 0] for at in range(n)]
    begin = time.process_time()
    found = unpack(
        packed({"v": 2, "s": [{"temperature": 0.5 + at / n} for at in range(n)], "n": rows, "a": 1, "l": 1}), "CAB="
    )
    again = pack(found)
    assert time.process_time() - begin < 5  # it was the square of n: over 30 s
    assert unpack(again, "CAB=") == found
