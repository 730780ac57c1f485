"""The flow's tables hold the trace's numbers, and each row of the pattern adds up."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from txpanel.session.state import ModelState
from txpanel.toolkit.picture import Table
from txpanel.views.flow.table import facts, tables
from txpanel.views.flow.view import FlowView
from txpanel.views.flow.window import Window

TEXT = "the cat sat"


def parts(state: ModelState, window: Window | None = None) -> dict[str, list[list[Any]]]:
    """The tables by name, their headings in the first row."""
    total = len(state.trace.tokens.ids)
    found = tables(state, window or Window.around(total, state.query), {})
    names = ("tokens", "pattern", "next", "writes")
    return {name: [list(t.columns), *map(list, t.rows)] for name, t in zip(names, [found, *found.more], strict=True)}


def column(table: list[list[Any]], name: str) -> list[Any]:
    at = table[0].index(name)
    return [row[at] for row in table[1:]]


@pytest.mark.parametrize("family", ["gpt2", "llama", "gptj", "gemma3_text", "mixtral"])
def test_numbers_are_those_of_the_trace(tiny: Callable[[str], Any], family: str) -> None:
    state = ModelState(model=tiny(family), text=TEXT)
    state.focus(layer=1, head=1, query=4)
    found, trace = parts(state), state.trace
    tokens = found["tokens"]
    assert column(tokens, "id") == trace.tokens.ids.tolist()
    assert column(tokens, "position") == list(range(len(trace.tokens.ids)))
    for name in ("resid_pre", "attn_out", "mlp_out", "resid_post"):
        expected = trace.tensor(f"blocks.1.{name}").double().norm(dim=-1).numpy()
        np.testing.assert_allclose(column(tokens, f"‖blocks.1.{name}‖"), expected, rtol=1e-6)
    may = trace.tensor("blocks.1.masked")[1].numpy() > -1e30
    pattern = np.where(may, trace.tensor("blocks.1.pattern")[1].numpy(), np.nan)
    np.testing.assert_array_equal(
        column(tokens, f"attention weights of 4 {trace.tokens.strings[4]}, head 2"), pattern[4]
    )
    np.testing.assert_array_equal([row[1:] for row in found["pattern"][1:]], pattern)
    logits = trace.logits_at(4).values.astype(np.float64)
    p = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    ids = column(found["next"], "id")[:-1]
    np.testing.assert_allclose(column(found["next"], "probability: the model")[:-1], p[ids], rtol=1e-6)
    assert sum(column(found["next"], "probability: the model")) == pytest.approx(1, abs=1e-6)
    written = trace.tensor("blocks.2.mlp_out")[4].double().norm()
    assert column(found["writes"], "MLP output")[2] == pytest.approx(float(written), rel=1e-6)


def test_a_mixture_lists_experts_and_their_weights(tiny: Callable[[str], Any]) -> None:
    state = ModelState(model=tiny("mixtral"), text=TEXT)
    tokens = parts(state)["tokens"]
    assert column(tokens, "expert in slot 1") == state.trace.tensor("blocks.0.expert_index")[:, 1].tolist()
    assert column(tokens, "weight of slot 1") == state.trace.tensor("blocks.0.expert_weight")[:, 1].tolist()


def test_rows_of_a_window_add_up_to_one(tiny: Callable[[str], Any]) -> None:
    state = ModelState(model=tiny("gpt2"), text=TEXT * 6)
    total = len(state.trace.tokens.ids)
    rows = parts(state, Window(9, 28, total))["pattern"][1:]
    assert len(rows) == 28
    assert all(np.nansum(row[1:]) == pytest.approx(1, abs=1e-5) for row in rows)
    assert rows[0][1] == float(state.trace.head_map(0, 0, "pattern")[9, 0])


def test_the_file_has_all_tables_and_says_where_they_come_from(tiny: Callable[[str], Any]) -> None:
    state = ModelState(model=tiny("llama"), text=TEXT)
    view = FlowView(state)
    view.__panel__()
    text = view._table().csv(facts(state))
    assert '# text: "the cat sat"\n' in text
    assert '# head: "0"\n' in text
    blocks = text.split("\n\n")
    assert len(blocks) == 4
    rows = list(csv.reader(io.StringIO("".join(s for s in blocks[0].splitlines(keepends=True) if s[0] != "#"))))
    norm = view.picture.block["norms"]["attn_out"]
    assert [np.float32(row[rows[0].index("‖blocks.0.attn_out‖")]) for row in rows[1:]] == norm.tolist()


def test_tables_are_shown_only_with_a_picture(tiny: Callable[[str], Any]) -> None:
    view = FlowView(ModelState(model=tiny("llama"), text=TEXT))
    view.__panel__()
    assert view.tools.visible
    before = view.tools.version
    view.state.focus(head=1)
    assert view.tools.version > before
    view.state.text = ""
    assert not view.tools.visible
    assert isinstance(view._table(), Table)
