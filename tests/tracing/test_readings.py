"""What structure leaves open is decided by comparing: the reading that agrees with the run is shown, and a wrong one never."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import transformers
from packaging.version import Version
from transformers import CONFIG_MAPPING

from tests.families import tiny_tokenizer
from tests.sweep.configs import model_of
from txpanel.models.language_model import LanguageModel
from txpanel.tracing import readings


def opened(family: str) -> LanguageModel:
    return LanguageModel.wrap(model_of(family), tiny_tokenizer())


@pytest.mark.parametrize("family", ["cohere2", "exaone4"])
def test_blocks_without_rotation_are_found(family: str) -> None:
    blocks = opened(family).anatomy.blocks
    assert [block.rotary is not None for block in blocks] == [True, False, True]
    assert all(block.has_attention for block in blocks)


@pytest.mark.parametrize(("family", "late"), [("hunyuan_v1_dense", True), ("qwen3", False), ("nanochat", True)])
def test_norms_of_queries_before_or_after_the_rotation(family: str, late: bool) -> None:
    model = opened(family)
    assert all(block.has_attention and block.qk_norm_late is late for block in model.anatomy.blocks)
    trace = model.trace("hello abc")
    assert ("blocks.0.q_rotated" in trace) is late
    assert trace.why("blocks.0.q", head=1, token=3, dim=2).check.ok


GATED = [("qwen3_next", "sigmoid", True), ("lfm3", "sigmoid", False), ("laguna", "softplus", False)]


def test_a_family_that_this_transformers_does_not_have_is_younger_than_it() -> None:
    missing = {family for family, _gate, _each in GATED} - set(CONFIG_MAPPING)
    assert missing <= ({"lfm3"} if Version(transformers.__version__) < Version("5.23") else set())


@pytest.mark.parametrize(("family", "gate", "each"), [one for one in GATED if one[0] in CONFIG_MAPPING])
def test_gates_on_what_heads_give(family: str, gate: str, each: bool) -> None:
    model = opened(family)
    block = next(block for block in model.anatomy.blocks if block.has_attention)
    assert (block.gate, block.gate_per_head) == (gate, not each)
    trace, pre = model.trace("hello abc"), f"blocks.{block.index}."
    function = {"sigmoid": torch.sigmoid, "softplus": torch.nn.functional.softplus}[gate]
    assert torch.allclose(
        trace.tensor(pre + "z_gated"), trace.tensor(pre + "z") * function(trace.tensor(pre + "z_gate")), atol=1e-6
    )
    assert trace.why(pre + "z_gated", head=1, token=3, dim=2).check.ok
    assert not torch.allclose(trace.tensor(pre + "z_gated"), trace.tensor(pre + "z"), atol=1e-2)


def test_a_shared_expert_with_a_switch_adds_up() -> None:
    trace = opened("qwen2_moe").trace("hello abc")
    found = trace.why("blocks.1.shared_switched", token=4, feature=7)
    assert found.check.ok
    shared = trace.tensor("blocks.1.shared_out") * torch.sigmoid(trace.tensor("blocks.1.shared_switch"))
    assert torch.allclose(trace.tensor("blocks.1.shared_switched"), shared, atol=1e-6)


def test_a_wrong_reading_is_tried_only_where_the_first_one_fails() -> None:
    model = opened("llama")
    block = model.anatomy.blocks[0]
    assert list(readings.others(block, model.parts.blocks[0], set())) == []
    tried = list(readings.others(block, model.parts.blocks[0], {"mixer"}))
    assert {"rotary": None} in tried
    assert all(replace(block, **change) != block for change in tried)
