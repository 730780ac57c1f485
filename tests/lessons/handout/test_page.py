"""A lesson on paper: its numbers are those of the run, its answers stand apart, and no text becomes markup."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.lessons.handout.printed import drawings, drawn, halves, labels, lesson, run, section, sections, words
from tests.lessons.lesson_files import lesson as written
from tests.lessons.lesson_files import write
from tests.sweeping import first
from txpanel.errors import Unsupported
from txpanel.lessons.confusions import confusion
from txpanel.lessons.discovery import find_lessons
from txpanel.lessons.handout.belongs import BELONGS
from txpanel.lessons.handout.page import file_name, handout
from txpanel.lessons.handout.pictures import PICTURES
from txpanel.lessons.page_parts import PARTS
from txpanel.lessons.reading import read_lesson
from txpanel.lessons.shapes import NANO_TEXTS, shapes
from txpanel.lessons.walk import Walk
from txpanel.models.language_model import LanguageModel
from txpanel.models.tokens import Tokens
from txpanel.session.state import ModelState
from txpanel.toolkit.format import brief, number, percent

TEXT = "CABCAB="
HOSTILE = ["<script>alert(1)</script>", "]]>", "&amp;", "\"'", "</svg>", "{{ 7 }}", "\x00\x1b"]


@pytest.fixture(scope="module")
def page(nano: LanguageModel) -> str:
    return handout(lesson("attention"), run(nano, TEXT, layer=1, head=2), date="2027-04-05")


@pytest.fixture(scope="module")
def models(nano: LanguageModel) -> list[tuple[LanguageModel, Sequence[str]]]:
    return [
        (nano, NANO_TEXTS[:2]),
        *((model, (texts[0], texts[-1])) for model, texts in shapes() if model.name != "nano"),
    ]


def asked(page: str, heading: str) -> str:
    """A step of the pages with the questions."""
    return section(halves(page)[0], heading)


# -- numbers ---------------------------------------------------------------------------------------------------------------------


def weights(nano: LanguageModel, layer: int, head: int) -> np.ndarray:
    """The pattern by the model's own code in its eager way, another one than the recorded."""
    from transformers import AutoModelForCausalLM

    twin = AutoModelForCausalLM.from_config(nano.model.config, attn_implementation="eager").eval()
    twin.load_state_dict(nano.model.state_dict())
    with torch.inference_mode():
        out = twin(torch.tensor([nano.encode(TEXT)]), output_attentions=True)
    return out.attentions[layer][0, head].numpy()


def test_the_pattern_is_that_of_the_model(nano: LanguageModel, page: str) -> None:
    wanted = weights(nano, 1, 2)
    (drawing,) = drawn(page, "Attention pattern")
    cells = [brief(100 * weight) for i, row in enumerate(wanted) for weight in row[: i + 1]]
    said = labels(drawing)
    assert [text for text in said if text in set(cells) and " " not in text][-len(cells) :] == cells
    text = words(asked(page, "Which is which?"))
    assert "block 2, head 3" in text


def test_norms_and_probabilities_are_those_of_the_model(nano: LanguageModel) -> None:
    here = run(nano, TEXT)
    with torch.inference_mode():
        out = nano.model(torch.tensor([nano.encode(TEXT)]), output_hidden_states=True)
    (drawing,) = drawn(handout(lesson("tokens-to-vectors"), here), "Norms of the residual stream")
    norms = [f"{float(vector.norm()):.1f}" for stream in out.hidden_states[:-1] for vector in stream[0]]
    said = labels(drawing)
    assert [text for text in said if re.fullmatch(r"\d+\.\d", text)][: len(norms)] == norms
    own = torch.softmax(out.logits[0, -1].double(), 0).sort(descending=True)
    drawing = drawn(handout(lesson("next-token"), here), "Next token")[0]
    assert [f"{n}  {nano.tokens([int(id)]).strings[0]}" for n, id in enumerate(own.indices[:4].tolist(), 1)] == [
        text for text in labels(drawing) if re.match(r"\d  ", text)
    ][:4]
    assert {percent(float(p)) for p in own.values[:4]} <= set(labels(drawing))


def test_settings_are_those_of_the_step(nano: LanguageModel) -> None:
    """The step sets temperature 1 and top-p 0.9; a run with these settings draws from the same probabilities."""
    page = handout(lesson("next-token"), run(nano, "EDCBA="))
    wanted = run(nano, "EDCBA=", temperature=1.0, top_p=0.9)
    assert wanted.sample is not None
    shares = {percent(float(share)) for share in wanted.sample.probabilities[wanted.ranked[:4]]}
    assert any(shares <= set(labels(drawing)) for drawing in drawn(page, "Next token"))
    _questions, answers = halves(page)
    hot = words(section(answers, "Try it"))
    assert "An example, with temperature 0.15:" in hot
    cold = run(nano, "EDCBA=", temperature=0.15, top_p=1.0)
    assert cold.sample is not None
    assert percent(float(cold.sample.probabilities[cold.ranked[0]])) in hot


def test_strips_and_bars(nano: LanguageModel) -> None:
    here = run(nano, TEXT, layer=1)
    page = handout(lesson("mlp-and-blocks"), here)
    neurons = here.trace.tensor("blocks.1.mlp_post")[-1]
    top = int(neurons.argmax())
    said = labels(drawn(page, "Neurons")[0])
    assert said[:2] == [f"neuron {top}", number(float(neurons[top]), 3)]
    q = here.trace.tensor("blocks.1.q")[0, -1]
    said = labels(drawn(handout(lesson("attention"), here), "Query, key and value")[0])
    assert f"‖x‖ = {number(float(q.norm()), 3)}" in said


def test_the_same_picture_is_printed_once(page: str) -> None:
    assert "See figure 2." in words(asked(page, "The mask"))
    said = words(page)
    assert [f"Figure {n} " in said for n in range(1, 6)] == [True, True, True, True, False]


def test_a_long_text_says_which_tokens_are_shown(nano: LanguageModel) -> None:
    here = run(nano, "ABC" * 9 + "=")
    assert len(here.ids) == 28
    part = asked(handout(lesson("attention"), here), "Which is which?")
    assert "Of 28 tokens it shows the first one and tokens 5 to 28." in words(part)
    names = [text for text in labels(drawings(part)[0]) if re.match(r"\d+  ", text)]
    assert len(names) == 50
    assert {name.split()[0] for name in names} == {"1", *map(str, range(5, 29))}


# -- what stands where -----------------------------------------------------------------------------------------------------------


def test_answers_stand_apart(nano: LanguageModel, page: str) -> None:
    questions, answers = halves(page)
    assert "2027-04-05" in questions
    assert confusion("query-key") in words(answers)
    assert confusion("query-key") not in words(questions)
    rest = percent(float(weights(nano, 1, 2)[-1][1:].sum()))
    assert f"The answer is {rest}." in words(section(answers, "Softmax"))
    assert rest not in words(section(questions, "Softmax"))
    assert "always add up to" not in words(questions)  # what is observed afterwards
    for found in find_lessons():
        assert found.lesson is not None
        questions, told = halves(handout(found.lesson, run(nano, "CBABBC=")))
        said = {words(option) for option in re.findall(r"<li>.*?</li>", questions, re.DOTALL)}
        for step in found.lesson.steps:
            for where, runs in step.runs():
                if where == "after" or where.startswith(("wrong", "hint")):
                    text = max((str(what) for kind, what in runs if kind == ""), key=len, default="")
                    assert len(text) < 20 or text.strip() not in words(questions) or text in said, (
                        found.id,
                        step.id,
                        text,
                    )
        assert told


def test_a_question_has_boxes_or_a_line(page: str) -> None:
    questions, _answers = halves(page)
    choice = section(questions, "The sum of the values")
    assert choice.count('class="box"') == 3
    assert section(questions, "The mask").count('class="write"') == 1
    assert section(questions, "Which is which?").count('class="write"') == 2
    assert "Your answer (%)" in words(section(questions, "Softmax"))


def test_what_is_hidden_is_in_the_answers(nano: LanguageModel) -> None:
    read = lesson("text-to-tokens")
    page = handout(read, run(nano, TEXT))
    questions, answers = halves(page)
    first, second = sections(questions)[:2]
    assert not drawings(first)
    assert 'class="step turn"' in first
    assert TEXT in words(first.split("<blockquote>")[1])
    assert drawings(second)
    assert "See figure 1." in words(section(answers, "What does a model read?"))
    alone = handout(replace(read, steps=read.steps[:1]), run(nano, TEXT))
    assert not drawings(halves(alone)[0])
    (tokens,) = drawn(halves(alone)[1], "Tokens")
    assert {str(token) for token in nano.encode(TEXT)} <= set(labels(tokens))


def test_steps_that_are_not_here_are_left_out(nano: LanguageModel) -> None:
    questions, answers = halves(handout(lesson("modern-models"), run(nano, TEXT)))
    left = [step for step in lesson("modern-models").steps if step.id in ("rotation", "experts")]
    titles = [str(step.title[0][1]) for step in left]
    assert len(titles) == 2
    assert not [title for title in titles if title in words(questions)]
    assert all(title in words(answers) for title in titles)


OF_THE_PAGE = """(seen)=
## Seen

A sentence.

:::{only} on-page
Look at the purple line.
:::

:::{only} not-on-page
Look at the frame.
:::

(clicked)=
## Clicked

:::{look}
only: on-page
:::

Click it.

(learned)=
## Learned here, and not on the page

:::{look}
only: rotary
:::

x
"""


def test_what_speaks_of_the_page_stays_on_it(tmp_path: Path, nano: LanguageModel) -> None:
    here = replace(run(nano, TEXT), on_page=True)
    questions, answers = halves(handout(written(tmp_path, OF_THE_PAGE), here))
    assert "Look at the frame." in words(questions)
    for sentence in ("purple line", "Click it", "Clicked"):
        assert sentence not in words(questions)
    assert "These steps are for the page of txpanel alone: Clicked." in words(answers)
    assert "what these steps are about: Learned here, and not on the page." in words(answers)


def test_where_to_click_is_left_to_the_page(nano: LanguageModel) -> None:
    here = replace(run(nano, TEXT), on_page=True)
    step = lesson("attention").step("which-is-which")
    assert step is not None
    assert [block for block in step.blocks if "on-page" in block.only]
    page = words(handout(lesson("attention"), here))
    for sentence in ("choose it below", "Any cell of the matrix will do.", "Click one of the small pictures."):
        assert sentence not in page
    assert "The one that attends is the query." in page  # hints of what can be answered on paper stay
    book = Walk("attention", ModelState(model=nano, text=TEXT))
    assert "choose it below" not in str(book.step("which-is-which"))


def test_a_question_that_cannot_be_decided_is_left_out(tmp_path: Path, nano: LanguageModel) -> None:
    steps = "(one)=\n## A step\n\nA sentence.\n\n:::{predict} choice\nask: Which?\nanswer: 3\noptions: {a: {text: a, value: 1}, b: {text: b, value: 2}}\n:::\n"
    page = handout(written(tmp_path, steps), run(nano, TEXT))
    assert "A sentence." in words(page)
    assert "Which?" not in words(page)


def test_a_lesson_that_needs_another_model_is_refused(nano: LanguageModel) -> None:
    rotary = replace(lesson("attention"), needs=("rotary",))
    with pytest.raises(Unsupported, match="rotary"):
        handout(rotary, run(nano, TEXT))


def test_wrong_answers_that_are_right_here_are_not_listed(tmp_path: Path, nano: LanguageModel) -> None:
    yaml = "ask: x\nanswer: tokens.count\nwrong:\n  same: {value: 7, says: Seven.}\n  more: {value: 8, says: Eight.}\n  other: {says: Count.}"
    page = handout(written(tmp_path, f"(one)=\n## A step\n\n:::{{predict}} number\n{yaml}\n:::\n"), run(nano, TEXT))
    said = words(halves(page)[1])
    assert "The answer is 7." in said
    assert "8 → Eight." in said
    assert "Any other answer → Count." in said
    assert "Seven" not in said


# -- text stays text -------------------------------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """Elements and attributes as a browser's parser finds them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def elements(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


@pytest.mark.parametrize(
    "name", ["attention", "next-token", "tokens-to-vectors", "text-to-tokens", "writing", "mlp-and-blocks"]
)
def test_no_token_becomes_markup(nano: LanguageModel, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here = run(nano, TEXT)
    plain = elements(handout(lesson(name), here))
    hostile = Tokens(here.trace.tokens.ids, list(HOSTILE), here.trace.tokens.pieces)
    spell = nano.tokens
    monkeypatch.setattr(here.trace, "tokens", hostile)
    monkeypatch.setattr(here.trace, "text", "".join(HOSTILE))
    monkeypatch.setattr(
        type(nano), "tokens", lambda self, ids: replace(spell(ids), strings=[HOSTILE[ids[0] % 7]] * len(ids))
    )
    monkeypatch.setattr(nano, "title", "<b onclick=x>&'\"")
    page = handout(lesson(name), here, date="<i>")
    read = elements(page)
    assert {tag for tag, _attributes in read.found} <= {tag for tag, _attributes in plain.found}
    assert not [tag for tag, _attributes in read.found if tag == "script"]
    assert not [name for _tag, attributes in read.found for name in attributes if name.startswith("on")]
    assert len([1 for tag, _a in read.found if tag == "svg"]) == page.count("</svg>") == len(drawings(page))
    assert "\x00" not in page
    said = {label for drawing in drawings(page) for label in labels(drawing)}
    assert any(label.startswith(("<scr", "1  <scr")) or "<script" in label for label in said) or "&lt;script" in page


@pytest.mark.parametrize("language", ["en", "ja"])
def test_it_asks_no_other_machine(nano: LanguageModel, language: str) -> None:
    page = handout(lesson("tour", language), run(nano, TEXT))
    assert f'<html lang="{language}">' in page
    assert not re.findall(r"<(?:script|link|img|iframe|a)\b|url\(|@import|https?://", page)


def test_a_file_name() -> None:
    assert file_name(lesson("attention")) == "attention.html"
    assert file_name(lesson("attention", "ja"), "ipynb") == "attention.ja.ipynb"


# -- all of them -----------------------------------------------------------------------------------------------------------------


def test_every_part_of_the_page_has_its_line_in_the_table() -> None:
    assert set(PARTS) <= set(BELONGS)
    assert {picture for picture, _view in BELONGS.values()} - {""} == set(PICTURES)


@pytest.mark.parametrize("language", first(1, ["en", "ja"]))
def test_every_lesson_on_every_shape(models: list[tuple[LanguageModel, Sequence[str]]], language: str) -> None:
    made = 0
    for found in find_lessons():
        read = lesson(found.id, language)
        assert read.language == language
        for model, texts in models:
            for text in texts:
                try:
                    page = handout(read, run(model, text))
                except Unsupported as error:
                    assert read.needs, error
                    continue
                made += 1
                questions = page.partition('<div class="answers">')[0]
                assert len(sections(questions)) >= 2
                assert drawings(page)
                assert "{" not in words(page.replace(text, "")), (found.id, model.name)
    assert made > 60


def test_a_translation_that_is_missing_leaves_the_english_one(tmp_path: Path, nano: LanguageModel) -> None:
    folder = write(tmp_path / "mine", "---\ntitle: Mine\n---\n\n(one)=\n## A step\n\nx\n")
    assert '<html lang="en">' in handout(read_lesson(folder), run(nano, TEXT))
