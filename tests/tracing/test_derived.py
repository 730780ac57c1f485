"""Numbers that are declared on demand, against the untouched model and plain torch; refusals; what they take of memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import txpanel
from tests.families import tiny_hf
from txpanel.errors import NoSuchTensor, Unsupported
from txpanel.models.language_model import LanguageModel
from txpanel.session.selection import Question
from txpanel.tracing.graph.derived import KEPT
from txpanel.tracing.store import STORE

Tiny = Callable[[str], LanguageModel]
TEXT = "the wörld, a b c!!"  # not that of test_families: rows that an earlier run left would be used there
SHAPES = ("gpt2", "llama", "gemma2", "gemma3_text", "gpt_neox", "gptj", "cohere", "granite", "opt-350m", "bloom")


def untouched(family: str, trace: Any) -> torch.Tensor:
    """The logits that the model gives after each token without us: [T, vocab]."""
    ids = torch.from_numpy(np.asarray(trace.tokens.ids))
    with torch.inference_mode():
        return tiny_hf(family)(input_ids=ids[None]).logits[0]


@pytest.mark.parametrize("family", SHAPES)
def test_logits_and_probabilities_after_every_token_are_the_untouched_models(family: str, tiny: Tiny) -> None:
    trace = tiny(family).trace(TEXT)
    layers, ids = trace.anatomy.n_layers, torch.from_numpy(np.asarray(trace.tokens.ids))
    expected = untouched(family, trace).float()
    for token in range(len(ids)):
        logits, probs = (trace.lens_name(layers, token, own) for own in ("logits", "probs"))
        torch.testing.assert_close(trace.tensor(logits), expected[token], atol=2e-5, rtol=1e-5)
        torch.testing.assert_close(trace.tensor(probs), expected[token].softmax(-1), atol=1e-5, rtol=1e-4)
        best = int(expected[token].argmax())
        for name in (logits, probs):
            found = trace.why(name, vocab=best)
            assert found.check.ok, found
            assert found.terms
            assert found.formula
        entropy = torch.distributions.Categorical(logits=expected[token].double()).entropy() / np.log(2)
        assert trace.why(trace.lens_name(layers, token, "probs.entropy")).value == pytest.approx(
            float(entropy), abs=1e-4
        )
        if token:
            nats = torch.nn.functional.cross_entropy(expected[token - 1], ids[token])
            found = trace.why(f"surprisal.{token}")
            assert found.check.ok
            assert found.value == pytest.approx(float(nats) / np.log(2), abs=1e-4)


@pytest.mark.parametrize("family", SHAPES)
def test_every_step_of_the_lens_recomputes_and_adds_up(family: str, tiny: Tiny) -> None:
    trace = tiny(family).trace(TEXT)
    for layer in range(trace.anatomy.n_layers):
        rows = [f"lens.{layer}.{own}" for own in ("ln_final.mean", "ln_final.var", "ln_final", "output_proj")]
        ends = [f"lens.{layer}.4.{own}" for own in ("logits_raw", "logits_scaled", "logits", "probs.sum", "probs")]
        assert torch.equal(trace.tensor(f"lens.{layer}.4.logits"), torch.from_numpy(trace.lens(layer, 4).values))
        for name in (name for name in (*rows, *ends) if name in trace):
            operation = trace.operation(name)
            assert operation is not None
            again = operation.recompute({source: trace.tensor(source) for source in operation.inputs})
            torch.testing.assert_close(again, trace.tensor(name), atol=1e-5, rtol=1e-4)
            found = trace.why(name, **dict.fromkeys(trace.dims(name), 3))
            assert found.check.ok, found
            for term in found.terms[:4]:
                assert all(trace.why(source.name, **source.index).check.ok for source in term.sources)


@pytest.mark.parametrize("family", ["gpt2", "gptj", "mixtral", "olmo2"])
def test_lengths_and_cosines_are_torchs(family: str, tiny: Tiny) -> None:
    trace = tiny(family).trace(TEXT)
    t = {own: trace.tensor(f"blocks.1.{own}") for own in ("resid_pre", "attn_out", "mlp_out", "result")}
    middle = trace.tensor("blocks.1.resid_mid") if "blocks.1.resid_mid" in trace else t["resid_pre"]
    for own, value in t.items():
        torch.testing.assert_close(trace.tensor(f"blocks.1.{own}.norm"), value.norm(dim=-1))
    for own, onto in (("attn_out", t["resid_pre"]), ("mlp_out", middle)):
        expected = torch.cosine_similarity(t[own], onto, dim=-1)
        torch.testing.assert_close(trace.tensor(f"blocks.1.{own}.cosine"), expected, atol=1e-5, rtol=1e-4)
        assert trace.why(f"blocks.1.{own}.cosine", token=3).check.ok
    assert trace.why("blocks.1.result.norm", head=2, token=3).check.ok
    assert trace.model is not None
    table = trace.model.model.get_input_embeddings().weight.detach()
    found = trace.why("embed.70.91.cosine")
    assert found.check.ok
    assert found.value == pytest.approx(float(torch.cosine_similarity(table[70], table[91], dim=0)), abs=1e-5)
    assert {source.index["row"] for term in found.terms for source in term.sources} == {70, 91}


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2"])
def test_how_much_a_neuron_writes_is_its_value_times_its_column(family: str, tiny: Tiny) -> None:
    trace = tiny(family).trace(TEXT)
    assert trace.model is not None
    weight = trace.model.parts.blocks[1].modules["down"].weight.detach()
    column = (weight if family == "gpt2" else weight.T)[7]  # GPT-2 stores [in, out]
    found = trace.why("blocks.1.mlp_post.write", token=3, neuron=7)
    assert found.value == pytest.approx(float((column * trace.tensor("blocks.1.mlp_post")[3, 7]).norm()), rel=1e-5)
    assert found.check.ok


@pytest.mark.parametrize("family", SHAPES)
def test_the_steps_of_the_softmax_and_what_many_tokens_hold_are_the_untouched_models(family: str, tiny: Tiny) -> None:
    trace = tiny(family).trace(TEXT)
    layers, ids = trace.anatomy.n_layers, torch.from_numpy(np.asarray(trace.tokens.ids))
    expected = untouched(family, trace).double()
    for token in (0, 4, len(ids) - 1):
        logits, probs = expected[token], expected[token].softmax(-1)
        shifted, best = logits - logits.max(), logits.argsort(descending=True, stable=True).tolist()
        without = torch.ones(len(logits), dtype=torch.bool)
        without[best[:7]] = without[best[100]] = False
        left = f"others.7.{best[100]}"
        counts, edges = np.histogram(logits.numpy(), 48, weights=probs.numpy())
        wanted: dict[str, torch.Tensor] = {
            "shifted": shifted,
            "exp": shifted.exp(),
            left: probs[without].sum(),
            f"exp.{left}": shifted.exp()[without].sum(),
            "others.0": torch.tensor(1.0),
        }
        for own, value in wanted.items():
            name = trace.lens_name(layers, token, f"probs.{own}")
            torch.testing.assert_close(trace.tensor(name).double(), value.double(), atol=3e-5, rtol=1e-4)
            found = trace.why(name, **dict.fromkeys(trace.dims(name), best[20]))
            assert found.check.ok, found
            assert found.formula
            if not trace.dims(name):
                listed = {source.index["vocab"] for term in found.terms for source in term.sources}
                assert listed == set(np.flatnonzero(without).tolist() if "7" in own else range(len(logits)))
        bins = trace.lens_name(layers, token, "probs.bins")
        fullest = int(counts.argmax())
        found = trace.why(bins, bin=fullest)
        assert found.check.ok
        assert found.value == pytest.approx(counts[fullest], abs=1e-4)
        inside = {
            int(i) for i in np.flatnonzero((logits >= edges[fullest] - 1e-4) & (logits <= edges[fullest + 1] + 1e-4))
        }
        assert {term.sources[0].index["vocab"] for term in found.terms} <= inside
        assert float(trace.tensor(bins).sum()) == pytest.approx(1, abs=1e-5)


def test_a_wrong_step_or_a_wrong_list_does_not_agree(tiny: Tiny) -> None:
    trace = tiny("gpt2").trace(TEXT)
    best = trace.logits.values.argsort()[::-1]
    for own, cell in (("shifted", best[1]), ("exp", best[1]), ("others.3", None), ("exp.others.3", None), ("bins", 47)):
        name, index = f"probs.{own}", {} if cell is None else {"bin" if own == "bins" else "vocab": int(cell)}
        value = trace.tensor(name)
        assert trace.why(name, **index).check.ok
        STORE.put(trace.uid, name, value + 0.01)  # a sum that is off, a step that was forgotten
        assert not trace.why(name, **index).check.ok
        STORE.put(trace.uid, name, value)
    missed = trace.why(f"probs.others.3.{best[3]}").value  # one token more is left out
    assert trace.why("probs.others.3").value - missed == pytest.approx(float(trace.tensor("probs")[int(best[3])]))
    one_less, three = trace.why("probs.others.2").value, trace.why("probs.others.3").value
    assert one_less - three == pytest.approx(float(trace.tensor("probs")[int(best[2])]), rel=1e-4)


@pytest.mark.parametrize("family", ["mixtral", "gpt_oss", "qwen3_moe", "deepseek_v3"])
def test_how_much_a_neuron_of_an_expert_writes(family: str, tiny: Tiny) -> None:
    trace, hf = tiny(family).trace(TEXT), tiny_hf(family)
    mlp = hf.model.layers[1].mlp
    down = mlp.experts.down_proj.detach()
    down = down.transpose(1, 2) if family == "gpt_oss" else down  # GPT-OSS stores [in, out]
    values, index = (trace.tensor(f"blocks.1.{own}") for own in ("mlp_post", "expert_index"))
    for token, slot, neuron in ((3, 0, 7), (3, 1, 7), (9, 1, 20)):
        columns = (down[:, :, neuron] * values[token, slot, neuron]).norm(dim=1)  # what it would be with each expert
        expert = int(index[token, slot])
        found = trace.why("blocks.1.mlp_post.write", token=token, slot=slot, neuron=neuron)
        assert found.check.ok
        assert found.value == pytest.approx(float(columns[expert]), rel=1e-5)
        assert sum(abs(found.value - float(other)) < 1e-4 * found.value for other in columns) == 1  # no other expert's
        weight = next(source for source in found.terms[0].sources if "row" in source.index)
        assert weight.index["expert"] == expert
        assert trace.why(weight.name, **weight.index).value in down[expert, :, neuron].tolist()
    if family == "deepseek_v3":
        column = mlp.shared_experts.down_proj.weight.detach()[:, 7]
        found = trace.why("blocks.1.shared_post.write", token=3, neuron=7)
        assert found.check.ok
        size = float((column * trace.tensor("blocks.1.shared_post")[3, 7]).norm())
        assert found.value == pytest.approx(size, rel=1e-5)


def test_what_is_made_of_a_number_depends_on_its_token(tiny: Tiny) -> None:
    trace = tiny("gemma2").trace(TEXT)
    last = len(trace.tokens) - 1
    assert trace.feeds("ln_final", token=last)[0] == "logits_raw"
    assert trace.feeds("ln_final", token=3) == ["ln_final.norm", "lens.3.3.logits_raw"]
    assert "lens.1.ln_final" in trace.feeds("blocks.1.resid_pre", token=3)
    assert trace.feeds("lens.1.ln_final", token=3) == ["lens.1.3.logits_raw"]
    assert trace.feeds("lens.3.4.probs") == ["lens.3.4.probs.entropy", "lens.3.4.probs.bins", "surprisal.5"]
    assert trace.feeds("probs.shifted") == ["probs.exp"]
    assert trace.feeds("tokens", token=5) == ["embed", "surprisal.5"]
    for name in ("ln_final", "blocks.1.resid_pre", "blocks.1.attn_out"):
        for fed in trace.feeds(name, token=3):
            operation = trace.operation(fed)
            assert operation is not None
            assert name in operation.inputs


def test_what_does_not_exist_is_refused_in_words(tiny: Tiny) -> None:
    trace = tiny("llama").trace("abc")
    for name in (
        "lens.3.3.logits", "lens.4.0.logits", "lens.03.0.logits", "lens.3.0.nonsense", "lens.1.0", "surprisal.0", "surprisal.3",
        "blocks.9.resid_pre.norm", "blocks.0.mask.norm", "probs.norm", "embed.1.300.cosine",
        "embed.01.2.cosine", "probs.others.03", "probs.others.3.9.5", "probs.others.300", "probs.others.3.300", "lens.4.0.probs.others.3",
        "lens.3.7.probs.others.3", "probs.shifted.others.3", "lens.1.probs.others.3", "probs.others.", "blocks.0.probs.others.3",
    ):  # fmt: skip
        assert name not in trace
        with pytest.raises(NoSuchTensor, match=r"no tensor named .*\."):
            trace.why(name)
    assert trace.lens_name(3, -1) == "logits"
    assert torch.equal(trace.tensor("lens.3.2.logits"), trace.tensor("logits"))
    with pytest.raises(NoSuchTensor, match="There is no layer 3 at token 7"):
        trace.lens_name(3, 7)
    assert not Question("lens.3.7.logits", {"vocab": 1}).fits(7)
    assert Question("lens.3.6.logits", {"vocab": 1}).fits(7)
    assert not Question("surprisal.7").fits(7)


def test_a_saved_trace_says_what_needs_the_model(tiny: Tiny, tmp_path: object) -> None:
    opened = txpanel.open_trace(tiny("gemma2").trace("abc").save(f"{tmp_path}/t.safetensors"))
    for name in ("lens.3.1.logits", "lens.1.1.probs", "lens.1.ln_final"):
        with pytest.raises(Unsupported, match="opened without the model"):
            opened.why(name, **dict.fromkeys(opened.dims(name), 0))
    for name in ("blocks.1.resid_pre.norm", "blocks.1.attn_out.cosine", "probs.entropy", "lens.1.ln_final.var"):
        assert opened.why(name, **dict.fromkeys(opened.dims(name), 0)).check.ok


def test_asking_for_all_of_them_leaves_the_models_list_as_it_was(tiny: Tiny) -> None:
    model = tiny("gpt2")
    trace = model.trace("a b c d e f " * 9)
    listed, dims = list(trace.names()), dict(trace.graph.dims)
    for layer in range(4):
        for token in range(len(trace.tokens)):
            assert trace.operation(f"lens.{layer}.{token}.probs") is not None
    assert trace.names() == listed
    assert dict(trace.graph.dims) == dims
    sheets = trace.graph.derived._lens.cache_info()
    assert sheets.misses > KEPT >= sheets.currsize
