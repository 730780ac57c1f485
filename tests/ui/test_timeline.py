"""A tree on the page, with the nano model: generate, scrub, branch, undo, stop, link and file. Few page loads, many checks."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

import txpanel
from tests.ui.axe import serious
from tests.ui.conftest import BUNDLE, SMALL, Server, Tab
from txpanel.page.top_bar.words import timeline_words
from txpanel.sampling import Settings
from txpanel.session import run_file
from txpanel.session.tree_codec import Entry, TreeRecord
from txpanel.session.tree_nodes import remake
from txpanel.toolkit import bundle

TEXT = "CBABBC="


def strip_of(tab: Tab) -> list[str]:
    return tab.page.locator(".timeline .chip").all_inner_texts()


def current(tab: Tab) -> str:
    return tab.page.locator(".timeline canvas").get_attribute("aria-valuenow") or ""


def unfold(tab: Tab) -> None:
    """What the timeline's one line keeps folded: speed, colours, what could come next, branches."""
    more = tab.page.locator(".timeline .unfold")
    more.wait_for()
    if more.get_attribute("aria-expanded") == "false":
        more.click()


def test_generate_scrub_branch_and_undo_and_the_link_restores_it(server: Server, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab(reduced_motion="reduce").open(server.address(text=TEXT, temperature=0, view="embedding"))
    page, tree = tab.page, tab.page.locator(".timeline")
    expect(tree).to_be_hidden()  # nothing was generated; its line is kept free, so nothing moves when it comes
    page.get_by_role("combobox", name="How many tokens").select_option("5")
    expect(page.locator(".whydrawn")).to_contain_text("Temperature 0: the most likely token is always taken, here “A”.")
    stands = page.locator(".flow").bounding_box()
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(tree.locator(".ended")).to_have_text("token limit reached")
    assert tree.locator(".ended").evaluate("(n) => n.scrollWidth <= n.clientWidth"), "it is whole"
    assert strip_of(tab) == list("ABBBC")
    assert current(tab) == "5"
    assert page.locator(".flow").bounding_box()["y"] == stands["y"], "nothing moved"  # type: ignore[index]
    tab.until(
        lambda: page.evaluate(f"async () => ({BUNDLE}).waiting()") == 0, "what waited while tokens came is painted"
    )
    given = tree.locator(".given")
    expect(given.and_(page.locator(".scored"))).to_have_count(len(TEXT) - 1)  # nothing stands before the first token
    given.nth(0).hover()
    expect(tree.locator(".tip")).to_contain_text("has no probability")
    given.nth(6).hover()
    expect(tree.locator(".tip")).to_contain_text(re.compile("the model gave it .*% · rank .*surprisal .* bits"))

    # scrub: the bar, the flow and the prompt follow
    track = page.get_by_role("slider", name="Step of the generation")
    track.focus()
    track.press("Home")
    expect(tab.prompt).to_have_value(TEXT)
    track.press("ArrowRight")
    track.press("ArrowRight")
    expect(tab.prompt).to_have_value(TEXT + "AB")
    expect(page.locator("button.token.on")).to_have_attribute("data-token", "8")
    tree.locator(".chip").nth(3).click()
    expect(tab.prompt).to_have_value(TEXT + "ABBB")
    box = track.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 14 + 26 * 3.5, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 14 + 26 * 0.5, box["y"] + 20, steps=4)
    page.mouse.up()
    expect(tab.prompt).to_have_value(TEXT + "A")
    assert strip_of(tab) == list("ABBBC")  # what comes later is still there

    # why, and another candidate: a branch; the old one stays
    unfold(tab)
    expect(tree.locator(".next p")).to_contain_text("leave only one token")
    tree.locator(".choice.taken").wait_for()
    tree.get_by_role("button", name=re.compile("another branch")).first.press("Enter")
    tab.until(lambda: len(strip_of(tab)) == 2, "the branch has two tokens")
    expect(tree.locator(".choice:focus")).to_have_count(1)
    rows = tree.locator(".branch")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("log p")
    expect(rows.nth(1)).to_have_attribute("aria-current", "true")
    branch = TEXT + "".join(strip_of(tab))
    rows.nth(0).press("Enter")
    expect(tab.prompt).to_have_value(TEXT + "ABBBC")
    expect(rows.nth(0)).to_be_focused()  # by keyboard one can go on
    rows.nth(1).click()
    expect(tab.prompt).to_have_value(branch)

    # side by side: both picks at the parting, each token with its probability
    expect(rows.nth(1)).to_contain_text(re.compile(r"· 2 tokens ·"))
    rows.locator("..").nth(0).get_by_role("button", name="Compare").click()
    beside = tree.locator(".compare")
    expect(beside.locator("h3")).to_contain_text("they split after 1 token,")
    expect(beside.locator(".side")).to_have_count(2)
    lower, heading = beside.bounding_box(), page.locator(".flow .heading").first.bounding_box()
    assert lower is not None
    assert heading is not None
    assert lower["y"] + lower["height"] <= heading["y"], "it covers nothing of the flow"
    assert beside.locator(".side").nth(1).locator(".token").all_inner_texts() == list("BBBC")
    expect(beside.locator(".worth small").first).to_contain_text("%")
    picks = beside.locator(".parting tbody tr").filter(has=page.locator(".badge"))
    expect(picks).to_have_count(2)
    expect(beside.locator(".reasons")).to_contain_text("B: seed 1 gave u")

    # the cache: what is new, and nothing that axe-core minds, in the timeline or there
    page.get_by_role("tab", name="KV cache").click()
    expect(page.locator(".tx-unfolded .map")).to_have_attribute("aria-label", re.compile("3 blocks"))
    assert serious(tab) == []

    beside.get_by_role("button", name="Close the comparison").click()
    expect(beside).to_be_hidden()
    expect(rows.locator("..").nth(0).get_by_role("button", name="Compare")).to_be_focused()  # one can go on from there

    # a knob, and what it changes; undo of everything, in turn
    slider = page.locator(".handles").get_by_role("slider", name="temperature")
    slider.focus()
    slider.press("ArrowRight")
    tab.until(lambda: "temperature=0.05" in page.url, "the address follows")
    page.get_by_role("button", name="Undo").click()
    expect(slider).to_have_value("0")
    tab.until(lambda: "temperature=0.05" not in page.url, "the address follows")
    link = page.url
    page.get_by_role("button", name="Undo").click()
    tab.until(lambda: strip_of(tab) == list("ABBBC"), "the branch is taken back")
    page.get_by_role("button", name="Redo").click()
    expect(tab.prompt).to_have_value(branch)
    expect(page).to_have_url(link)  # the address follows what is undone and done again, in a message of its own

    # the link opens the same thing elsewhere
    page.wait_for_function("() => !document.querySelector('[data-busy=true]')")
    page.get_by_role("button", name="Share and save").click()
    expect(page.get_by_role("button", name="Copy the link")).to_be_enabled()
    page.keyboard.press("Escape")
    other = new_tab().open(page.url)
    expect(other.prompt).to_have_value(branch)
    expect(other.page.locator(".timeline .branch")).to_have_count(2)
    assert strip_of(other) == strip_of(tab)
    unfold(other)
    other.page.locator(".timeline .branch").nth(0).click()
    expect(other.prompt).to_have_value(TEXT + "ABBBC")


def slowly_to_the_end(tab: Tab) -> None:
    """Generates; at full speed nano is full before anybody can stop it."""
    unfold(tab)
    tab.page.get_by_role("combobox", name="Speed").select_option("2 per second")
    tab.page.get_by_role("combobox", name="How many tokens").select_option("until the end")
    tab.page.get_by_role("button", name="Generate", exact=True).click()


def test_stop_save_and_open(server: Server, new_tab: Callable[..., Tab], tmp_path: Path) -> None:
    tab = new_tab(390, 844, has_touch=True).open(server.address(text=TEXT, temperature=1.5, seed=3, view=SMALL))
    page = tab.page
    tab.ghost.tap()
    tab.until(lambda: "film=" in page.url)
    slowly_to_the_end(tab)
    told = page.url
    tab.until(lambda: page.url != told, "the address follows while it generates")

    # a reload in the middle: what the address knows is back, and it goes on as it would have gone on
    page.locator("[data-busy=true]").first.wait_for(state="attached")
    told, before = page.url, strip_of(tab)
    page.goto(told)
    tab.until(lambda: len(strip_of(tab)) >= 2, "the tokens are back")
    back = strip_of(tab)
    assert back == before[: len(back)]
    slowly_to_the_end(tab)
    tab.until(lambda: len(strip_of(tab)) >= max(len(before), len(back) + 1), "tokens come")
    assert strip_of(tab)[: len(before)] == before
    stop = page.get_by_role("button", name="Stop")
    assert stop.evaluate("button => { button.click(); return button.textContent }") == "Stopping …"  # heard at once
    expect(page.locator(".timeline .ended")).to_have_text("You stopped it.")
    n = len(strip_of(tab))
    page.locator(".timeline .chip").nth(0).tap()
    expect(tab.prompt).to_have_value(TEXT + strip_of(tab)[0])
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Share and save").click()
    with page.expect_download() as saving:
        page.get_by_role("button", name="Save the run").click()
    file = tmp_path / "run.safetensors"
    saving.value.save_as(file)
    tab.run("EDCEDC=")
    expect(page.locator(".timeline")).to_have_class(
        re.compile(r"\bnone\b")
    )  # no empty line: its place is that of the examples again

    chooser = page.locator("input[type=file]")
    chooser.set_input_files(file)
    tab.until(lambda: len(strip_of(tab)) == n, "the run is back")
    expect(tab.prompt).to_have_value(TEXT + strip_of(tab)[0])
    hostile = tmp_path / "hostile.safetensors"
    for data in (b"\x80\x04.", file.read_bytes()[:-9], file.read_bytes().replace(b"txpanel run", b"txpanel ruin")):
        hostile.write_bytes(data)
        chooser.set_input_files(hostile)
        expect(tab.alert).to_contain_text("safetensors")
        page.get_by_role("button", name="Close this message").click()
        expect(tab.alert).to_have_count(0)
    assert len(strip_of(tab)) == n


def long_run(file: Path) -> int:
    """Writes a run that no link can hold: eight branches of 50 tokens from one prompt. Returns how many tokens it has."""
    model = txpanel.load("nano")
    tokens = [(7919 * i) % 6 for i in range(8 * 50)]
    entries = [
        Entry(i if i % 50 else 0, token, Settings(seed=(2654435761 * i) % 2**32), drawn=False)
        for i, token in enumerate(tokens)
    ]
    tree = remake(model, TreeRecord(TEXT, entries=tuple(entries), at=120, leaf=150), Settings())
    file.write_bytes(run_file.to_bytes(tree, model, "nano", Settings(temperature=0.5)))
    return len(tree)


@pytest.mark.sweep
def test_a_reload_restores_a_run_too_long_for_a_link(
    server: Server, new_tab: Callable[..., Tab], tmp_path: Path
) -> None:
    tab = new_tab().open(server.address(text=TEXT, view=SMALL))
    page, file = tab.page, tmp_path / "long.safetensors"
    long_run(file)
    page.locator("input[type=file]").set_input_files(file)
    expect(page.locator(".timeline .branch")).to_have_count(8)
    tab.until(lambda: "film=%40" in page.url, "the address names the run")
    page.locator(".timeline .chip").nth(29).click()
    tab.until(lambda: ".130.150" in page.url, "the address knows the place")
    shown, text = strip_of(tab), tab.prompt.input_value()
    assert len(shown) == 50
    page.get_by_role("button", name="Share and save").click()
    expect(page.get_by_role("button", name="Copy the link")).to_be_disabled()
    expect(page.locator(".sheet.share")).to_contain_text("a reload restores it")
    page.keyboard.press("Escape")

    page.reload()
    expect(page.locator(".timeline .branch")).to_have_count(8)
    expect(tab.prompt).to_have_value(text)
    assert (strip_of(tab), current(tab)) == (shown, "30")
    unfold(tab)
    expect(page.locator(".timeline .branch").nth(2)).to_have_attribute("aria-current", "true")
    page.locator(".timeline .branch").nth(7).click()
    tab.until(lambda: ".400.400" in page.url, "another branch")

    # somewhere else it is not there, and the page says so
    other = new_tab().open(page.url)
    expect(other.alert).to_contain_text("The browser in which it was made keeps it")
    expect(other.page.locator(".timeline")).to_be_hidden()
    expect(other.prompt).to_have_value(re.compile(f"^{TEXT}"))


def test_a_timeline_of_500_tokens_is_as_large_as_one_of_100(tab: Tab) -> None:
    """The component alone, in an empty page: however long the tree, so many elements, and any step can be reached."""
    line = [[n, f" t{n}", False, 0.5, 0.5, 0, 1.0, n, True] for n in range(1, 501)]
    tab.page.goto("about:blank")
    counts = tab.page.evaluate(
        """async ([source, line, words]) => {
          const all = await import(URL.createObjectURL(new Blob([source], {type: "text/javascript"})))
  const {render} = all.default["page/timeline/timeline"]
          const heard = {}, el = document.body
          const model = {words, line: [], added: {}, prompt: {strings: ["a"], special: [], more: 0}, scored: [], next: {}, ended: "", branches: [],
            compare: {}, place: {at: 0, leaf: 0, busy: false}, on: (name, f) => { heard[name] = f }, send_msg: (m) => { window.last = m }}
          render({model, el})
          const count = () => el.querySelectorAll("*").length
          const found = {}
          for (const n of [100, 200, 400, 500]) {
            model.line = line.slice(0, n)
            model.place = {at: n, leaf: n, busy: false}
            heard.line()
            heard.place()
            found[n] = count()
          }
          return found
        }""",
        [bundle.source(), line, timeline_words()],
    )
    assert max(counts.values()) - counts["100"] <= 2
    assert counts["500"] < 200
    tab.page.locator(".unfold").click()
    track = tab.page.get_by_role("slider", name="Step of the generation")
    box = track.bounding_box()
    assert box is not None
    tab.page.mouse.click(box["x"] + 14 + (box["width"] - 16) * 251.5 / 500, box["y"] + 20)
    assert tab.page.evaluate("window.last") == {"kind": "go", "value": 252}
    expect(tab.page.locator("[aria-current=true]")).to_have_text(" t252")


ALONE = """async ([source, line, words]) => {
  const all = await import(URL.createObjectURL(new Blob([source], {type: "text/javascript"})))
  const {render} = all.default["page/timeline/timeline"]
  window.heard = {}
  window.told = []
  window.model = {words, line, added: {}, prompt: {strings: ["a"], special: [], more: 0}, scored: [], next: {}, ended: "", branches: [],
    compare: {}, place: {at: line.length, leaf: line.length, busy: false}, on: (name, f) => { heard[name] = f }, send_msg: (m) => told.push(m)}
  render({model, el: document.body})
  window.more = (n) => {
    model.added = {begin: n - 1, items: [[n, ` t${n}`, false, 0.5, 0.5, 0, 1, n, true]]}
    model.place = {at: n, leaf: n, busy: true}
    heard.added()
    heard.place()
  }
}"""


def test_a_click_while_tokens_come_and_an_undo_of_them(tab: Tab) -> None:
    """The component alone: a token between press and release of a click, and pieces that are taken back."""
    line = [[n, f" t{n}", False, 0.5, 0.5, 0, 1.0, n, True] for n in range(1, 6)]
    page, chips = tab.page, tab.page.locator(".chip")
    page.goto("about:blank")
    page.evaluate(ALONE, [bundle.source(), line, timeline_words()])
    page.evaluate("more(6)")
    box = chips.nth(1).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.evaluate("more(7)")
    page.mouse.up()
    assert [said["value"] for said in page.evaluate("told.filter((m) => m.kind === 'go')")] == [2]

    # a candidate that is nothing but a space can be seen
    page.evaluate("""() => {
      model.next = {choices: [[32, " ", 0.6, 0, 0.6], [5, " a", 0.4, 0.6, 1]], taken: null, drawn: 32, uniform: 0.2, rest: 0, sentence: ""}
      heard.next()
    }""")
    assert page.locator(".choice b").all_text_contents() == ["␣", " a"]

    # the state goes back to the line that was sent whole before: of the two parameters only this one changes
    page.evaluate("model.added = {}; model.place = {at: 5, leaf: 5, busy: false}; heard.added(); heard.place()")
    expect(chips).to_have_count(5)
