"""A model that changes between two runs: every kind of change is noticed, so that nothing of the old one is shown as if it were of the new one."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import txpanel
from tests.families import tiny_hf, tiny_tokenizer
from tests.sweep.configs import model_of
from tests.sweeping import first
from txpanel.errors import Stale, TooLong
from txpanel.models import changed
from txpanel.models.language_model import LanguageModel
from txpanel.session.shared import shared_trace
from txpanel.tracing.compare import gap
from txpanel.tracing.operations.opaque import Opaque
from txpanel.tracing.record import prefixes, record
from txpanel.tracing.trace import Trace

TEXT = "hello abc, and some more"
CONSTANT = {
    "rope_type": "longrope",
    "rope_theta": 1e4,
    "short_factor": [1.0] * 4,
    "long_factor": [3.0] * 4,
    "original_max_position_embeddings": 12,
}


def opened(family: str = "llama", **settings: Any) -> LanguageModel:
    return LanguageModel.wrap(tiny_hf(family, **settings), tiny_tokenizer())


def untouched(model: LanguageModel, trace: Trace) -> torch.Tensor:
    """The last logits as the module gives them itself, from the first token on."""
    with torch.no_grad():
        return model.model(torch.tensor([trace.tokens.ids.tolist()])).logits[0, -1].float()


def off(model: LanguageModel, trace: Trace) -> float:
    want = untouched(model, trace)
    return float((trace.tensor("logits") - want).abs().max() / want.abs().max())


def block(model: LanguageModel, at: int = 0) -> Any:
    return model.parts.blocks[at].block


def hooked(model: LanguageModel) -> None:
    block(model).register_forward_hook(
        lambda _m, _a, out: out + 1.0 if torch.is_tensor(out) else (out[0] + 1.0, *out[1:])
    )


def loaded(model: LanguageModel) -> None:
    model.model.load_state_dict(tiny_hf("llama", seed=5).state_dict())


def assigned(model: LanguageModel) -> None:
    model.model.load_state_dict(tiny_hf("llama", seed=5).state_dict(), assign=True)


def optimized(model: LanguageModel) -> None:
    for parameter in model.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    torch.optim.AdamW(model.model.parameters(), lr=0.01, fused=True).step()
    model.model.zero_grad()


def by_numpy(model: LanguageModel) -> None:
    block(model, 1).mlp.down_proj.weight.detach().numpy()[3, 5] += 40.0


def by_data(model: LanguageModel) -> None:
    block(model, 1).self_attn.k_proj.weight.data[3] = 1.0


def of_one_token(model: LanguageModel) -> None:
    """The row of "h", which is the first token and not the last."""
    model.model.model.embed_tokens.weight.data[model.encode("h")[0], 2] += 9.0


def replaced_module(model: LanguageModel) -> None:
    block(model).mlp = copy.deepcopy(block(model, 1).mlp)


def replaced_forward(model: LanguageModel) -> None:
    mlp = block(model).mlp
    mlp.forward = lambda x: 2.0 * type(mlp).forward(mlp, x)


def other_activation(model: LanguageModel) -> None:
    block(model).mlp.act_fn = nn.Tanh()


def other_setting(model: LanguageModel) -> None:
    block(model).self_attn.scaling = 0.7


def other_norm(model: LanguageModel) -> None:
    block(model).input_layernorm.variance_epsilon = 3.0


def parametrized(model: LanguageModel) -> None:
    class Double(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * x

    nn.utils.parametrize.register_parametrization(block(model).mlp.up_proj, "weight", Double())


KINDS: list[Callable[[LanguageModel], None]] = [
    hooked, loaded, assigned, optimized, by_numpy, by_data, of_one_token, replaced_module, replaced_forward, other_activation,
    other_setting, other_norm, parametrized,
]  # fmt: skip


@pytest.mark.parametrize("change", KINDS)
def test_no_number_of_the_model_before_is_shown(change: Callable[[LanguageModel], None]) -> None:
    model = opened()
    before = model.trace(TEXT)
    kept = before.tensor("blocks.0.q").clone()
    assert before.stale is None
    assert before.check(0).exact
    change(model)
    assert before.stale is not None
    assert "changed since" in before.stale
    assert "changed since" in before.check(2).note
    assert torch.equal(before.tensor("blocks.0.q"), kept)  # what belongs to the run stays
    with pytest.raises(Stale, match="changed since"):
        before.tensor("blocks.2.q")  # what would be of the new weights does not come
    with pytest.raises(Stale):
        before.lens(1)
    after = record(model, TEXT + "!")
    assert off(model, after) < 1e-4
    assert after.stale is None
    assert shared_trace(model, TEXT) is not before


@pytest.mark.parametrize("change", KINDS)
def test_what_changes_before_the_first_run_is_noticed_too(change: Callable[[LanguageModel], None]) -> None:
    """A model was read and verified when it was opened, which may be long before anything is run."""
    model = opened()
    change(model)
    trace = model.trace(TEXT)
    assert off(model, trace) < 1e-4
    for name in trace.names(0):
        operation = trace.operation(name)
        assert operation is not None
        inputs = {source: trace.tensor(source) for source in operation.inputs}
        with torch.no_grad():
            again = operation.recompute(inputs)
        assert gap(
            None if isinstance(operation, Opaque) else operation, inputs, again, trace.tensor(name), torch.float32
        ).ok, name


def test_why_with_the_weights_of_now_says_so() -> None:
    model = opened()
    trace = model.trace(TEXT)
    trace.tensor("blocks.1.mlp_out")
    assert trace.why("blocks.1.mlp_out", token=2, feature=3).check.ok
    block(model, 1).mlp.down_proj.weight.data.mul_(2)
    found = trace.why("blocks.1.mlp_out", token=2, feature=3)
    assert not found.check.ok
    assert "changed since" in found.note


def test_a_change_that_is_undone_is_none() -> None:
    model = opened()
    trace = model.trace(TEXT)
    weight = block(model).mlp.down_proj.weight
    kept = weight.detach().clone()
    handle = block(model).register_forward_hook(lambda _m, _a, out: out)
    weight.data.zero_()
    assert trace.stale is not None
    handle.remove()
    weight.data.copy_(kept)
    assert trace.stale is None
    assert trace.check(1).exact
    with torch.no_grad():
        weight.copy_(kept)  # written to, and the same
    assert trace.stale is None
    model.model.config.use_cache = not model.model.config.use_cache  # no number depends on it
    model.model.train().requires_grad_(False)
    assert trace.stale is None


def test_a_change_of_type_or_attention_implementation_is_noticed() -> None:
    model = opened()
    trace = model.trace(TEXT)
    model.model.set_attn_implementation("eager")
    assert trace.stale is not None
    model.model.set_attn_implementation("sdpa")
    assert trace.stale is None
    model.model.to(torch.bfloat16)
    assert "changed since" in trace.check(0).note
    after = record(model, TEXT + "!")
    assert after.provenance["dtype"] == "bfloat16"
    assert after.recording.reused == 0
    assert off(model, after) < 0.02


def test_a_replaced_function_that_the_model_calls_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.models.llama import modeling_llama

    model = opened()
    trace = model.trace(TEXT)
    own = modeling_llama.apply_rotary_pos_emb
    monkeypatch.setattr(
        modeling_llama, "apply_rotary_pos_emb", lambda q, k, cos, sin, **more: own(q, k, cos, -sin, **more)
    )
    assert trace.stale is not None
    assert off(model, record(model, TEXT + "!")) < 1e-4


def test_hooks_forbid_reuse_and_ours_do_not() -> None:
    model = opened()
    model.trace(TEXT)
    handle = block(model).mlp.register_forward_pre_hook(lambda *_: None)
    assert record(model, TEXT + "!").recording.reused == 0
    assert record(model, TEXT + "!?").recording.reused == 0
    handle.remove()
    assert record(model, TEXT + "!?!").recording.reused > 0
    with torch.no_grad():
        model.model(torch.tensor([[3, 4]]), output_hidden_states=True)  # transformers leaves hooks of its own behind
    assert record(model, TEXT + "!?!!").recording.reused > 0


@pytest.mark.parametrize("family", first(2, ["llama", "gpt2", "gpt_oss", "opt"]))
def test_random_edits_of_single_numbers_are_noticed_or_harmless(family: str) -> None:
    """Through ``.data`` and NumPy, which torch does not count; of weights, biases, norms, tables, routers and experts."""
    model = opened(family)
    rng = random.Random(0)
    named = [(n, p) for n, p in model.model.named_parameters()]
    text = TEXT
    for _ in range(8):
        name, parameter = rng.choice(named)
        record(model, text)
        at = tuple(rng.randrange(size) for size in parameter.shape)
        if rng.random() < 0.5:
            parameter.data[at] += rng.choice([0.01, 1.0, 30.0])
        else:
            parameter.detach().numpy()[at] *= rng.choice([0.0, -1.0, 1.1])
        text += rng.choice("abc, ")
        assert off(model, record(model, text)) < 1e-4, (name, at)


@pytest.mark.sweep
def test_a_large_model_by_its_samples_and_its_last_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not all bits are read each time: changes of whole tensors by samples; a single number when a prefix is continued."""
    monkeypatch.setattr(changed, "SMALL", 0)
    monkeypatch.setattr(changed, "SHARE", 0.0)
    for name, parameter in opened("gpt2").model.named_parameters():
        if parameter.dim() < 2 or "wte" in name:
            continue
        model = opened("gpt2")
        first = model.trace(TEXT)
        model.model.get_parameter(name).data.add_(0.01)
        assert first.stale is not None, name
    model = opened()
    model.trace(TEXT)
    monkeypatch.setattr(model.watch._samples, "same", lambda: True)
    by_numpy(model)
    assert model.watch.look().key == model.watch.look().key
    trace = record(model, TEXT + "!")
    assert trace.recording.reused == 0
    assert off(model, trace) < 1e-4
    of_one_token(model)
    monkeypatch.setattr(model.watch._samples, "same", lambda: True)
    assert off(model, record(model, TEXT + "!?")) < 1e-4


def test_what_a_model_does_in_its_passes_is_no_change() -> None:
    """XGLM's table of positions grows with the text; LongRoPE's angles follow it."""
    model = opened("phi3", rope_parameters=CONSTANT, original_max_position_embeddings=12, num_key_value_heads=4)
    short = model.trace("hello abc")
    model.trace(TEXT)
    assert short.stale is None
    assert short.check(1).exact


@pytest.mark.parametrize("rope", [CONSTANT, {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0}])
def test_angles_that_follow_the_text_are_never_those_of_a_shorter_one(rope: dict[str, Any]) -> None:
    dynamic = rope["rope_type"] == "dynamic"
    model = opened("llama", rope_parameters=rope, max_position_embeddings=12 if dynamic else 128)
    if dynamic:  # what the config says is where they begin to stretch; the model reads on
        assert model.max_tokens == 48
        with pytest.raises(TooLong):
            record(model, [5] * 49)
    for n in (8, 11, 12, 13, 14, 20, 10, 12, 24):
        trace = record(model, TEXT[:n])
        fresh = opened("llama", rope_parameters=rope, max_position_embeddings=12 if dynamic else 128)
        assert off(fresh, trace) < 1e-4, n
        if n > 12 and dynamic:
            assert trace.recording.reused == 0
        assert trace.check(1).exact or trace.recording.reused


def test_a_text_is_written_past_the_length_from_which_angles_are_stretched() -> None:
    settings = {
        "rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0},
        "max_position_embeddings": 12,
    }
    module = tiny_hf("llama", **settings)
    ids = [int(i) for i in tiny_tokenizer()("hello abc!")["input_ids"]]
    own = list(ids)
    with (
        torch.inference_mode()
    ):  # not `generate`: in transformers it goes on with keys that were turned by the shorter text's angles
        for _ in range(8):
            own.append(int(module(input_ids=torch.tensor([own]), use_cache=False).logits[0, -1].argmax()))
    steps = list(txpanel.generate(opened("llama", **settings), ids, max_new_tokens=8, temperature=0.0))
    assert [step.token for step in steps] == own[len(ids) :][: len(steps)]
    assert len(ids) < 12 < len(ids) + len(steps)


def test_a_config_that_says_dynamic_of_a_model_that_does_not_stretch_gives_no_more_room() -> None:
    settings = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}, "max_position_embeddings": 40}
    module = tiny_hf("llama", **settings)
    module.config.rope_parameters = {
        "rope_type": "dynamic",
        "rope_theta": 1e4,
        "factor": 4.0,
    }  # its angles are made already
    assert LanguageModel.wrap(module, tiny_tokenizer()).max_tokens == 40


def test_a_token_that_comes_out_otherwise_is_found_without_any_look(monkeypatch: pytest.MonkeyPatch) -> None:
    model = opened()
    model.trace(TEXT)
    key = next(iter(prefixes(model)._store.values())).key
    with torch.inference_mode():
        for layer in prefixes(model)._store.values()[0].cache.layers:
            layer.values[0, 0, -1, 0] += 1.0  # what is kept is not what this model computes
    monkeypatch.setattr(model.watch, "rows_same", lambda _ids: True)
    trace = record(model, TEXT + "!")
    assert trace.recording.reused == 0
    assert trace.recording.state is not None
    assert trace.recording.state.key == key
    assert off(model, trace) < 1e-4


def test_digests_see_numbers_that_change_places() -> None:
    from txpanel.models.fingerprint import WIDTH, digest

    x = torch.from_numpy(np.random.default_rng(0).normal(size=(700, 2 * WIDTH)).astype(np.float32))
    for a, b in ((0, 1), (0, 509), (3, 260)):
        y = x.clone()
        y[[a, b]] = x[[b, a]]
        assert digest(y) != digest(x)
        y = x.clone()
        y[:, [a, b]] = x[:, [b, a]]
        assert digest(y) != digest(x)
    for kind in (torch.bfloat16, torch.float16, torch.int8, torch.float64):
        z = (x[:9, :7] * 9).to(kind)
        w = z.clone()
        w[4, 4] += 1
        assert digest(z) != digest(w)
        assert digest(z) == digest(z.clone())
    assert digest(torch.tensor(1.0)) != digest(torch.tensor(2.0))


def test_a_model_that_writes_into_several_of_its_modules_is_the_same_after_its_first_run() -> None:
    """RecurrentGemma keeps its states in its modules: two attributes of every recurrent layer are others after each pass."""
    model = LanguageModel.wrap(model_of("recurrent_gemma"), tiny_tokenizer())
    trace = model.trace("hello abc")
    assert trace.stale is None
    assert trace.why("blocks.1.mlp_out", token=2, feature=3).check.ok
    with torch.no_grad():
        model.model.model.layers[1].mlp_block.down_proj.weight[0, 0] += 1
    assert trace.stale is not None
