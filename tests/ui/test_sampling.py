"""The sampling bench in Chromium: its numbers are the pipeline's, and no slider runs the model."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.ui.conftest import Server, Tab
from txpanel.models.language_model import LanguageModel
from txpanel.sampling import pipeline

TEXT = "CBABBC="
BENCH = ".bench"


def read(page: Page) -> dict[str, Any]:
    """What the bench says of its stages and the draw."""
    data = page.locator(BENCH).evaluate("node => ({...node.dataset})")
    return {name: json.loads(f"[{value}]") for name, value in data.items()}


def agrees(tab: Tab, model: LanguageModel, **settings: float) -> None:
    """Waits until the bench shows exactly what the pipeline gives for these settings."""
    sample = pipeline(model.trace(TEXT).logits, **settings)  # type: ignore[arg-type]
    kept = [stage.kept for stage in sample.stages]
    tab.until(
        lambda: read(tab.page)["kept"] == kept and read(tab.page)["token"] == [sample.token], f"{settings}: {kept}"
    )
    found = read(tab.page)
    assert found["uniform"] == [sample.draw.uniform]
    np.testing.assert_allclose([*found["low"], *found["high"]], [sample.draw.low, sample.draw.high], atol=1e-12)
    np.testing.assert_allclose(found["entropy"], [stage.entropy for stage in sample.stages], atol=1e-9)
    cells = tab.page.locator(f"{BENCH} tbody tr[data-id]").evaluate_all(
        "rows => rows.map((row) => [Number(row.dataset.id), ...[...row.querySelectorAll('[data-p]')].map((x) => Number(x.dataset.p))])"
    )
    for token, model_p, warm, final in cells:
        expected = [sample.stages[stage].probabilities[token] for stage in (0, 1, 4)]
        np.testing.assert_allclose([model_p, warm, final], expected, rtol=1e-9, atol=1e-15)


def test_the_browser_computes_what_the_pipeline_computes(server: Server, tab: Tab, nano: LanguageModel) -> None:
    tab.open(server.address(text=TEXT, view="sampling"))
    page = tab.page
    runs = tab.runs
    agrees(tab, nano)
    box = {
        name: page.locator(BENCH).get_by_role("spinbutton", name=name, exact=True)
        for name in ("temperature", "top-k", "top-p", "min-p")
    }
    settings = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
    for name, value in (
        ("temperature", 1.6),
        ("top_k", 4),
        ("top_p", 0.85),
        ("min_p", 0.05),
        ("temperature", 0.3),
        ("temperature", 0),
    ):
        field = box[name.replace("_", "-")]
        field.fill(str(value))
        field.press("Enter")
        settings[name] = value
        agrees(tab, nano, **settings)
    assert tab.runs == runs  # no forward pass


def test_bars_move_while_a_slider_is_dragged(server: Server, tab: Tab) -> None:
    tab.open(server.address(text=TEXT, view="sampling"))
    runs = tab.runs
    slider = tab.page.locator(BENCH).get_by_role("slider", name="temperature")
    seen = [read(tab.page)["entropy"][1]]
    slider.focus()
    for _step in range(6):
        slider.press("ArrowRight")
        seen.append(read(tab.page)["entropy"][1])
    assert all(a < b for a, b in itertools.pairwise(seen))  # flatter with every step, at once, in the browser
    assert tab.runs == runs


def test_draw_again_then_append(server: Server, tab: Tab, nano: LanguageModel) -> None:
    tab.open(server.address(text=TEXT, view="sampling", temperature=2))
    first = read(tab.page)["uniform"]
    tab.page.get_by_role("button", name="Draw again").click()
    tab.until(lambda: read(tab.page)["uniform"] != first)
    agrees(tab, nano, temperature=2.0, seed=1)
    token = read(tab.page)["token"]
    runs = tab.runs
    tab.page.locator("button.append").click()
    tab.until(lambda: tab.runs == runs + 1)
    expect(tab.prompt).to_have_value(TEXT + "".join(nano.tokens([int(token[0])]).strings))


@pytest.mark.parametrize("width", [1440, 390])
def test_nothing_sticks_out(server: Server, new_tab: Any, width: int) -> None:
    tab = new_tab(width, 844).open(server.address(text=TEXT, view="sampling"))
    expect(tab.page.locator(BENCH)).to_be_visible()
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
