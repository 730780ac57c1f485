"""The words of the KV-cache view: how many bytes are kept, in which shapes, and what is particular to a model's cache."""

from __future__ import annotations

from collections import Counter
from typing import Any

from txpanel.messages import _, plural
from txpanel.models.progress import size_text
from txpanel.toolkit.card import rich
from txpanel.toolkit.format import count, number
from txpanel.tracing.trace import Trace
from txpanel.views.kv_cache.data import Kept

__all__ = ["counted", "shape_words", "special_words", "words"]


def counted(held: list[Kept], layer: int) -> list[list[str]]:
    """How many bytes are kept, as label, sum with its numbers in place, and result: a block's, those of all, and of each token."""
    if not held:
        return []
    each, total, tokens = held[layer], sum(block.nbytes for block in held), held[0].tokens
    one = plural(
        "{heads} k,v head × {tokens} tokens × ({key} + {value}) numbers × {item} bytes",
        "{heads} k,v heads × {tokens} tokens × ({key} + {value}) numbers × {item} bytes",
        each.heads,
    ).format(heads=count(each.heads), tokens=count(tokens), key=each.key_dim, value=each.value_dim, item=each.item)
    sizes = Counter(block.nbytes for block in held)
    parts = " + ".join(f"{count(n)} × {count(size)}" for size, n in sizes.items())
    result = _("{n} bytes")
    return [
        [_("block {n}").format(n=layer + 1), one, result.format(n=count(each.nbytes))],
        [_("all {n} blocks").format(n=len(held)), parts, result.format(n=count(total))],
        [_("each token"), f"{count(total)} ÷ {count(tokens)}", result.format(n=number(total / tokens, 7))],
    ]


def shape_words(each: Kept) -> str:
    """Shapes and size of what is held of a block."""
    return _("k {h} × {t} × {k}, v {h} × {t} × {v}: {size}").format(
        h=each.heads, t=each.tokens, k=each.key_dim, v=each.value_dim, size=size_text(each.nbytes)
    )


def special_words(trace: Trace) -> list[Any]:
    """What is particular to this model's cache."""
    blocks, n = trace.anatomy.blocks, len(trace.tokens.ids)
    windows = {block.window for block in blocks if block.window and block.window < n}
    if windows:
        return rich(
            _("Blocks with a sliding window read only the last {w} tokens; grey cells are not read any more."),
            w=min(windows),
        )
    shared = blocks[0]
    if shared.latent is not None:
        return rich(
            _(
                "Latent attention could keep {n} numbers a token and block; transformers keeps the keys and values made from them."
            ),
            n=shared.latent.kv_rank + shared.latent.rope_dims,
        )
    if shared.n_kv_heads < shared.n_heads:
        return rich(
            _("{h} query heads share {kv} k,v heads: the cache is {times} times smaller than with one for each."),
            h=shared.n_heads, kv=shared.n_kv_heads, times=number(shared.n_heads / shared.n_kv_heads, 3),
        )  # fmt: skip
    return []


def words() -> dict[str, str]:
    """Every text that the browser writes."""
    return {
        "kept": _("kept"),
        "fresh": _("new in this run"),
        "gone": _("kept, but no longer read (window)"),
        "bytes": _("How many bytes that is"),
        "map": _("{blocks} blocks, {n} tokens, of which {fresh} are new"),
        "costs": _("What the last token costs, for texts of this length and shorter"),
        "unit": _("million multiply-adds"),
        "length": _("tokens in the text"),
        "whole": _("without a cache"),
        "cached": _("with the cache"),
        "block": _("Block"),
    }
