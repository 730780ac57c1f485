"""The residual stream of one token through one block, as vectors that are drawn as strips."""

from __future__ import annotations

from typing import TYPE_CHECKING

from txpanel.messages import _
from txpanel.toolkit.vector_strips import VectorStrip
from txpanel.views.vectors import array, norm_text

if TYPE_CHECKING:
    from txpanel.tracing import Trace

__all__ = ["strips"]


def strips(trace: Trace, layer: int, position: int) -> list[VectorStrip]:
    """The stream of one token through one block: before, what is added, after."""
    p, at = f"blocks.{layer}.", {"token": position}
    words = {
        "resid_pre": ("", _("into the block")), "attn_out": ("+", _("attention writes")), "resid_mid": ("=", _("in the middle")),
        "mlp_out": ("+", _("MLP writes")), "resid_post": ("=", _("out of the block")),
    }  # fmt: skip
    hues = {"attn_out": "var(--tx-value)", "mlp_out": "var(--tx-mlp)"}
    out = []
    for name, (sign, label) in words.items():
        if p + name in trace:
            row = array(trace.tensor(p + name)[position])
            tail = norm_text(row)
            out.append(
                VectorStrip(
                    label,
                    row,
                    p + name,
                    at,
                    sign=sign,
                    note=name,
                    tail=tail,
                    group="stream",
                    strong=name.startswith("resid_p"),
                    hue=hues.get(name, ""),
                )
            )
    return out
