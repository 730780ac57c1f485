"""Encoder-decoders whose encoder hears or sees, held against transformers: logits, generating, both attentions; every number against its terms."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf

import txpanel
from txpanel.decoding.beams import beam_search
from txpanel.errors import BadText, NoSuchTensor, Unsupported
from txpanel.models.language_model import LanguageModel

BOTH: dict[str, Any] = {
    "vocab_size": 120, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 3, "init_std": 0.5,
    "forced_eos_token_id": None,
}  # fmt: skip
DECODER: dict[str, Any] = {"is_decoder": True, "add_cross_attention": True}


def whisper() -> Any:
    config = hf.WhisperConfig(
        **BOTH,
        num_mel_bins=8,
        max_source_positions=20,
        max_target_positions=40,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    return hf.WhisperForConditionalGeneration(config)


def speech_to_text() -> Any:
    sizes = {"max_source_positions": 200, "max_target_positions": 40, "num_conv_layers": 2, "conv_channels": 32}
    return hf.Speech2TextForConditionalGeneration(hf.Speech2TextConfig(**BOTH, **sizes, input_feat_per_channel=16))


def wav2vec2_bart() -> Any:
    ears = hf.Wav2Vec2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, conv_dim=(16, 16), conv_kernel=(10, 3), conv_stride=(5, 2),
        num_feat_extract_layers=2, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2, initializer_range=0.5, feat_extract_norm="layer",
        do_stable_layer_norm=True,
    )  # fmt: skip
    hand = hf.BartConfig(**BOTH, **DECODER, max_position_embeddings=40, is_encoder_decoder=False)
    return hf.SpeechEncoderDecoderModel(config=joined(hf.SpeechEncoderDecoderConfig, ears, hand))


def eyes() -> Any:
    return hf.ViTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        image_size=32,
        patch_size=8,
        initializer_range=0.5,
    )


def trocr() -> Any:
    """The decoder is wider than the encoder: what it looks at is projected."""
    sizes = {
        "d_model": 48,
        "decoder_layers": 2,
        "decoder_attention_heads": 4,
        "decoder_ffn_dim": 64,
        "max_position_embeddings": 40,
    }
    hand = hf.TrOCRConfig(vocab_size=120, **sizes, init_std=0.5, **DECODER)
    return hf.VisionEncoderDecoderModel(config=joined(hf.VisionEncoderDecoderConfig, eyes(), hand))


def vit_gpt2() -> Any:
    """Keys and values of cross-attention are one matrix."""
    hand = hf.GPT2Config(
        vocab_size=120, n_embd=32, n_layer=2, n_head=4, n_positions=40, initializer_range=0.5, **DECODER
    )
    return hf.VisionEncoderDecoderModel(config=joined(hf.VisionEncoderDecoderConfig, eyes(), hand))


def joined(kind: Any, encoder: Any, decoder: Any) -> Any:
    config = kind.from_encoder_decoder_configs(encoder, decoder)
    config.decoder_start_token_id, config.pad_token_id = 3, 0
    return config


HEARD: dict[Callable[[], Any], tuple[str, tuple[int, ...], str]] = {
    whisper: ("input_features", (1, 8, 40), "audio"),
    speech_to_text: ("input_features", (1, 50, 16), "audio"),
    wav2vec2_bart: ("input_values", (1, 900), "audio"),
    trocr: ("pixel_values", (1, 3, 32, 32), "image"),
    vit_gpt2: ("pixel_values", (1, 3, 32, 32), "image"),
}
"""What each is given, of which shape, and what that is."""


def tiny(make: Callable[[], Any]) -> tuple[Any, dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    name, shape, _kind = HEARD[make]
    return make().eval(), {name: torch.randn(shape)}


@pytest.mark.parametrize("make", HEARD, ids=lambda make: make.__name__)
def test_all_of_the_decoder_is_open_and_every_number_is_the_model_s(make: Callable[[], Any]) -> None:
    module, inputs = tiny(make)
    model = LanguageModel.wrap(module)
    assert [part.name for part in model.report() if part.state == "opaque"] == ["encoder"]
    trace = list(txpanel.generate(model, inputs=inputs, max_new_tokens=5, temperature=0.0))[-1].trace
    ids = torch.tensor([trace.tokens.ids.tolist()])
    with torch.inference_mode():
        eager = copy.deepcopy(module)
        eager.set_attn_implementation("eager")
        theirs = eager(**inputs, decoder_input_ids=ids, output_attentions=True)
        written = module.generate(**inputs, max_new_tokens=5, do_sample=False, forced_eos_token_id=None)
    assert ids[0].tolist()[-5:] == written[0].tolist()[-5:]  # Whisper's own gives the new tokens alone
    assert torch.allclose(trace.tensor("logits"), theirs.logits[0, -1], atol=1e-4, rtol=1e-4)
    for layer in range(2):
        for ours, real in (("pattern", theirs.decoder_attentions), ("cross_pattern", theirs.cross_attentions)):
            assert torch.allclose(trace.tensor(f"blocks.{layer}.{ours}"), real[layer][0], atol=2e-4)
    for name in trace.names():
        sizes = zip(trace.dims(name), trace.shape(name), strict=True)
        assert trace.why(name, **{dim: min(2, size - 1) for dim, size in sizes}).check.ok, name


@pytest.mark.parametrize("make", [whisper, trocr], ids=lambda make: make.__name__)
def test_beam_search_finds_what_transformers_finds(make: Callable[[], Any]) -> None:
    module, inputs = tiny(make)
    reading = LanguageModel.wrap(module).having_read(inputs)
    found = beam_search(reading, list(reading.start), n_beams=3, max_new_tokens=5)
    with torch.inference_mode():
        theirs = module.generate(**inputs, num_beams=3, max_new_tokens=5, do_sample=False)
    tokens = list(found.hypotheses[0].tokens)
    assert tokens == theirs[0].tolist()[-len(tokens) :]
    assert len(found.hypotheses) == 3


@pytest.mark.parametrize("make", [whisper, trocr], ids=lambda make: make.__name__)
def test_the_source_is_shown_as_what_it_is(make: Callable[[], Any], tmp_path: Path) -> None:
    module, inputs = tiny(make)
    (name, kind), n = (HEARD[make][0], HEARD[make][2]), 20 if make is whisper else 17
    trace = LanguageModel.wrap(module).trace(inputs=inputs)
    for one in (trace, txpanel.open_trace(trace.save(tmp_path / "run.safetensors"))):
        assert one.source is not None
        assert (one.source.kind, one.source.text, len(one.source.tokens)) == (kind, "", n)
        assert one.source.tokens.strings[2] == f"<{kind}> 3 of {n}"
        assert one["blocks.1.cross_pattern"].shape == (4, 1, n)
    with pytest.raises(NoSuchTensor, match="a saved run does not keep it"):
        one.tensor(f"inputs.{name}")
    assert "does not keep it" in one.why("encoder.state", token=2, feature=1).note
    assert torch.equal(trace.tensor(f"inputs.{name}"), inputs[name])
    why = trace.why("encoder.state", token=2, feature=1)
    assert (why.inputs, why.opaque) == ((f"inputs.{name}",), "model.encoder" if make is whisper else "encoder")
    assert "encoder.tokens" not in trace


def test_another_sound_is_another_run_and_the_same_is_the_same() -> None:
    module, inputs = tiny(whisper)
    model = LanguageModel.wrap(module)
    one, again = model.trace(inputs=inputs), model.trace(inputs={"input_features": inputs["input_features"].clone()})
    other = model.trace(inputs={"input_features": inputs["input_features"] + 1})
    assert one.model is again.model
    assert torch.equal(one.tensor("logits"), again.tensor("logits"))
    assert not torch.allclose(one.tensor("logits"), other.tensor("logits"))
    inputs["input_features"].zero_()  # what was given is copied
    assert torch.equal(
        model.trace(inputs=inputs).tensor("logits"),
        module(**inputs, decoder_input_ids=torch.tensor([[3]])).logits[0, -1],
    )
    assert one.check(0).exact


def test_the_decoder_begins_with_what_is_said() -> None:
    module, inputs = tiny(whisper)
    model, start = LanguageModel.wrap(module), [3, 50, 51]
    said = model.trace(inputs={**inputs, "decoder_input_ids": torch.tensor([start])})
    read = model.having_read(inputs, start=start)
    assert said.tokens.ids.tolist() == read.trace(start).tokens.ids.tolist() == start
    real = module(**inputs, decoder_input_ids=torch.tensor([start])).logits[0, -1]
    assert torch.allclose(said.tensor("logits"), real, atol=1e-5)


def test_a_mask_that_changes_nothing_is_none_and_another_is_refused() -> None:
    module, inputs = tiny(whisper)
    model, mask = LanguageModel.wrap(module), torch.ones(1, 40)
    mask[:, 30:] = 0  # Whisper's sounds end in silence, and its encoder reads no mask
    assert model.trace(inputs={**inputs, "attention_mask": mask}).model is model.trace(inputs=inputs).model
    module, inputs = tiny(speech_to_text)
    model, mask = LanguageModel.wrap(module), torch.ones(1, 50, dtype=torch.long)
    assert model.trace(inputs={**inputs, "attention_mask": mask}).model is model.trace(inputs=inputs).model
    mask[:, 30:] = 0
    with pytest.raises(BadText, match="padding"):
        model.trace(inputs={**inputs, "attention_mask": mask})


WRONG: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "ids": ({"input_ids": torch.ones(1, 3)}, BadText, "reads input_features"),
    "two": ({"input_features": torch.zeros(2, 8, 40)}, BadText, "one sound"),
    "whole numbers": ({"input_features": torch.ones(1, 8, 40, dtype=torch.long)}, BadText, "real numbers"),
    "short": ({"input_features": torch.zeros(1, 8, 33)}, BadText, "cannot be run on these inputs"),
    "nothing": ({"input_features": None}, BadText, "reads input_features"),
    "no numbers": ({"input_features": torch.zeros(1, 8, 40, device="meta")}, BadText, "numbers cannot be read"),
    "sparse": ({"input_features": torch.zeros(1, 8, 40).to_sparse()}, BadText, "numbers cannot be read"),
    "more": ({"input_features": torch.zeros(1, 8, 40), "rate": torch.ones(1)}, Unsupported, "does not accept “rate”"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_it_can_t_hear_is_refused_in_words(case: str) -> None:
    inputs, error, says = WRONG[case]
    with pytest.raises(error, match=says):
        LanguageModel.wrap(tiny(whisper)[0]).trace(inputs=inputs)


def test_a_setting_of_the_encoder_is_handed_on() -> None:
    """ViT takes a picture of another size where it is told to."""
    module, _ = tiny(vit_gpt2)
    inputs = {"pixel_values": torch.randn(1, 3, 40, 40), "interpolate_pos_encoding": True}
    trace = LanguageModel.wrap(module).trace(inputs=inputs)
    assert trace.source is not None
    assert len(trace.source.tokens) == 26
    with torch.inference_mode():
        real = module(**inputs, decoder_input_ids=torch.tensor([[3]])).logits[0, -1]
    assert torch.allclose(trace.tensor("logits"), real, atol=1e-5)
    assert trace.why("encoder.state", token=2, feature=1).check.ok


@pytest.mark.parametrize("given", ["hello", [5, 6]], ids=["text", "ids"])
def test_a_text_is_not_for_it(given: Any) -> None:
    with pytest.raises(BadText, match="does not read text: its encoder reads input_features"):
        LanguageModel.wrap(tiny(whisper)[0]).trace(given)


def test_a_folder_opens_and_the_page_goes_on_with_the_sound(tmp_path: Path) -> None:
    module, inputs = tiny(whisper)
    module.save_pretrained(tmp_path)
    model = LanguageModel.wrap(hf.AutoModelForSpeechSeq2Seq.from_pretrained(tmp_path))
    trace = model.trace(inputs=inputs)
    state = txpanel.explain(trace).state
    assert state.trace.source.kind == "audio"
    state.generate(3)
    assert state.error is None
    assert state.trace.tokens.ids.tolist()[0] == 3
    assert len(state.trace.tokens) == 4
    kept = state.trace
    state.text = "hello"
    assert "does not read text" in state.error
    assert state.trace is kept
