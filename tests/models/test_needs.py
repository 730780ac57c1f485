"""What a model needs is told from its files, and what cannot fit is refused, before anything is loaded."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

import txpanel
from txpanel.errors import TooLarge, Unsupported
from txpanel.models import catalogue, doctor, loading, machine, memory, needs
from txpanel.models.loading import NANO_FOLDER
from txpanel.models.machine import Room

GB = 10**9


def written(folder: Path, config: dict[str, Any], shapes: dict[str, list[int]]) -> Path:
    """A folder whose file of weights is as long as its table of contents says, and takes no room on the disk."""
    head, at = {}, 0
    for name, shape in shapes.items():
        size = 2
        for n in shape:
            size *= n
        head[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(head).encode()
    folder.mkdir(exist_ok=True)
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + at)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    return folder


LLAMA = {
    "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
    "tie_word_embeddings": True,
}  # fmt: skip
SHAPES = {
    "model.embed_tokens.weight": [128_000, 4096],
    "lm_head.weight": [128_000, 4096],
    "model.layers.0.mlp.up_proj.weight": [300_000, 4096],
    "old.attn.bias": [1, 1, 1024, 1024],
}


def test_it_is_what_the_loaded_model_takes(nano: Any) -> None:
    found = needs.of_folder(NANO_FOLDER)
    assert found.parameters == nano.anatomy.parameters
    assert found.weights == nano.nbytes
    assert needs.of_folder(NANO_FOLDER, "bfloat16").weights * 2 == nano.nbytes
    trace = nano.trace("cabdacbd")
    keys = 2 * nano.anatomy.n_layers * nano.anatomy.width * 4
    streams = sum(stream[0].nbytes for stream in trace.recording.streams)
    assert found.token == streams + keys


def test_a_large_one_is_told_without_being_read(tmp_path: Path) -> None:
    folder = written(tmp_path / "large", LLAMA, SHAPES)
    found = needs.of_folder(folder)
    assert found.parameters == 428_000 * 4096  # the output is the token table; the mask is no weight
    assert found.weights == found.parameters * 4
    assert found.token == (33 * 4096 + 2 * 32 * 8 * 128) * 4
    text = needs.words(found)
    assert "7.01 GB for the weights (float32)" in text
    assert "802.8 kB for each token" in text


def test_what_cannot_fit_is_refused_in_words_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "now", lambda: Room(8 * GB, 3 * GB, True))
    folder = written(tmp_path / "large", LLAMA, SHAPES)
    with pytest.raises(TooLarge) as refused:
        txpanel.load(str(folder))
    text = str(refused.value)
    assert "large does not fit" in text
    assert "7.01 GB in float32" in text
    assert "this container has 3.00 GB of memory left" in text
    assert "--dtype bfloat16" in text
    assert isinstance(refused.value, Unsupported)  # pages and commands know that one
    with pytest.raises(TooLarge) as again:
        txpanel.load(str(folder), dtype="bfloat16")
    assert "--dtype" not in str(again.value)


def test_a_model_of_the_catalogue_is_refused_before_it_is_fetched(
    cache_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "now", lambda: Room(8 * GB, GB // 10))
    monkeypatch.setattr(loading, "locate", lambda *_given, **_more: pytest.fail("it was looked for"))
    with pytest.raises(TooLarge, match="this machine has 100"):
        txpanel.load("smollm2-135m")


def test_what_fits_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    few = needs.Needs(GB, 1000, 1000, "float32", GB // 4)
    monkeypatch.setattr(machine, "now", lambda: Room(8 * GB, 3 * GB))
    needs.check("it", few)
    with pytest.raises(TooLarge, match=r"cuda:1 has 500\.0 MB"):
        needs.check("it", few, free=GB // 2, place="cuda:1")


def test_the_doctor_says_it_of_a_model_that_is_here_and_of_one_that_is_not(
    cache_root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(machine, "now", lambda: Room(16 * GB, 12 * GB))
    here = doctor._memory("nano")
    assert here.status == "ok"
    assert here.detail.startswith("nano: ")
    assert "12.00 GB of 16.00 GB are free on this machine" in here.detail
    entry = catalogue.find("smollm2-135m")
    assert entry is not None
    assert f"{entry.parameters * 4 / 1e6:.1f} MB for the weights" in doctor._memory(entry.name).detail
    assert doctor._memory("/no/such/folder").status == "warning"
    folder = written(tmp_path / "large", LLAMA, SHAPES)
    monkeypatch.setattr(memory, "cap", lambda: 6 * GB)
    tight = doctor._memory(str(folder))
    assert (tight.status, "TXPANEL_MEMORY_MB" in tight.advice) == ("warning", True)
    monkeypatch.setattr(machine, "now", lambda: Room(16 * GB, 2 * GB))
    refused = doctor._memory(str(folder))
    assert (refused.status, "does not fit" in refused.advice) == ("error", True)


def test_the_doctor_names_replaced_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TXPANEL_TRACE_MB", "70")
    (check,) = doctor._variables()
    assert (check.title, check.status) == ("environment", "warning")
    assert "TXPANEL_MEMORY_MB" in check.detail
    monkeypatch.setenv("TXPANEL_MAX_TOKENS", "many")
    assert "not a whole number" in doctor._variables()[1].detail
