"""The sampling bench in Chromium: its numbers are the pipeline's, no slider runs the model, and the draw can be followed."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Page, expect

import txpanel
from tests.ui.conftest import Server, Tab
from txpanel import sampling
from txpanel.decoding.stage_spec import StageSpec
from txpanel.decoding.stages import SPECS
from txpanel.models.language_model import LanguageModel
from txpanel.toolkit.format import number, percent

TEXT = "CBABBC="
BENCH = ".bench"
SET_AND_READ = """(input, value) => {
  input.value = value
  input.dispatchEvent(new Event("change", {bubbles: true}))
  const here = (n) => (n.matches(".bench .sentence") ? n : n.shadowRoot && find(n.shadowRoot))
  const find = (at) => [...at.querySelectorAll("*")].reduce((found, n) => found ?? here(n), null)
  return find(document).textContent
}"""
"""Sets a box and reads what the draw says, before any message of the server can have come."""
LABELS = {spec.words().label: spec.key for spec in SPECS}


def read(page: Page) -> dict[str, Any]:
    """What the bench says of its stages and the draw."""
    data = page.locator(BENCH).evaluate("node => ({...node.dataset})")
    return {name: json.loads(f"[{value}]") for name, value in data.items()}


def agrees(tab: Tab, model: LanguageModel, **settings: float) -> None:
    """Waits until the bench shows what the pipeline gives for these settings.

    The server's run may have continued from a kept beginning of the text, which moves logits by a few float32 roundings:
    hence the tolerances. How the browser calculates is compared to 1e-12 below.
    """
    trace = model.trace(TEXT)
    sample = sampling.pipeline(trace.logits, **settings, ids=trace.tokens.ids)  # type: ignore[arg-type]
    kept = [stage.kept for stage in sample.stages]
    entropy = [stage.entropy for stage in sample.stages]

    def there() -> bool:  # entropy, too: a setting may change probabilities and leave the same tokens
        found = read(tab.page)
        same = found["kept"] == kept and found["token"] == [sample.token]
        return bool(same and np.allclose(found["entropy"], entropy, rtol=1e-7, atol=1e-5))

    tab.until(there, f"{settings}: {kept}, {entropy}")
    found = read(tab.page)
    assert found["uniform"] == [sample.draw.uniform]
    assert found["rank"] == [sample.draw.rank]
    np.testing.assert_allclose([*found["low"], *found["high"]], [sample.draw.low, sample.draw.high], atol=1e-5)
    rows = tab.page.locator(f"{BENCH} tr[data-id]").evaluate_all("rows => rows.map((row) => ({...row.dataset}))")
    assert len(rows) >= 10
    for row in rows:
        token = int(row["id"])
        found = [float(p) for p in row["p"].split(",")]
        np.testing.assert_allclose(found, [s.probabilities[token] for s in sample.stages], rtol=1e-3, atol=1e-6)
        assert (row["gone"] or None) == sample.removed_by(token)
    rest = tab.page.locator(f"{BENCH} tr.rest[data-rest]").get_attribute("data-rest")
    listed = [int(row["id"]) for row in rows]
    assert float(rest or 0) == pytest.approx(max(0, 1 - sample.probabilities[listed].sum()), abs=1e-5)


def turned(spec: StageSpec) -> float:
    """A value in the middle of a stage's slider."""
    low, high, step = spec.slider
    return spec.kind(round((low + (high - low) * 0.4) / step) * step)


def test_sliders_presets_and_what_they_change(server: Server, tab: Tab, nano: LanguageModel) -> None:
    tab.open(server.address(text=TEXT, view="sampling"))
    page, bench = tab.page, tab.page.locator(BENCH)
    agrees(tab, nano)
    runs = tab.runs
    settings: dict[str, float] = {}
    chosen = {"top_k": 9, "top_p": 0.95, "min_p": 0.02, "repetition_penalty": 1.4, "typical_p": 0.7, "temperature": 1.6}
    each = [(spec.words().label, chosen.get(spec.key, turned(spec))) for spec in reversed(SPECS)]
    for label, value in (*each, ("temperature", 0.3), ("temperature", 0)):
        field = bench.get_by_role("spinbutton", name=label, exact=True)
        field.fill(str(value))
        field.press("Enter")
        settings[LABELS[label]] = value
        agrees(tab, nano, **settings)
    for name, values in (
        ("Balanced", sampling.PRESETS["balanced"]),
        ("Model's own", sampling.own_settings(nano.model.generation_config)),
    ):
        bench.get_by_role("button", name=name).click()
        agrees(tab, nano, **{key: getattr(values, key) for key in sampling.FIELDS})
        expect(bench.get_by_role("button", name=name)).to_have_attribute("aria-pressed", "true")
    bench.get_by_role("button", name="Creative").click()
    agrees(tab, nano, **{key: getattr(sampling.PRESETS["creative"], key) for key in sampling.FIELDS})

    more = page.get_by_role(
        "button", name="More sampling settings"
    )  # the bar has them too: the same numbers, both ways
    expect(more).to_have_accessible_name("More sampling settings: 1 active")
    more.press("Enter")
    own = {key: getattr(sampling.PRESETS["creative"], key) for key in sampling.FIELDS}
    chosen = {"repetition_penalty": 1.3, "no_repeat_ngram_size": 3, "typical_p": 0.8}
    boxed = [spec for spec in SPECS if not spec.in_bar and spec.key not in ("top_k", "min_p")]
    for label, value in ((spec.words().label, chosen.get(spec.key, turned(spec))) for spec in boxed):
        field = page.locator(".sheet.settings").get_by_role("spinbutton", name=label)
        field.fill(str(value))
        field.press("Tab")
        agrees(tab, nano, **(own := own | {LABELS[label]: value}))
    bench.get_by_role("button", name="Creative").click()
    expect(page.locator(".sheet.settings")).to_be_hidden()
    expect(more).to_have_accessible_name("More sampling settings: 1 active")

    slider = bench.get_by_role(
        "slider", name="temperature"
    )  # by keyboard: flatter with every step, at once, in the browser
    slider.focus()
    seen = [read(page)["entropy"][3]]
    rows = bench.locator("tr[data-id]").element_handles()
    for _step in range(4):
        slider.press("ArrowRight")
        seen.append(read(page)["entropy"][3])
    assert all(a < b for a, b in itertools.pairwise(seen))
    assert all(row.evaluate("row => row.isConnected") for row in rows[:10])  # changed in place: 50 ms a frame are few
    expect(bench.locator(".changed")).to_contain_text("temperature 1.2 → 1.4")  # what changed, and the way back
    assert bench.locator(".past .interval").count() > 0
    bench.get_by_role("button", name="Back").click()
    agrees(tab, nano, **{key: getattr(sampling.PRESETS["creative"], key) for key in sampling.FIELDS})

    bench.get_by_role("checkbox", name="logarithmic bars").check()
    first = bench.locator("tr[data-id]").first
    p = float((first.get_attribute("data-p") or "").split(",")[0])
    bar = first.locator("td.p.soft .bar i").first.evaluate("node => parseFloat(node.style.width) / 100")
    assert bar == pytest.approx(max(0, 1 + np.log10(p) / 6), abs=1e-4)
    assert tab.runs == runs  # no forward pass in all this


def test_number_boxes_show_the_value_in_use(server: Server, tab: Tab) -> None:
    tab.open(server.address(text=TEXT, view="sampling"))
    bench, page = tab.page.locator(BENCH), tab.page
    for label, typed, shown in (
        ("temperature", "-5", "1"), ("temperature", "1e9", "100"), ("top-p", "3.7", "1"), ("typical-p", "0", "1"), ("top-k", "", "0"),
        ("top-k", "1e9", "10000000"),
    ):  # fmt: skip
        field = bench.get_by_role("spinbutton", name=label, exact=True)
        field.fill(typed)
        field.press("Enter")
        expect(field).to_have_value(shown)
    under_the_bars = page.locator(".handles .slider").filter(has_text="temperature")
    expect(under_the_bars.locator("output")).to_have_text("100")  # its slider ends at 2
    seed = bench.locator("#seed")
    for typed, shown in (("7", "7"), ("", "7"), ("-3", "0"), ("1e30", str(2**52))):
        seed.fill(typed)
        seed.press("Enter")
        expect(seed).to_have_value(shown)
    page.get_by_role("button", name="More sampling settings").press("Enter")
    field = page.locator(".sheet.settings").get_by_role("spinbutton", name="min-p")
    field.fill("-5")
    field.press("Enter")
    expect(field).to_have_value("0")
    tab.until(
        lambda: all(word in page.url for word in ("temperature=100&top_k=10000000&", f"&seed={2**52}&")),
        "what holds is in the link",
    )
    # a seed that is set in the bar: the view's sentence has the random number of the seed that it names, in the same turn of the browser, too
    tab.until(lambda: read(page)["uniform"] == [sampling.uniform(2**52)])
    for typed, named in ((7, 7), (5000, 7)):
        said = page.locator(".sheet.settings").get_by_role("spinbutton", name="seed").evaluate(SET_AND_READ, typed)
        assert str(named) in re.findall(r"\d+", said)
        assert f"{sampling.uniform(named):.6f}" in said
    tab.until(lambda: read(page)["uniform"] == [sampling.uniform(5000)], "the server knows the number of any seed")


def test_the_draw_can_be_followed_repeated_and_taken(server: Server, tab: Tab, nano: LanguageModel) -> None:
    tab.open(server.address(text=TEXT, view="sampling", temperature=6, top_k=6))
    page, bench = tab.page, tab.page.locator(BENCH)
    trace = nano.trace(TEXT)
    agrees(tab, nano, temperature=6.0, top_k=6)

    samples = [sampling.pipeline(trace.logits, temperature=6.0, top_k=6, seed=seed) for seed in range(1000)]
    tokens = [sample.token for sample in samples]
    shown = bench.locator(".seeds tr[data-count]").evaluate_all("rows => rows.map((row) => Number(row.dataset.count))")
    counted = [tokens.count(int(token)) for token in samples[0].order[:8]]
    assert shown[: len(counted)] == counted
    assert sum(shown) == 1000
    order = samples[0].order.tolist()
    rarest = next(token for token in reversed(order) if token in tokens)
    bench.locator(".seeds tbody tr").nth(order.index(rarest)).get_by_role("button").click()
    tab.until(lambda: read(page)["token"] == [rarest])  # the first seed that draws it
    agrees(tab, nano, temperature=6.0, top_k=6, seed=tokens.index(rarest))

    gone = next(int(t) for t in (-trace.logits.values).argsort() if samples[0].removed_by(int(t)) == "top_k")
    expect(bench.locator(f'tr[data-id="{gone}"] td.final')).to_contain_text("cut off by top-k")
    bench.locator(f'tr[data-id="{gone}"] th button').click()
    steps = bench.locator(".steps")
    expect(steps).to_contain_text("rank 7, above 6: cut off")
    bench.get_by_role("button", name="drawn token").click()
    x = float(trace.logits.values[rarest])
    expect(steps).to_contain_text(f"÷ 6 = {tx_number(x / 6)}")
    expect(steps).to_contain_text("drawn")

    shares = bench.locator(
        ".steps .share"
    ).all_inner_texts()  # after every stage that is on: from this token's own numbers
    stages = sampling.pipeline(trace.logits, temperature=6.0, top_k=6).stages
    on = [stage for stage in stages[:-1] if stage.active]
    assert len(shares) == len(on) == 3
    for text, stage in zip(shares, on, strict=True):
        p = stage.probabilities[rarest]
        z = float(np.exp(stage.logits.astype(np.float64) - stage.logits.max()).sum())
        assert text == (
            f"e^({tx_number(stage.logits[rarest])} − {tx_number(stage.logits.max())}) ÷ {tx_number(z)} = {percent(p, 4)}"
        )

    before = read(page)["uniform"]
    page.get_by_role("button", name="Next seed").click()
    tab.until(lambda: read(page)["uniform"] != before)
    agrees(tab, nano, temperature=6.0, top_k=6, seed=tokens.index(rarest) + 1)
    token = read(page)["token"]
    runs = tab.runs
    page.locator("button.append").click()
    tab.until(lambda: tab.runs == runs + 1)
    expect(bench.locator("#seed")).to_have_value(str(tokens.index(rarest) + 2))  # the next token has the next seed
    expect(tab.prompt).to_have_value(TEXT + "".join(nano.tokens([int(token[0])]).strings))


def tx_number(value: float) -> str:
    """As the page writes it, five digits."""
    return number(value, 5)


def test_the_models_own_numbers_open_their_card(server: Server, tab: Tab, nano: LanguageModel) -> None:
    tab.open(server.address(text=TEXT, view="sampling", temperature=2, repetition_penalty=1.5))
    trace, bench = nano.trace(TEXT), tab.page.locator(BENCH)
    why = tab.page.get_by_role("region", name="why this number")
    rest = bench.locator("tr.rest").first
    expect(rest.locator("th")).to_contain_text("other tokens")
    listed = [int(i) for i in bench.locator("tr[data-id]").evaluate_all("rows => rows.map((row) => row.dataset.id)")]
    p = torch.from_numpy(trace.logits.values).double().softmax(-1).numpy()
    row = bench.locator("tr[data-id]").nth(1)
    for button, name, value in (
        (row.locator("td.p button"), "probs", p[listed[1]]),
        (rest.locator("td.p button"), "probs.others.", 1 - p[listed].sum()),
        (bench.locator("tr.bits button"), "probs.entropy", -(p * np.log2(p)).sum()),
    ):
        button.press("Enter")
        expect(why.locator("code").first).to_have_text(re.compile(rf"^{re.escape(name)}[\d.]*( \[.*)?$"))
        expect(why.locator(".check")).to_contain_text("recomputed")
        expect(button).to_have_class("lit")
        expect(button).to_be_focused()
        shown = why.locator("strong").first.inner_text().replace("−", "-")
        assert float(shown) == pytest.approx(value, rel=1e-3, abs=2e-6)  # float32 roundings, as in `agrees`
    rest.locator("td.p button").click()
    expect(rest.locator("button.lit")).to_have_count(1)
    bench.locator("tr[data-id]").last.locator("th button").click()  # listed already: the same others
    expect(rest.locator("button.lit")).to_have_count(1)
    gone = bench.get_by_role("spinbutton", name="n-gram", exact=True)
    gone.fill("1")  # tokens of the text go to the end of the list: other others
    gone.press("Enter")
    expect(rest.locator("button.lit")).to_have_count(0)


@pytest.mark.sweep
def test_on_a_phone_the_page_has_no_horizontal_scrolling(server: Server, new_tab: Any) -> None:
    tab = new_tab(390, 844, has_touch=True).open(
        server.address(text="CBABBCCBA=", view="sampling", typical_p=0.9, top_p=0.9)
    )
    page, bench = tab.page, tab.page.locator(BENCH)
    expect(bench).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert bench.locator(".what .scroll").evaluate("node => node.scrollWidth <= node.clientWidth + 1")
    third = bench.locator("tr[data-id] th button").nth(2)  # by touch: a token's way, and a place on a slider
    third.tap()
    expect(third).to_have_attribute("aria-pressed", "true")
    slider = bench.get_by_role("slider", name="temperature")
    box = slider.bounding_box() or {}
    slider.tap(position={"x": box["width"] * 0.75, "y": box["height"] / 2})
    assert float(slider.input_value()) == pytest.approx(1.5, abs=0.15)
    expect(bench.locator(".changed").last).to_contain_text("temperature 1 →")


@pytest.mark.sweep
def test_a_beam_search_on_request(server: Server, tab: Tab, nano: LanguageModel) -> None:
    tab.open(server.address(text=TEXT, view="sampling"))
    beams = tab.page.locator(".beams")
    beams.get_by_label("tokens").select_option("3")
    beams.get_by_role("button", name="Search").click()  # the first word of a new component: it need not say what it is
    expected = txpanel.beam_search(nano, TEXT, 3, 3)
    nodes = beams.locator(".node")
    expect(nodes).to_have_count(len(expected.nodes))
    best = "".join(nano.tokens(list(expected.hypotheses[0].tokens)).strings)
    expect(beams.locator(".results button").first).to_have_text(best)
    assert nodes.evaluate_all("all => all.map((one) => one.matches('.dropped'))") == [
        node.state == "dropped" for node in expected.nodes
    ]
    assert beams.locator(".node.best").count() == len(expected.hypotheses[0].tokens)
    assert [line for line in server.lines if "already known" in line] == []
    beams.locator(".scroll").press("ArrowLeft")
    beams.locator(".scroll").press("ArrowLeft")
    way = expected.path(expected.hypotheses[0].node)
    expect(beams.locator(".sentence .token")).to_have_text(way[0].string)
    expect(beams.locator(".node.chosen")).to_have_count(1)
    beams.locator(".results button").nth(1).click()
    tab.page.get_by_role("button", name="Append this text").click()
    other = expected.hypotheses[1].tokens
    expect(tab.prompt).to_have_value(TEXT + "".join(nano.tokens(list(other)).strings))
    expect(tab.page.locator(".timeline .chip")).to_have_count(len(other))
    expect(nodes).to_have_count(0)  # that tree belonged to another text
    tab.page.locator(".timeline .prompt").click()
    expect(nodes).to_have_count(len(expected.nodes))  # and is there again
