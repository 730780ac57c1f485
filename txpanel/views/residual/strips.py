"""The residual stream of one token through one block, as vectors that are drawn as strips."""

from __future__ import annotations

from typing import TYPE_CHECKING

from txpanel.messages import _
from txpanel.toolkit.part_words import writer_name
from txpanel.toolkit.vector_strips import VectorStrip
from txpanel.views.vectors import array, norm_text

if TYPE_CHECKING:
    from txpanel.tracing import Trace

__all__ = ["strips"]


def strips(trace: Trace, layer: int, position: int) -> list[VectorStrip]:
    """The stream of one token through one block: before, what is added, after."""
    p, at, block = f"blocks.{layer}.", {"token": position}, trace.anatomy.blocks[layer]
    words = {
        "resid_pre": ("", _("block input")), "attn_out": ("+", _("attention output")), "mixer_out": ("+", writer_name(block, "mixer")),
        "block_out": ("+", writer_name(block, "block")), "resid_mid": ("=", _("after attention")),
        "cross_out": ("+", _("cross-attention output")), "resid_mid_cross": ("=", _("after cross-attention")),
        "mlp_out": ("+", _("MLP output")), "resid_post": ("=", _("block output")),
    }  # fmt: skip
    if block.norm_place == "post" and block.has_mixer and block.mlp_there and "block" not in block.opaque:
        words = {  # norms stand on the lane itself
            **{name: words[name] for name in ("resid_pre", "attn_out", "mixer_out", "resid_mid")},
            "ln1": ("→", _("normalised")), "mlp_out": words["mlp_out"], "resid_sum": ("=", _("sum")),
            "resid_post": ("→", _("normalised: block output")),
        }  # fmt: skip
    hues = {
        "attn_out": "var(--tx-value)",
        "mixer_out": "var(--tx-value)",
        "cross_out": "var(--tx-key)",
        "mlp_out": "var(--tx-mlp)",
        "block_out": "var(--tx-closed)",
    }
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
