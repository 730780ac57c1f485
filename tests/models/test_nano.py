"""The nano model: small, quick, and right on every input of its task."""

from __future__ import annotations

import importlib.util
import json
import time
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
import torch

from txpanel.models import catalogue, from_pretrained
from txpanel.models.loading import NANO_FOLDER

if TYPE_CHECKING:
    from txpanel.models.language_model import LanguageModel

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """scripts/train_nano.py as a module."""
    spec = importlib.util.spec_from_file_location("train_nano", ROOT / "scripts" / "train_nano.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_input_is_sorted(nano: LanguageModel, script: ModuleType) -> None:
    right, total = script.accuracy(nano.model)
    assert total == 5 + 25 + 125 + 625 + 3125 + 15625
    print(f"nano: {right} of {total} inputs sorted")
    assert right / total >= 0.999


def test_also_further_down_the_text(nano: LanguageModel, script: ModuleType) -> None:
    right, total = script.accuracy(nano.model, 1000, before="DEED=DDEE\nBA=AB\n")
    assert right / total >= 0.99


def test_token_by_token_as_a_person_does_it(nano: LanguageModel) -> None:
    text = "CBABBC="
    for _step in range(7):
        with torch.inference_mode():
            text += chr(int(nano.model(torch.tensor([nano.encode(text)])).logits[0, -1].argmax()))
    assert text == "CBABBC=ABBBCC\n"


def test_it_knows_what_it_cannot_know(nano: LanguageModel) -> None:
    with torch.inference_mode():
        chances = torch.softmax(nano.model(torch.tensor([nano.encode("CBA")])).logits[0, -1], -1)
    letters = chances[list(b"ABCDE")]
    assert letters.sum() > 0.5
    assert letters.max() / letters.min() < 2, "random letters should be about equally likely"


def test_one_token_per_byte_and_any_text_comes_back(nano: LanguageModel) -> None:
    for text in ("CBA=", "héllo €", "👩‍👩‍👧 שלום", "a\u200b\x00\r\n\t b", "\ufeff  ", "<|endoftext|>", "</script>"):
        ids = nano.encode(text)
        assert ids == list(text.encode())
        assert b"".join(nano.tokens(ids).pieces) == text.encode()


def test_shape_and_size(nano: LanguageModel) -> None:
    facts = nano.anatomy
    assert (facts.family, facts.n_layers, facts.width, facts.vocab, facts.max_tokens) == ("gpt2", 3, 48, 256, 64)
    assert {block.n_heads for block in facts.blocks} == {3}
    assert (NANO_FOLDER / "model.safetensors").stat().st_size < 1_000_000
    assert sum(path.stat().st_size for path in NANO_FOLDER.iterdir()) < 1_000_000
    assert nano.source.kind == "nano"
    entry = catalogue.find("nano")
    assert entry is not None
    assert facts.parameters == entry.parameters


def test_it_loads_in_well_under_a_second() -> None:
    from_pretrained.open_folder(NANO_FOLDER)  # imports
    times = []
    for _ in range(3):
        begun = time.process_time()
        from_pretrained.open_folder(NANO_FOLDER)
        times.append(time.process_time() - begun)
    assert min(times) < 0.5


def test_tokenizer_is_the_scripts(script: ModuleType) -> None:
    shipped = json.loads((NANO_FOLDER / "tokenizer.json").read_text(encoding="utf-8"))
    assert shipped == json.loads(script.tokenizer_json())


def test_training_is_reproducible(script: ModuleType) -> None:
    torch_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        one, two = (script.train(3, 4).state_dict() for _ in range(2))
    finally:
        torch.set_num_threads(torch_threads)
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(one[name], two[name]) for name in one)
