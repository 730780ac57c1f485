"""Models that fill gaps: what is shown of BERT, RoBERTa, DistilBERT, ModernBERT, ELECTRA and ESM is what transformers' own code computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import txpanel
from tests.families import masked_tokenizer, tiny
from tests.sweep.configs import MASK, MASKED, model_of
from txpanel.errors import EmptyText, NoSuchTensor, TooLong, TxpanelError, Unsupported
from txpanel.models.language_model import LanguageModel
from txpanel.tracing.trace import Trace

FAMILIES = ("bert", "roberta", "distilbert", "modernbert", "esm", "electra")
TEXT = "hello w<mask>rld, a <mask> c"


def opened(family: str, **more: Any) -> LanguageModel:
    """A tiny encoder, opened."""
    return LanguageModel.wrap(model_of(family + MASKED, **more), masked_tokenizer(), name=family)


@pytest.fixture(scope="module", params=FAMILIES)
def run(request: pytest.FixtureRequest) -> tuple[Trace, Any]:
    """A trace, and what the untouched model gives for the same ids; its patterns with its written-out attention."""
    trace = opened(request.param).trace(TEXT)
    with torch.inference_mode():
        ids = torch.tensor([trace.tokens.ids.tolist()])
        theirs = model_of(request.param + MASKED)(input_ids=ids, output_hidden_states=True)
        theirs.attentions = model_of(request.param + MASKED, attn="eager")(
            input_ids=ids, output_attentions=True
        ).attentions
        return trace, theirs


def near(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """The same but for rounding, by each row's own size."""
    assert ours.shape == theirs.shape
    assert float(((ours - theirs).abs().amax(-1) / theirs.abs().amax(-1)).max()) < 2e-5


def test_all_parts_of_an_encoder_are_open(run: tuple[Trace, Any]) -> None:
    trace, _theirs = run
    assert trace.model is not None
    assert not trace.model.report().opaque
    assert trace.anatomy.fills
    assert not trace.anatomy.causal
    assert not trace.model.parts.continues


def test_the_pattern_is_that_of_the_written_out_attention_and_looks_both_ways(run: tuple[Trace, Any]) -> None:
    trace, theirs = run
    assert len(theirs.attentions) == trace.anatomy.n_layers
    for layer, expected in enumerate(theirs.attentions):
        pattern = trace.tensor(f"blocks.{layer}.pattern")
        assert float((pattern - expected[0]).abs().max()) < 1e-3
        assert bool((pattern.sum(-1) - 1).abs().max() < 1e-5)
        assert bool(torch.triu(pattern, 1).any())


def test_the_streams_are_its_hidden_states(run: tuple[Trace, Any]) -> None:
    trace, theirs = run
    for layer, state in enumerate(theirs.hidden_states[: trace.anatomy.n_layers]):
        near(trace.tensor(f"blocks.{layer}.resid_pre"), state[0])


def test_the_logits_are_its_own_in_every_gap_and_at_every_token(run: tuple[Trace, Any]) -> None:
    trace, theirs = run
    assert [int(trace.tokens.ids[place]) for place in trace.gaps] == [MASK, MASK]
    assert trace.answer == trace.gaps[0]
    near(trace.tensor("logits"), theirs.logits[0, trace.answer])
    for place in range(len(trace.tokens)):
        there = trace.predicting(place)
        assert there.answer == place
        near(there.tensor("logits"), theirs.logits[0, place])
        assert there.lens_name(trace.anatomy.n_layers, place) == "logits"


def test_terms_add_up_in_the_embedding_and_in_the_head(run: tuple[Trace, Any]) -> None:
    trace, _theirs = run
    other = trace.predicting(trace.gaps[1])
    for name in (
        "embed_scaled",
        "embed_sum",
        "embed_norm",
        "embed_proj",
        "pos_embed",
        "token_type_embed",
        "mlm_pre",
        "mlm_post",
        "mlm_norm",
    ):
        if name in trace:
            for token in (0, trace.answer, len(trace.tokens) - 1):
                found = trace.why(name, token=token, feature=3)
                assert found.check.ok, found.text
    for one in (trace, other):
        found = one.why("logits", vocab=7)
        assert found.check.ok
        assert {term.source.index["token"] for term in found.terms if term.source and "token" in term.source.index} == {
            one.answer
        }
        assert "logits" in one.feeds(found.inputs[0], token=one.answer)
        assert "logits" not in one.feeds(found.inputs[0], token=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_and_masks_in_a_text_are_counted_as_the_model_counts_them(family: str) -> None:
    model = opened(family)
    ids = [1, 5, 0, MASK, 9, 0, 77, MASK, MASK, 2]
    trace, theirs = model.trace(ids), model_of(family + MASKED)
    with torch.inference_mode():
        near(trace.tensor("logits"), theirs(input_ids=torch.tensor([ids])).logits[0, 3])
    graph = trace.graph.names()
    for name in graph[: graph.index("blocks.0.resid_pre") + 1]:
        for token in range(len(ids)):
            assert trace.why(name, **dict(zip(trace.dims(name), (token, 3), strict=False))).check.ok, (name, token)


def test_a_mask_alone_is_a_text_and_nothing_is_none() -> None:
    model = opened("bert")
    assert model.trace("<mask>").gaps == (1,)
    with pytest.raises(EmptyText, match="mask token"):
        model.trace("")


def test_without_a_gap_the_answer_stands_at_the_last_token_of_the_text() -> None:
    trace = opened("bert").trace("abc")
    assert (trace.gaps, trace.answer, len(trace.tokens)) == ((), 3, 5)


def test_an_encoder_does_not_continue_a_text_and_has_no_surprisal() -> None:
    model = opened("roberta")
    trace = model.trace(TEXT)
    for ask in (lambda: txpanel.generate(model, TEXT), trace.surprisal):
        with pytest.raises(Unsupported, match="masked tokens"):
            ask()
    assert "surprisal.3" not in trace
    with pytest.raises(NoSuchTensor):
        trace.predicting(len(trace.tokens))


def test_a_model_that_writes_on_has_its_answer_after_the_last_token() -> None:
    trace = tiny("gpt2").trace("abc")
    assert (trace.answer, trace.gaps) == (len(trace.tokens) - 1, ())
    assert trace.predicting(-1) is trace
    with pytest.raises(TxpanelError, match="predicts the next token"):
        trace.predicting(0)


def test_nothing_is_served_from_an_earlier_text() -> None:
    model = opened("modernbert")
    model.trace("abcdef<mask>")
    longer = model.trace("abcdef<mask>ghi")
    assert longer.recording.reused == 0
    near(longer.tensor("logits"), opened("modernbert").trace("abcdef<mask>ghi").tensor("logits"))


def test_a_saved_trace_keeps_where_its_answer_stands(tmp_path: Any) -> None:
    trace = opened("bert").trace(TEXT)
    other = trace.predicting(trace.gaps[1])
    again = txpanel.open_trace(other.save(tmp_path / "gap.safetensors"))
    assert (again.answer, again.gaps) == (other.answer, other.gaps)
    assert torch.equal(again.tensor("logits"), other.tensor("logits"))
    assert torch.equal(again.tensor("blocks.1.pattern"), other.tensor("blocks.1.pattern"))


# -- what is wrong is not shown as open ----------------------------------------------------------------------------------


def closed(model: Any) -> dict[str, str]:
    """The parts that are not opened, with the reason."""
    return {part.name: part.reason for part in LanguageModel.wrap(model, masked_tokenizer()).report().opaque}


def test_another_activation_in_the_head_closes_the_output() -> None:
    model = model_of("roberta" + MASKED)
    head, plain = model.lm_head, type(model.lm_head).forward
    head.forward = lambda x, **_more: plain(head, x * 1.01)
    assert "logits" in closed(model)["output"]


def test_positions_that_follow_another_rule_close_the_embedding() -> None:
    model = model_of("bert" + MASKED)
    owner = model.bert.embeddings
    owner.position_ids = owner.position_ids + 1
    assert "first residual stream" in closed(model)["embed"]


def test_a_mask_that_is_treated_otherwise_closes_the_embedding() -> None:
    model = model_of("bert" + MASKED)
    owner, plain = model.bert.embeddings, type(model.bert.embeddings).forward

    def other(input_ids: Any = None, **more: Any) -> Any:
        return plain(owner, input_ids=input_ids, **more) * torch.where(input_ids == MASK, 0.5, 1.0)[..., None]

    owner.forward = other
    assert "masks" in closed(model)["embed"]


def test_attention_that_hides_later_tokens_is_not_drawn_as_one_that_looks_both_ways() -> None:
    model = model_of("distilbert" + MASKED)
    attention = model.distilbert.transformer.layer[1].attention
    plain = type(attention).forward

    def looking_back(hidden_states: Any, attention_mask: Any = None, **more: Any) -> Any:
        n = hidden_states.shape[1]
        return plain(attention, hidden_states, torch.ones(1, 1, n, n, dtype=torch.bool).tril(), **more)

    attention.forward = looking_back
    opened = LanguageModel.wrap(model, masked_tokenizer())
    trace = opened.trace(TEXT)
    if trace.anatomy.blocks[1].has_attention:
        assert not bool(torch.triu(trace.tensor("blocks.1.pattern"), 1).any())
    with torch.inference_mode():
        ids = torch.tensor([trace.tokens.ids.tolist()])
        near(trace.tensor("logits"), model(input_ids=ids).logits[0, trace.answer])


# -- what a model is told beside the token ids ----------------------------------------------------------------------------


def two_texts() -> dict[str, torch.Tensor]:
    """As BERT's tokenizer gives a pair of texts."""
    ids = torch.tensor([[1, 40, MASK, 42, 2, 50, 51, MASK, 2]])
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "token_type_ids": torch.tensor([[0, 0, 0, 0, 0, 1, 1, 1, 1]]),
    }


@pytest.mark.parametrize("family", ["bert", "albert", "electra"])
@pytest.mark.parametrize("one_text", [True, False])
def test_types_of_tokens_are_those_that_it_is_told(family: str, one_text: bool, tmp_path: Any) -> None:
    model, given = opened(family), two_texts()
    given["token_type_ids"] *= not one_text
    trace, theirs = model.trace(inputs=given), model_of(family + MASKED)
    with torch.inference_mode():
        near(trace.tensor("logits"), theirs(**given).logits[0, 2])
    assert trace.gaps == (2, 7)
    assert not trace.tokens.places
    assert not trace.anatomy.opaque
    assert trace.tensor("token_types").tolist() == given["token_type_ids"][0].tolist()
    graph = trace.graph.names()
    for name in graph[: graph.index("blocks.0.resid_pre") + 1]:
        for token in range(9):
            assert trace.why(name, **dict(zip(trace.dims(name), (token, 3), strict=False))).check.ok, (name, token)
    source = trace.why("token_type_embed", token=6, feature=3).terms[0].source
    assert source is not None
    assert source.index["row"] == int(not one_text)
    again = txpanel.open_trace(trace.save(tmp_path / "types.safetensors"))
    assert torch.equal(again.tensor("token_types"), trace.tensor("token_types"))
    typed = model.trace(given["input_ids"][0].tolist())  # without them it is told of one text
    assert not bool(typed.tensor("token_types").any())


def test_types_that_the_model_does_not_use_as_said_close_the_embedding() -> None:
    module = model_of("bert" + MASKED)
    owner, plain = module.bert.embeddings, type(module.bert.embeddings).forward

    def other(token_type_ids: Any = None, **more: Any) -> Any:
        return plain(owner, token_type_ids=None if token_type_ids is None else 1 - token_type_ids, **more)

    owner.forward = other
    model = LanguageModel.wrap(module, masked_tokenizer())
    assert not model.anatomy.opaque
    assert "first residual stream" in model.trace(inputs=two_texts()).anatomy.opaque["embed"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"attention_mask": torch.ones(1, 4)}, "shape .1, 4., and the text has 9 tokens"),
        ({"attention_mask": torch.tensor([[1] * 8 + [0]])}, "padding"),
        ({"token_type_ids": torch.full((1, 9), 7)}, "cannot be run on these inputs"),
        ({"token_type_ids": np.array([None] * 9, dtype=object)}, "not a tensor"),
    ],
)
def test_what_it_can_t_be_told_is_refused_in_words(change: dict[str, Any], words: str) -> None:
    with pytest.raises(TxpanelError, match=words):
        opened("bert").trace(inputs={**two_texts(), **change})


def test_a_mask_without_a_batch_axis_is_no_padding() -> None:
    given = {name: value[0] for name, value in two_texts().items() if name != "token_type_ids"}
    assert len(opened("bert").trace(inputs=given).tokens) == 9


# -- texts of other lengths than the one that it was compared on ---------------------------------------------------------


@pytest.mark.parametrize(("family", "pad"), [("roberta", 0), ("mpnet", 1)])  # MPNet's is 1, whatever its config says
def test_the_longest_text_is_the_one_that_its_positions_have_room_for(family: str, pad: int) -> None:
    """They are counted from behind the padding token's id on, so that rows before it are never used."""
    model, theirs = opened(family), model_of(family + MASKED)
    assert model.max_tokens == theirs.config.max_position_embeddings - pad - 1
    ids = [5 + n % 200 for n in range(model.max_tokens)]
    trace = model.trace(ids)
    with torch.inference_mode():
        near(trace.tensor("logits"), theirs(input_ids=torch.tensor([ids])).logits[0, -1])
        with pytest.raises((IndexError, RuntimeError)):
            theirs(input_ids=torch.tensor([[*ids, 5]]))
    with pytest.raises(TooLong, match="Shorten it by about 1 token"):
        model.trace([*ids, 5])


def test_one_that_fills_texts_up_is_refused_whatever_the_length() -> None:
    """Longformer fills a text up to a multiple of its window: its vectors are not one for each token."""
    module = model_of("longformer" + MASKED)
    module.config.attention_window = [8] * 3
    for layer in module.longformer.encoder.layer:
        layer.attention.self.one_sided_attn_window_size = 4
    with pytest.raises(Unsupported, match="24 vectors for 23 tokens"):
        LanguageModel.wrap(module, masked_tokenizer())


def test_what_a_model_s_own_code_raises_is_a_sentence() -> None:
    module = model_of("bert" + MASKED)
    model = LanguageModel.wrap(module, masked_tokenizer())
    layer, plain = module.bert.encoder.layer[1], type(module.bert.encoder.layer[1]).forward

    def picky(hidden_states: Any, *args: Any, **more: Any) -> Any:
        if hidden_states.shape[1] % 2:
            raise ValueError("only even texts\nare read")
        return plain(layer, hidden_states, *args, **more)

    layer.forward = picky
    with pytest.raises(Unsupported, match=r"could not be run on a text \(ValueError: only even texts are read\)"):
        model.trace([5, 6])  # it has changed, and is compared anew


def test_a_text_that_the_model_s_own_code_does_not_run_on_is_refused_in_words() -> None:
    module = model_of("bert" + MASKED)
    layer, plain = module.bert.encoder.layer[1], type(module.bert.encoder.layer[1]).forward

    def picky(hidden_states: Any, *args: Any, **more: Any) -> Any:
        if hidden_states.shape[1] == 2:
            raise ValueError("two are\ntoo few")
        return plain(layer, hidden_states, *args, **more)

    layer.forward = picky
    model = LanguageModel.wrap(module, masked_tokenizer())
    assert len(model.trace([5, 6, 7]).tokens) == 3
    with pytest.raises(Unsupported, match=r"could not be run on this text \(ValueError: two are too few\)"):
        model.trace([5, 6])


# -- rounding is no mistake, and a mistake is no rounding -----------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_number_of_the_first_stream_adds_up_also_those_near_zero(dtype: torch.dtype) -> None:
    """After a norm some numbers are nearly zero beside others of their row: they are off by the row's rounding, not by their own."""
    trace = LanguageModel.wrap(model_of("albert" + MASKED).to(dtype), masked_tokenizer()).trace(TEXT)
    names = ("blocks.0.resid_pre", "blocks.1.resid_post", "blocks.1.mlp_post")
    for name in names:
        for token in range(0, len(trace.tokens), 5):
            for at in range(32):
                found = trace.why(name, **dict(zip(trace.dims(name), (token, at), strict=True)))
                assert found.check.ok, (name, token, at, found.check)


def test_a_cell_that_is_off_by_more_than_the_rounding_of_its_row_is_said_to_be() -> None:
    trace = opened("bert").trace(TEXT)
    row = trace.tensor("blocks.0.resid_pre")[3]
    at = int(row.abs().argmin())
    trace.recording.streams[0] = trace.recording.streams[0].clone()
    trace.recording.streams[0][3, at] += 1e-5 * float(row.abs().max())
    assert not trace.why("blocks.0.resid_pre", token=3, feature=at).check.ok


def test_a_text_of_which_a_model_makes_no_number_is_said_to_give_none() -> None:
    """ESM divides by the share of tokens that are no masks."""
    trace = opened("esm").trace([MASK])
    assert bool(trace.tensor("logits").isnan().all())
    for name in ("embed_scaled", "blocks.0.q", "logits"):
        found = trace.why(name, **dict.fromkeys(trace.dims(name), 0))
        assert found.check.ok, name
        assert found.value != found.value
