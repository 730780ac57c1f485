"""A statistic of the norms over the blocks: mean, variance or scale, a line for each norm."""

from __future__ import annotations

import numpy as np

from txpanel.messages import _
from txpanel.toolkit.lines import Lines
from txpanel.views.residual.data import Stream

__all__ = ["feed_statistic"]

COLOURS = {"ln1": "value", "attn_norm": "value", "ln2": "mlp", "mlp_norm": "mlp", "ln_final": "focus"}
"""Colour of a norm: that of the part that reads its output, or whose output it normalises; the latter are dashed."""
MARKS = {"value": "v", "mlp": "m", "focus": "f", "lane": "muted"}
"""The same colours as marks of `txpanel.toolkit.text.rich`."""


def feed_statistic(lines: Lines, kind: str, found: Stream, position: int, layer: int) -> str:
    """Shows one statistic of every norm for the token at `position`, the final norm's behind the last block.

    Returns:
        What the lines are, as a template of `txpanel.toolkit.text.rich`; empty where the blocks' norms have no such statistic.
    """
    series = {norm: kinds[kind][:, position] for norm, kinds in found.stats.items() if np.isfinite(kinds[kind]).any()}
    if not series:
        return ""
    final = found.final.get(kind)
    if final is not None:
        series = {norm: np.append(values, np.nan) for norm, values in series.items()}
        series["ln_final"] = np.append(np.full(len(found.attn), np.nan), final[position])
    colours = [COLOURS.get(norm, "lane") for norm in series]
    dashed = [norm for norm in series if norm.endswith("_norm")]
    lines.feed(series, layer, colours, dashed=dashed, ends=[_("final")] if final is not None else [])
    names = " · ".join(f"<{MARKS[c]}>{norm}</{MARKS[c]}>" for norm, c in zip(series, colours, strict=True))
    return {
        "mean": _("subtracted by {names}"),
        "var": _("of the input of {names}"),
        "scale": _("factor of {names}: 1 / √(variance + ε)"),
    }[kind].format(names=names)
