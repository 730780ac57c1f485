"""Norms of what blocks write, heard while the whole model runs, against the tensors of blocks that are run again."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from tests.families import FAMILIES, VARIANTS
from tests.families import tiny as build
from txpanel.models.language_model import LanguageModel
from txpanel.models.turns import Asking, asked_by
from txpanel.toolkit.part_words import writes
from txpanel.tracing import written
from txpanel.tracing.record import continuing, extend, record
from txpanel.tracing.trace import Trace
from txpanel.tracing.write_norms import norms as norms_shown

TEXT = "hello wörld, a b c"
Tiny = Callable[[str], LanguageModel]
TIMES_A_NUMBER = {"granite"}
"""Families whose writes are a module's output times a number: nothing is heard, and their blocks are run again."""


@pytest.fixture
def own() -> LanguageModel:
    """A model of this test alone: nothing was compared yet."""
    return build("llama")


def names(trace: Trace) -> list[str]:
    return [
        f"blocks.{block.index}.{own}"
        for block in trace.anatomy.blocks
        for own in writes(block).values()
        if "block" not in own
    ]


def lengths(trace: Trace, name: str) -> np.ndarray:
    return np.linalg.norm(trace.tensor(name).double().numpy(), axis=-1)


@pytest.mark.parametrize("name", [*FAMILIES, *VARIANTS])
def test_the_measured_norm_is_that_of_the_tensor(name: str, tiny: Tiny) -> None:
    trace = record(tiny(name), TEXT, reuse=False)
    heard = trace.recording.written
    assert (set(heard.names) if heard else set()) == (set() if name in TIMES_A_NUMBER else set(names(trace)))
    for tensor in heard.names if heard else ():
        np.testing.assert_allclose(heard.of(tensor), lengths(trace, tensor), rtol=1e-5)


def run_again(trace: Trace) -> list[int]:
    return [layer for layer in range(trace.anatomy.n_layers) if trace.has_replayed(layer)]


def test_after_the_first_text_no_block_runs_again_for_them(own: LanguageModel) -> None:
    first, second = (record(own, text, reuse=False) for text in (TEXT, TEXT + " and more"))
    for name in names(first):
        norms_shown(first, name)
    assert run_again(first) == list(range(first.anatomy.n_layers))  # compared once
    found = {name: norms_shown(second, name) for name in names(second)}
    assert run_again(second) == []
    for name, norms in found.items():
        np.testing.assert_allclose(norms, lengths(second, name), rtol=1e-5)


def test_a_text_that_grows_or_branches_has_those_of_all_its_tokens(own: LanguageModel) -> None:
    words = own.encode("a b c d e f g h i j k l")
    record(own, words[:8])
    for ids in (words, [*words[:5], words[9]], [*words[:5], words[9], words[1]]):
        trace = record(own, ids)
        assert trace.recording.reused >= 4
        heard = trace.recording.written
        assert heard is not None
        whole = record(own, ids, reuse=False)
        for name in names(trace):
            np.testing.assert_allclose(heard.of(name), lengths(whole, name), rtol=1e-4)


def test_a_norm_that_is_not_the_tensors_is_never_given(own: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = written.NormHooks.written
    monkeypatch.setattr(written.NormHooks, "written", lambda *args: twice(honest(*args)))
    for text in (TEXT, TEXT + " and more"):
        trace = record(own, text, reuse=False)
        for name in names(trace):
            np.testing.assert_allclose(norms_shown(trace, name), lengths(trace, name), rtol=1e-5)


def twice(heard: written.Written | None) -> written.Written | None:
    return None if heard is None else written.Written(heard.names, heard.values * 2)


def test_another_state_of_the_model_is_compared_anew(own: LanguageModel) -> None:
    first = record(own, TEXT, reuse=False)
    for name in names(first):
        norms_shown(first, name)
    with torch.no_grad():
        own.parts.blocks[0].modules["down"].weight.mul_(2)
    second = record(own, TEXT)
    assert second.recording.state.key != first.recording.state.key
    norms = norms_shown(second, "blocks.0.mlp_out")
    assert run_again(second) == [0]
    np.testing.assert_allclose(norms, lengths(second, "blocks.0.mlp_out"), rtol=1e-5)


def test_a_scripts_loop_does_not_pay_for_them_and_a_visitors_has_them(own: LanguageModel) -> None:
    trace = record(own, TEXT)
    with continuing():
        with asked_by(Asking("somebody")):
            assert extend(trace, [5]).recording.written is not None
        assert extend(trace, [5, 6]).recording.written is None


def test_no_hook_stays(own: LanguageModel) -> None:
    record(own, TEXT)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in own.model.modules())
