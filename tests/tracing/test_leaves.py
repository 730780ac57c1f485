"""200 random cells, each followed operand by operand down to a leaf: every step adds up, every operand is what it says."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from txpanel.models.language_model import LanguageModel
from txpanel.tracing.explain import place
from txpanel.tracing.trace import Trace

TEXT = "hello wörld, a b c"
LEAVES = {"token id", "position", "given", "weight"}


def derived(trace: Trace, dice: random.Random) -> list[str]:
    """Tensors that no list holds, of a layer and token each: as many as a tenth of the listed ones."""
    layers, last = trace.anatomy.n_layers, len(trace.tokens) - 1
    ends = ("logits", "probs", "probs.max", "probs.entropy", "logits_raw", "logits_scaled")
    lens = [trace.lens_name(dice.randint(0, layers), dice.randint(0, last), dice.choice(ends)) for _ in range(12)]
    block = f"blocks.{dice.randrange(layers)}."
    more = ["attn_out.cosine", "mlp_out.cosine", "resid_pre.norm", "mlp_out.norm", "result.norm"]
    rows = [f"lens.{layer}.ln_final{own}" for layer in range(layers) for own in ("", ".mean", ".scale")]
    names = [*lens, *rows, *(block + own for own in more), f"surprisal.{dice.randint(1, last)}", "probs.entropy"]
    return [name for name in names if name in trace]


def walk(trace: Trace, dice: random.Random) -> tuple[int, str]:
    """From a random cell to a leaf: (how many questions it took, what sort of leaf it is)."""
    name = dice.choice([*trace.names(), *derived(trace, dice)])
    shape = trace.tensor(name).shape
    found = trace.why(name, **{dim: dice.randrange(size) for dim, size in zip(trace.dims(name), shape, strict=True)})
    for steps in range(200):
        assert found.check.ok, (found.text, found.value, found.total)
        if not found.terms:
            return steps, found.operation
        term = dice.choice([term for term in found.terms[:40] if term.sources])
        source = dice.choice(term.sources)
        value = trace.value(source.name)
        recorded = float(value[place(source.name, trace.dims(source.name), tuple(value.shape), source.index)])
        found = trace.why(source.name, **source.index)
        assert found.value == recorded or (math.isnan(found.value) and math.isnan(recorded))
    raise AssertionError(f"200 questions did not lead from {name} to a leaf")


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3_text", "gpt_neox", "gptj"])
def test_every_path_ends_at_a_leaf_and_adds_up_on_the_way(family: str, tiny: Callable[[str], LanguageModel]) -> None:
    trace, dice = tiny(family).trace(TEXT), random.Random(family)
    ends = [walk(trace, dice) for _ in range(40)]
    assert {kind for _, kind in ends} <= LEAVES
    assert max(steps for steps, _ in ends) >= 5
