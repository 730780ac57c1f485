"""Branches: what runs share is computed once, newest and older ones, and rows equal those of one full forward."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import torch

from tests.observing import looking_on
from txpanel.errors import Unsupported
from txpanel.models.language_model import LanguageModel
from txpanel.models.memory import MEMORY
from txpanel.tracing import prefix as module
from txpanel.tracing.prefix import Prefixes
from txpanel.tracing.record import prefixes, record
from txpanel.tracing.taps import Taps

Tiny = Callable[[str], LanguageModel]
FAMILIES = ["gpt2", "llama", "gemma3_text", "mistral", "gpt_oss", "deepseek_v3", "bloom", "falcon", "qwen3", "mpt"]


@pytest.fixture
def fresh(tiny: Tiny) -> LanguageModel:
    model = tiny("llama")
    prefixes(model).clear()
    return model


def ids_of(n: int, seed: int = 0) -> list[int]:
    return torch.randint(3, 250, (n,), generator=torch.Generator().manual_seed(seed)).tolist()


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_of_steps_and_branches_equal_one_full_forward(tiny: Tiny, family: str) -> None:
    """Largest difference 1e-4 of the largest number: other shapes of products add in another order, nothing else differs."""
    model = tiny(family)
    prefixes(model).clear()
    ids = ids_of(24)
    trace = record(model, ids[:8])
    for n in range(9, 25):
        trace = record(model, ids[:n])
        assert trace.recording.reused == n - 1
    branch = [*ids[:12], 77, *ids[13:20]]
    for tokens in (branch[:13], branch, [*ids, 99]):  # away, on, and back to the older branch
        trace = record(model, tokens)
        whole = record(model, tokens, reuse=False)
        for a, b in zip(trace.recording.streams, whole.recording.streams, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-4 * float(b.abs().max()))
        scale = float(whole.recording.logits.abs().max())
        torch.testing.assert_close(trace.recording.logits, whole.recording.logits, rtol=0, atol=1e-4 * scale)


def test_each_branch_goes_on_where_it_was(fresh: LanguageModel) -> None:
    ids = ids_of(30)
    record(fresh, ids)
    other = [*ids[:12], 77]
    assert record(fresh, other).recording.reused == 12
    assert record(fresh, [*other, 5]).recording.reused == 13
    assert record(fresh, [*ids, 6]).recording.reused == 30  # the older one, all of it
    assert record(fresh, [*other, 5, 7]).recording.reused == 14
    assert len(prefixes(fresh)) == 2


def test_going_back_keeps_the_longer_run(fresh: LanguageModel) -> None:
    ids = ids_of(20)
    record(fresh, ids)
    assert record(fresh, ids[:10]).recording.reused == 9
    assert len(prefixes(fresh)) == 1
    assert record(fresh, [*ids, 9]).recording.reused == 20


def test_a_cut_has_the_cache_of_its_tokens(fresh: LanguageModel) -> None:
    ids = ids_of(16)
    record(fresh, ids)
    held, whole = prefixes(fresh).holding(ids[:7]), record(fresh, ids[:7], reuse=False)
    assert held is not None
    assert held.cache.get_seq_length() == 7
    torch.testing.assert_close(held.cache.layers[1].keys[0], whole.tensor("blocks.1.k"), rtol=1e-4, atol=1e-4)
    assert prefixes(fresh).holding([1, 2, 3]) is None


@pytest.mark.usefixtures("empty_memory")
def test_the_memory_of_prefixes_is_bounded(fresh: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(module.BRANCHES + 3):
        record(fresh, ids_of(10, seed))
    assert len(prefixes(fresh)) == module.BRANCHES
    one = prefixes(fresh).nbytes // module.BRANCHES
    MEMORY.clear()
    monkeypatch.setattr(MEMORY, "cap", lambda: 8 * one)
    for seed in range(20):
        record(fresh, ids_of(10, seed))
    assert 1 < len(prefixes(fresh)) <= 8


def test_a_pass_that_fails_leaves_what_was_there(fresh: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = ids_of(12)
    before = record(fresh, ids).recording.logits
    last = fresh.parts.blocks[-1].block
    fails = looking_on(lambda *args: (_ for _ in ()).throw(RuntimeError("cut short")))
    with last.register_forward_pre_hook(fails), pytest.raises(Unsupported, match="cut short"):
        record(fresh, [*ids, 5])
    assert record(fresh, [*ids[:-1], ids[-1]]).recording.reused == 11
    torch.testing.assert_close(record(fresh, ids).recording.logits, before, rtol=1e-4, atol=1e-4)
    assert isinstance(prefixes(fresh), Prefixes)


def test_a_pass_is_not_disturbed_by_one_that_ends_while_it_waits_between_two_blocks(fresh: LanguageModel) -> None:
    """Torch goes through a snapshot of a block's hooks, and calls a hook that was removed meanwhile without its keywords."""
    ids, others = ids_of(12), list[Taps]()
    block = fresh.parts.blocks[1].block
    waits = block.register_forward_pre_hook(
        looking_on(lambda *_: others.pop().remove() if others else None)
    )  # the other's turn
    thread = threading.Thread(target=lambda: others.append(Taps(fresh.parts.blocks)))
    thread.start()
    thread.join()
    try:
        trace = record(fresh, ids)
    finally:
        waits.remove()
    assert not others
    assert len(trace.recording.streams) == fresh.anatomy.n_layers + 1
