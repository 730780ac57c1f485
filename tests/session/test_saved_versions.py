"""Saved trees across versions: a link, a file and a stored run of version 1 open, and what a newer txpanel saved is named as that."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from txpanel.decoding.settings import OFF
from txpanel.errors import BadFile
from txpanel.page.address import read as read_address
from txpanel.page.address import settings as settings_of
from txpanel.page.browser_storage import BrowserStorage, _name
from txpanel.page.top_bar.controller import Bar
from txpanel.sampling import Settings
from txpanel.session import run_file
from txpanel.session.tree_codec import (
    Entry,
    NewerVersion,
    TreeRecord,
    by_name,
    from_names,
    pack,
    record,
    unpack,
)
from txpanel.testing import nano_state

FOLDER = Path(__file__).parent / "version1"
"""Written by version 1 from one run of the nano model; ``expected.json`` says what they hold."""
EXPECTED: dict[str, Any] = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))


def whole(settings: dict[str, Any]) -> Settings:
    """Settings of version 1; those that came later are off."""
    return Settings(**settings)


def expected() -> TreeRecord:
    entries = [Entry(**{**one, "settings": whole(one["settings"])}) for one in EXPECTED["entries"]]
    return TreeRecord(EXPECTED["text"], EXPECTED["chat"], tuple(entries), EXPECTED["at"], EXPECTED["leaf"])


def from_the_link() -> TreeRecord:
    given = read_address((FOLDER / "link.txt").read_text(encoding="utf-8").strip())
    assert Settings(**settings_of(given)) == whole(EXPECTED["next"])
    return unpack(given["film"], given["text"], given.get("chat", False))


def from_the_file() -> TreeRecord:
    found = run_file.read(FOLDER / "run.safetensors", "run")
    assert isinstance(found, run_file.SavedRun)
    assert (found.model, found.settings) == ("nano", whole(EXPECTED["next"]))
    return found.record


def from_the_browser() -> TreeRecord:
    stored = json.loads((FOLDER / "stored.json").read_text(encoding="utf-8"))
    found = come_back(stored["address"], stored["data"])
    assert found is not None
    return found


def come_back(address: str, data: str) -> TreeRecord | None:
    bar, found = Bar(lambda _system: None), list[TreeRecord | None]()
    kept = BrowserStorage(bar.component, address)
    kept.then(found.append)
    kept.answered({"name": bar.component.wanted, "data": data})
    return found[0]


@pytest.mark.parametrize("source", [from_the_link, from_the_file, from_the_browser])
def test_a_run_of_version_1_comes_back(source: Any) -> None:
    """Record, tokens and draws: the tree that is made again is the one that was saved."""
    saved = source()
    assert saved == expected()
    state = nano_state(saved.text)
    state.restore(saved)
    assert record(state.tree) == saved
    for entry, node in zip(saved.entries, state.tree.nodes, strict=True):
        assert node.token == entry.token
        assert (node.draw is not None) == entry.drawn
        if node.draw is not None:
            assert node.draw.seed == entry.settings.seed
            assert node.draw.low - 1e-3 <= node.draw.uniform <= node.draw.high + 1e-3


def packed(**facts: Any) -> str:
    whole = {"v": 2, "s": [{"top_k": 3}], "n": [[5, 0, 0, 3, 1, 0], 7], "a": 1, "l": 2} | facts
    return base64.urlsafe_b64encode(zlib.compress(json.dumps(whole).encode())).decode().rstrip("=")


def plain(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(zlib.decompress(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))
    return found


def test_settings_are_kept_by_name_and_what_is_off_is_left_out() -> None:
    entries = (Entry(0, 5, Settings(top_k=3, seed=4), True), Entry(1, 7, Settings(seed=5), False))
    given = TreeRecord("go", False, entries, 2, 2)
    assert plain(pack(given))["s"] == [{"top_k": 3}, {}]
    assert unpack(pack(given), "go") == given
    assert [entry.settings for entry in unpack(packed()).entries] == [
        Settings(top_k=3, seed=3),
        Settings(top_k=3, seed=4),
    ]
    for settings in (Settings(), Settings(temperature=0.0, seed=2), Settings(min_p=0.5, typical_p=0.25)):
        assert from_names(by_name(settings)) == settings
        assert by_name(settings) == {
            name: value for name, value in asdict(settings).items() if name in OFF and value != OFF[name]
        }


def test_a_setting_of_a_newer_txpanel_is_named() -> None:
    for text in (packed(s=[{"top_k": 3, "quantum": 0.5}]), packed(v=3)):
        with pytest.raises(NewerVersion, match="newer") as refusal:
            unpack(text)
        assert "damaged" not in str(refusal.value)
    with pytest.raises(NewerVersion, match="quantum"):
        unpack(packed(s=[{"top_k": 3, "quantum": 0.5}]))


@pytest.mark.parametrize(
    "change",
    [
        {"facts": {"settings": {"quantum": 1}}}, {"film": packed(s=[{"quantum": 1}])}, {"film": packed(v=9)},
        {"format": "txpanel run 3"},
    ],
)  # fmt: skip
def test_a_file_of_a_newer_txpanel_is_called_that(tmp_path: Path, change: dict[str, Any]) -> None:
    facts = {"text": "a", "chat": False, "model": "m", "settings": {}} | change.pop("facts", {})
    metadata = {"format": run_file.FORMAT, "facts": json.dumps(facts), "film": packed()} | change
    path = tmp_path / "run.safetensors"
    save_file({"prompt": torch.zeros(1)}, path, metadata=metadata)
    with pytest.raises(BadFile, match="newer") as refusal:
        run_file.read(path, "run")
    assert "run" in str(refusal.value)
    assert "inconsistent" not in str(refusal.value)


def test_a_stored_run_of_a_newer_txpanel_comes_back_as_its_text_and_a_note() -> None:
    data = json.dumps({"text": "CBA=", "chat": False, "film": packed(s=[{"quantum": 1}])})
    found = come_back(f"@{_name(data)}.1.2", data)
    assert found is not None
    assert (found.text, found.entries) == ("CBA=", ())
    assert "quantum" in found.note


@pytest.mark.parametrize(
    "packed_tree",
    [
        packed(s=[[1.0, 0, 1.0, 0.0, 1.0, 1.0, 0]]), packed(s=[7]), packed(s=7), packed(s=[{"temperature": -1}]), packed(v=0),
        packed(s=[{"temperature": "warm"}]), packed(s=[{"top_k": True}]), packed(s=[{"top_k": 1.5}]), packed(v=True), packed(v="2"),
        packed(v=1), packed(s=[{"seed": 1}, {"seed": []}]), packed(s=[{"temperature": None}]), packed(s=[None]),
    ],
)  # fmt: skip
def test_nonsense_is_refused_in_words(packed_tree: str) -> None:
    with pytest.raises(ValueError, match="damaged"):
        unpack(packed_tree)
