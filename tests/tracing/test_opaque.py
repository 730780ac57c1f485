"""Models that are not transformers throughout: what can be opened is, the rest is run as a whole, and every number is the model's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, LlavaConfig, LlavaForConditionalGeneration

import txpanel
from tests.families import tiny_tokenizer
from txpanel.errors import NoSuchTensor
from txpanel.models.language_model import LanguageModel
from txpanel.tracing.operations.opaque import Opaque
from txpanel.tracing.record import extend
from txpanel.tracing.trace import Trace

TEXT = "hello abc, hello"
SMALL: dict[str, Any] = {
    "vocab_size": 300,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "state_size": 8,
    "initializer_range": 0.5,
}
HYBRID: dict[str, Any] = {
    "vocab_size": 300, "hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 4, "intermediate_size": 48,
    "max_position_embeddings": 128, "initializer_range": 0.5, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "head_dim": 8,
}  # fmt: skip
LINEAR: dict[str, Any] = {
    "layer_types": ["linear_attention", "full_attention"] * 2, "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}  # fmt: skip

CONFIGS: dict[str, dict[str, Any]] = {
    "mamba": SMALL,
    "mamba2": {**SMALL, "num_heads": 8, "head_dim": 8, "n_groups": 1, "chunk_size": 8},
    "rwkv": {"vocab_size": 300, "hidden_size": 32, "num_hidden_layers": 3, "attention_hidden_size": 32, "intermediate_size": 48, "context_length": 128},
    "jamba": {**HYBRID, "attn_layer_period": 2, "attn_layer_offset": 1, "num_experts": 1, "use_mamba_kernels": False, "mamba_d_state": 8},
    "lfm2": {**HYBRID, "layer_types": ["conv", "full_attention"] * 2, "block_auto_adjust_ff_dim": False},
    "olmo_hybrid": {**HYBRID, **LINEAR},
    "nemotron_h": {
        **HYBRID, "layers_block_type": ["mamba", "attention", "mlp", "mamba"], "mamba_num_heads": 8, "mamba_head_dim": 8, "n_groups": 1,
        "ssm_state_size": 8, "chunk_size": 8,
    },
}  # fmt: skip
KINDS = {
    "mamba": ["mamba"] * 3, "mamba2": ["mamba2"] * 3, "rwkv": ["rwkv"] * 3, "jamba": ["mamba", "attention"] * 2,
    "lfm2": ["convolution", "attention"] * 2, "olmo_hybrid": ["linear attention", "attention"] * 2,
    "nemotron_h": ["mamba2", "attention", "mlp", "mamba2"],
}  # fmt: skip


def untouched(family: str) -> Any:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **CONFIGS[family])).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model


@pytest.fixture(scope="module", params=list(CONFIGS))
def traced(request: pytest.FixtureRequest) -> tuple[str, Trace]:
    return request.param, LanguageModel.wrap(untouched(request.param), tiny_tokenizer()).trace(TEXT)


def model_of(trace: Trace) -> LanguageModel:
    assert trace.model is not None
    return trace.model


def test_each_block_is_of_its_kind(traced: tuple[str, Trace]) -> None:
    family, trace = traced
    assert [block.kind for block in trace.anatomy.blocks] == KINDS[family]
    for block in trace.anatomy.blocks:
        assert block.has_attention is (block.kind == "attention"), block.opaque
        if (family, block.index) == ("rwkv", 0):  # it norms the stream itself before it adds to it
            assert block.opaque.keys() == {"block"}
        elif family == "rwkv":
            assert block.opaque.keys() == {"mixer", "mlp"}
        else:
            assert block.opaque.keys() == ({"mixer"} if block.kind not in ("attention", "mlp") else set())


def test_logits_and_streams_are_the_untouched_models(traced: tuple[str, Trace]) -> None:
    family, trace = traced
    ids = torch.tensor([trace.tokens.ids.tolist()])
    model, streams = untouched(family), []
    blocks = next(m for m in model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == trace.anatomy.n_layers)
    for block in blocks:
        block.register_forward_pre_hook(lambda _m, args: streams.append(args[0][0]))
    with torch.inference_mode():
        logits = model(input_ids=ids).logits[0]
    assert torch.allclose(trace.tensor("logits"), logits[-1], atol=1e-5)
    assert torch.allclose(torch.from_numpy(trace.logits_at(3).values), logits[3], atol=1e-5)
    for layer, stream in enumerate(streams):
        assert torch.allclose(trace.tensor(f"blocks.{layer}.resid_pre"), stream, atol=1e-5)
        assert trace.check(layer).exact


def test_every_number_is_explained_or_says_which_module_made_it(traced: tuple[str, Trace]) -> None:
    _family, trace = traced
    modules = dict(model_of(trace).model.named_modules())
    for name in trace.names():
        value = trace.tensor(name)
        cell = {dim: size - 1 for dim, size in zip(trace.dims(name), value.shape, strict=True)}
        found = trace.why(name, **cell)
        assert found.check.ok, (name, found.check)
        assert (found.opaque is not None) is (found.operation == "opaque")
        if found.opaque is not None:
            assert found.opaque in modules
            assert not found.terms
            assert trace.operation(name).recompute({i: trace.tensor(i) for i in found.inputs}).shape == value.shape  # type: ignore[union-attr]
        else:
            assert found.terms


def test_what_is_written_adds_up_to_the_stream(traced: tuple[str, Trace]) -> None:
    _family, trace = traced
    for block in trace.anatomy.blocks:
        pre = f"blocks.{block.index}."
        written = [name for name in ("mixer_out", "attn_out", "mlp_out", "block_out") if pre + name in trace]
        total = trace.tensor(pre + "resid_pre") + sum(trace.tensor(pre + name) for name in written)
        assert torch.allclose(total, trace.tensor(pre + "resid_post"), atol=1e-4)
        if "mixer" in block.opaque:
            assert trace.dims(pre + "mixer_in") == ("token", "feature")
            assert trace.operation(pre + "mixer_out").kind == "opaque"  # type: ignore[union-attr]


def test_a_block_without_attention_says_why_it_has_no_heads(traced: tuple[str, Trace]) -> None:
    _family, trace = traced
    for block in trace.anatomy.blocks:
        if not block.has_attention:
            with pytest.raises(NoSuchTensor, match="attention"):
                trace.head_map(block.index, 0)
            assert f"blocks.{block.index}.pattern" not in trace


def test_growing_reads_the_text_anew_where_a_state_cannot_be_cut(traced: tuple[str, Trace]) -> None:
    family, trace = traced
    longer = extend(trace, [77])
    assert longer.recording.reused == 0
    with torch.inference_mode():
        expected = untouched(family)(input_ids=torch.tensor([longer.tokens.ids.tolist()])).logits[0, -1]
    assert torch.allclose(longer.tensor("logits"), expected, atol=1e-5)


def test_a_saved_trace_opens_with_the_same_anatomy_and_tensors(traced: tuple[str, Trace], tmp_path: Path) -> None:
    _family, trace = traced
    opened = txpanel.open_trace(trace.save(tmp_path / "run.safetensors"))
    assert opened.anatomy == trace.anatomy
    for name in trace.names():
        assert torch.allclose(opened.tensor(name), trace.tensor(name), atol=1e-5, equal_nan=True), name
    made = next(name for name in trace.names() if trace.operation(name).kind == "opaque")  # type: ignore[union-attr]
    found = opened.why(made, token=0, feature=0)
    assert found.opaque is not None
    assert "without the model" in found.note
    assert not found.check.ok


def test_the_report_says_what_is_open(traced: tuple[str, Trace]) -> None:
    _family, trace = traced
    report = model_of(trace).report()
    assert (report[0].name, report[-1].name) == ("embed", "output")
    assert {part.state for part in report} == {"open", "opaque"}
    assert all(part.reason for part in report.opaque)
    assert all(part.difference is not None and part.difference < 1e-5 for part in report if part.state == "open")
    assert "opaque" in str(report)


def test_a_model_that_changes_the_stream_between_its_blocks() -> None:
    """RWKV halves it now and then: what the next block is given is then made by more than the block's module, and is shown as that."""
    config = AutoConfig.for_model("rwkv", **{**CONFIGS["rwkv"], "num_hidden_layers": 5, "rescale_every": 2})
    torch.manual_seed(0)
    trace = LanguageModel.wrap(AutoModelForCausalLM.from_config(config).eval(), tiny_tokenizer()).trace(TEXT)
    assert [block.opaque.keys() & {"block"} for block in trace.anatomy.blocks][1:4] == [{"block"}, set(), {"block"}]
    for layer in range(5):
        assert trace.check(layer).exact
    given = trace.tensor("blocks.1.resid_post")
    with torch.inference_mode():
        alone = model_of(trace).parts.blocks[1].block(trace.tensor("blocks.1.resid_pre")[None])[0][0]
    assert torch.allclose(given, alone / 2, atol=1e-6)
    assert trace.why("blocks.1.resid_post", token=3, feature=5).check.ok


def test_a_tower_that_is_deeper_does_not_win() -> None:
    """The language model is where the token table is, however many blocks the part that looks at images has."""
    vision = {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 7,
        "num_attention_heads": 2,
        "image_size": 16,
        "patch_size": 8,
    }
    text = {**HYBRID, "num_hidden_layers": 2, "model_type": "llama"}
    config = LlavaConfig(
        vision_config={**vision, "model_type": "clip_vision_model"}, text_config=text, image_token_index=299
    )
    torch.manual_seed(0)
    module = LlavaForConditionalGeneration(config).eval()
    model = LanguageModel.wrap(module, tiny_tokenizer())
    assert model.anatomy.n_layers == 2
    assert not model.report().opaque
    trace = model.trace(TEXT)
    with torch.inference_mode():
        expected = module(input_ids=torch.tensor([trace.tokens.ids.tolist()])).logits[0, -1]
    assert torch.allclose(trace.tensor("logits"), expected, atol=1e-5)


def test_nothing_that_waits_for_a_turn_holds_the_lock_of_its_run(
    monkeypatch: pytest.MonkeyPatch, tiny: Callable[[str], LanguageModel]
) -> None:
    """Somebody who has the turn may want another number of the same run: they would wait for each other."""
    trace, held = tiny("llama").trace(TEXT), list[bool]()

    def call(stream: torch.Tensor) -> torch.Tensor:
        held.append(trace._lock.locked())
        return stream

    step = Opaque("blocks.1.attn_normed", ("blocks.1.resid_pre",), ("token", "feature"), "", call=call)
    monkeypatch.setattr(trace, "operation", lambda _name: step)
    assert torch.equal(trace._derived(step.output), trace.tensor("blocks.1.resid_pre"))
    assert held == [False]
