"""Every public call gives the same numbers in whatever mode it is made, and what it gives can be used in that mode."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch

import txpanel
from tests.families import masked_tokenizer, tiny_tokenizer
from tests.sweep.configs import MASKED, model_of
from txpanel.models.language_model import LanguageModel
from txpanel.models.torch_modes import ordinary
from txpanel.tracing.trace import Trace

pytestmark = pytest.mark.filterwarnings("ignore:.*xIELU:UserWarning")
MODES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "plain": nullcontext,
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
}


def every_call(trace: Trace) -> dict[str, torch.Tensor]:
    """All tensors of a run, each computed again and explained; what else a trace is asked for."""
    found = {}
    for operation in trace.operations():
        name = operation.output
        inputs = {source: trace.tensor(source) for source in operation.inputs}
        recorded, again = trace.tensor(name), operation.recompute(inputs)
        finite = torch.isfinite(recorded)
        assert not again.requires_grad
        assert torch.allclose(again[finite], recorded[finite], atol=1e-4 * float(recorded[finite].abs().max())), name
        cell = tuple(size // 2 for size in recorded.shape)
        assert list(operation.terms(inputs, cell))
        assert trace.why(name, **dict(zip(operation.dims, cell, strict=True))).check.ok, name
        found[name] = recorded
    found["unembed"] = trace.unembed(trace.tensor("blocks.1.resid_pre"))
    found["rows"] = trace.rows("blocks.1.pattern", slice(0, 2))
    found["head_map"] = torch.from_numpy(trace.head_map(1, 0))
    found["lens"] = torch.from_numpy(trace.lens(1).values)
    assert trace.model is not None
    name = next(name for name, _weight in trace.model.given.named_parameters())
    found["value"] = trace.value(name)
    return found


def run(family: str) -> Trace:
    tokenizer = masked_tokenizer() if MASKED in family else tiny_tokenizer()
    return LanguageModel.wrap(model_of(family), tokenizer).trace("hello w<mask>rld")


@pytest.mark.parametrize("family", ["apertus", "gpt_oss", "bert/masked", "mamba"])
def test_every_call_works_and_says_the_same_in_every_mode(family: str) -> None:
    usual = None
    for mode, enter in MODES.items():
        with enter():
            trace = run(family)
            if "blocks.1.pattern" not in trace:
                assert [trace.tensor(name) for name in trace.names()]
                continue
            found = every_call(trace)
            if not trace.anatomy.fills:
                assert list(txpanel.generate(trace.model, "hello", max_new_tokens=1))  # type: ignore[arg-type]
                assert txpanel.beam_search(trace.model, "hello", n_beams=2, max_new_tokens=1).hypotheses  # type: ignore[arg-type]
        usual = usual or found
        assert all(torch.equal(found[name], usual[name]) for name in found), mode


def test_what_a_run_gives_can_be_learned_from() -> None:
    trace = run("apertus")
    probe = torch.nn.Linear(32, 1)
    for name in ("blocks.1.resid_pre", "blocks.1.mlp_out"):
        loss = probe(trace.tensor(name)).sum() + (trace.tensor("blocks.1.pattern") * probe.bias).sum()
        loss.backward()
    assert probe.weight.grad is not None
    assert bool(probe.weight.grad.any())


def test_a_run_made_in_one_mode_is_looked_at_in_another() -> None:
    with torch.inference_mode():
        trace = run("apertus")
        first = trace.tensor("blocks.0.mlp_post")
    (trace.tensor("blocks.0.mlp_post") * torch.nn.Parameter(torch.ones(1))).sum().backward()
    with torch.inference_mode():
        assert torch.equal(trace.tensor("blocks.0.mlp_post"), first)


def test_a_default_type_changes_no_number() -> None:
    usual = every_call(run("gpt_oss"))
    model = model_of("gpt_oss")
    torch.set_default_dtype(torch.bfloat16)
    try:
        found = every_call(LanguageModel.wrap(model, tiny_tokenizer()).trace("hello w<mask>rld"))
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(torch.allclose(found[name], usual[name], rtol=1e-4, atol=1e-4) for name in usual)


def test_nothing_is_copied_for_it() -> None:
    with torch.inference_mode():
        made = torch.arange(6.0).reshape(2, 3)
    found = ordinary(made)
    assert found.data_ptr() == made.data_ptr()
    assert not found.is_inference()
    assert ordinary(found) is found
