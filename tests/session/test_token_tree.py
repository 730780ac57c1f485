"""The tree of steps by itself, and as a record that goes into an address."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import replace
from typing import Any

import pytest

from txpanel.decoding.ranges import RANGES
from txpanel.sampling import Draw, Settings
from txpanel.session.prompt import Prompt
from txpanel.session.token_tree import TokenNode, TokenTree
from txpanel.session.tree_codec import TreeRecord, pack, record, unpack


def make_node(parent: int, text: str, seed: int = 0, p: float = 0.5, **more: Any) -> TokenNode:
    data = text.encode()
    settings = more.pop("settings", Settings(temperature=0.7, seed=seed))
    draw = more.pop("draw", Draw(seed, 0.1, 0.0, p, 0))
    return TokenNode(parent, 100 + data[0], data, text, False, settings, draw, p, p, 0, **more)


@pytest.fixture
def tree() -> TokenTree:
    """a b c, and from a on: x y."""
    grown = TokenTree(Prompt("go"), (1, 2))
    for n, text in enumerate("abc"):
        grown = grown.add(make_node(n, text, seed=n))
    return grown.go(1).add(make_node(1, "x", seed=9, p=0.25)).add(make_node(4, "y", seed=10))


def test_a_branch_keeps_the_other(tree: TokenTree) -> None:
    assert tree.path(3) == [1, 2, 3]
    assert tree.line == [1, 4, 5]
    assert tree.leaves == [3, 5]
    assert tree.fork(3, 5) == 1
    assert tree.children(1) == [2, 4]
    assert tree.prompt(5).text == "goaxy"
    assert tree.prompt(3).ids == (1, 2, 197, 198, 199)
    assert tree.log_probability(5) == pytest.approx(-2.772588722 - 0.0)


def test_going_along_a_line_keeps_it_and_elsewhere_changes_it(tree: TokenTree) -> None:
    back = tree.go(1)
    assert (back.at, back.leaf) == (1, 5)
    assert back.following(1) == 4
    other = back.go(2)
    assert (other.at, other.leaf) == (2, 3)
    assert other.go(0).leaf == 3
    assert other.following(5) is None
    for nonsense in (6, -1):
        with pytest.raises(IndexError):
            tree.go(nonsense)


def test_the_draw_at_a_place_is_the_one_that_was_made_there(tree: TokenTree) -> None:
    assert tree.go(1).settings(1).seed == 9
    assert tree.go(2).settings(1).seed == 1
    assert tree.settings(5) == Settings(temperature=0.7, seed=11)


def test_the_same_token_again_is_no_other_branch(tree: TokenTree) -> None:
    again = tree.go(0).add(make_node(0, "a", seed=5))
    assert len(again) == len(tree)
    assert (again.at, again.leaf) == (1, 5)
    assert again.node(1).settings.seed == 5
    assert tree.node(1).settings.seed == 0


def test_seeds_that_generating_has_moved_beyond_those_that_can_be_typed_are_packed_too(tree: TokenTree) -> None:
    grown = tree.add(make_node(5, "z", seed=RANGES["seed"][2] + 3))
    assert unpack(pack(record(grown)), "go") == record(grown)


def test_an_unfinished_character_has_no_text_yet() -> None:
    tree = TokenTree(Prompt("a"), (1,))
    for n, byte in enumerate("€".encode()):
        tree = tree.add(replace(make_node(n, "?"), piece=bytes([byte]), token=byte))
    assert [tree.prompt(n).text for n in range(4)] == ["a", "a", "a", "a€"]
    assert tree.prompt(2).pending == b"\xe2\x82"


def test_in_a_conversation_the_text_stays_the_persons() -> None:
    tree = TokenTree(Prompt("hello", chat=True), (1,)).add(make_node(0, "a"))
    assert tree.prompt(1).text == "hello"
    assert tree.prompt(1).ids == (1, 197)


def test_a_packed_record_brings_back_the_whole_tree(tree: TokenTree) -> None:
    made = tree.go(2).marked(3, "full").add(make_node(2, "z", settings=Settings(top_k=3, seed=70), draw=None))
    given = record(made)
    again = unpack(pack(given), "go")
    assert again == given
    assert [entry.drawn for entry in again.entries] == [True, True, True, True, True, False]
    assert unpack(pack(TreeRecord()), "") == TreeRecord()


def test_thirty_tokens_and_their_branch_fit_into_a_link() -> None:
    tree = TokenTree(Prompt("go"), (1,))
    for n in range(30):
        tree = tree.add(replace(make_node(n, "a", seed=n), token=(n * 7919) % 49152))
    for n in range(12, 30):
        tree = tree.add(replace(make_node(n if n == 12 else tree.at, "a", seed=n), token=(n * 104729) % 49152))
    assert len(pack(record(tree))) < 500


def _packed(**changes: Any) -> str:
    facts = {"v": 1, "s": [[1.0, 0, 1.0, 0.0, 1.0, 1.0, 0]], "n": [[5, 0, 0, 3, 1, 0], 7], "a": 1, "l": 2} | changes
    return base64.urlsafe_b64encode(zlib.compress(json.dumps(facts).encode())).decode().rstrip("=")


def test_a_packed_record_is_read() -> None:
    assert [entry.settings.seed for entry in unpack(_packed()).entries] == [3, 4]


@pytest.mark.parametrize(
    "packed",
    [
        "", "%%%", "AAAA", _packed()[:-6],
        _packed(v=2), _packed(a=3), _packed(l=-1), _packed(n=[[5, 4, 0, 0, 1, 0]]), _packed(n=[[5, 0, 9, 0, 1, 0]]), _packed(n=[7]),
        _packed(n=[["5", 0, 0, 0, 1, 0]]), _packed(n=[[True, 0, 0, 0, 1, 0]]), _packed(n=[[2**40, 0, 0, 0, 1, 0]]), _packed(n=7),
        _packed(s=[[-1, 0, 1.0, 0.0, 1.0, 1.0, 0]]), _packed(s=[["warm"] * 7]), _packed(s=[[1.0]]), _packed(n=[[5, 0, 0, 3, 1, 0]] * 30_000),
        base64.urlsafe_b64encode(zlib.compress(b"0" * 50_000_000)).decode(),
        base64.urlsafe_b64encode(zlib.compress(b"[" * 100_000)).decode(),
    ],
)  # fmt: skip
def test_nonsense_is_refused_in_words(packed: str) -> None:
    with pytest.raises(ValueError, match="damaged"):
        unpack(packed)
