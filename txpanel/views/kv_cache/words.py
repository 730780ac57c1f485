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
    """How many bytes are kept, as lists of label, calculation and result: of block `layer`, of all blocks, and per token."""
    there = [block for block in held if block is not None]
    if not there:
        return []
    each, total, tokens = held[layer], sum(block.nbytes for block in there), there[0].tokens
    one = (
        _("no keys and values")
        if each is None
        else plural(
            "{heads} key/value head × {tokens} tokens × ({key} + {value}) numbers × {item} bytes",
            "{heads} key/value heads × {tokens} tokens × ({key} + {value}) numbers × {item} bytes",
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
    return _("the {n} blocks with keys and values").format(n=there)


def shape_words(each: Kept | None, block: BlockAnatomy) -> str:
    """Shapes and size of what is held of a block."""
    if each is None:
        return _("no keys and values are cached: {name}").format(name=mixer_name(block))
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
            _(
                "Blocks with a sliding window attend only to the last {w} tokens; the grey cells are outside the window."
            ),
            w=min(windows),
        )
    shared = blocks[0]
    if shared.latent is not None:
        return rich(
            _(
                "Multi-head latent attention could cache only {n} numbers per token and block; transformers caches the "
                "keys and values computed from them."
            ),
            n=shared.latent.kv_rank + shared.latent.rope_dims,
        )
    if shared.n_kv_heads < shared.n_heads:
        return rich(
            _(
                "{h} query heads share {kv} key/value heads: the cache is {times} times smaller than with one for each "
                "query head."
            ),
            h=shared.n_heads, kv=shared.n_kv_heads, times=number(shared.n_heads / shared.n_kv_heads, 3),
        )  # fmt: skip
    return []


def nothing_kept(trace: Trace) -> list[Any]:
    """Why nothing is kept of a run, or is not any more."""
    anatomy = trace.anatomy
    if anatomy.fills:
        return rich(
            _(
                "This model attends in both directions: the keys and values of a token also depend on the tokens after "
                "it. So they cannot be reused when the text grows, and nothing is cached."
            )
        )
    others = [block for block in anatomy.blocks if block.has_mixer and not block.has_attention]
    if can_be_continued(trace) or not others:
        return rich(
            _(
                "The keys and values of this run are no longer in memory, or the run was opened from a file. Only the "
                "cost of a step is shown."
            )
        )
    names = list(dict.fromkeys(mixer_name(block) for block in others))
    where = blocks_named(block.index for block in others)
    said = _(
        "Nothing is cached from one text to the next. In {where} ({names}) a state takes the place of keys and "
        "values, and a state cannot be set back to an earlier token. So txpanel runs each text of this model "
        "from the start; the numbers are the same."
    )
    return rich(said, where=where, names=", ".join(names)) + attention_words(trace)


def attention_words(trace: Trace) -> list[Any]:
    """Which blocks have keys and values at all."""
    there = [block.index for block in trace.anatomy.blocks if block.has_attention]
    if len(there) == trace.anatomy.n_layers:
        return []
    if not there:
        return rich(_("Attention is not opened in any block of this model, so there are no keys and values to show."))
    return rich(_("<k>Keys</k> and <v>values</v> are computed in {blocks}."), blocks=blocks_named(there))


def uncounted(trace: Trace) -> str:
    """Why no cost of a step is shown."""
    if trace.anatomy.cross_there:
        return _("The cost of a step is not counted for encoder-decoder models yet.")
    return _("The cost of a step is not counted for this model, because some of its parts are not opened.")


def words() -> dict[str, str]:
    """Every text that the browser writes."""
    return {
        "kept": _("cached"),
        "fresh": _("new in this run"),
        "gone": _("cached, but outside the window"),
        "none": _("no keys and values in this block"),
        "bytes": _("Size in bytes"),
        "map": _("{blocks} blocks, {n} tokens, of which {fresh} are new"),
        "costs": _("Cost of the last token, by length of the text"),
        "unit": _("million multiply-adds"),
        "length": _("tokens in the text"),
        "whole": _("without a cache"),
        "cached": _("with the cache"),
        "block": _("Block"),
    }
