"""What views are put together from: hidden parts wait until they are shown."""

from __future__ import annotations

import panel as pn
from bokeh.document import Document

from txpanel.toolkit.card import as_shown, card, flow


def test_a_hidden_part_comes_in_its_place_when_it_is_shown() -> None:
    one, hidden, last = (pn.Column(visible=seen, margin=i) for i, seen in enumerate((True, False, True)))
    box = as_shown(pn.Column(one, hidden, last))
    assert list(box) == [one, last]
    hidden.visible = True
    assert list(box) == [one, hidden, last]


def test_what_was_on_a_page_stays_on_it() -> None:
    one, seen = pn.Column(), pn.Column()
    box = as_shown(pn.Column(one, seen))
    seen.visible = False
    assert list(box) == [one]  # nobody has seen it
    seen.visible = True
    box.get_root(Document())
    seen.visible = False
    assert list(box) == [one, seen]


def test_a_card_says_where_its_pictures_stand() -> None:
    picture, later = pn.Column(), pn.Column()
    made = card("", [], picture)
    made.pictures.append(later)
    assert list(made.pictures) == [picture, later]
    assert isinstance(made.pictures, type(flow()))
