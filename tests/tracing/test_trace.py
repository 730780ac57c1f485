"""The trace as its users see it: names, shapes, errors, bytes, prefixes, threads."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

import txpanel
from tests.families import tiny_hf, tiny_tokenizer
from tests.observing import looking_on
from txpanel.errors import EmptyText, NoSuchTensor, TooLong, Unsupported
from txpanel.models.language_model import LanguageModel
from txpanel.models.memory import Memory
from txpanel.tracing.capture import NAME, listening
from txpanel.tracing.graph.build import graph_of
from txpanel.tracing.record import extend, prefixes, record
from txpanel.tracing.replay import replay
from txpanel.tracing.store import Tensors

Tiny = Callable[[str], LanguageModel]
TEXT = "hello wörld, a b c"


def test_dimensions_are_those_of_the_design(tiny: Tiny) -> None:
    trace = tiny("llama").trace(TEXT)
    n = len(trace.tokens)
    sizes = {
        "embed": (n, 32), "blocks.1.resid_pre": (n, 32), "blocks.1.q": (4, n, 8), "blocks.1.k": (2, n, 8), "blocks.1.v": (2, n, 8),
        "blocks.1.scores": (4, n, n), "blocks.1.pattern": (4, n, n), "blocks.1.z": (4, n, 8), "blocks.1.result": (4, n, 32), "blocks.1.attn_out": (n, 32),
        "blocks.1.resid_mid": (n, 32), "blocks.1.mlp_pre": (n, 48), "blocks.1.mlp_gate": (n, 48), "blocks.1.mlp_post": (n, 48),
        "ln_final": (n, 32), "logits": (300,),
    }  # fmt: skip
    for name, size in sizes.items():
        array = trace[name]
        assert (array.shape, array.dims) == (size, trace.dims(name)), name
        assert array.dtype == np.float32
        assert array.attrs["tensor"] == name
    pattern = trace["blocks.1.pattern"]
    assert pattern.dims == ("head", "query", "key")
    assert list(pattern.coords["key_text"].values) == trace.tokens.strings
    assert trace["blocks.1.q"].dims == ("head", "token", "dim")
    assert trace["blocks.1.k"].dims == (
        "kv_head",
        "token",
        "dim",
    )
    assert trace.logits.dims == ("vocab",)


def test_what_is_handed_out_is_what_was_computed(tiny: Tiny) -> None:
    trace = tiny("gpt2").trace(TEXT)
    for name in trace.names(1):
        np.testing.assert_array_equal(trace[name].values, trace.tensor(name).numpy())


def test_names_are_in_order_and_lead_back(tiny: Tiny) -> None:
    trace = tiny("gpt2").trace(TEXT)
    seen = {"tokens", "positions", *(f"blocks.{layer}.mask" for layer in range(3))}
    for name in trace.names():
        operation = trace.operation(name)
        assert operation is not None
        assert set(operation.inputs) <= seen, name
        seen.add(name)
        for source in operation.inputs:
            assert name in trace.feeds(source)
    assert trace.operation("tokens") is None
    assert "blocks.0.pattern" in trace
    assert "blocks.9.pattern" not in trace


def test_why_is_the_sum_of_its_terms(tiny: Tiny) -> None:
    trace = tiny("llama").trace(TEXT)
    x = trace.why("blocks.2.scores", head=2, query=4, key=1)
    q, k = trace.tensor("blocks.2.q")[2, 4], trace.tensor("blocks.2.k")[1, 1]
    assert x.value == pytest.approx(float(q @ k) * 8**-0.5, rel=1e-5)
    assert len(x.terms) == 8
    assert sum(t.value for t in x.terms) == pytest.approx(x.value, rel=1e-5)
    assert [abs(t.value) for t in x.terms] == sorted((abs(t.value) for t in x.terms), reverse=True)
    assert x.check.ok
    assert x.inputs == ("blocks.2.q", "blocks.2.k")
    assert "\\sqrt{8}" in x.formula
    first = x.terms[0]
    assert first.source is not None
    assert first.source.name == "blocks.2.q"
    assert first.source.index["token"] == 4


def test_operands_lead_down_to_weights_and_ids(tiny: Tiny) -> None:
    trace = tiny("gpt2").trace(TEXT)
    found = trace.why("blocks.0.q", head=1, token=3, dim=2)
    steps = 0
    while found.terms:
        source = found.terms[0].source
        assert source is not None
        found, steps = trace.why(source.name, **source.index), steps + 1
        assert found.check.ok
        assert steps < 20
    assert found.operation == "weight"
    assert found.value == pytest.approx(float(trace.value(found.name)[tuple(found.index.values())]))
    assert trace.why("tokens", token=2).value == trace.tokens.ids[2]


def test_errors_are_sentences(tiny: Tiny) -> None:
    model = tiny("llama")
    trace = model.trace(TEXT)
    for ask in (
        lambda: trace["blocks.1.nonsense"], lambda: trace["blocks.7.q"], lambda: trace.why("blocks.1.q", head=9, token=0, dim=0),
        lambda: trace.why("blocks.1.q", head=0), lambda: trace.head_map(0, 99), lambda: trace.head_map(0, 0, "nope"), lambda: trace.lens(99),
    ):  # fmt: skip
        with pytest.raises(NoSuchTensor, match=r"\w+ .*\."):
            ask()
    with pytest.raises(EmptyText, match="no text yet"):
        model.trace("")
    with pytest.raises(TooLong, match=r"129 tokens.*can read 128"):
        model.trace("x" * 129)
    assert model.trace("x" * 128).logits.shape == (300,)
    assert model.trace("x").tensor("blocks.0.pattern").shape == (4, 1, 1)


@pytest.mark.parametrize(
    "text", ["é漢字🙂", "مرحبا", "a\u200bb", "a\x00b", "<script>alert(1)</script>", "\n\t ", "👩‍👩‍👧‍👦"]
)
def test_pieces_join_to_the_exact_text_and_bytes_are_shown_as_bytes(text: str, tiny: Tiny) -> None:
    trace = tiny("gpt2").trace(text)
    assert b"".join(trace.tokens.pieces).decode() == text == trace.text
    assert trace.tokens.exact
    assert all("\ufffd" not in shown and shown for shown in trace.tokens.strings)
    assert len(trace.tokens.strings) == len(trace.tokens.ids)


def test_editing_the_end_runs_only_what_changed(tiny: Tiny) -> None:
    model = tiny("qwen3")
    first = model.trace("the cat sat on the mat")
    edited = model.trace("the cat sat on the hat")
    assert edited.recording.reused == len(edited.tokens) - 3
    assert edited.recording.reused == 19
    whole = record(model, "the cat sat on the hat", reuse=False)
    assert torch.allclose(edited.tensor("logits"), whole.tensor("logits"), atol=1e-3)
    assert torch.equal(edited.recording.streams[2][:19], first.recording.streams[2][:19])


def test_a_failed_pass_does_not_poison_the_next(tiny: Tiny) -> None:
    model = tiny("llama")
    model.trace("abc")

    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    block = model.parts.blocks[2].block
    with block.register_forward_pre_hook(looking_on(fail)), pytest.raises(Unsupported, match="out of memory"):
        model.trace("abcdef")
    after, whole = model.trace("abcdef"), record(model, "abcdef", reuse=False)
    assert torch.allclose(after.tensor("logits"), whole.tensor("logits"), atol=1e-4)


def test_two_identical_runs_are_equal_bit_for_bit(tiny: Tiny) -> None:
    a, b = (record(tiny("mixtral"), TEXT, reuse=False) for _ in range(2))
    for name in a.names(2):
        assert torch.equal(a.tensor(name), b.tensor(name)), name


def test_double_precision_shrinks_the_difference_to_the_models(tiny: Tiny) -> None:
    """What is left in float32 is rounding, not a mistake: in float64 it all but vanishes."""
    from tests.families import tiny as build

    differences = []
    for dtype in (torch.float32, torch.float64):
        trace = build("gemma2", dtype=dtype).trace(TEXT)
        block = trace.model.parts.blocks[1]  # type: ignore[union-attr]
        with listening(block.attn) as heard, torch.inference_mode():
            block.block(trace.recording.streams[1][None], **trace.recording.calls[1][1])
        assert heard.q is not None
        assert heard.k is not None
        assert heard.v is not None
        scores = heard.q @ heard.k.repeat_interleave(2, 0).transpose(-1, -2) * 24**-0.5
        scores = (torch.tanh(scores / 5.0) * 5.0).masked_fill(~trace.tensor("blocks.1.mask"), -torch.inf)
        eager = tiny_hf("gemma2", attn="eager", dtype=dtype)
        with torch.inference_mode():
            expected = eager(input_ids=torch.tensor([trace.tokens.ids.tolist()]), output_attentions=True).attentions[1][
                0
            ]
        differences.append(float((torch.softmax(scores.double(), -1) - expected.double()).abs().max()))
    assert differences[0] < 1e-5
    assert differences[1] < 1e-6


@pytest.mark.parametrize("name", ["llama", "gpt2", "qwen3", "falcon"])
def test_both_routes_record_the_same(name: str) -> None:
    """A model that supports the registry and the function mode gives the same numbers on both."""
    from tests.families import tiny as build

    model = build(name, attn="eager")
    trace = model.trace(TEXT)
    for layer in range(3):
        call = trace.recording.streams[layer], trace.recording.calls[layer]
        routes = ["mode"] if name == "falcon" else ["registry", "mode"]
        heard = [replay(model, layer, *call, route=route) for route in routes]
        for other in heard[1:]:
            for own in ("q", "k", "v", "mask", "attn_out"):
                assert torch.equal(heard[0].tensors[own], other.tensors[own]), own


def test_two_models_in_two_threads_do_not_mix(tiny: Tiny) -> None:
    expected = {
        name: record(tiny(name), TEXT, reuse=False).tensor("blocks.1.pattern") for name in ("llama", "gpt_oss", "bloom")
    }
    wrong: list[str] = []

    def work(name: str) -> None:
        for _ in range(6):
            if not torch.equal(record(tiny(name), TEXT, reuse=False).tensor("blocks.1.pattern"), expected[name]):
                wrong.append(name)

    threads = [threading.Thread(target=work, args=(name,)) for name in (*expected, *expected)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_our_registry_entry_refuses_to_work_outside_a_replay(tiny: Tiny) -> None:
    model = tiny_hf("llama")
    model.config._attn_implementation = NAME
    with pytest.raises(RuntimeError, match="only works inside a txpanel replay"):
        model(input_ids=torch.tensor([[5, 6, 7]]))


def test_models_that_cannot_be_opened_are_refused_in_words() -> None:
    with pytest.raises(Unsupported, match="in this order"):
        LanguageModel.wrap(tiny_tokenizer(), tiny_hf("gpt2"))


def test_half_precision_is_checked_with_its_own_tolerance() -> None:
    from tests.families import tiny as build

    trace = build("llama", dtype=torch.bfloat16).trace(TEXT)
    assert trace.check(1).exact
    assert trace.tensor("blocks.1.q").dtype == torch.float32
    assert trace.why("blocks.1.mlp_out", token=3, feature=5).check.ok


@pytest.mark.sweep
def test_bytes_held_are_linear_and_small() -> None:
    """GPT-2-small shapes: at most 45 MB at 1,024 tokens, and at most 2.1 times what 512 take (B-02)."""
    with torch.device("meta"):
        model = GPT2LMHeadModel(GPT2Config())
    model = model.to_empty(device="cpu")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.01)
    opened = LanguageModel.wrap(model.tie_weights() or model, tiny_tokenizer())
    held = [record(opened, [int(x) % 250 + 3 for x in range(n)], reuse=False).nbytes for n in (512, 1024)]
    assert held[1] <= 45e6, held
    assert held[1] <= 2.1 * held[0], held


def test_the_store_is_bounded_by_bytes() -> None:
    store = Tensors(Memory(cap=lambda: 1000))
    for n in range(10):
        store.put(1, f"t{n}", torch.zeros(50))
    assert store.nbytes <= 1000
    assert store.get(1, "t9") is not None
    assert store.get(1, "t0") is None
    store.forget(1)
    assert store.nbytes == 0


def test_a_forgotten_block_is_replayed_again(tiny: Tiny) -> None:
    from txpanel.tracing.store import STORE

    trace = tiny("gpt2").trace(TEXT)
    before = trace.tensor("blocks.1.mlp_post").clone()
    assert trace.replayed_nbytes > 0
    STORE.forget(trace.uid)
    assert trace.replayed_nbytes == 0
    assert torch.equal(trace.tensor("blocks.1.mlp_post"), before)


@pytest.mark.parametrize("name", ["gpt2", "bloom", "mixtral", "gpt_oss"])
def test_whatever_has_to_go_comes_back(tiny: Tiny, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """One tensor is dropped at a time: a mask whose q is still there has nothing to be derived from but another replay."""
    from txpanel.models.memory import MEMORY

    trace = tiny(name).trace(TEXT)
    names = [tensor for tensor in trace.graph.dims if tensor.startswith("blocks.1.")]
    before = {tensor: trace.tensor(tensor).clone() for tensor in names}
    monkeypatch.setattr(MEMORY, "cap", lambda: 1)
    for tensor in names:
        assert torch.allclose(trace.tensor(tensor).float(), before[tensor].float(), atol=1e-5, equal_nan=True), tensor


def test_lens_and_surprisal_are_the_models_own(tiny: Tiny) -> None:
    for name in ("gemma2", "granite", "gpt2"):
        trace = tiny(name).trace(TEXT)
        with torch.inference_mode():
            logits = tiny_hf(name)(input_ids=torch.tensor([trace.tokens.ids.tolist()])).logits[0].float()
        for position in (0, 5, -1):
            assert torch.allclose(torch.from_numpy(trace.logits_at(position).values), logits[position], atol=1e-4)
        nats = torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(trace.tokens.ids[1:]), reduction="none")
        bits = trace.surprisal()
        assert np.isnan(bits[0])
        assert np.allclose(bits[1:], nats.numpy() / np.log(2), atol=1e-4)
        assert trace.lens(0).shape == (300,)


def test_extend_needs_a_model(tiny: Tiny, tmp_path: object) -> None:
    trace = tiny("gpt2").trace("abc")
    assert extend(trace, [70, 71]).tokens.ids.tolist() == [*trace.tokens.ids.tolist(), 70, 71]
    opened = txpanel.open_trace(trace.save(f"{tmp_path}/t.safetensors"))
    with pytest.raises(txpanel.errors.TxpanelError, match="without its model"):
        extend(opened, [70])


def test_what_is_kept_for_a_model_goes_with_it() -> None:
    """Its operations and its recent runs stand in weak dictionaries: nobody else holds the model."""
    model = txpanel.load("nano")
    trace = model.trace("CAB=")
    assert graph_of(model) is trace.graph
    assert len(prefixes(model)) == 1
    assert model.trace("CAB=A").graph is trace.graph
    gone, graph = weakref.ref(model), weakref.ref(trace.graph)
    del model, trace
    gc.collect()
    assert gone() is None
    assert graph() is None
