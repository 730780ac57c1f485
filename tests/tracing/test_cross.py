"""Runs of encoder-decoders, held against transformers: logits, generating, both attentions; every number against the sum of its terms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForSeq2SeqLM

import txpanel
from tests.encoder_decoders import BART, ENCODER_DECODERS, VARIANTS, tiny_pair, tiny_pair_hf
from tests.families import tiny_tokenizer
from tests.sweep.configs import PAIR, model_of
from tests.sweeping import first
from tests.tracing.test_verify import Mistake, block, opened, swapped
from txpanel.decoding.beams import beam_search
from txpanel.models.anatomy import Anatomy, Relative
from txpanel.models.language_model import LanguageModel
from txpanel.models.parts import ModelParts
from txpanel.tracing.record import extend
from txpanel.tracing.trace import Trace


def near(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    """Row by row, by each row's own size."""
    return bool(((ours - theirs).abs().amax(-1) <= 1e-4 * theirs.abs().amax(-1) + 1e-6).all())


TEXT = "hello wörld, a b c"
WROTE = [40, 77, 40, 200, 11]


def run(name: str) -> Trace:
    return extend(tiny_pair(name).trace(TEXT), WROTE)


@pytest.mark.parametrize("name", [*ENCODER_DECODERS, *VARIANTS])
def test_logits_and_both_attentions_are_the_model_s(name: str) -> None:
    trace = run(name)
    assert trace.source is not None
    with torch.inference_mode():
        given = tiny_pair_hf(name, attn="eager")(
            input_ids=torch.tensor([trace.source.tokens.ids.tolist()]),
            decoder_input_ids=torch.tensor([trace.tokens.ids.tolist()]),
            output_attentions=True,
            output_hidden_states=True,
        )
    assert near(trace.tensor("logits"), given.logits[0, -1])
    for layer in range(3):
        assert torch.allclose(trace.tensor(f"blocks.{layer}.pattern"), given.decoder_attentions[layer][0], atol=2e-4)
        assert torch.allclose(
            trace.tensor(f"blocks.{layer}.cross_pattern"), given.cross_attentions[layer][0], atol=2e-4
        )
        stream = given.decoder_hidden_states[layer][0]
        assert near(trace.tensor(f"blocks.{layer}.resid_pre"), stream)
        assert trace.check(layer).difference < 1e-3


@pytest.mark.parametrize("name", [*ENCODER_DECODERS, *VARIANTS])
def test_greedy_text_is_that_of_generate(name: str) -> None:
    model, untouched = tiny_pair(name), tiny_pair_hf(name)
    ids = torch.tensor([model.encode(TEXT)])
    with torch.inference_mode():
        expected = untouched.generate(ids, max_new_tokens=8, do_sample=False, attention_mask=torch.ones_like(ids))[
            0
        ].tolist()
    steps = list(txpanel.generate(model, TEXT, max_new_tokens=8, temperature=0.0))
    assert steps[-1].trace.tokens.ids.tolist() == expected
    assert steps[-1].trace.source is not None
    assert steps[-1].trace.source.text == TEXT


def test_a_beam_search_writes_what_generate_does() -> None:
    model, untouched = tiny_pair("bart"), tiny_pair_hf("bart")
    ids = torch.tensor([model.encode(TEXT)])
    with torch.inference_mode():
        expected = untouched.generate(
            ids, max_new_tokens=5, num_beams=3, do_sample=False, attention_mask=torch.ones_like(ids)
        )[0]
    found = beam_search(model, TEXT, n_beams=3, max_new_tokens=5)
    assert [*found.ids, *found.hypotheses[0].tokens] == expected.tolist()


@pytest.mark.parametrize("name", first(2, [*ENCODER_DECODERS, *VARIANTS]))
def test_every_number_is_the_sum_of_its_terms(name: str) -> None:
    trace = run(name)
    dice = np.random.default_rng(0)
    for made in trace.names():
        shape = trace.shape(made)
        cell = {dim: int(dice.integers(size)) for dim, size in zip(trace.dims(made), shape, strict=True)}
        found = trace.why(made, **cell)
        assert found.check.ok, (found.text, found.check)
        assert len(found.terms) > 0 or found.opaque, made
        assert made.startswith("encoder.") or not found.opaque, made


def test_keys_of_cross_attention_are_tokens_of_the_source() -> None:
    trace = run("pegasus")
    assert trace.source is not None
    pattern = trace["blocks.1.cross_pattern"]
    assert pattern.dims == ("head", "query", "key")
    assert pattern.sizes == {"head": 4, "query": 6, "key": len(trace.source.tokens)}
    assert list(pattern["key_text"].values) == trace.source.tokens.strings
    assert list(pattern["query_text"].values) == trace.tokens.strings
    assert list(trace["blocks.1.cross_k"]["token_text"].values) == trace.source.tokens.strings
    assert trace["encoder.state"].dims == ("token", "feature")
    asked = trace.why("blocks.1.cross_scores", head=2, query=3, key=7)
    assert {source.name for term in asked.terms for source in term.sources} == {"blocks.1.cross_q", "blocks.1.cross_k"}
    key = trace.why("blocks.1.cross_k", kv_head=2, token=7, dim=1)
    assert {term.sources[0].name for term in key.terms if term.sources} >= {"encoder.state"}


@pytest.mark.parametrize("name", ENCODER_DECODERS)
def test_the_encoder_is_a_step_for_each_of_its_blocks(name: str) -> None:
    trace = run(name)
    assert trace.source is not None
    assert trace.anatomy.encoder is not None
    ids = torch.tensor([trace.source.tokens.ids.tolist()])
    with torch.inference_mode():
        given = tiny_pair_hf(name).get_encoder()(input_ids=ids, output_hidden_states=True)
    blocks = len(trace.anatomy.encoder.blocks)
    assert blocks == len(given.hidden_states) - 1
    for layer in range(blocks):
        before = trace.tensor(f"encoder.blocks.{layer}.resid_pre")
        assert near(before, given.hidden_states[layer][0]), layer
        asked = trace.why(f"encoder.blocks.{layer}.resid_post", token=3, feature=4)
        assert asked.opaque == trace.anatomy.encoder.blocks[layer]
        assert asked.check.ok
    assert near(trace.tensor("encoder.state"), given.last_hidden_state[0])
    assert trace.why("encoder.state", token=1, feature=2).opaque == trace.anatomy.encoder.module
    assert trace.why("encoder.state", token=1, feature=2).check.ok
    assert trace["encoder.blocks.0.resid_post"].dims == ("token", "feature")
    assert list(trace["encoder.blocks.0.resid_post"]["token_text"].values) == trace.source.tokens.strings


def test_what_cross_attention_writes_stands_between_attention_and_the_mlp() -> None:
    trace = run("pegasus")
    total = trace.tensor("blocks.0.resid_pre") + trace.tensor("blocks.0.attn_out")
    assert torch.allclose(trace.tensor("blocks.0.resid_mid"), total)
    total = total + trace.tensor("blocks.0.cross_out")
    assert torch.allclose(trace.tensor("blocks.0.resid_mid_cross"), total, atol=1e-5)
    total = total + trace.tensor("blocks.0.mlp_out")
    assert torch.allclose(trace.tensor("blocks.0.resid_post"), total, atol=1e-4)


def test_t5_s_bias_comes_from_its_table() -> None:
    trace = run("t5")
    found = trace.why("blocks.2.position_bias", head=3, query=5, key=1)
    assert found.terms[0].source is not None
    assert found.terms[0].source.name == "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    assert found.terms[0].source.index["column"] == 3
    weight = tiny_pair_hf("t5").decoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight.detach()
    assert found.value == pytest.approx(float(weight[found.terms[0].source.index["row"], 3]))


def test_a_saved_run_opens_without_the_model(tmp_path: Path) -> None:
    trace = run("t5")
    again = txpanel.open_trace(trace.save(tmp_path / "run.safetensors"))
    assert again.source is not None
    assert trace.source is not None
    assert again.source.text == TEXT
    assert torch.equal(again.source.state, trace.source.state)
    for name in ("pattern", "cross_pattern", "cross_out", "scores_biased"):
        assert torch.allclose(again.tensor(f"blocks.1.{name}"), trace.tensor(f"blocks.1.{name}"), atol=1e-5)
    assert list(again["blocks.1.cross_pattern"]["key_text"].values) == trace.source.tokens.strings


# -- wrong answers ----------------------------------------------------------------------------------------------------


def cross(**change: object) -> Mistake:
    def make(anatomy: Anatomy, parts: ModelParts) -> Anatomy:
        known = anatomy.blocks[1].cross
        assert known is not None
        return block(cross=replace(known, **change))(anatomy, parts)

    return make


MISTAKES: dict[str, tuple[str, Mistake, list[str]]] = {
    "a scale": ("bart", cross(scaling=0.3), ["blocks.1.cross"]),
    "a soft-cap": ("marian", cross(softcap=4.0), ["blocks.1.cross"]),
    "swapped keys and values": ("pegasus", swapped("cross_k", "cross_v"), ["blocks.1.cross"]),
    "the source's keys from the wrong matrix": ("bart", swapped("cross_k", "k"), ["blocks.1.mixer", "blocks.1.cross"]),
    "how far a distance counts": ("t5", block(relative=Relative(8, 60)), ["blocks.1.mixer"]),
    "which way a distance counts": ("t5", block(relative=Relative(8, 20, True)), ["blocks.1.mixer"]),
    "where the norms stand": ("bart", block(norm_place="pre"), ["blocks.1.block"]),
}


@pytest.mark.parametrize("name", first(3, MISTAKES))
def test_a_mistake_closes_its_part_and_no_other(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    family, mistake, parts = MISTAKES[name]
    model = opened(tiny_pair_hf(family), monkeypatch, mistake)
    assert [part.name for part in model.report().opaque] == ["encoder", *parts], str(model.report())
    trace = extend(model.trace(TEXT), WROTE)
    right = run(family)
    assert near(trace.tensor("logits"), right.tensor("logits"))
    for made in trace.names():
        assert trace.why(made, **dict.fromkeys(trace.dims(made), 0)).check.ok, made
    if parts == ["blocks.1.cross"]:
        assert near(trace.tensor("blocks.1.cross_out"), right.tensor("blocks.1.cross_out"))
        assert trace.why("blocks.1.cross_out", token=2, feature=3).opaque


def test_a_source_of_which_tokens_are_hidden_is_not_shown_as_seen() -> None:
    """A cross-attention that hides some of the source has a mask that txpanel does not draw."""
    module = tiny_pair_hf("bart")
    own = module.model.decoder.layers[1].encoder_attn.forward

    def hiding(x: torch.Tensor, **more: object) -> object:
        look = torch.ones(1, 1, x.shape[1], more["key_value_states"].shape[1], dtype=torch.bool)  # type: ignore[attr-defined]
        look[..., 3] = False
        return own(x, **{**more, "attention_mask": look})

    module.model.decoder.layers[1].encoder_attn.forward = hiding
    model = LanguageModel.wrap(module, tiny_tokenizer())
    assert [part.name for part in model.report().opaque] == ["encoder", "blocks.1.cross"]


# -- what a text has that the one it was compared on had not ---------------------------------------------------------------

M2M100 = {**BART, "pad_token_id": 1, "bos_token_id": 0}
"""The usual ids: its positions are counted from behind the padding token's on, and padding tokens do not count."""
PADDED = [40, 1, 0, 9, 5, 1, 1, 7]


def padding(settings: dict[str, Any]) -> Any:
    """An untouched M2M100."""
    torch.manual_seed(0)
    return AutoModelForSeq2SeqLM.from_config(AutoConfig.for_model("m2m_100", **settings)).eval()


@pytest.mark.parametrize("pad", [0, 1, 5])
def test_padding_tokens_in_what_a_decoder_has_written_are_counted_as_it_counts_them(pad: int) -> None:
    settings, wrote = {**M2M100, "pad_token_id": pad}, [pad if token == 1 else token for token in PADDED]
    model, theirs = LanguageModel.wrap(padding(settings), tiny_tokenizer()), padding(settings)
    assert not model.anatomy.opaque
    reading = model.having_read(TEXT)
    for trace in (reading.trace([2, *wrote]), extend(reading.trace([2, *wrote[:-1]]), wrote[-1:])):
        assert trace.source is not None
        with torch.inference_mode():
            given = theirs(
                input_ids=torch.tensor([trace.source.tokens.ids.tolist()]),
                decoder_input_ids=torch.tensor([[2, *wrote]]),
                output_hidden_states=True,
            )
        assert near(trace.tensor("logits"), given.logits[0, -1])
        assert near(trace.tensor("blocks.0.resid_pre"), given.decoder_hidden_states[0][0])
        for token in range(len(trace.tokens)):
            assert trace.why("blocks.0.resid_pre", token=token, feature=2).check.ok, token


def test_a_rule_for_padding_tokens_that_is_not_known_closes_the_embedding() -> None:
    module = padding(M2M100)
    table = module.model.decoder.embed_positions
    plain = type(table).forward

    def other(input_ids: torch.Tensor, *args: Any, **more: Any) -> Any:
        return plain(table, input_ids, *args, **more) + (input_ids == 1)[..., None]

    table.forward = other
    assert "padding" in LanguageModel.wrap(module, tiny_tokenizer()).anatomy.opaque["embed"]


def test_a_cross_attention_of_one_head_is_open() -> None:
    """Its sum over heads has one term: a number near zero is off by the rounding of its row."""
    settings = {"num_heads": 1, "d_kv": 7}
    model = tiny_pair("t5", **settings)
    assert [part.name for part in model.report().opaque] == ["encoder"], str(model.report())


def test_a_block_is_run_again_with_the_masks_of_its_own_run() -> None:
    """T5Gemma hides padding tokens where it has no cache, and shows them where it has one: a text that has grown was run with one."""
    model = LanguageModel.wrap(model_of("t5gemma" + PAIR), tiny_tokenizer())
    trace = extend(model.trace(TEXT), [40, 0, 0, 9, 0])
    for layer in range(trace.anatomy.n_layers):
        assert trace.check(layer).difference < 1e-3 * float(trace.tensor(f"blocks.{layer}.resid_post").abs().max())
