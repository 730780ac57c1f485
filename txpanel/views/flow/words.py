"""All words of the flow, translated once per view and filled in ({name} places) in the browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from txpanel.messages import _
from txpanel.toolkit.format import count
from txpanel.toolkit.part_words import blocks_named, mixer_name, nearest, with_attention
from txpanel.toolkit.text import Paragraph, rich

if TYPE_CHECKING:
    from txpanel.tracing import Trace

__all__ = ["no_heads", "not_drawn", "texts"]

LONGEST = 200
"""Characters of a source that a sentence has room for."""


def texts() -> dict[str, Any]:
    """The words by their key, in the language in use."""
    return _parts() | _controls() | _tips() | _legend() | _guide() | _heads()


def no_heads(trace: Trace, layer: int) -> dict[str, Any]:
    """What stands in the place of the heads of a block that has none: ``instead`` (a sentence) and ``goes`` (a button's text and layer)."""
    anatomy, block = trace.anatomy, trace.anatomy.blocks[layer]
    if block.has_attention:
        return {}
    there = [other.index for other in anatomy.blocks if other.has_attention]
    said = {
        "attention": _("No heads to show: the attention of this block is not opened."),
        "mlp": _("No heads: in this block no token looks at another."),
        "hybrid": _("No heads to show: several layers work side by side in this block, and none of them is opened."),
        "unknown": _("No heads to show: this block is not opened, and run as a whole."),
    }.get(block.kind, _("No heads: {name} stands in the place of attention."))
    where = _("Attention: {blocks}.") if there else _("No block of this model has an attention that is opened.")
    said = f"{said} {where}".format(name=mixer_name(block), blocks=blocks_named(there))
    at = nearest(anatomy, layer, with_attention)
    return {"instead": said, "goes": [] if at is None else [_("Go to block {n}").format(n=at + 1), at]}


def place_words(trace: Trace, position: int) -> dict[str, str]:
    """What the list of likely tokens is called: the next token, or of a model that fills gaps the word in a gap, or in a token's place."""
    if not trace.anatomy.fills:
        return {"heading": _("Next token")}
    return {"heading": _("Word in the gap") if position in trace.gaps else _("Word in its place")}


def _parts() -> dict[str, Any]:
    return {
        "empty": _("Write a text above. Its way through the model is drawn here, token by token."),
        "inexact": _(
            "This model's tokenizer cannot keep this text exactly: some of its characters are dropped or changed. "
            "The model was given the tokens below, and nothing else."
        ),
        "embedding": _("Embedding"),
        "embedding_sub": _("{d} numbers per token"),
        "embedding_pos": _("token + position: {d} numbers"),
        "attention": _("Attention"),
        "attention_sub": _("every token looks back at those before it"),
        "attention_both": _("every token looks at those before and after it"),
        "closed_sub": _("not opened here"),
        "closed_parts": _("Parts of this block that are not opened"),
        "whole": _("The whole block"),
        "whole_sub": _("run as a whole, not opened here"),
        "reads": _("reads"),
        "writes": _("writes"),
        "adds": _("adds"),
        "mlp": _("MLP"),
        "mlp_gated": _("{d} → {f} → {d}, gated by {act}"),
        "mlp_plain": _("{d} → {f} → {d}, {act}"),
        "mlp_experts": _("{k} of {n} experts for each token"),
        "all_blocks": _("All {n} blocks"),
        "one_block": _("The one block"),
        "blocks_sub": _("what each adds to “{token}”"),
        "next": _("Next token"),
        "next_sub": _("softmax of {v} logits"),
        "attention_writes": _("attention writes"),
        "mlp_writes": _("MLP writes"),
        "block_before": _("{n} block before"),
        "blocks_before": _("{n} blocks before"),
        "block_after": _("{n} block after"),
        "blocks_after": _("{n} blocks after"),
        "id_pos": _("id {id} · pos {pos}"),
        "id": _("id {id}"),
        "others": _("{n} others"),
        "others_all": _("all others"),
        "the_model": _("the model"),
        "with_settings": _("with your settings"),
        "cut": _("cut"),
        "cut_off": _("cut off"),
        "drawn": _("this one is drawn"),
        "key": _("key"),
        "query": _("query"),
        "qkv": "q  k  v",
        "shares_z": _("shares of v → z"),
        "w_o": "W_O",
        "norm": _("norm"),
        "add": _("add"),
        "add_times": _("× {m}, add"),
        "down": _("down"),
        "cap_gated": _("gate · up · {act}(gate) × up"),
        "cap_plain": _("up · {act}(up)"),
        "cap_experts": _("router: {k} of {n} experts"),
        "first_token": _("first"),
        "earlier_tokens": _("earlier, summed"),
        "elsewhere_short": _("elsewhere"),
        "earlier_short": _("Σ earlier"),
        "who_looks": _("who looks (query) ↓"),
        "at_whom": _("at whom (key) →"),
        "phone_one": _("1 token not shown: {p}"),
        "phone_rest": _("{n} tokens not shown: {p}"),
        "phone_first": _("{n} tokens not shown: {p} (first: {first})"),
        "map_title": _("whole text, max-pooled"),
    }


def _controls() -> dict[str, Any]:
    return {
        "picture": _(
            "The model from the prompt to the next token. Buttons and groups over this picture say and open its parts."
        ),
        "parts": _("Parts of the model"),
        "block_pager": _("Block"),
        "block_of": _("Block {i} of {n}"),
        "previous_block": _("Previous block"),
        "next_block": _("Next block"),
        "tokens": _("Tokens of the text"),
        "steps": _("Steps inside the block"),
        "heads": _("Heads"),
        "heads_own": _("each with its own k, v"),
        "heads_one": _("all share one k, v"),
        "heads_shared": _("each group of {n} shares one k, v"),
        "head_label": _("Head {i}: {kind}"),
        "head_of": _("Head {i} of block {b}"),
        "pattern_keys": _("Attention pattern: arrow keys move query and key, Enter asks why"),
        "chart_keys": _("What each block writes: arrow keys change the block, Enter opens"),
        "window_label": _("First token on screen"),
        "window": _("tokens {a}–{b} of {n}"),
        "window_most": _("most attended in tokens {a}–{b} of {n}"),
        "play": _("▶ Play"),
        "play_label": _("The way through the model, step by step"),
        "play_hold": _("Pause"),
        "play_on": _("▶ Go on"),
        "play_step": _("Step ›"),
        "skip": _("Skip"),
        "close": _("Close"),
        "all_heads": _("All {n} heads"),
        "all_heads_button": _("All {n} heads"),
        "sides": _("one column per block, one row per head; in each: who looks (query) ↓, at whom (key) →"),
        "sides_turned": _("one row per block, one column per head; in each: who looks (query) ↓, at whom (key) →"),
        "pooled": _("{sides}; max-pooled: a cell is the largest weight of up to {p} × {p}"),
        "not_pooled": _("{sides}; every weight is drawn"),
        "computing": _("Computing"),
        "grid_label": _("Patterns of all heads: arrow keys move, Enter chooses"),
        "legend": _("Legend"),
        "all_signs": _("all signs"),
    }


def _tips() -> dict[str, Any]:
    return {
        "in_block": _("block {b}"),
        "in_head": _("block {b}, head {h}"),
        "badge_more": _("Click: all of its numbers."),
        "tensors": {
            "embed": _("Embedding of {token}"),
            "pos_embed": _("Position embedding of {token}"),
            "q": _("Query of {token}"),
            "k": _("Key of {token}"),
            "v": _("Value of {token}"),
            "z": _("What this head takes from all values for {token}"),
            "attn_out": _("What attention adds to {token}"),
            "mlp_gate": _("Gate of the MLP for {token}"),
            "mlp_pre": _("Up projection of the MLP for {token}"),
            "mlp_post": _("Neurons of the MLP for {token}"),
            "mlp_out": _("What the MLP adds to {token}"),
        },
        "bar": _("Largest by size of entries {a}–{b} of {n}."),
        "full_colour": _("Full colour: ±{s}, this strip's 98th percentile."),
        "cell": _("{q} gives {k} this share of its attention."),
        "first_more": _("Weight on the first token, which lies before the window."),
        "earlier_more": _("Sum of the weights on all tokens between the first and the window."),
        "shares_of_v": _("shares of v"),
        "elsewhere_more": _("Sum of the weights on all other tokens outside of the window."),
        "share_more": _("Heights are the row of the pattern: so much of each token's value goes into z."),
        "wo_more": _("Norm of this head's z. All {n} heads go through W_O together."),
        "closed_more": _("{reason} What it reads and what it writes are real."),
        "norm_closed": _("This norm is not opened: {reason}"),
        "no_heads_in": _("Block {b}: no heads ({name})."),
        "share_whole": _("Norm of what the block adds to {token}: {s} of the stream that comes out."),
        "experts_more": _("Chosen experts and their weights."),
        "slot_more": _("Neurons of expert {e}, whose answer counts {w}."),
        "go_block": _("Click: go to block {i}."),
        "lane_more": _("Norm of the residual stream of {token} as it enters this block."),
        "share_pre": _("Norm of what is added to {token}: {s} of the stream that it is added to."),
        "share_post": _("Norm of what is added to {token}: {s} of the stream that comes out."),
        "norm_before": _("Normalises the stream before it is read; the lane itself is not changed."),
        "norm_lane": _("Normalises the stream itself, after the addition."),
        "norm_after": _("Normalises what was computed before it is added to the lane."),
        "map": _("up to {p} × {p} weights per cell, the largest shown"),
        "map_more": _("Click: move the window there."),
    }


def _legend() -> dict[str, Any]:
    """For each sign a short text and, behind a bar, the long one."""
    return {
        "legend_lane": _(
            "residual stream|A lane is a token's residual stream; the chosen token's is purple. A lane's width means nothing."
        ),
        "legend_norm": _("Brings a token's numbers to a common size before they are read."),
        "legend_qkv": _(
            "positive; grey: negative|Entries of query, key, value and of what is made of them: own colour positive, grey negative."
        ),
        "legend_weight": _(
            "attention weight, 0 to 1|The colour goes with the square root of the weight, so that small ones can be told apart."
        ),
        "legend_signed": _(
            "negative to positive|Entries of the stream, of gate and up: full colour is the strip's own 98th percentile, said on hover."
        ),
        "legend_share": _(
            "share of each value|The row of the pattern as a stack: so much of each token's value pours into z."
        ),
        "legend_wo": _(
            "heads before W_O|All heads side by side; opacity is the norm of a head's z, the head on screen stands out."
        ),
        "legend_plus": _(
            "size of what is added|The larger the circle, the longer the vector that is added to the lane (log scale, from 0 to the largest on screen)."
        ),
        "legend_fan": _(
            "probability|The width of each band: that of a next token with your settings, after the final norm, the unembedding and the softmax."
        ),
        "legend_closed": _(
            "not opened|Hatched: run by the model's own code, as a whole. Its input and its output are real; what happens in between is not shown."
        ),
        "legend_bars": _(
            "height: √ norm written|What attention and the MLP of each block add to the chosen token's stream."
        ),
        "legend_experts": _(
            "experts, filled: chosen|A field per expert; those that the router sends the token to are filled, the stronger the more their answer counts. "
            "The strips below are their neurons, one per slot."
        ),
        "legend_bin": _(
            "bar: largest of its run|Vectors longer than the strip has room for: a bar is the largest entry, by size, of the run it stands for."
        ),
    }


def _guide() -> dict[str, Any]:
    """Title and words of each place, with a bar between them."""
    return {
        "guide": _("What you see, in one look"),
        "guide_try": _(
            "Click any number: you see what it was computed from. Change the temperature and watch the bars. Write your own text above."
        ),
        "guide_embed": _(
            "1 Text becomes numbers|Your text was cut into {n} tokens: words, or pieces of them. Each is now {d} numbers, the coloured strip."
        ),
        "guide_attention": _(
            "2 Tokens look back|Each token takes something from those before it. Here, in block {b}, head {h}, “{q}” gives “{k}” {p} of its attention."
        ),
        "guide_closed": _(
            "2 Tokens are mixed|In block {b} this step is run as a whole: what goes in and comes out is shown."
        ),
        "guide_mlp": _("3 Each token alone|{f} neurons work on every token by itself and add what they find."),
        "guide_experts": _(
            "3 Each token alone|A router sends every token to {k} of {n} experts; they add what they find."
        ),
        "guide_block": _("4 One block|The bars show how much the block adds to “{q}”."),
        "guide_blocks": _(
            "4 {n} blocks, one by one|Each repeats both steps with weights of its own. "
            "A bar is how much a block adds to “{q}”: click one to look into it."
        ),
        "guide_next": _(
            "5 The next token|In the end each of {v} tokens has a probability. With your settings the most likely one here is “{t}”: {p}."
        ),
    }


def _heads() -> dict[str, Any]:
    return {
        "kinds": {
            "previous": _("previous token"),
            "first": _("first token (sink)"),
            "self": _("itself"),
            "induction": _("induction"),
            "broad": _("broad"),
            "mixed": _("mixed"),
        },
        "why_previous": _("On this text {p} of its weight is on the token just before, on average."),
        "why_first": _(
            "On this text {p} of its weight is on the first token, on average: an attention sink, where a head rests that has nothing to fetch."
        ),
        "why_self": _("On this text {p} of its weight is on the token itself, on average."),
        "why_induction": _(
            "On this text {p} of the weight of repeated tokens is on what followed their earlier copies."
        ),
        "why_broad": _("On this text its rows are spread: {p} of the greatest possible entropy, on average."),
        "why_mixed": _("No single description fits on this text; the nearest reaches {p}."),
        "sink": _("attention sink: on average {p} of this head's weight rests on the first token"),
    }


def not_drawn(trace: Trace) -> list[Paragraph]:
    """Why there is no flow of an encoder-decoder, what it has read, and where its numbers are."""
    read = trace.source.text if trace.source is not None else ""
    said = _(
        "This model has two parts. The <b>encoder</b> has read your text: <code>{read}</code> ({n} tokens). The <b>decoder</b> writes another one, "
        "token by token, and each of its blocks looks at the source as well (<b>cross-attention</b>). The picture has no place for that yet, "
        "so it is not drawn, rather than drawn without it.\n\n"
        "Attention and cross-attention of each block, the MLP, the stream, softmax and sampling are below, with the real numbers of this run."
    )
    n = len(trace.source.tokens) if trace.source is not None else 0
    return rich(said, read=read if len(read) <= LONGEST else f"{read[:LONGEST]}…", n=count(n))
