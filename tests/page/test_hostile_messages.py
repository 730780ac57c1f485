"""Whatever a browser says to any part of the page: a sentence or silence, no card with a traceback, and the next text runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from bokeh.events import DoubleTap, MouseMove, Tap
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sweeping import apart
from txpanel.errors import ModelNotFound
from txpanel.page.dashboard import Dashboard
from txpanel.session.state import ModelState
from txpanel.toolkit.component import Component
from txpanel.toolkit.incoming import LARGEST, heard, plain

TEXT = "CBABBC="

# Every word that a part of the page listens to: with these a message comes further than with any others.
NAMES = " ".join(
    [
        "append at ask asked axis beams card chat close compare data dark do film focus go head hello id index",
        "kept key kind layer leaf line listed n name narrow neuron node on open pace part penalty position query",
        "row save search seed seen sources source start steps stop switch sync take temperature tensor term text",
        "theme token tokens top_k top_p type value window x y vocab last",
        "address answer code lesson step what who",
    ]
).split(" ")
WORDS = " ".join(
    [
        "run generate append chat save open undo redo cancel load dismiss set focus theme kept go switch compare",
        "take pace hello seen sync ask cell feed more back forward close crumb pin unpin act next window grid",
        "retry tap table csv provenance search stop seed why others logits probs probs.entropy probs.sum",
        "blocks.0.pattern blocks.1.resid_pre embed attention mlp flow column row nano @0123456789abcdef0123.1.2",
        "go answer hint reveal played text classtext classmodel again captions class join lead leave end qr",
        "tour sorting attention which-is-which softmax ABCDEF 0123456789abcdef http://x",
    ]
).split(" ")
TEXTS = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from(["", "²", "9" * 4301, "\ud800", "\x00", "=1+1", "<script>alert(1)</script>", "[" * 3000, "CAB=", "😀" * 50]),
    st.text(max_size=20),
)  # fmt: skip
NUMBERS = st.one_of(
    st.integers(-3, 12),
    st.sampled_from([2**31, -(2**31), 2**53, 2**63, 10**400, 1e308, -1e308, 0.5, float("nan"), float("inf"), float("-inf"), True]),
    st.floats(),
)  # fmt: skip
LEAVES = st.one_of(TEXTS, NUMBERS, st.none(), st.booleans(), st.binary(max_size=4))
ANY = st.recursive(
    LEAVES, lambda each: st.one_of(st.lists(each, max_size=4), st.dictionaries(TEXTS | st.sampled_from(NAMES), each, max_size=4)), max_leaves=12
)  # fmt: skip
MESSAGES = st.one_of(
    ANY,
    st.fixed_dictionaries({}, optional={name: ANY for name in NAMES if name not in ("kind", "type", "do")}).flatmap(
        lambda rest: st.fixed_dictionaries(
            {}, optional={word: st.sampled_from(WORDS) for word in ("kind", "type", "do")}
        ).map(lambda head: rest | head)
    ),
    st.dictionaries(st.sampled_from(NAMES), ANY, min_size=1, max_size=5),
)
MANY = settings(
    max_examples=250,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)


class Page:
    """A page with all of its views built, and what can be said to it."""

    def __init__(self) -> None:
        from txpanel.session.shared import shared_model

        self.model = shared_model("nano")
        self.state = ModelState(model=self.model, text=TEXT, permit=self._permit)
        self.dashboard = Dashboard(self.state)
        for part in self.dashboard.views.below():
            self.dashboard.opened = part.id
        self.root = self.dashboard.__panel__().get_root()
        self.state.ask("blocks.0.pattern", head=0, query=2, key=1)
        self.parts = self._parts()

    @staticmethod
    def _permit(name: str) -> None:
        if name != "nano":
            raise ModelNotFound("It is not offered.")

    def _parts(self) -> list[Component]:
        """Everything on the page that listens to a browser."""
        found = self.dashboard.__panel__().select(Component)
        return [part for part in found if type(part)._handle_msg is not Component._handle_msg]

    @property
    def figures(self) -> list[Any]:
        from bokeh.models import Plot

        return list(self.root.select({"type": Plot}))

    def failed(self) -> list[str]:
        """Views that show a card with a traceback."""
        frames = [*(part.frame for part in self.dashboard.views.parts), self.dashboard.card.frame]
        return [frame.label for frame in frames if frame.failed]

    def still_works(self) -> None:
        """The session's own next text runs, whatever was said before."""
        assert self.failed() == []
        wanted = "BACA=" if self.state.text != "BACA=" else "CABC="
        self.dashboard.bar.component._handle_msg({"kind": "run", "text": wanted})
        if self.state.model is not self.model:  # somebody opened a run without its model: choose it again
            self.dashboard.bar.component._handle_msg({"kind": "load", "name": "nano"})
        assert self.state.text == wanted
        assert self.state.trace is not None
        assert b"".join(self.state.trace.tokens.pieces).decode() == wanted
        assert not self.state.stale
        assert not self.state.busy


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    made = Page()
    yield made
    made.dashboard.close()


@pytest.fixture
def figures(page: Page) -> list[Any]:
    """All that the page has now: looked for once, not with every example."""
    return page.figures


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What is refused is logged; thousands of lines help nobody."""
    logging.getLogger("txpanel.messages").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("txpanel.messages").setLevel(logging.NOTSET)


def test_the_page_has_all_its_listeners(page: Page) -> None:
    """The test below reaches what it is about."""
    names = {type(part).__name__ for part in page.parts}
    assert {
        "TopBar",
        "Timeline",
        "Tabs",
        "SheetHead",
        "FlowPicture",
        "WhyCards",
        "Pieces",
        "VectorStrips",
        "SamplingBench",
    } <= names
    assert {"BeamTree", "Probabilities", "Facts", "CacheMap", "Tools", "LessonBox"} <= names
    assert page.figures


@MANY
@given(st.data())
def test_any_message_to_any_part(page: Page, data: st.DataObject) -> None:
    part = data.draw(st.sampled_from(page.parts))
    part._handle_msg(data.draw(MESSAGES))
    assert page.failed() == []


def test_afterwards_the_next_text_runs(page: Page) -> None:
    page.still_works()


@pytest.mark.parametrize("examples", [50, apart(250)])
def test_the_bar_hears_anything_and_the_next_text_runs(page: Page, examples: int) -> None:
    @settings(MANY, max_examples=examples)
    @given(st.lists(MESSAGES, min_size=1, max_size=3))
    def says(messages: list[Any]) -> None:
        for each in messages:
            page.dashboard.bar.component._handle_msg(each)
        page.still_works()

    says()


@settings(MANY, max_examples=100)
@given(st.data())
def test_any_event_of_a_figure(page: Page, figures: list[Any], data: st.DataObject) -> None:
    figure = data.draw(st.sampled_from(figures))
    kind = data.draw(st.sampled_from([Tap, DoubleTap, MouseMove]))
    try:
        figure._trigger_event(kind(figure, x=data.draw(LEAVES), y=data.draw(LEAVES)))
    except Exception as error:  # on a server it ends in the log
        assert not isinstance(error, RecursionError)
    assert page.failed() == []


@given(ANY)
@settings(MANY, max_examples=200)
def test_plain_data_can_be_sent_and_kept(value: object) -> None:
    import json

    again = plain(value)
    assert json.loads(json.dumps(again, allow_nan=False)) == again
    json.dumps(again, ensure_ascii=False).encode("utf-8")


def test_what_a_page_sends_is_heard_as_it_is() -> None:
    said = {
        "kind": "set",
        "temperature": 0.8,
        "listed": [1, -2],
        "text": "a\nü😀",
        "focus": {"layer": 3},
        "on": True,
        "id": None,
        "seed": LARGEST,
    }
    assert plain(said) == said


def test_what_no_page_sends_is_not_heard_at_all() -> None:
    deep: Any = 1
    for _level in range(50):
        deep = [deep]
    for too_much in (deep, list(range(100_000)), {str(n): n for n in range(100_000)}):
        with pytest.raises(ValueError):
            plain(too_much)


def test_a_handler_that_fails_is_one_line_in_the_log_with_its_place(caplog: pytest.LogCaptureFixture) -> None:
    class Part:
        @heard
        def listen(self, data: Any) -> None:
            int(data["n"])

    logging.getLogger("txpanel.messages").setLevel(logging.WARNING)
    Part().listen({"n": "many"})
    (record,) = caplog.records
    assert "Part" in record.getMessage()
    assert "test_hostile_messages.py" in record.getMessage()
    assert record.exc_info is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("FlowPicture", {"type": "window", "start": "many"}),
        ("FlowPicture", {"type": "focus", "focus": {"layer": "first"}}),
        ("FlowPicture", {"type": "next", "id": [1]}),
        ("FlowPicture", {"type": ["act"]}),
        ("WhyCards", {"do": "ask", "card": 0, "term": {}, "source": 1e300}),
        ("Pieces", {"at": []}),
    ],
)
def test_what_was_a_card_in_the_place_of_the_view(page: Page, name: str, message: object) -> None:
    """Nonsense from a browser is no fault of the view."""
    part = next(part for part in page.parts if type(part).__name__ == name)
    before = (page.state.layer, page.state.query)
    part._handle_msg(message)
    assert page.failed() == []
    assert (page.state.layer, page.state.query) == before
