"""Formulas: LaTeX in Python, MathML in the browser."""

from __future__ import annotations

from html import unescape
from typing import Any, ClassVar
from xml.etree.ElementTree import Element

import param
from latex2mathml.converter import convert_to_element

from txpanel.toolkit.component import Component

__all__ = ["Formula", "mathml"]


def mathml(latex: str) -> list[Any]:
    """LaTeX as a MathML tree: nested lists ``[tag, attributes, *children]``, where text is a string.

    What cannot be read as LaTeX is shown as it is, as text, instead of raising: a formula is never worth a view.
    """
    try:
        return _tree(convert_to_element(latex, display="block"))
    except Exception:
        return ["math", {"display": "block"}, ["mtext", {}, latex]]


def _tree(node: Element) -> list[Any]:
    text = [unescape(node.text)] if node.text else []
    return [node.tag, dict(node.attrib), *text, *(_tree(child) for child in node)]


class Formula(Component):
    """One or several formulas, each on a line of its own."""

    latex = param.List(default=[], item_type=str, doc="The formulas, LaTeX without dollar signs.")
    trees = param.List(default=[], doc="The same as MathML trees; set by `latex`.")

    _module = "formula.js"
    _styles = "formula.css"
    _rename: ClassVar[dict[str, str | None]] = {"latex": None}

    def __init__(self, *latex: str, **params: Any) -> None:
        super().__init__(latex=list(latex), **params)

    @param.depends("latex", watch=True, on_init=True)
    def _convert(self) -> None:
        self.trees = [mathml(formula) for formula in self.latex]
