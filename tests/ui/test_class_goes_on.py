"""A class when something goes wrong: a connection is cut, a tab is duplicated, somebody types, the server is started anew. Nobody loses what was typed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.ui.conftest import Server, start_server, stop_server
from tests.ui.proxy import Proxy
from tests.ui.tab import Tab
from tests.ui.test_class import LESSON, TEXT, box, heading, press, to_question
from tests.ui.test_connection import CUT, port

pytestmark = pytest.mark.sweep

OPTIONS = {"TXPANEL_PLUGINS": "none", "TXPANEL_CLASSES": "1", "BOKEH_ALLOW_WS_ORIGIN": "*"}


class School:
    """A server, and for whoever asks a line of his own to it that can be cut."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.server: Server = start_server(home, **OPTIONS)
        self.lines: list[Proxy] = []

    def line(self) -> Proxy:
        """A new one."""
        self.lines.append(Proxy(port(self.server)))
        return self.lines[-1]

    def address(self, line: Proxy, **state: object) -> str:
        """The page, by a line."""
        return self.server.address(**state).replace(f":{port(self.server)}/", f":{line.port}/")

    def start_anew(self) -> None:
        """Without having had the time to say goodbye."""
        self.server.process.kill()
        stop_server(self.server)
        self.server = start_server(self.home, **OPTIONS)
        for line in self.lines:
            line.target = port(self.server)

    def close(self) -> None:
        stop_server(self.server)
        for line in self.lines:
            line.close()


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[School]:
    made = School(tmp_path_factory.mktemp("school"))
    yield made
    made.close()


@pytest.fixture
def enter(school: School, new_tab: Callable[..., Tab]) -> Iterator[Callable[..., tuple[Tab, Proxy]]]:
    """Opens a page by a line of its own; what the browser says of a line that was cut is no error."""
    tabs: list[tuple[Tab, Proxy]] = []

    def open_it(**state: object) -> tuple[Tab, Proxy]:
        line = school.line()
        tabs.append((new_tab().open(school.address(line, text=TEXT, **state)), line))
        return tabs[-1]

    yield open_it
    for tab, line in tabs:
        line.mend()
        tab.wrong[:] = [wrong for wrong in tab.wrong if not CUT.search(wrong)]


def begin(teacher: Page) -> str:
    """A class, and its code."""
    press(teacher, "Teach ▾")
    press(teacher, "Begin a class")
    expect(box(teacher)).to_contain_text("0 here")
    code = box(teacher).locator(".class b").inner_text().split()[-1]
    press(teacher, "Teach ▾")
    return code


def same_step(student: Page, teacher: Page) -> None:
    expect(box(student).get_by_role("heading").first).to_have_text(heading(teacher))


def go_on(teacher: Page) -> None:
    before = heading(teacher)
    press(teacher, "Next")
    expect(box(teacher).get_by_role("heading").first).not_to_have_text(before)


def test_a_follower_who_was_disconnected_returns_to_the_step_of_the_class(
    enter: Callable[..., tuple[Tab, Proxy]],
) -> None:
    one, line = enter(lesson=LESSON)
    teacher = one.page
    code = begin(teacher)
    tab, own = enter(**{"class": code})
    student = tab.page
    expect(box(teacher)).to_contain_text("1 here")
    own.cut()
    tab.prompt.fill("EDCEDC")
    go_on(teacher)
    go_on(teacher)
    own.mend()
    same_step(student, teacher)
    expect(tab.prompt).to_have_value("EDCEDC")
    expect(box(teacher)).to_contain_text("1 here")
    line.cut()  # now the one who leads
    press(teacher, "Next")
    line.mend()
    expect(box(teacher)).to_contain_text("1 here")
    same_step(student, teacher)


def test_typing_keeps_the_focus_when_the_class_goes_on(enter: Callable[..., tuple[Tab, Proxy]]) -> None:
    teacher = enter(lesson=LESSON)[0].page
    tab, _line = enter(**{"class": begin(teacher)})
    student = tab.page
    same_step(student, teacher)
    tab.prompt.fill("")
    tab.prompt.press_sequentially("ABC")
    go_on(teacher)
    same_step(student, teacher)
    student.keyboard.type("DEF")
    expect(tab.prompt).to_have_value("ABCDEF")
    to_question(teacher)
    same_step(student, teacher)
    expect(tab.prompt).to_be_focused()
    student.keyboard.type("=")
    expect(tab.prompt).to_have_value("ABCDEF=")


def test_an_answer_that_is_being_typed_stays_while_others_answer(enter: Callable[..., tuple[Tab, Proxy]]) -> None:
    teacher = enter(lesson="attention", step="softmax")[0].page
    code = begin(teacher)
    first, second = (enter(**{"class": code})[0].page for _each in range(2))
    for page in (first, second):
        same_step(page, teacher)
    press(teacher, "Show the votes")
    box(teacher).get_by_role("textbox", name="Your answer").fill("9")
    box(first).get_by_role("textbox", name="Your answer").fill("50")
    box(second).get_by_role("textbox", name="Your answer").fill("100")
    press(second, "Check")
    expect(box(teacher)).to_contain_text("2 here, 1 answered")
    expect(box(teacher).get_by_role("textbox", name="Your answer")).to_have_value("9")
    press(first, "Check")
    expect(box(first)).to_contain_text("Your answer is counted.")
    expect(box(first).get_by_role("textbox", name="Your answer")).to_have_value("50")  # it can still be changed
    expect(box(teacher).locator(".votes li")).to_have_count(2)
    expect(box(teacher).get_by_role("textbox", name="Your answer")).to_have_value("9")


def test_a_duplicate_of_the_teachers_tab_leads_and_the_first_tab_follows(
    enter: Callable[..., tuple[Tab, Proxy]],
) -> None:
    teacher = enter(lesson=LESSON)[0].page
    student = enter(**{"class": begin(teacher)})[0].page
    same_step(student, teacher)
    with teacher.expect_popup() as opened:  # with a copy of what the tab remembers, as “Duplicate tab” has it
        teacher.evaluate("() => { open(location.href) }")
    copy = opened.value
    expect(box(copy)).to_contain_text("1 here")
    expect(teacher.get_by_text("Another page leads the class now.").first).to_be_visible()
    expect(box(teacher)).not_to_contain_text("1 here")
    go_on(copy)
    same_step(student, copy)
    same_step(teacher, copy)
    copy.close()
    teacher.reload()
    expect(box(teacher)).to_contain_text("1 here")
    go_on(teacher)
    same_step(student, teacher)


def test_after_a_restart_of_the_server_the_page_says_that_the_class_is_gone(
    school: School, enter: Callable[..., tuple[Tab, Proxy]]
) -> None:
    one, _line = enter(lesson=LESSON)
    teacher = one.page
    tab, _own = enter(**{"class": begin(teacher)})
    go_on(teacher)
    same_step(tab.page, teacher)
    shown = heading(teacher)
    tab.prompt.fill("EDCEDC")
    school.start_anew()
    expect(teacher.get_by_text("The class is over.").first).to_be_visible()
    expect(tab.page.get_by_text("There is no class").first).to_be_visible()
    for page in (teacher, tab.page):
        expect(box(page).get_by_role("heading").first).to_have_text(shown)
        one.until(lambda page=page: "class=" not in page.url)
    expect(tab.prompt).to_have_value("EDCEDC")
    code = begin(teacher)
    expect(box(teacher)).to_contain_text(f"Class {code}")
