"""Values and right answers, each against a computation of its own."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import txpanel
from tests.lessons.lesson_files import task
from txpanel.errors import BadLesson, Unsupported
from txpanel.lessons import vocabulary_kind
from txpanel.lessons.conditions import CONDITIONS
from txpanel.lessons.confusions import CONFUSIONS
from txpanel.lessons.expressions import parse
from txpanel.lessons.goals import WORDS
from txpanel.lessons.page_parts import PARTS, PLAYED
from txpanel.lessons.rendering import task_shown
from txpanel.lessons.situation import Situation, situation_of
from txpanel.lessons.tasks import judge, ordered, right_answer
from txpanel.lessons.values import VALUES, Found, checked, evaluate, shown
from txpanel.models.language_model import LanguageModel
from txpanel.session.state import ModelState

TEXT = "CABCAB="
GUIDE = (Path(__file__).parents[2] / "docs" / "lessons.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def here(nano: LanguageModel) -> Situation:
    found = situation_of(ModelState(model=nano, text=TEXT, layer=1, head=2, temperature=0.8, top_k=3, seed=5))
    assert found is not None
    return found


def raw(text: str, here: Situation) -> Any:
    return evaluate(checked(parse(text)), here).raw


def test_the_head_that_misleads_most_is_one_that_misleads(nano: LanguageModel) -> None:
    """In every head by hand: where the largest weight and the largest share of z are those of two keys, and by how much they lead."""
    misled = 0
    for text in ("CABCAB=", "EDCBA=", "BADCAB=", "CBABBC=", "AADDB="):
        found = situation_of(ModelState(model=nano, text=text))
        assert found is not None
        wanted = None
        for query in range(len(text) - 1, 1, -1):  # the last one first, and another one where no head misleads with it
            leads = {}
            for layer, head in np.ndindex(3, 3):
                weights = found.trace.tensor(f"blocks.{layer}.pattern")[head, query].numpy()
                brought = weights * np.linalg.norm(found.trace.tensor(f"blocks.{layer}.v")[head].numpy(), axis=1)
                if weights.argmax() != brought.argmax():
                    leads[layer, head] = min(1 - np.sort(row)[-2] / row.max() for row in (weights, brought))
            best = max(leads, key=lambda at: leads[at], default=(0, 0))
            if leads.get(best, 0) > 0.02:
                wanted = (*best, query)
                break
        misled += wanted is not None
        said = tuple(raw(f"misleading.{name}(last)", found) for name in ("block", "head", "query"))
        assert said == (wanted or (0, 0, len(text) - 1))
    assert misled


def softmax(row: np.ndarray) -> np.ndarray:
    powers = np.exp(row - row.max())
    return powers / powers.sum()


def test_attention_by_hand(here: Situation) -> None:
    trace = here.trace
    q, k, v = (trace.tensor(f"blocks.1.{name}")[2].numpy().astype(float) for name in "qkv")
    scores = q @ k.T * trace.anatomy.blocks[1].scaling
    weights = np.stack([softmax(np.where(np.arange(7) <= i, row, -np.inf)) for i, row in enumerate(scores)])
    last = 6
    assert raw("score(last, 2)", here) == pytest.approx(scores[last, 2], rel=1e-4)
    assert raw("weight(last, 2)", here) == pytest.approx(weights[last, 2], rel=1e-4)
    assert raw("strongest(last)", here) == int(weights[last].argmax())
    assert raw("weakest(last)", here) == int(weights[last].argmin())
    assert raw("row.sum(3)", here) == pytest.approx(1)
    assert raw("rest(weight(last, first))", here) == pytest.approx(1 - raw("weight(last, first)", here))
    assert (raw("row.open(2)", here), raw("row.masked(2)", here)) == (3, 4)
    brought = weights[last] * np.linalg.norm(v, axis=1)
    assert raw("z.largest(last)", here) == int(brought.argmax())
    assert raw("z.share(last, 2)", here) == pytest.approx(brought[2], rel=1e-4)
    assert raw("z.norm(last)", here) == pytest.approx(np.linalg.norm(weights[last] @ v), rel=1e-4)
    assert raw("v.norm_others(first)", here) == pytest.approx(np.linalg.norm(v, axis=1)[1:].mean(), rel=1e-4)
    assert raw("first.mean", here) == pytest.approx(weights[2:, 0].mean(), rel=1e-4)


def test_the_stream_by_hand(here: Situation, nano: LanguageModel) -> None:
    ids = torch.tensor([here.ids.tolist()])
    with torch.inference_mode():
        streams = nano.model(ids, output_hidden_states=True).hidden_states
    assert raw("stream.norm(3)", here) == pytest.approx(float(streams[1][0, 3].norm()), rel=1e-5)
    assert raw("stream.rms(3)", here) == pytest.approx(float(streams[1][0, 3].square().mean().sqrt()), rel=1e-5)
    table = nano.model.get_input_embeddings().weight.detach()
    one, other = table[ids[0, 0]], table[ids[0, 1]]
    assert raw("embedding.norm(0)", here) == pytest.approx(float(one.norm()), rel=1e-5)
    assert raw("embedding.cosine(0, 1)", here) == pytest.approx(
        float(torch.cosine_similarity(one, other, dim=0)), rel=1e-4
    )
    assert raw("embedding.cosine(0, 3)", here) == pytest.approx(1)  # the same letter
    assert raw("embedding.norm(0)", here) != pytest.approx(float(other.norm()))
    post = here.trace.tensor("blocks.1.mlp_post")[6]
    assert raw("neurons.active(last)", here) == int((post > 0).sum())
    assert raw("neuron.top(last)", here) == int(post.argmax())


def test_output_by_hand(here: Situation, nano: LanguageModel) -> None:
    with torch.inference_mode():
        logits = nano.model(torch.tensor([here.ids.tolist()])).logits[0].double()
    order = logits[-1].argsort(descending=True)
    p = logits[-1].softmax(0)
    assert raw("next(1)", here) == int(order[0])
    assert raw("next(3)", here) == int(order[2])
    assert raw("probability(2)", here) == pytest.approx(float(p[order[1]]), rel=1e-4)
    assert raw("entropy", here) == pytest.approx(float(-(p * p.log2()).sum()), rel=1e-3, abs=1e-9)
    assert raw("at_temperature(2, 1)", here) == pytest.approx(float((logits[-1] / 2).softmax(0)[order[0]]), rel=1e-4)
    assert raw("given(2)", here) == pytest.approx(float(logits[1].softmax(0)[here.ids[2]]), rel=1e-4)
    kept = (logits[-1][order[:3]] / 0.8).softmax(0)
    assert raw("kept", here) == 3
    assert raw("chance(1)", here) == pytest.approx(float(kept[0]), rel=1e-4)
    assert raw("chance(4)", here) == 0
    drawn = [txpanel.sampling.pipeline(logits[-1].float(), temperature=0.8, top_k=3, seed=n).token for n in range(40)]
    assert raw("drawn.times(1, 40)", here) == Counter(drawn)[int(order[0])]
    assert raw("drawn", here) == txpanel.sampling.pipeline(logits[-1].float(), temperature=0.8, top_k=3, seed=5).token


def test_shares_of_z_by_hand(here: Situation) -> None:
    weights = here.trace.tensor("blocks.1.pattern")[2].numpy()
    lengths = np.linalg.norm(here.trace.tensor("blocks.1.v")[2].numpy(), axis=1)
    brought = weights[6] * lengths
    assert raw("z.part(last, first)", here) == pytest.approx(brought[0] / brought.sum(), rel=1e-4)
    assert raw("z.others(last, 2)", here) == pytest.approx(brought.sum() - brought[2], rel=1e-4)
    rest = set(range(7)) - {int(weights[6].argmax()), int(brought.argmax())}
    assert raw("z.other(last)", here) == max(rest, key=lambda at: lengths[at])
    pairs = {(q, k): weights[q, k] for q in range(7) for k in range(1, q)}
    assert (raw("pair.query", here), raw("pair.key", here)) == max(pairs, key=lambda at: pairs[at])


def test_a_neuron_at_other_tokens_by_hand(here: Situation) -> None:
    post = here.trace.tensor("blocks.1.mlp_post").numpy()
    tops, shares = post.argmax(1), {}
    for at, top in enumerate(tops):
        shares[at] = max(post[one, top] for one in range(7) if TEXT[one] != TEXT[at]) / post[at, top]
    at = max(shares, key=lambda one: shares[one])
    row = post[:, tops[at]]
    assert raw("neuron.shared", here) == at
    assert raw("neuron.second(neuron.shared)", here) == max(
        (one for one in range(7) if TEXT[one] != TEXT[at]), key=lambda one: row[one]
    )
    assert raw("neuron.least(neuron.shared)", here) == int(row.argmin())
    assert raw("neuron.at(neuron.shared, 2)", here) == pytest.approx(float(row[2]))
    other = int(raw("neuron.other(neuron.shared)", here))
    assert raw(f"neuron.top({other})", here) != raw("neuron.top(neuron.shared)", here)


def test_the_head_that_rests_on_the_first_token_by_hand(here: Situation) -> None:
    exceeds = {}
    for layer, head in np.ndindex(3, 3):
        weights = here.trace.tensor(f"blocks.{layer}.pattern")[head, -1].numpy()
        brought = weights * np.linalg.norm(here.trace.tensor(f"blocks.{layer}.v")[head].numpy(), axis=1)
        exceeds[layer, head] = weights[0] - brought[0] / brought.sum()
    best = max(exceeds, key=lambda at: exceeds[at])
    assert exceeds[best] > 0
    assert (raw("sink.block(last)", here), raw("sink.head(last)", here)) == best


def test_what_is_to_be_expected_by_hand(nano: LanguageModel, here: Situation) -> None:
    hot = situation_of(ModelState(model=nano, text=TEXT, temperature=3.0))
    assert hot is not None
    p = softmax(np.asarray(hot.trace.logits.values, float) / 3)
    assert raw("chance.others", hot) == pytest.approx(1 - p.max(), rel=1e-4)
    assert raw("drawn.others(1000)", hot) == round(1000 * (1 - p.max()))
    tops = {t: softmax(np.asarray(hot.trace.logits.values, float) / t).max() for t in (1, 2, 3, 4)}
    assert raw("temperature.mixed", hot) == min(t for t, top in tops.items() if top < 0.9)
    bits = np.asarray(hot.trace.surprisal())[1:]
    assert (raw("given.least", hot), raw("given.most", hot)) == (1 + int(bits.argmax()), 1 + int(bits.argmin()))
    assert raw("given(given.least)", hot) < raw("given(given.most)", hot)
    assert (raw("cache.computed(3)", hot), raw("cache.without(3)", hot)) == (10, 7 + 8 + 9 + 10)
    assert (raw("sum(tokens.count, 10)", hot), raw("rounded_up(17, 10)", hot), raw("rounded_up(20, 10)", hot)) == (17, 20, 20)  # fmt: skip
    assert raw("apart(tokens.count, 5, 2)", hot) == 7
    assert evaluate(parse("apart(tokens.count, 5, 2)"), hot).kind == "count"
    with pytest.raises(Unsupported):
        raw("apart(tokens.count, 5, 3)", hot)


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("share", 2.1e-7, "less than 0.001 %"),
        ("share", 1 - 1e-9, "more than 99.9999 %"),
        ("share", 0.00042, "0.042 %"),
        ("share", 0.0, "0 %"),
        ("share", 1.0, "100 %"),
        ("number", 4e-4, "less than 0.001"),
        ("number", -4e-4, "between −0.001 and 0"),
        ("number", 1234567.8, "1,234,568"),
        ("number", 41.667, "41.7"),
        ("number", 0.0, "0"),
    ],
)
def test_no_number_in_a_sentence_has_a_power_of_ten(here: Situation, kind: Any, value: float, said: str) -> None:
    assert shown(Found(kind, value), here) == said


@pytest.mark.parametrize(("family", "pieces"), [("nano", False), ("bytes", False), ("words", True)])
def test_pieces_of_words_or_letters(
    nano: LanguageModel, tiny: Callable[[str], LanguageModel], family: str, pieces: bool
) -> None:
    if family == "words":
        tokens = [f" {word}".encode() for word in ("one", "two", "three")]
        assert vocabulary_kind._counted(tokens) == (1.0, 1.0)
        assert vocabulary_kind._counted(["日".encode(), b"a", b"\xe6"]) == (0.0, 0.0)
        return
    model = nano if family == "nano" else tiny("llama")
    found = situation_of(ModelState(model=model, text="abc"))
    assert found is not None
    assert CONDITIONS["pieces"](found) == pieces
    assert not CONDITIONS["blank-first"](found)


def test_nano_has_none_of_the_heads(here: Situation) -> None:
    for kind in ("previous", "induction", "first"):
        assert CONDITIONS[f"{kind}-heads"](here) == (raw(f'found.many("{kind}", 0.3)', here) > 0)


def test_text_and_shape(here: Situation) -> None:
    assert raw("tokens.count", here) == 7
    assert raw("repeat", here) == 5  # the second B
    assert raw("repeat.after", here) == 3  # what followed the first B
    assert shown(evaluate(parse("repeat"), here), here) == "6"  # a person counts from 1
    assert shown(evaluate(parse("token(last)"), here), here) == "="
    assert raw("cache.numbers", here) == 3 * 2 * 48
    assert raw("cache.new", here) == 1


def test_what_a_text_does_not_have_is_refused(nano: LanguageModel) -> None:
    short = situation_of(ModelState(model=nano, text="AB="))
    assert short is not None
    for text in (
        "repeat",
        "token(9)",
        "before(first)",
        "token(before(first))",
        "next(0)",
        "model.window",
        "model.softcap",
        "given(first)",
    ):
        with pytest.raises(Unsupported):
            raw(text, short)


@pytest.mark.parametrize("family", ["llama", "gemma2", "mixtral"])
def test_every_value_is_there_or_refused_in_words(tiny: Callable[[str], LanguageModel], family: str) -> None:
    found = situation_of(ModelState(model=tiny(family), text="abcabc", layer=1, head=3))
    assert found is not None
    samples = {"place": "last", "rank": "2", "number": "3", "word": '"temperature"', "any": "last"}
    missing = []
    for name, one in VALUES.items():
        takes = [samples[each] for each in one.takes if each != "..."]
        text = f"{name}({', '.join(takes)})" if takes else name
        try:
            value = evaluate(checked(parse(text)), found)
        except Unsupported as error:
            assert str(error).endswith(".")
            missing.append(name)
            continue
        assert isinstance(value.raw, str) or math.isfinite(value.raw), (name, value)
        assert shown(value, found), (name, value)
    assert len(missing) < 20, missing
    assert ("model.softcap" in missing) == (family != "gemma2")
    assert ("model.experts" in missing) == (family != "mixtral")


def test_the_guide_has_the_whole_vocabulary() -> None:
    listed = re.findall(r"^\| `([a-z_0-9.]+)(?:\(([^)]*)\))?` \| (\w+) \| (.+) \|$", GUIDE, re.MULTILINE)
    assert listed == [
        (name, ", ".join(one.takes), str(one.kind), str(one.compute.__doc__).strip().split("\n")[0])
        for name, one in sorted(VALUES.items())
    ]
    for name in (*CONDITIONS, *PARTS, *PLAYED, *CONFUSIONS, *WORDS):
        assert f"`{name}`" in GUIDE, name


# -- right answers ---------------------------------------------------------------------------------------------------------------

CHOICE = """ask: What adds more?
answer: largest("attention", attention.norm(last), "mlp", mlp.norm(last))
options:
  attention: {text: Attention, says: It is the other one., confusion: attention-importance}
  mlp: {text: The MLP, says: It is the other one.}
"""


def test_a_choice(tmp_path: Path, here: Situation) -> None:
    found = task(tmp_path, "choice", CHOICE).steps[0].task
    assert found is not None
    norms = {
        part: float(here.trace.tensor(f"blocks.1.{name}")[6].norm())
        for part, name in (("attention", "attn_out"), ("mlp", "mlp_out"))
    }
    right = max(norms, key=lambda part: norms[part])
    (wrong,) = norms.keys() - {right}
    assert right_answer(found, here).option == right
    assert judge(found, right, here).right
    said = judge(found, wrong, here)
    assert not said.right
    assert said.says == (("", "It is the other one."),)
    assert said.confusion == ("attention-importance" if wrong == "attention" else "")
    for answer in ("neither", 3, None, ["mlp"]):
        with pytest.raises(BadLesson):
            judge(found, answer, here)


def test_a_number_with_room_and_foreseen_mistakes(tmp_path: Path, here: Situation) -> None:
    yaml = "ask: How many?\nanswer: row.open(4)\nwithin: 10 %\nwrong:\n  all: {value: tokens.count, says: 'Those behind as well?'}\n  else: {says: No.}"
    found = task(tmp_path, "number", yaml).steps[0].task
    assert found is not None
    assert judge(found, 5, here).right
    assert judge(found, 5.4, here).right
    assert judge(found, 7, here).says == (("", "Those behind as well?"),)
    assert judge(found, 3, here).says == (("", "No."),)
    for answer in ("5", None, [5, 5], float("nan"), 1e300, True):
        with pytest.raises(BadLesson):
            judge(found, answer, here)


def test_a_cell_and_its_mirror_image(tmp_path: Path, here: Situation) -> None:
    yaml = "ask: Where?\nanswer: [4, 1]\nwrong:\n  turned: {value: [1, 4], says: Turned., confusion: query-key}"
    found = task(tmp_path, "cell", yaml).steps[0].task
    assert found is not None
    assert judge(found, [4, 1], here).right
    assert judge(found, [1, 4], here).confusion == "query-key"
    assert not judge(found, [4, 2], here).right
    masked = task(tmp_path, "cell", "ask: Where?\nanswer: [1, 4]").steps[0].task
    assert masked is not None
    with pytest.raises(Unsupported):
        right_answer(masked, here)


@pytest.mark.parametrize(
    "options",
    [
        "a: {text: a, value: 1}\n  b: {text: b, value: 2}",  # none is right
        "a: {text: a, value: 7}\n  b: {text: b, value: tokens.count}",  # both are
        "a: {text: a, value: 7}\n  b: {text: b, value: 3}\n  c: {text: c, value: row.open(2)}",  # two are the same
        "a: {text: a, value: 7}\n  b: {text: b, value: model.window}",  # one is not there
    ],
)
def test_a_choice_that_cannot_be_decided_is_not_asked(tmp_path: Path, here: Situation, options: str) -> None:
    found = task(tmp_path, "choice", f"ask: x\nanswer: tokens.count\noptions:\n  {options}").steps[0].task
    assert found is not None
    with pytest.raises(Unsupported):
        right_answer(found, here)


def test_options_stand_in_the_order_of_their_values(tmp_path: Path, here: Situation) -> None:
    options = "a: {text: a}\n  b: {text: b, value: 9}\n  c: {text: c, value: 7}\n  d: {text: d, value: 3}"
    yaml = f"ask: x\nanswer: tokens.count\norder: value\noptions:\n  {options}"
    found = task(tmp_path, "choice", yaml).steps[0].task
    assert found is not None
    assert [option.id for option in ordered(found, here)] == ["d", "c", "b", "a"]
    assert [id for id, _text in task_shown(found, here)["options"]] == ["d", "c", "b", "a"]
    tokens = "b: {text: b, value: token(1)}\n  c: {text: c, value: token(0)}\n  e: {text: e, value: token(last)}"
    yaml = f"ask: x\nanswer: token(0)\norder: value\noptions:\n  {tokens}"
    found = task(tmp_path, "choice", yaml).steps[0].task
    assert found is not None
    assert [option.id for option in ordered(found, here)] == ["e", "b", "c"]  # = A C
    with pytest.raises(BadLesson):
        task(tmp_path, "number", "ask: x\nanswer: tokens.count\norder: value")
    with pytest.raises(BadLesson):
        task(tmp_path, "choice", yaml.replace("order: value", "order: size"))


def test_what_cannot_be_computed_is_refused_and_not_shown_as_a_number_that_is_missing(nano: LanguageModel) -> None:
    """Of a text of one token there are no others: their mean would be “–”."""
    alone = situation_of(ModelState(model=nano, text="A"))
    assert alone is not None
    with pytest.raises(Unsupported, match="too few tokens"):
        raw("v.norm_others(first)", alone)
    alone.logits[:] = np.nan
    with pytest.raises(Unsupported, match="This run has no value “logit"):
        raw("logit(1)", alone)
