"""What is closed says nothing of what it has not, and what is missing is named."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from tests.families import tiny, tiny_hf, tiny_tokenizer
from txpanel.errors import Unsupported
from txpanel.models.anatomy import OF_ATTENTION, OF_MLP, BlockAnatomy
from txpanel.models.closing import close_part
from txpanel.models.inspect_model import inspect_model
from txpanel.models.language_model import LanguageModel
from txpanel.models.parts import MATRICES_OF_ATTENTION, MATRICES_OF_MLP

OF_BLOCKS = {
    "index", "norm_kind", "norm_place", "parallel", "shared_norm", "norm_residual", "causal", "residual_multiplier", "norm_eps", "adapters", "quantised",
    "kind", "opaque", "modules", "made_by", "sizes", "mlp_there", "cross",
}  # fmt: skip


def test_every_fact_of_a_block_is_attention_s_or_the_mlp_s_or_the_block_s() -> None:
    assert {field.name for field in fields(BlockAnatomy)} == {*OF_ATTENTION, *OF_MLP, *OF_BLOCKS}
    assert len(OF_ATTENTION) + len(OF_MLP) + len(OF_BLOCKS) == len(fields(BlockAnatomy))


@pytest.mark.parametrize("family", ["deepseek_v3", "gpt_oss", "gemma3_text", "phi3"])
def test_a_closed_part_leaves_no_fact_and_no_matrix(family: str) -> None:
    model = tiny(family)
    last = model.anatomy.n_layers - 1
    blocks = list(model.anatomy.blocks)
    blocks[last] = replace(blocks[last], causal=False)
    anatomy, own = replace(model.anatomy, blocks=tuple(blocks)), model.parts.blocks[last]
    known = {*own.maps, *own.modules, *own.norms} - {"ln1", "ln2", "attn_norm", "mlp_norm"}
    assert known <= {*MATRICES_OF_ATTENTION, *MATRICES_OF_MLP}
    closed = close_part(anatomy, model.parts, last, "mixer", "a reason").blocks[last]
    empty = BlockAnatomy(last)
    assert all(getattr(closed, name) == getattr(empty, name) for name in OF_ATTENTION)
    assert all(getattr(closed, name) == getattr(anatomy.blocks[last], name) for name in OF_MLP)
    assert not closed.causal, "what a closed attention looks at does not change"
    assert not {*own.maps, *own.modules, *own.norms} & set(MATRICES_OF_ATTENTION)
    closed = close_part(
        replace(anatomy, blocks=(*blocks[:last], closed)), model.parts, last, "block", "a reason"
    ).blocks[last]
    assert all(getattr(closed, name) == getattr(empty, name) for name in (*OF_ATTENTION, *OF_MLP))
    assert {**own.maps, **own.modules, **own.norms} == {}


def test_what_is_not_found_is_named() -> None:
    model = tiny_hf("llama")
    for layer in model.model.layers:
        del layer.mlp.act_fn
    model.config.hidden_act = "a curve of its own"
    del model.model.layers[1].self_attn.o_proj
    del model.model.layers[2].mlp.up_proj
    anatomy, _parts = inspect_model(model)
    words = "not found where models of this kind keep it: "
    assert anatomy.blocks[0].opaque == {"mlp": f"{words}the activation function of the MLP"}
    assert anatomy.blocks[1].opaque["mixer"] == f"{words}the output projection of attention"
    assert anatomy.blocks[2].opaque == {"mlp": f"{words}the two projections of the MLP"}


def test_a_model_that_calls_no_block_is_refused_with_a_number_that_is_true() -> None:
    model = tiny_hf("llama")
    model.config.num_hidden_layers = 0
    with pytest.raises(Unsupported, match="does not call the 3 blocks that were found in it"):
        LanguageModel.wrap(model, tiny_tokenizer())


@pytest.mark.parametrize(("said", "most"), [(-1, 10**9), (0, 10**9), (77, 77)])
def test_positions_that_are_no_number_are_no_limit(said: int, most: int) -> None:
    model = tiny_hf("llama")
    model.config.max_position_embeddings = said
    assert inspect_model(model)[0].max_tokens == most


@pytest.mark.parametrize("part", ["", "model.layers.1.mlp", "lm_head"])
def test_a_model_without_some_of_its_weights_is_refused(part: str) -> None:
    model = tiny_hf("llama")
    model.get_submodule(part).to("meta")
    with pytest.raises(Unsupported, match=r"hold no numbers.*such as .*weight"):
        LanguageModel.wrap(model, tiny_tokenizer())
