"""An image or a sound in the text: every number is that of the model's own run, and what it was made from is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model

import txpanel
from tests.families import tiny_tokenizer
from tests.of_peft import PEFT_WARNS
from tests.seeing import IMAGE, SEEING, seeing
from txpanel.errors import BadText, Unsupported
from txpanel.models.language_model import LanguageModel
from txpanel.tracing import narrowed
from txpanel.tracing.trace import Trace

Made = tuple[Any, dict[str, Any], LanguageModel, Trace]
WORD = [5, 9, 7, 8, 20, 33]


@pytest.fixture(scope="module", params=SEEING)
def made(request: pytest.FixtureRequest) -> Made:
    module, inputs = seeing(request.param)
    model = LanguageModel.wrap(module, name=request.param)
    return module, inputs, model, model.trace(inputs=inputs)


def untouched(module: Any, inputs: dict[str, Any], **more: Any) -> Any:
    with torch.inference_mode():
        return module(**inputs, **more)


def places(trace: Trace) -> list[int]:
    return [at for place in trace.tokens.places for at in range(place.start, place.stop)]


def test_logits_and_streams_are_those_of_the_untouched_run(made: Made) -> None:
    module, inputs, _model, trace = made
    entered: list[torch.Tensor] = []
    layers = (
        module.model.language_model.layers
        if hasattr(module.model, "language_model")
        else module.model.text_model.layers
    )
    hooks = [one.register_forward_pre_hook(lambda _module, args: entered.append(args[0][0])) for one in layers]
    own = untouched(module, inputs)
    for hook in hooks:
        hook.remove()
    assert torch.allclose(trace.tensor("logits"), own.logits[0, -1], atol=1e-5)
    for layer in range(trace.anatomy.n_layers):
        assert torch.allclose(trace.tensor(f"blocks.{layer}.resid_pre"), entered[layer], atol=1e-5)
        assert trace.check(layer).exact


def test_patterns_are_those_of_the_models_own_attention(made: Made) -> None:
    module, inputs, _model, trace = made
    shown = [block.index for block in trace.anatomy.blocks if block.has_attention]
    assert shown
    module.set_attn_implementation("eager")
    own = untouched(module, inputs, output_attentions=True).attentions
    module.set_attn_implementation("sdpa")
    again = LanguageModel.wrap(module).trace(
        inputs=inputs
    )  # the setting has changed twice: the first run is stale by now
    for layer in shown:
        assert torch.allclose(again.tensor(f"blocks.{layer}.pattern"), own[layer][0], atol=1e-5)
    look = again.tensor(f"blocks.{shown[0]}.mask")
    sees_later = module.config.model_type in ("paligemma", "gemma3")
    assert bool(look.triu(1).any()) == sees_later == (not again.anatomy.causal)


def test_tokens_of_the_image_are_shown_as_that(made: Made) -> None:
    _module, inputs, _model, trace = made
    ids = inputs["input_ids"][0].tolist()
    assert places(trace) == [at for at, token in enumerate(ids) if token == IMAGE]
    first = trace.tokens.places[0]
    n = first.stop - first.start
    kind = "audio" if "input_features" in inputs else "image"
    assert trace.tokens.strings[first.start + 2] == f"<{kind}> 3 of {n}"
    assert set(trace.tokens.pieces[first.start : first.stop]) == {b""}
    assert f"<{kind}> 1 of {n}" in trace["embed"].coords["token_text"].values
    assert all(np.isnan(trace.surprisal()[places(trace)]))


def test_the_image_is_made_by_its_module_and_text_by_the_table(made: Made) -> None:
    module, inputs, _model, trace = made
    for place in trace.tokens.places:
        why = trace.why("embed", token=place.start, feature=3)
        assert why.opaque == place.module
        assert not why.terms
        assert why.check.ok
        module.get_submodule(place.module)
    assert "inputs.pixel_values" in why.inputs or "inputs.input_features" in why.inputs
    given = next(name for name in ("pixel_values", "input_features") if name in inputs)
    assert torch.equal(trace.tensor(f"inputs.{given}"), inputs[given])
    text = next(at for at in range(len(trace.tokens)) if at not in places(trace))
    why = trace.why("embed", token=text, feature=3)
    assert why.opaque is None
    assert len(why.terms) == 1
    assert why.check.ok


def test_every_shown_number_adds_up(made: Made) -> None:
    trace = made[3]
    at = {"token": len(trace.tokens) - 2, "query": len(trace.tokens) - 2, "key": 1}
    for name in trace.names():
        dims = trace.dims(name)
        cell = {dim: at.get(dim, 0) for dim in dims}
        assert trace.why(name, **cell).check.ok, name


def test_generation_continues_as_the_models_own_generate(made: Made) -> None:
    module, inputs, model, trace = made
    with torch.inference_mode():
        own = module.generate(**inputs, max_new_tokens=6, do_sample=False, eos_token_id=None, pad_token_id=0)[0, -6:]
    steps = list(txpanel.generate(model, inputs=inputs, max_new_tokens=6, temperature=0))
    n = len(steps)  # it may have said that it ends
    assert [step.token for step in steps] == own[:n].tolist()
    assert n == 6 or steps[-1].ended == "end of text"
    last = steps[-1].trace
    assert last.tokens.strings[: len(trace.tokens)] == trace.tokens.strings
    assert torch.allclose(steps[0].before.tensor("logits"), trace.tensor("logits"), atol=1e-5)
    assert all(last.check(layer).difference < 1e-4 for layer in range(last.anatomy.n_layers))


def test_other_pixels_are_another_run(made: Made) -> None:
    module, inputs, model, trace = made
    given = next(name for name in ("pixel_values", "input_features") if name in inputs)
    other = {**inputs, given: inputs[given].flip(-1) * 0.5}
    again = model.trace(inputs=other)
    assert torch.allclose(again.tensor("logits"), untouched(module, other).logits[0, -1], atol=1e-5)
    assert not torch.allclose(again.tensor("logits"), trace.tensor("logits"), atol=1e-3)
    back = model.trace(inputs={**inputs})
    assert torch.allclose(back.tensor("logits"), trace.tensor("logits"), atol=1e-6)
    grown = next(iter(txpanel.generate(model, inputs=other, max_new_tokens=2, temperature=0))).trace
    assert grown.recording.reused in (0, len(trace.tokens))
    longer = {**other, "input_ids": torch.tensor([grown.tokens.ids.tolist()])}
    longer = {**longer, **again.model.arguments(grown.tokens.ids.tolist())}  # type: ignore[union-attr]
    assert torch.allclose(grown.tensor("logits"), untouched(module, longer).logits[0, -1], atol=1e-4)


def test_a_changed_picture_does_not_change_the_run() -> None:
    """What was given is copied: who paints over it afterwards has another picture, and not another run."""
    module, inputs = seeing("llava")
    model = LanguageModel.wrap(module)
    trace = model.trace(inputs=inputs)
    inputs["pixel_values"].zero_()
    assert trace.why("embed", token=4, feature=0).check.ok
    assert not torch.allclose(model.trace(inputs=inputs).tensor("logits"), trace.tensor("logits"), atol=1e-3)


def test_a_typed_text_is_as_before(made: Made) -> None:
    module, _inputs, model, trace = made
    typed = model.trace(WORD)
    assert typed.model is model
    assert not typed.tokens.places
    assert torch.allclose(
        typed.tensor("logits"), untouched(module, {"input_ids": torch.tensor([WORD])}).logits[0, -1], atol=1e-5
    )
    grown = model.trace([*WORD, 12])
    whole = untouched(module, {"input_ids": torch.tensor([[*WORD, 12]])}).logits[0, -1]
    assert torch.allclose(grown.tensor("logits"), whole, atol=1e-4)
    assert trace.model is not None
    assert trace.model.trace(WORD).model is model  # without the image's tokens there is no image


def test_what_the_model_remembers_of_an_image_is_put_back() -> None:
    """Qwen2-VL keeps in its module how far an image moved the positions; that of another text must not be used, and is left there."""
    module, inputs = seeing("qwen2_vl")
    with torch.inference_mode():
        module.generate(**inputs, max_new_tokens=1, do_sample=False)
    left = module.model.rope_deltas.clone()
    model = LanguageModel.wrap(module)
    assert model.parts.continues
    trace = model.trace(inputs=inputs)
    model.trace(WORD)
    assert torch.equal(module.model.rope_deltas, left)
    assert trace.stale is None


def test_a_saved_trace_keeps_the_images_places_and_vectors(made: Made, tmp_path: Path) -> None:
    trace = made[2].trace(inputs=made[1])
    opened = txpanel.open_trace(trace.save(tmp_path / "run.safetensors"))
    assert opened.tokens.places == trace.tokens.places
    assert opened.tokens.strings == trace.tokens.strings
    assert torch.equal(opened.tensor("embed"), trace.tensor("embed"))
    at = trace.tokens.places[0].start
    assert opened.why("embed", token=at, feature=0).opaque == trace.tokens.places[0].module


def test_what_differs_is_closed_in_that_run_alone() -> None:
    """Qwen3-VL adds to the stream of an image's tokens after its first blocks: they are run as a whole there, and open with text."""
    module, inputs = seeing("qwen3_vl")
    model = LanguageModel.wrap(module)
    trace = model.trace(inputs=inputs)
    assert "block" in trace.anatomy.blocks[0].opaque
    assert trace.anatomy.blocks[2].has_attention
    assert not model.report().opaque
    assert trace.why("blocks.0.resid_post", token=4, feature=0).check.ok


def test_a_change_of_the_model_is_noticed() -> None:
    """Of its tower too: what the image was made to then is not what it is made to now."""
    module, inputs = seeing("qwen2_vl")
    model = LanguageModel.wrap(module)
    trace = model.trace(inputs=inputs)
    with torch.no_grad():
        module.model.visual.merger.mlp[2].weight.data.mul_(1.5)
        module.model.language_model.layers[1].mlp.down_proj.weight.data.mul_(0.5)
    again = model.trace(inputs=inputs)
    assert torch.allclose(again.tensor("logits"), untouched(module, inputs).logits[0, -1], atol=1e-5)
    first = "blocks.0.resid_pre"  # recorded, so it stays
    assert not torch.allclose(again.tensor(first)[4], trace.tensor(first)[4], atol=1e-3)
    assert trace.stale is not None
    assert again.stale is None
    assert again.why("embed", token=4, feature=1).check.ok
    steps = list(txpanel.generate(model, inputs=inputs, max_new_tokens=3, temperature=0))
    with torch.inference_mode():
        own = module.generate(**inputs, max_new_tokens=3, do_sample=False, eos_token_id=None, pad_token_id=0)[0, -3:]
    assert [step.token for step in steps] == own[: len(steps)].tolist()


@PEFT_WARNS
def test_with_an_adapter_and_without() -> None:
    module, inputs = seeing("llava")
    config = LoraConfig(r=2, target_modules=r".*language_model.*v_proj", init_lora_weights=False)
    peft_model = get_peft_model(module, config).eval()
    model = LanguageModel.wrap(peft_model)
    on = model.trace(inputs=inputs)
    assert torch.allclose(on.tensor("logits"), untouched(peft_model, inputs).logits[0, -1], atol=1e-5)
    assert on.model is not None
    off = on.model.with_adapters().trace(inputs=inputs)
    with peft_model.disable_adapter():
        expected = untouched(peft_model, inputs).logits[0, -1]
        assert torch.allclose(model.trace(inputs=inputs).tensor("logits"), expected, atol=1e-5)
    assert torch.allclose(off.tensor("logits"), expected, atol=1e-5)
    assert not torch.allclose(on.tensor("logits"), expected, atol=1e-3)
    assert off.provenance["adapters"] == "none"
    assert off.tokens.places


@pytest.mark.parametrize("family", ["qwen2_vl", "gemma3"])
def test_a_large_picture_is_compared_at_some_queries(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps of all its queries would not fit into memory; what is wrong is closed all the same."""
    module, inputs = seeing(family)
    model = LanguageModel.wrap(module)
    monkeypatch.setattr(narrowed, "LARGE", 0)
    monkeypatch.setattr(narrowed, "ROWS", 5)
    assert not model.trace(inputs=inputs).model.report().opaque  # type: ignore[union-attr]
    model.anatomy = replace(
        model.anatomy, blocks=tuple(replace(block, scaling=block.scaling * 1.1) for block in model.anatomy.blocks)
    )
    other = {**inputs, "pixel_values": -inputs["pixel_values"]}
    assert not model.trace(inputs=other).anatomy.has_attention


def test_one_that_generate_continues_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module, inputs = seeing("paligemma")
    model = LanguageModel.wrap(module)
    own = type(module)._update_model_kwargs_for_generation

    def wrong(self: Any, outputs: Any, kwargs: Any, **more: Any) -> Any:
        kinds = kwargs["token_type_ids"]
        found = own(self, outputs, kwargs, **more)
        return {**found, "token_type_ids": torch.cat([kinds, kinds.new_zeros(1, 1)], -1)}

    trace = model.trace(inputs=inputs)
    assert trace.model is not None
    arguments = trace.model.inputs.extended  # type: ignore[union-attr]

    def extended(model: Any, length: int) -> dict[str, Any]:
        with monkeypatch.context() as patch:
            patch.setattr(type(module), "_update_model_kwargs_for_generation", wrong)
            return arguments(model, length)

    monkeypatch.setattr(trace.model.inputs, "extended", extended)
    with pytest.raises(Unsupported, match="cannot be continued"):
        trace.model.trace([*trace.tokens.ids.tolist(), 5])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"input_ids": torch.ones(2, 5, dtype=torch.long)}, "one text"),
        ({"attention_mask": torch.tensor([[0] + [1] * 22])}, "padding"),
        ({"picture": torch.ones(1)}, "picture"),
        ({"labels": torch.ones(1, 23, dtype=torch.long)}, "“labels” does not belong"),
        ({"position_ids": torch.ones(1, 23, dtype=torch.long)}, "“position_ids” does not belong"),
        ({"pixel_values": [[1.0]]}, "return_tensors"),
        ({"pixel_values": torch.ones(1, 3, 4, 4)}, "cannot be run on these inputs"),
        ({"pixel_values": None}, "could not|place"),
    ],
)
def test_wrong_inputs_are_refused_in_words(change: dict[str, Any], words: str) -> None:
    module, inputs = seeing("llava")
    model = LanguageModel.wrap(module)
    given = {**inputs, **change}
    if change == {"pixel_values": None}:  # the image's tokens without an image: a text like others
        assert not model.trace(inputs=given).tokens.places
        return
    with pytest.raises((BadText, Unsupported), match=words):
        model.trace(inputs=given)
    assert model.trace(WORD).check(0).exact


def test_a_text_or_inputs() -> None:
    module, inputs = seeing("llava")
    model = LanguageModel.wrap(module, tiny_tokenizer())
    with pytest.raises(BadText, match="needs either"):
        model.trace("a", inputs=inputs)
    with pytest.raises(BadText, match="needs either"):
        txpanel.generate(model, "a", inputs=inputs)
    with pytest.raises(BadText, match="needs either"):
        model.trace()
    with pytest.raises(BadText, match="processor"):
        model.trace(inputs="a picture")
    state = txpanel.ModelState(trace=model.trace(inputs=inputs))
    state.append()
    assert state.error in (None, "")
    assert len(state.trace.tokens) == inputs["input_ids"].shape[1] + 1
    assert state.trace.tokens.places
    with pytest.raises(Unsupported, match="Beam search"):
        txpanel.beam_search(state.model, state.trace.tokens.ids.tolist(), 2, 2)
