"""Looking at a model leaves it as it was, and what is shown is what it computes in use: without dropout, without autocast."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from tests.families import tiny_hf, tiny_tokenizer
from txpanel.errors import TxpanelError
from txpanel.models.as_in_use import as_in_use
from txpanel.models.language_model import LanguageModel
from txpanel.tracing.record import record
from txpanel.tracing.trace import Trace

TEXT = "hello abc and more"
LONGROPE = {
    "rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0, 1.1, 1.2, 1.3], "long_factor": [2.0, 3.0, 4.0, 5.0],
    "original_max_position_embeddings": 16,
}  # fmt: skip


def in_training(family: str) -> Any:
    """A model in the middle of training: dropout, some weights frozen, one part left in eval mode, a module's own forward replaced."""
    model = tiny_hf(family)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.5
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.5
    model.train()
    first = next(module for module in model.modules() if isinstance(module, nn.ModuleList))
    first[1].eval()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("1." in name)
    return model


def state(model: Any) -> dict[str, Any]:
    """What looking must not change."""
    found: dict[str, Any] = {"config": copy.deepcopy(model.config.to_dict()), "random": torch.get_rng_state().tolist()}
    for name, module in model.named_modules():
        kept = {key: value for key, value in vars(module).items() if isinstance(value, (bool, int, float, str, dict))}
        found[name] = {key: list(value) if isinstance(value, dict) else value for key, value in kept.items()}
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        found["of " + name] = (id(tensor), tensor.requires_grad, tensor.is_inference(), tensor.tolist())
    found["implementation"] = model.config._attn_implementation
    return found


def look(model: LanguageModel) -> Trace:
    trace = model.trace(TEXT)
    for name in trace.names():
        trace.tensor(name)
    trace.check(1)
    trace.surprisal()
    trace.lens(1)
    trace.why("blocks.1.mlp_out", token=2, feature=3)
    model.trace(TEXT + " x").tensor("blocks.1.q")
    return trace


@pytest.mark.parametrize("family", ["gpt2", "llama", "gpt_oss", "falcon", "mpt", "gpt_neo"])
def test_a_model_in_training_is_as_it_was(family: str) -> None:
    hf = in_training(family)
    before = state(hf)
    trace = look(LanguageModel.wrap(hf, tiny_tokenizer()))
    assert state(hf) == before
    with torch.no_grad():
        expected = hf.eval()(torch.tensor([trace.tokens.ids.tolist()])).logits[0, -1]
    torch.testing.assert_close(trace.tensor("logits"), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("at", [0, 2])
def test_also_after_an_exception(at: int) -> None:
    hf = in_training("llama")
    model = LanguageModel.wrap(hf, tiny_tokenizer())
    trace = model.trace(TEXT)
    handle = hf.model.layers[at].register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("cut")))
    before = state(hf)
    for step in (
        lambda: model.trace("another text"),
        lambda: record(model, TEXT),
        lambda: trace.tensor(f"blocks.{at}.q"),
    ):
        with pytest.raises((RuntimeError, TxpanelError)):
            step()
        assert state(hf) == before
    handle.remove()
    torch.testing.assert_close(model.trace(TEXT).tensor("logits"), trace.tensor("logits"), rtol=1e-4, atol=1e-4)


def test_a_replaced_forward_is_put_back() -> None:
    """Where a block's call arguments are collected, its forward is replaced for that pass; somebody else's stays."""
    hf = tiny_hf("llama")
    own: Callable[..., Any] = hf.model.layers[1].forward
    hf.model.layers[1].forward = lambda *args, **kwargs: own(*args, **kwargs)
    replaced = hf.model.layers[1].__dict__["forward"]
    model = LanguageModel.wrap(hf, tiny_tokenizer())
    model.trace(TEXT)
    model.trace(TEXT + "abc").tensor("blocks.1.q")
    assert hf.model.layers[1].__dict__["forward"] is replaced
    assert "forward" not in hf.model.layers[0].__dict__


def test_a_trace_from_training_holds_no_graph() -> None:
    hf = in_training("llama").requires_grad_(True)
    with torch.enable_grad():
        trace = look(LanguageModel.wrap(hf, tiny_tokenizer()))
    held = [*trace.recording.streams, trace.recording.logits, *(trace.tensor(name) for name in trace.names())]
    assert not any(tensor.requires_grad or tensor.grad_fn is not None for tensor in held)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in hf.parameters())


def test_an_outer_autocast_changes_no_number() -> None:
    hf = tiny_hf("llama")
    plain = LanguageModel.wrap(hf, tiny_tokenizer()).trace(TEXT)
    with torch.autocast("cpu", torch.bfloat16):
        trace = LanguageModel.wrap(hf, tiny_tokenizer()).trace(TEXT)
        assert torch.is_autocast_enabled("cpu")
    assert torch.equal(trace.tensor("logits"), plain.tensor("logits"))
    assert trace.check(1).exact


@pytest.mark.parametrize("rope", [LONGROPE, {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}])
def test_the_memory_of_rotary_embeddings_is_put_back(rope: dict[str, Any]) -> None:
    """Both kinds keep in their module what the longest text needed; a later text of the owner must not meet it."""
    hf = tiny_hf("llama", rope_parameters=rope, max_position_embeddings=16 if rope["rope_type"] == "dynamic" else 128)
    rotary = hf.model.rotary_emb
    before, buffers = dict(rotary.__dict__), {name: b.clone() for name, b in rotary.named_buffers()}
    with as_in_use(hf), torch.inference_mode():
        hf(torch.arange(3, 35)[None])
        assert not torch.equal(rotary.inv_freq, buffers["inv_freq"])
    assert rotary.__dict__.keys() == before.keys()
    assert all(rotary.__dict__[key] is value for key, value in before.items())
    assert all(torch.equal(rotary.get_buffer(name), b) for name, b in buffers.items())
    hf.train()(torch.arange(3, 35)[None]).logits.sum().backward()  # no tensor of inference mode was left in it


def test_overlapping_passes_restore_the_mode_once() -> None:
    """One thread's pass lets in another's, which may end after it."""
    hf = in_training("llama")
    modes = [module.training for module in hf.modules()]
    inside, go = threading.Event(), threading.Event()

    def other() -> None:
        with as_in_use(hf):
            inside.set()
            go.wait(10)
            assert not any(module.training for module in hf.modules())

    thread = threading.Thread(target=other)
    with as_in_use(hf):
        thread.start()
        inside.wait(10)
    assert not any(module.training for module in hf.modules())
    go.set()
    thread.join()
    assert [module.training for module in hf.modules()] == modes
