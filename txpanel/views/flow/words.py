"""All words of the flow, translated once per view and filled in ({name} places) in the browser."""

from __future__ import annotations

from typing import Any

from txpanel.messages import _

__all__ = ["texts"]


def texts() -> dict[str, Any]:
    """The words by their key, in the language in use."""
    return _parts() | _controls() | _tips() | _legend() | _heads()


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
        "drawn": _("drawn with the settings above"),
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
        "skip": _("Skip"),
        "close": _("Close"),
        "all_heads": _("All {n} heads"),
        "all_heads_button": _("All {n} heads"),
        "sides": _("one column per block, one row per head"),
        "sides_turned": _("one row per block, one column per head"),
        "pooled": _("{sides}; max-pooled: a cell is the largest weight of up to {p} × {p}"),
        "not_pooled": _("{sides}; every weight is drawn"),
        "computing": _("Computing"),
        "grid_label": _("Patterns of all heads: arrow keys move, Enter chooses"),
        "legend": _("Legend"),
    }


def _tips() -> dict[str, Any]:
    return {
        "bar": _("Largest by size of entries {a}–{b} of {n}."),
        "full_colour": _("Full colour: ±{s}, this strip's 98th percentile."),
        "cell": _("{q} gives {k} this share of its attention."),
        "first_more": _("Weight on the first token, which lies before the window."),
        "earlier_more": _("Sum of the weights on all tokens between the first and the window."),
        "shares_of_v": _("shares of v"),
        "share_more": _("Heights are the row of the pattern: so much of each token's value goes into z."),
        "wo_more": _("Norm of this head's z. All {n} heads go through W_O together."),
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
        "legend_qkv": _(
            "positive; grey: negative|Entries of query, key, value and of what is made of them: own colour positive, grey negative."
        ),
        "legend_weight": _(
            "weight 0 to 1 (√)|Attention weights; the colour goes with the square root of the weight, so that small ones can be told apart."
        ),
        "legend_signed": _(
            "negative to positive|Entries of the stream, of gate and up: full colour is the strip's own 98th percentile, said on hover."
        ),
        "legend_share": _(
            "height: share of each v|The row of the pattern as a stack: so much of each token's value pours into z."
        ),
        "legend_wo": _(
            "heads before W_O|All heads side by side; opacity is the norm of a head's z, the head on screen stands out."
        ),
        "legend_plus": _("size: norm added (log)|Log scale, from 0 to the largest on screen."),
        "legend_fan": _(
            "width: probability|Of each next token, after the final norm, the unembedding and the softmax."
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
