"""The words of the KV-cache view: how many bytes are kept, in which shapes, and what is particular to a model's cache."""

from __future__ import annotations

from collections import Counter
from typing import Any

from txpanel.messages import _, plural
from txpanel.models.anatomy import BlockAnatomy
from txpanel.models.progress import size_text
from txpanel.toolkit.card import rich
from txpanel.toolkit.format import count, number
from txpanel.toolkit.part_words import blocks_named, mixer_name
from txpanel.tracing.trace import Trace
from txpanel.views.kv_cache.data import Kept, can_be_continued

__all__ = ["attention_words", "counted", "nothing_kept", "shape_words", "special_words", "uncounted", "words"]


def counted(held: list[Kept | None], layer: int) -> list[list[str]]:
    """How many bytes are kept, as label, sum with its numbers in place, and result: a block's, those of all, and of each token."""
    there = [block for block in held if block is not None]
    if not there:
        return []
    each, total, tokens = held[layer], sum(block.nbytes for block in there), there[0].tokens
    one = (
        _("no keys and values")
        if each is None
        else plural(
            "{heads} k,v head × {tokens} tokens × ({key} + {value}) numbers × {item} bytes",
            "{heads} k,v heads × {tokens} tokens × ({key} + {value}) numbers × {item} bytes",
            each.heads,
        ).format(heads=count(each.heads), tokens=count(tokens), key=each.key_dim, value=each.value_dim, item=each.item)
    )
    sizes = Counter(block.nbytes for block in there)
    parts = " + ".join(f"{count(n)} × {count(size)}" for size, n in sizes.items())
    result = _("{n} bytes")
    return [
        [_("block {n}").format(n=layer + 1), one, result.format(n=count(each.nbytes if each is not None else 0))],
        [_everything(len(there), len(held)), parts, result.format(n=count(total))],
        [_("each token"), f"{count(total)} ÷ {count(tokens)}", result.format(n=number(total / tokens, 7))],
    ]


def _everything(there: int, blocks: int) -> str:
    if there == blocks:
        return _("all {n} blocks").format(n=blocks)
    return _("the {n} blocks with keys").format(n=there)


def shape_words(each: Kept | None, block: BlockAnatomy) -> str:
    """Shapes and size of what is held of a block."""
    if each is None:
        return _("no keys and values are kept: {name}").format(name=mixer_name(block))
    return _("k {h} × {t} × {k}, v {h} × {t} × {v}: {size}").format(
        h=each.heads, t=each.tokens, k=each.key_dim, v=each.value_dim, size=size_text(each.nbytes)
    )


def special_words(trace: Trace) -> list[Any]:
    """What is particular to this model's cache."""
    anatomy, n = trace.anatomy, len(trace.tokens.ids)
    blocks = [block for block in anatomy.blocks if block.has_attention]
    if not blocks:
        return []
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


def nothing_kept(trace: Trace) -> list[Any]:
    """Why nothing is kept of a run, or is not any more."""
    anatomy = trace.anatomy
    if anatomy.fills:
        return rich(
            _(
                "This model reads the whole text at once, in both directions: every token's keys and values depend on the words after it as "
                "well, and change when one of them does. So nothing can be kept from one text to the next, and txpanel keeps nothing."
            )
        )
    others = [block for block in anatomy.blocks if block.has_mixer and not block.has_attention]
    if can_be_continued(trace) or not others:
        return rich(
            _(
                "The keys and values of this run are not held any more (or it came from a file): what is shown is what a step costs."
            )
        )
    names = list(dict.fromkeys(mixer_name(block) for block in others))
    where = blocks_named(block.index for block in others)
    said = _(
        "Nothing is kept from one text to the next. What stands in {where} ({names}) keeps a state instead of a key and a value for "
        "each token, and a state can't be cut back to an earlier place in the text. So txpanel reads each text of this model anew; its "
        "numbers are the same."
    )
    return rich(said, where=where, names=", ".join(names)) + attention_words(trace)


def attention_words(trace: Trace) -> list[Any]:
    """Which blocks have keys and values at all."""
    there = [block.index for block in trace.anatomy.blocks if block.has_attention]
    if len(there) == trace.anatomy.n_layers:
        return []
    if not there:
        return rich(
            _("No block of this model has an attention that is opened, so there are no keys and values to show.")
        )
    return rich(_("<k>Keys</k> and <v>values</v> are made in {blocks}."), blocks=blocks_named(there))


def uncounted(trace: Trace) -> str:
    """Why no cost of a step is shown."""
    if trace.anatomy.cross_there:
        return _("What a step costs is not counted for encoder-decoders yet: each block looks at the source as well.")
    return _(
        "What a step costs is not counted for this model: parts of it are not opened, and what they compute is not known."
    )


def words() -> dict[str, str]:
    """Every text that the browser writes."""
    return {
        "kept": _("kept"),
        "fresh": _("new in this run"),
        "gone": _("kept, but no longer read (window)"),
        "none": _("no keys and values in this block"),
        "bytes": _("How many bytes that is"),
        "map": _("{blocks} blocks, {n} tokens, of which {fresh} are new"),
        "costs": _("What the last token costs, for texts of this length and shorter"),
        "unit": _("million multiply-adds"),
        "length": _("tokens in the text"),
        "whole": _("without a cache"),
        "cached": _("with the cache"),
        "block": _("Block"),
    }
