"""In every sentence the blank before a token is drawn: “␣to” and “to” are two tokens, and “ to” looks like a slip."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from txpanel.models.language_model import LanguageModel
from txpanel.models.tokens import visible
from txpanel.page.timeline.controller import _next
from txpanel.session.state import ModelState
from txpanel.toolkit.text import Rich
from txpanel.views.attention import AttentionView
from txpanel.views.mlp import MLPView
from txpanel.views.residual import ResidualView
from txpanel.views.softmax import SoftmaxView
from txpanel.views.why.words import whose


@pytest.mark.parametrize(
    ("token", "said"),
    [(" the", "␣the"), ("the", "the"), ("  x y", "␣␣x y"), (" ", "␣"), ("\n", "↵"), ("", "")],
)
def test_visible(token: str, said: str) -> None:
    assert visible(token) == said


def texts(part: Any) -> Iterator[str]:
    """What the headings and paragraphs of a view say."""
    for found in part.select(Rich):
        yield found.heading
        yield from (text for paragraph in found.paragraphs for _kind, text in paragraph)


@pytest.mark.real
def test_no_sentence_has_a_blank_behind_a_quotation_mark(smollm2: LanguageModel) -> None:
    state = ModelState(model=smollm2, text="Data visualization empowers users to")
    state.focus(layer=3, head=1, query=4, key=2)
    said = [
        text for view in (AttentionView, ResidualView, SoftmaxView, MLPView) for text in texts(view(state).__panel__())
    ]
    said += [whose(state.trace, f"lens.3.4.{own}") for own in ("probs", "logits")]
    said.append(_next(state.sampled, smollm2, None)["sentence"])
    quoted = [token for text in said for token in re.findall("“([^”]*)”", text)]
    assert {"␣to", "␣empowers"} <= set(quoted)
    assert not [token for token in quoted if token.startswith(" ")]
