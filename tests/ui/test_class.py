"""A class in real browsers: one leads, others join by its link, answer, and see what is right when it is shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.ui.conftest import SMALL, Server, start_server, stop_server
from tests.ui.tab import Tab

TEXT = "CBABBC="
LESSON = "sorting"


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose operator has switched classes on."""
    running = start_server(tmp_path_factory.mktemp("school"), TXPANEL_PLUGINS="none", TXPANEL_CLASSES="1")
    yield running
    stop_server(running)


def box(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Lesson: ")


def press(page: Page, name: str) -> None:
    box(page).get_by_role("button", name=name, exact=True).click()


def heading(page: Page) -> str:
    return box(page).get_by_role("heading").first.inner_text()


def to_question(page: Page) -> None:
    """Goes on to the first step that asks for one of several options."""
    for _more in range(12):
        if box(page).locator(".options button").count():
            return
        before = heading(page)
        press(page, "Next")
        expect(box(page).get_by_role("heading").first).not_to_have_text(before)
    raise AssertionError("no question")


@pytest.mark.sweep
def test_one_leads_and_others_follow_and_answer(school: Server, new_tab: Callable[..., Tab]) -> None:
    teacher = new_tab().open(school.address(text=TEXT, lesson=LESSON, view=SMALL)).page
    expect(box(teacher)).to_be_visible()
    press(teacher, "Teach ▾")
    press(teacher, "Begin a class")
    expect(box(teacher)).to_contain_text("0 here, 0 answered")
    press(teacher, "Link and QR code to this step")
    link = box(teacher).get_by_role("textbox", name="Link and QR code").input_value()
    assert "class=" in link
    assert "step=" not in link
    expect(box(teacher).get_by_role("img", name="QR code of the link")).to_be_visible()
    expect(box(teacher)).to_contain_text("Only this computer can open this address")
    press(teacher, "Teach ▾")

    desk = new_tab().open(link).page
    phone = new_tab(390, 844).open(link).page
    expect(box(teacher)).to_contain_text("2 here, 0 answered")
    to_question(teacher)
    for student in (desk, phone):
        expect(box(student).get_by_role("heading").first).to_have_text(heading(teacher))
    late = new_tab().open(link).page
    expect(box(late).get_by_role("heading").first).to_have_text(heading(teacher))

    options = box(desk).locator(".options button")
    ids = options.evaluate_all("(all) => all.map((one) => one.dataset.option)")
    for student, at in ((desk, 0), (phone, 0), (late, 1)):
        student.locator(f".options [data-option='{ids[at]}']").click()
        expect(box(student)).to_contain_text("Your answer is counted.")
    expect(box(teacher)).to_contain_text("3 here, 3 answered")
    expect(box(teacher).locator(".votes")).to_have_count(0)
    press(teacher, "Show the votes")
    numbers = box(teacher).locator(".votes b").all_inner_texts()
    assert [int(n) for n in numbers] == [{0: 2, 1: 1}.get(at, 0) for at in range(len(ids))]
    late.locator(f".options [data-option='{ids[0]}']").click()
    expect(box(teacher).locator(".votes b").first).to_have_text("3")

    teacher.keyboard.press("PageDown")  # as a presenter's remote control sends it: first the answer
    expect(box(teacher).locator(".votes .is-right")).to_have_count(1)
    for student in (desk, phone, late):
        expect(box(student)).to_contain_text("The answer is" if ids[0] != right(teacher, ids) else "Right.")
    shown = heading(teacher)
    teacher.keyboard.press("PageDown")  # then the next step
    expect(box(teacher).get_by_role("heading").first).not_to_have_text(shown)
    for student in (desk, phone, late):
        expect(box(student).get_by_role("heading").first).to_have_text(heading(teacher))


def right(teacher: Page, ids: list[str]) -> str:
    rows = (
        box(teacher).locator(".votes li").evaluate_all("(all) => all.map((one) => one.classList.contains('is-right'))")
    )
    return ids[rows.index(True)]


@pytest.mark.sweep
def test_after_a_reload_the_leader_leads_on_and_nobody_counts_twice(
    school: Server, new_tab: Callable[..., Tab]
) -> None:
    tab = new_tab().open(school.address(text=TEXT, lesson=LESSON, view=SMALL))
    teacher = tab.page
    press(teacher, "Teach ▾")
    press(teacher, "Begin a class")
    press(teacher, "Teach ▾")
    to_question(teacher)
    tab.until(lambda: "class=" in teacher.url)
    student = new_tab().open(teacher.url.split("#")[0])
    box(student.page).locator(".options button").first.click()
    expect(box(teacher)).to_contain_text("1 here, 1 answered")
    student.page.reload()
    expect(box(student.page)).to_be_visible()
    box(student.page).locator(".options button").nth(1).click()
    expect(box(teacher)).to_contain_text("1 answered")
    asked = heading(teacher)
    teacher.reload()
    expect(box(teacher)).to_contain_text("1 answered")
    expect(box(teacher)).to_contain_text(asked)
    press(teacher, "Next")
    expect(box(student.page)).not_to_contain_text(asked)
    press(teacher, "Teach ▾")
    press(teacher, "End the class")
    expect(student.page.get_by_text("The class is over.").first).to_be_visible()


@pytest.mark.sweep
def test_presenting_shows_the_answer_by_one_key_in_large_text(school: Server, new_tab: Callable[..., Tab]) -> None:
    page = new_tab().open(school.address(text=TEXT, lesson=LESSON, view=SMALL)).page
    before = box(page).locator("h2").evaluate("(one) => parseFloat(getComputedStyle(one).fontSize)")
    press(page, "Teach ▾")
    press(page, "Large text, answers on request")
    assert box(page).locator("h2").evaluate("(one) => parseFloat(getComputedStyle(one).fontSize)") >= 1.4 * before
    press(page, "Teach ▾")
    to_question(page)
    box(page).locator("h2").focus()
    asked = heading(page)
    page.keyboard.press(" ")
    expect(box(page)).to_contain_text("The answer is")
    assert heading(page) == asked
    page.keyboard.press(" ")
    expect(box(page).get_by_role("heading").first).not_to_have_text(asked)
    page.keyboard.press("PageUp")
    expect(box(page).get_by_role("heading").first).to_have_text(asked)
    expect(page).to_have_url(re.compile("step=predict-first"))  # the address follows the step in a message of its own
    page.reload()
    expect(box(page).get_by_role("heading").first).to_have_text(asked)
    expect(box(page)).to_have_class("box large")


@pytest.mark.sweep
def test_without_the_operators_option_there_is_a_link_and_no_class(server: Server, new_tab: Callable[..., Tab]) -> None:
    page = new_tab().open(server.address(text=TEXT, lesson=LESSON, view=SMALL)).page
    press(page, "Teach ▾")
    expect(box(page).get_by_role("button", name="Begin a class")).to_be_disabled()
    expect(box(page)).to_contain_text("txpanel serve --classes")
    press(page, "Link and QR code to this step")
    link = box(page).get_by_role("textbox", name="Link and QR code").input_value()
    for label, ending in (("Handout to print", ".html"), ("Notebook (.ipynb)", ".ipynb")):
        with page.expect_download() as coming:
            press(page, label)
        assert coming.value.suggested_filename == f"{LESSON}{ending}"
        expect(box(page).get_by_role("button", name=label, exact=True)).to_be_enabled()
    press(page, "Teach ▾")
    other = new_tab().open(link).page
    expect(box(other).get_by_role("heading").first).to_have_text(heading(page))
    gone = new_tab().open(server.address(text=TEXT, view=SMALL, **{"class": "ABCDEF"})).page
    expect(gone.get_by_text("There is no class ABCDEF").first).to_be_visible()


@pytest.mark.sweep
def test_a_pressed_button_and_a_typed_code_stay_while_answers_come_in(
    school: Server, new_tab: Callable[..., Tab]
) -> None:
    teacher = new_tab().open(school.address(text=TEXT, lesson=LESSON, view=SMALL)).page
    press(teacher, "Teach ▾")
    press(teacher, "Begin a class")
    press(teacher, "Teach ▾")
    to_question(teacher)
    button = box(teacher).get_by_role("button", name="Show the votes").element_handle()
    student = new_tab().open(teacher.url.split("#")[0]).page
    box(student).locator(".options button").first.click()
    expect(box(teacher)).to_contain_text("1 here, 1 answered")
    assert button is not None
    assert button.evaluate("(one) => one.isConnected")
    typing = new_tab().open(school.address(text=TEXT, lesson=LESSON, view=SMALL)).page
    press(typing, "Teach ▾")
    code = box(typing).get_by_role("textbox", name="Code of a class")
    code.press_sequentially("ABC")
    typing.get_by_role("button", name="surprise me").click()  # the step is drawn anew
    expect(box(typing).get_by_role("textbox", name="Code of a class")).to_have_value("ABC")
    code.fill(teacher.url.split("class=")[1][:6].lower())
    code.press("Enter")
    expect(box(typing).get_by_role("heading").first).to_have_text(heading(teacher))  # the sheet is closed
