"""What views are put together from: a card with words beside pictures, a picture with its title, legend and tools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import panel as pn
from panel.viewable import Viewable

from txpanel.compat.wrapping_row import WrappingRow
from txpanel.messages import _
from txpanel.toolkit.formula import Formula
from txpanel.toolkit.picture import Fold, Legend, Table, Tools
from txpanel.toolkit.text import Paragraph, Rich, rich

__all__ = [
    "Fold",
    "Formula",
    "Legend",
    "Rich",
    "Table",
    "Tools",
    "aligned",
    "as_shown",
    "card",
    "engineers",
    "flow",
    "picture",
    "provenance",
    "rich",
    "row",
    "stack",
]

CARD_CSS = """
:host{background:var(--tx-surface);border:1px solid var(--tx-border);border-radius:14px;padding:18px 20px;
  gap:20px 26px;align-items:flex-start;box-sizing:border-box;
  container-type:inline-size} /* how narrow it is decides what stands side by side: the window says little where a card of numbers is open */
@media (max-width:640px){:host{padding:14px;border-radius:12px}}
"""
ROW_CSS = """
:host{display:grid;grid-template-columns:repeat(var(--tx-fit),minmax(min(100%,var(--tx-least)),1fr));gap:0 22px;align-items:start}
.scroll-button{display:none} /* of Panel: it would take a place in the grid */
@container (max-width:1220px){:host{--tx-last:1}} /* two in a row, or one */
"""
ALIGNED = {
    "display": "grid",
    "grid-row": "span 5",
    "grid-template-rows": "subgrid",
    "grid-template-columns": "minmax(0,1fr)",
    "width": "100%",
    "min-width": "0",
    "margin-bottom": "20px",
}
TEXT_CSS = """
@container (min-width:820.1px){:host{position:sticky;top:56px;max-height:calc(100vh - 72px);overflow:hidden auto;scrollbar-width:thin;overscroll-behavior:auto}}
@container (max-width:820px){:host{width:100%!important;max-width:none!important}}
@media print{:host{position:static!important;max-height:none!important;overflow:visible!important}}
"""
"""Words stay beside their pictures while these are scrolled through; on a narrow page they stand above them."""


def engineers(*formulas: str, notes: Sequence[Paragraph] = (), more: Sequence[Any] = ()) -> Fold:
    """The fold-out for engineers.

    Args:
        formulas: LaTeX, with this model's real sizes; set ``fold.formula.latex`` when another model comes.
        notes: paragraphs from `rich`, below the formulas.
        more: further Panel objects.

    Returns:
        A `Fold` with the attributes ``formula`` and ``notes``.
    """
    formula = Formula(*formulas, sizing_mode="stretch_width")
    text = Rich(paragraphs=list(notes), look="note", sizing_mode="stretch_width")
    fold = Fold(_("for engineers"), formula, text, *more, sizing_mode="stretch_width")
    fold.formula, fold.notes = formula, text
    return fold


def card(heading: str, text: Sequence[Paragraph] | Rich, *pictures: Any, beside: Sequence[Any] = ()) -> WrappingRow:
    """A view's card: words on the left, pictures beside them, one below the other on a narrow page.

    Args:
        heading: title, such as ``_("Attention, head 3")``; empty: none (the page shows the view's title already).
        text: two or three sentences for a newcomer, from `rich`; or a `Rich` of your own that you update.
        pictures: Panel objects, such as what `picture` returns.
        beside: what stands below the words: links; a `Fold` such as `engineers(...)` stands below all of it, where a formula has room.

    Returns:
        A Row with the attribute ``pictures``: the Row that they stand in.
    """
    words = text if isinstance(text, Rich) else Rich(heading=heading, paragraphs=list(text))
    words.sizing_mode = "stretch_width"
    folds = [one for one in beside if isinstance(one, Fold)]
    beside = [one for one in beside if not isinstance(one, Fold)]
    left = pn.Column(words, *beside, width=250, margin=0, stylesheets=[TEXT_CSS], css_classes=["tx-words"])
    right = flow(*pictures, styles={"flex": "1 1 320px", "min-width": "0"})
    below = [pn.Column(*folds, margin=0, styles={"flex": "1 1 100%", "min-width": "0"})] if folds else []
    whole = flow(left, right, *below, sizing_mode="stretch_width", stylesheets=[CARD_CSS], css_classes=["tx-card"])
    whole.pictures = right
    return whole


def flow(*objects: Any, gap: str = "20px 26px", stylesheets: Sequence[str] = (), **params: Any) -> WrappingRow:
    """Panel objects side by side, in further lines where one has no room; what ``pn.FlexBox`` does by evaluating a template in the browser.

    Args:
        objects: in reading order; set ``objects`` to change them.
        gap: between lines, and between neighbours.
        stylesheets: more CSS. **params: for the Row.
    """
    css = f":host{{align-items:flex-start;gap:{gap}}}"
    return WrappingRow(*objects, stylesheets=[css, *stylesheets], **{"margin": 0, **params})


def stack(*cards: Any, **params: Any) -> pn.Column:
    """Cards one below the other; others may be added later."""
    css = ".scroll-button{display:none}"  # of Panel: a card that is added comes behind it, and a gap too far
    look = {"sizing_mode": "stretch_width", "margin": 0, "styles": {"gap": "18px"}, "stylesheets": [css]}
    return pn.Column(*cards, **{**look, **params})


def as_shown(box: Any) -> Any:
    """Puts parts of a layout onto the page only when they are visible: a hidden picture costs as much as a visible one. Returns the layout."""
    parts = list(box)

    def look(*_events: Any) -> None:
        wanted = [part for part in parts if part.visible or part._models]  # what is on a page once stays there
        if wanted != list(box):
            box[:] = wanted

    for part in parts:
        part.param.watch(look, "visible")
    look()
    return box


def row(*pictures: Any, least: int = 300, spread: bool = True, **params: Any) -> pn.Column:
    """Pictures side by side, as many as there is room for; titles, plots, legends and tools on common lines.

    Each is what `picture` returns: its parts become parts of the row's own grid, so that a title that wraps moves its neighbours too.

    Args:
        pictures: in reading order; set ``row.objects`` to change them, with `aligned` for new ones.
        least: pixels that each needs; with less, fewer stand in a row.
        spread: few pictures take the whole width; else they stay side by side on the left.
        **params: for the Column.
    """
    shown = [aligned(shown) for shown in pictures]
    fit = "auto-fit" if spread else "auto-fill"
    styles = {"--tx-fit": fit, "--tx-least": f"{least}px", "flex": "1 1 100%", "min-width": "0"}
    return pn.Column(*shown, margin=0, sizing_mode="stretch_width", stylesheets=[ROW_CSS], styles=styles, **params)


def aligned(shown: Any) -> Any:
    """Makes a picture fit for a `row`."""
    shown.styles = {**shown.styles, **ALIGNED}
    return shown


def picture(
    title: str,
    subtitle: str,
    plot: Any,
    *,
    legend: Legend | None = None,
    table: Callable[[], Table] | None = None,
    name: str = "",
    source: Callable[[], dict[str, str]] | None = None,
    **params: Any,
) -> pn.Column:
    """A picture with its title, legend and tools.

    Args:
        title: above it.
        subtitle: below the title, smaller; may be empty.
        plot: any Panel object, or what `pn.panel` takes.
        legend: made from the picture's own scale.
        table: returns the picture's numbers; with it come the table and the files.
        name: name of the saved files.
        source: provenance for the files, usually ``lambda: provenance(state, "blocks.3.pattern")``.
        **params: for the Column, such as a width.

    Returns:
        A Column with the attributes ``heading`` (a `Rich`), ``plot`` and ``tools`` (None without `table`).
    """
    heading = Rich(heading=title, level=4, paragraphs=[[("", subtitle)]] if subtitle else [], look="small")
    heading.sizing_mode = "stretch_width"
    shown: Viewable = pn.panel(plot)
    figure = shown.object if isinstance(shown, pn.pane.Bokeh) else None
    tools = Tools(table, name, source, figure=figure, sizing_mode="stretch_width") if table is not None else None
    parts = [heading, shown, *([legend] if legend else []), *([tools] if tools else [])]
    column = pn.Column(*parts, margin=0, css_classes=["tx-picture"], **params)
    column.heading, column.plot, column.tools = heading, shown, tools
    return column


def provenance(state: Any, tensor: str = "") -> dict[str, str]:
    """Where numbers come from, for the files they are saved in: the trace's own account, and the tensor's name."""
    trace = state.trace
    facts = {str(key): str(value) for key, value in trace.provenance.items()} if trace is not None else {}
    if trace is not None:
        facts.setdefault("text", trace.text)
    if tensor:
        facts["tensor"] = tensor
    return facts
