"""A browser changes values and reports events, and takes no page apart."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from bokeh.document import Document
from bokeh.models import Column, ColumnDataSource, Div, InlineStyleSheet, Range1d
from bokeh.plotting import figure
from bokeh.protocol import Protocol
from bokeh.server.session import ServerSession
from hypothesis import given
from hypothesis import strategies as st

from txpanel.compat import browser_patches
from txpanel.compat.browser_patches import problem
from txpanel.compat.replacing import original

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=6), st.sampled_from(["ModelChanged", "MessageSent"])),
    lambda each: st.one_of(
        st.lists(each, max_size=3),
        st.dictionaries(st.sampled_from(["events", "kind", "model", "attr", "new", "id", "msg_type", "x"]), each, max_size=5),
    ),
)  # fmt: skip


class Connection:
    def __init__(self, session: ServerSession) -> None:
        self.session, self.protocol, self.errors = session, Protocol(), []

    def ok(self, _message: Any) -> str:
        return "ok"

    def error(self, _message: Any, text: str) -> str:
        return text


@pytest.fixture
def page() -> SimpleNamespace:
    document, div, plot = Document(), Div(text="a", stylesheets=[InlineStyleSheet(css="a{}")]), figure()
    plot.line([1, 2], [3, 4])
    column = Column(div, plot)
    document.add_root(column)
    session = ServerSession("id", document)
    return SimpleNamespace(document=document, div=div, column=column, plot=plot, session=session)


def change(model: Any, name: str, new: Any) -> dict[str, Any]:
    return {"events": [{"kind": "ModelChanged", "model": {"id": model.id}, "attr": name, "new": new}]}


def said(name: str, page: SimpleNamespace, content: Any) -> Any:
    """What a server answers."""

    async def ask() -> Any:
        handler = getattr(ServerSession, name)
        kind = {"patch": "PATCH-DOC", "push": "PUSH-DOC"}[name]
        protocol = Protocol()
        message = protocol.assemble(f'{{"msgid": "1", "msgtype": "{kind}"}}', "{}", "{}")
        message._content = content
        return await handler(message, Connection(page.session))

    return asyncio.run(ask())


def test_bokeh_still_lets_a_browser_remove_the_page(page: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """When this fails, Bokeh refuses it by itself: drop `browser_patches`."""
    remove = {"events": [{"kind": "RootRemoved", "model": {"id": page.column.id}}]}
    browser_patches.mend()
    assert "RootRemoved" in said("patch", page, remove)
    assert page.document.roots == [page.column]
    monkeypatch.setattr(ServerSession, "patch", original(ServerSession, "patch"))
    assert said("patch", page, remove) == "ok"
    assert page.document.roots == []


def test_a_document_is_not_replaced(page: SimpleNamespace) -> None:
    browser_patches.mend()
    browser_patches.mend()
    assert said("push", page, {"doc": Document().to_json()}) == "a page does not replace its document"
    assert page.document.roots == [page.column]


def test_values_are_changed_as_before(page: SimpleNamespace) -> None:
    browser_patches.mend()
    assert said("patch", page, change(page.div, "text", "b")) == "ok"
    assert page.div.text == "b"


def test_a_page_is_not_taken_apart(page: SimpleNamespace) -> None:
    for model, name in ((page.column, "children"), (page.plot, "renderers")):
        assert name in problem(change(model, name, []), page.document)
    assert problem(change(page.column, "no_such", 1), page.document)
    assert problem({"events": [{"kind": "TitleChanged", "title": "x"}]}, page.document)
    assert problem({"events": [{"kind": "MessageSent", "msg_type": "other", "msg_data": 1}]}, page.document)


@pytest.mark.parametrize(
    ("make", "name", "new"),
    [
        (lambda page: page.plot.x_range, "start", 3.0),
        (lambda page: page.plot, "inner_width", 300),
        (lambda page: page.plot.toolbar, "active_drag", None),
        (lambda page: page.plot.toolbar, "active_inspect", []),
        (lambda page: page.div, "stylesheets", []),  # Tabulator does
    ],
)
def test_what_bokehs_own_pages_send_is_taken(page: SimpleNamespace, make: Any, name: str, new: Any) -> None:
    assert problem(change(make(page), name, new), page.document) == ""


def test_what_has_gone_meanwhile_is_left_to_bokeh(page: SimpleNamespace) -> None:
    assert problem(change(Range1d(), "start", 1), page.document) == ""
    assert (
        problem(
            {
                "events": [
                    {"kind": "ColumnDataChanged", "model": {"id": ColumnDataSource().id}, "attr": "data", "data": {}}
                ]
            },
            page.document,
        )
        == ""
    )


@given(JSON)
def test_any_content_is_a_sentence_or_nothing(content: Any) -> None:
    assert isinstance(problem(content, Document()), str)
