"""Code that does something else for another text than that of the comparison: nothing false is shown of it."""

from __future__ import annotations

import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import nn
from transformers.models.llama.modeling_llama import LlamaForCausalLM, LlamaModel

import txpanel
from txpanel import LanguageModel
from txpanel.errors import NoSuchTensor, Unsupported
from txpanel.tracing import adds_up
from txpanel.tracing.probe import TOKENS

SHORT, LONG = [i % 97 for i in range(12)], [i % 97 for i in range(80)]
Patch = Callable[[Any], None]


def llama() -> Any:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = transformers.LlamaConfig(**sizes, num_key_value_heads=2, vocab_size=100, initializer_range=0.5)
    return transformers.LlamaForCausalLM(config).eval()


def longer(output: Any) -> Any:
    """What the code in question does: half as much again, of texts that are longer than the one of the comparison."""
    stream = output[0] if isinstance(output, tuple) else output
    if stream.shape[1] <= TOKENS + 17:
        return output
    return (stream * 1.5, *output[1:]) if isinstance(output, tuple) else stream * 1.5


def replaced(module: nn.Module) -> None:
    """Its forward is replaced in the object."""
    own = type(module).forward
    module.forward = types.MethodType(lambda self, *args, **named: longer(own(self, *args, **named)), module)


def hooked(module: nn.Module) -> None:
    module.register_forward_hook(lambda _module, _args, output: longer(output))


@pytest.mark.parametrize("patch", [replaced, hooked])
@pytest.mark.parametrize(
    "part", ["mlp", "self_attn", "mlp.down_proj", "self_attn.o_proj", "post_attention_layernorm", ""]
)
def test_a_part_that_scales_long_texts_is_closed_for_them(patch: Patch, part: str) -> None:
    module = llama()
    patch(module.model.layers[1].get_submodule(part))
    model = LanguageModel.wrap(module)
    short = model.trace(SHORT)
    assert short.why("blocks.1.mlp_out", token=3, feature=5).check.ok
    assert not any(part.state == "opaque" for part in model.report())

    trace = model.trace(LONG)
    assert trace.anatomy.blocks[1].opaque
    assert not trace.anatomy.blocks[0].opaque
    real = module(torch.tensor([LONG]), output_hidden_states=True)
    for name in trace.names(0) + trace.names(1):
        places = {"token": 70, "query": 70, "feature": 5}
        cell = {dim: places.get(dim, 1) for dim in trace.dims(name)}
        assert trace.why(name, **cell).check.ok, name
    with torch.inference_mode():
        stream = module.model.layers[1](real.hidden_states[1], position_embeddings=angles(module))
    stream = stream[0] if isinstance(stream, tuple) else stream
    assert torch.allclose(trace.tensor("blocks.1.resid_post"), stream.reshape(len(LONG), -1), atol=1e-3, rtol=1e-4)


def angles(module: Any) -> Any:
    places = torch.arange(len(LONG))[None]
    return module.model.rotary_emb(torch.zeros(1, len(LONG), 32), places)


def test_changed_code_of_a_class_is_noticed_when_a_block_is_asked_for() -> None:
    """Nothing tells that it was replaced before the model was opened."""
    module = llama()
    kind = type(module.model.layers[1].mlp)
    own = kind.forward
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "forward", lambda self, x: longer(own(self, x)))
        trace = LanguageModel.wrap(module).trace(LONG)
        with pytest.raises(NoSuchTensor, match=r"blocks\.1 is not fully opened"):
            trace.tensor("blocks.1.mlp_post")
        cell = {"token": 70, "feature": 5}
        assert trace.why("blocks.1.resid_post", **cell).check.ok
        assert trace.why("blocks.1.resid_post", **cell).opaque == "model.layers.1"


@pytest.mark.parametrize("end", ["embed", "output"])
def test_ends_that_scale_long_texts_are_closed_for_them(end: str) -> None:
    module = llama()
    hooked(module.model.embed_tokens if end == "embed" else module.model.norm)
    model = LanguageModel.wrap(module)
    assert model.trace(SHORT).anatomy.opaque == {}
    trace = model.trace(LONG)
    assert set(trace.anatomy.opaque) == {end}
    logits = module(torch.tensor([LONG])).logits[0, -1]
    assert torch.allclose(trace.tensor("logits"), logits, rtol=1e-4, atol=1e-3)
    if end == "embed":
        assert trace.why("blocks.0.resid_pre", token=70, feature=5).check.ok
    else:
        assert "ln_final" not in trace


def test_a_model_that_nobody_touched_is_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adds_up, "settle", None)
    trace = LanguageModel.wrap(llama()).trace(LONG)
    assert trace.tensor("blocks.1.mlp_post").shape == (80, 48)


class ScalesOneToken(LlamaModel):
    def forward(self, input_ids: Any = None, inputs_embeds: Any = None, **more: Any) -> Any:
        rows = self.embed_tokens(input_ids) * (1 + 2 * (input_ids == 77))[..., None]
        return super().forward(inputs_embeds=rows, **more)


class ScalesLongTexts(LlamaModel):
    def forward(self, *args: Any, **named: Any) -> Any:
        found = super().forward(*args, **named)
        found.last_hidden_state = longer(found.last_hidden_state)
        return found


class LiftsAfterOneToken(LlamaForCausalLM):
    def forward(self, input_ids: Any = None, **more: Any) -> Any:
        found = super().forward(input_ids=input_ids, **more)
        found.logits = found.logits + torch.arange(100) * (input_ids[0, -1] == 77)
        return found


def test_an_embedding_of_its_own_for_one_token_is_noticed_when_asked_for() -> None:
    """Nobody's hook tells of it: it is the code of a class."""
    module = llama()
    module.model.__class__ = ScalesOneToken
    model = LanguageModel.wrap(module)
    assert model.trace([5, 6, 7, 8]).why("blocks.0.resid_pre", token=3, feature=5).opaque is None
    trace = model.trace([5, 6, 77, 8])
    found = trace.why("blocks.0.resid_pre", token=2, feature=5)
    assert found.check.ok
    assert set(trace.anatomy.opaque) == {"embed"}
    assert trace.why("embed", token=2, feature=5).check.ok


@pytest.mark.parametrize("kind", [ScalesLongTexts, LiftsAfterOneToken])
def test_logits_computed_in_another_way_are_noticed_when_asked_for(kind: Any, tmp_path: Path) -> None:
    """Its logits are the run's. Of a vector alone the code makes others, so none are shown of other vectors."""
    module = llama()
    owner = module.model if kind is ScalesLongTexts else module
    owner.__class__ = kind
    model = LanguageModel.wrap(module)
    assert model.trace(SHORT).why("logits", vocab=7).opaque is None
    trace = model.trace([*LONG[:79], 77])
    found = trace.why("logits", vocab=7)
    assert found.check.ok
    assert found.opaque is not None
    assert set(trace.anatomy.opaque) == {"output"}
    assert trace.why("probs", vocab=7).check.ok
    for ask in (trace.surprisal, lambda: trace.logits_at(3), lambda: trace.lens(1)):
        with pytest.raises(Unsupported, match="only the logits of its answer"):
            ask()
    again = txpanel.open_trace(trace.save(tmp_path / "run.safetensors"))
    assert torch.equal(again.tensor("logits"), trace.tensor("logits"))


@pytest.mark.parametrize(("part", "closed"), [("self_attn", "mixer"), ("mlp", "mlp"), ("", "block")])
def test_what_a_hook_changes_before_a_part_is_no_input_of_it(part: str, closed: str) -> None:
    """What a part is given is what the step before has made; the hook's doing belongs to the part."""

    def halve(_module: Any, args: Any, named: Any) -> Any:
        if args:
            return (args[0] / 2, *args[1:]), named
        return args, {**named, "hidden_states": named["hidden_states"] / 2}

    module = llama()
    module.model.layers[1].get_submodule(part).register_forward_pre_hook(halve, with_kwargs=True)
    trace = LanguageModel.wrap(module).trace(SHORT)
    assert (trace.anatomy.blocks[0].opaque, set(trace.anatomy.blocks[1].opaque)) == ({}, {closed})
    for name in trace.names(1):
        cell = {dim: {"token": 3, "feature": 5}.get(dim, 1) for dim in trace.dims(name)}
        assert trace.why(name, **cell).check.ok, name
    assert trace.check(1).exact


def test_a_model_with_nan_is_open_all_the_same() -> None:
    """Where the first NaN of a spoiled model comes from is what one wants to see."""
    module = llama()
    module.model.layers[1].mlp.down_proj.weight.data[3, 4] = float("nan")
    model = LanguageModel.wrap(module)
    assert not any(part.state == "opaque" for part in model.report())
    trace = model.trace(SHORT)
    assert trace.check(1).exact
    assert trace.why("blocks.1.mlp_out", token=3, feature=3).check.ok
    assert bool(trace.tensor("blocks.1.mlp_out").isnan()[:, 3].all())
    assert not bool(trace.tensor("blocks.1.mlp_post").isnan().any())
