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
    return _parts() | _draw() | _controls() | _tips() | _legend() | _guide() | _heads()


def no_heads(trace: Trace, layer: int) -> dict[str, Any]:
    """What stands in the place of the heads of a block that has none: ``instead`` (a sentence) and ``goes`` (a button's text and layer)."""
    anatomy, block = trace.anatomy, trace.anatomy.blocks[layer]
    if block.has_attention:
        return {}
    there = [other.index for other in anatomy.blocks if other.has_attention]
    said = {
        "attention": _("No heads to show: the attention of this block is not opened."),
        "mlp": _("No heads: this block has no attention."),
        "hybrid": _("No heads to show: this block has several parallel layers, and none of them is opened."),
        "unknown": _("No heads to show: this block is run as a whole and not opened."),
    }.get(block.kind, _("No heads: this block has {name} instead of attention."))
    where = _("Attention is opened in {blocks}.") if there else _("Attention is not opened in any block of this model.")
    said = f"{said} {where}".format(name=mixer_name(block), blocks=blocks_named(there))
    at = nearest(anatomy, layer, with_attention)
    return {"instead": said, "goes": [] if at is None else [_("Go to block {n}").format(n=at + 1), at]}


def place_words(trace: Trace, position: int) -> dict[str, str]:
    """What the list of likely tokens is called: the next token, or of a model that fills gaps the word in a gap, or in a token's place."""
    if not trace.anatomy.fills:
        return {"heading": _("Next token")}
    return {"heading": _("Masked token") if position in trace.gaps else _("Token at this position")}


def _parts() -> dict[str, Any]:
    return {
        "empty": _("Type a text above. This picture shows how the model gets from it to the next token."),
        "inexact": _(
            "This model's tokenizer changes the text: some characters are dropped or replaced. The model sees only "
            "the tokens below."
        ),
        "embedding": _("Embedding"),
        "embedding_sub": _("{d} numbers per token"),
        "embedding_pos": _("token + position: {d} numbers"),
        "attention": _("Attention"),
        "attention_sub": _("attends to itself and earlier tokens"),
        "attention_both": _("attends to tokens before and after"),
        "closed_sub": _("not opened here"),
        "closed_parts": _("Parts of this block that are not opened"),
        "whole": _("The whole block"),
        "whole_sub": _("run as a whole, not opened here"),
        "reads": _("input"),
        "writes": _("output"),
        "adds": _("adds"),
        "mlp": _("MLP"),
        "mlp_gated": _("{d} → {f} → {d}, gated by {act}"),
        "mlp_plain": _("{d} → {f} → {d}, {act}"),
        "mlp_experts": _("{k} of {n} experts for each token"),
        "all_blocks": _("All {n} blocks"),
        "one_block": _("The only block"),
        "blocks_sub": _("what they add at “{token}”"),
        "next": _("Next token"),
        "next_sub": _("softmax of {v} logits"),
        "attention_writes": _("attention output"),
        "mlp_writes": _("MLP output"),
        "block_before": _("{n} block before"),
        "blocks_before": _("{n} blocks before"),
        "block_after": _("{n} block after"),
        "blocks_after": _("{n} blocks after"),
        "id_pos": _("id {id} · position {pos}"),
        "id": _("id {id}"),
        "others": _("{n} others"),
        "others_short": _("{n} more"),
        "others_all": _("all others"),
        "the_model": _("the model"),
        "with_settings": _("with your settings"),
        "cut": _("cut"),
        "cut_off": _("cut off"),
        "drawn": _("drawn: seed {seed} gives u = {u}, which falls into its interval"),
        "key": _("key"),
        "query": _("query"),
        "qkv": "q  k  v",
        "shares_z": _("weights × v → z"),
        "w_o": "W_O",
        "add": _("add"),
        "add_times": _("× {m}, add"),
        "down": _("down"),
        "cap_gated": _("gate · up · {act}(gate) × up"),
        "cap_plain": _("up · {act}(up)"),
        "cap_experts": _("router: {k} of {n} experts"),
        "first_token": _("first"),
        "earlier_tokens": _("earlier (sum)"),
        "elsewhere_short": _("elsewhere"),
        "earlier_short": _("Σ earlier"),
        "who_looks": _("who looks (query) ↓"),
        "at_whom": _("at whom (key) →"),
        "axes": _("Each row belongs to a token and its query. Each column belongs to a token and its key."),
        "phone_one": _("weight on 1 token not shown: {p}"),
        "phone_rest": _("weight on {n} tokens not shown: {p}"),
        "phone_first": _("weight on {n} tokens not shown: {p} (first: {first})"),
        "map_title": _("whole text: largest weight per cell"),
    }


def _draw() -> dict[str, Any]:
    """Why the next token is the one that it is."""
    return {
        "draw": _(
            "Drawn with seed {seed}: the random number {u} falls into the interval of “{token}”, {low} to {high}."
        ),
        "draw_greedy": _("Temperature 0: the most likely token is always taken, here “{token}”."),
        "draw_only": _("The settings leave only one token, “{token}”, so it is always drawn."),
        "came_text": _("The prompt continues with “{token}” here: nothing is drawn."),
        "came_by_hand": _("“{token}” was chosen by hand, not drawn."),
        "came_greedy": _("“{token}” was the most likely token, and the temperature was 0."),
        "came_drawn": _(
            "“{token}” was drawn with seed {seed}: the random number {u} fell into its interval, {low} to {high}."
        ),
        "see_draw": _("See the draw"),
    }


def _controls() -> dict[str, Any]:
    return {
        "picture": _(
            "The model, from the prompt to the next token. The buttons over this picture name its parts and open them."
        ),
        "parts": _("Parts of the model"),
        "block_pager": _("Block"),
        "block_of": _("Block {i} of {n}"),
        "block_busy": _("Computing block {i} …"),
        "previous_block": _("Previous block"),
        "next_block": _("Next block"),
        "tokens": _("Tokens of the text"),
        "steps": _("Steps inside the block"),
        "heads": _("Heads"),
        "heads_own": _("each head has its own k and v"),
        "heads_one": _("all heads share one k and v"),
        "heads_shared": _("each group of {n} shares one k and v"),
        "head_label": _("Head {i}: {kind}"),
        "head_of": _("Head {i} of block {b}"),
        "pattern_keys": _("Attention pattern: the arrow keys move query and key, Enter explains the number"),
        "chart_keys": _("What each block adds: the arrow keys choose a block, Enter opens it"),
        "window_label": _("First token on screen"),
        "window": _("tokens {a}–{b} of {n}"),
        "window_most": _("largest attention weights among tokens {a}–{b} of {n}"),
        "play": _("▶ Play"),
        "play_label": _("Play the computation step by step"),
        "play_hold": _("Pause"),
        "play_on": _("▶ Continue"),
        "play_step": _("Step ›"),
        "skip": _("Skip"),
        "close": _("Close"),
        "all_heads": _("All {n} heads"),
        "all_heads_button": _("All {n} heads"),
        "sides": _("one column per block, one row per head; in each: who looks (query) ↓, at whom (key) →"),
        "sides_turned": _("one row per block, one column per head; in each: who looks (query) ↓, at whom (key) →"),
        "pooled": _("{sides}; each cell shows the largest of up to {p} × {p} weights"),
        "not_pooled": _("{sides}; each cell is one weight"),
        "computing": _("Computing"),
        "grid_label": _("Attention patterns of all heads: the arrow keys move, Enter chooses"),
        "legend": _("Legend"),
        "all_signs": _("all symbols"),
    }


def _tips() -> dict[str, Any]:
    return {
        "in_block": _("block {b}"),
        "in_head": _("block {b}, head {h}"),
        "badge_more": _("Click to see all of its numbers."),
        "tensors": {
            "embed": _("Embedding of {token}"),
            "pos_embed": _("Position embedding of {token}"),
            "q": _("Query of {token}"),
            "k": _("Key of {token}"),
            "v": _("Value of {token}"),
            "z": _("z of {token}: the sum of all values, each times its attention weight"),
            "attn_out": _("Attention output for {token}"),
            "mlp_gate": _("Gate of the MLP for {token}"),
            "mlp_pre": _("Up projection of the MLP for {token}"),
            "mlp_post": _("Neuron activations of the MLP for {token}"),
            "mlp_out": _("MLP output for {token}"),
        },
        "bar": _("This bar is the largest, by absolute value, of numbers {a} to {b} of {n}."),
        "full_colour": _("Full colour: ±{s}, the 98th percentile of this strip's absolute values."),
        "cell": _("Attention weight of the query {q} on the key {k}."),
        "first_more": _("Attention weight on the first token, which is outside the tokens shown."),
        "earlier_more": _("Sum of the attention weights on the tokens between the first one and those shown."),
        "shares_of_v": _("values × attention weights"),
        "elsewhere_more": _("Sum of the attention weights on all other tokens that are not shown."),
        "share_more": _("Each height is an attention weight: z is the sum of all values, each times its weight."),
        "wo_more": _("Norm of this head's z. W_O turns the z of all {n} heads into the attention output."),
        "closed_more": _("{reason} Its input and output are the model's own numbers."),
        "norm_closed": _("This normalisation is not opened: {reason}"),
        "no_heads_in": _("Block {b}: no heads ({name})."),
        "share_whole": _("Norm of what the block adds at {token}: {s} of the residual stream's norm after it."),
        "experts_more": _("The experts that the router chose, and their weights."),
        "slot_more": _("Neurons of expert {e}; the weight of its output is {w}."),
        "go_block": _("Click to go to block {i}."),
        "lane_more": _("Norm of the residual stream of {token} before this block."),
        "share_pre": _("Norm of what is added at {token}: {s} of the residual stream's norm before the addition."),
        "share_post": _("Norm of what is added at {token}: {s} of the residual stream's norm after the addition."),
        "norm_before": _("Normalises the input of attention or MLP; the residual stream itself is not changed."),
        "norm_lane": _("Normalises the residual stream itself, after the addition."),
        "norm_after": _("Normalises the output before it is added to the residual stream."),
        "map": _("each cell shows the largest of up to {p} × {p} weights"),
        "map_more": _("Click to show the tokens there."),
    }


def _legend() -> dict[str, Any]:
    """For each sign a short text and, behind a bar, the long one."""
    return {
        "legend_lane": _(
            "residual stream|Each horizontal line is the residual stream of one token; the chosen token's is purple. "
            "Its thickness has no meaning."
        ),
        "legend_norm": _(
            "Rescales a token's vector so that its numbers have a root mean square of 1, then multiplies them by "
            "learned weights."
        ),
        "legend_qkv": _(
            "colour: positive; grey: negative|The numbers of query, key, value and of the vectors computed from them."
        ),
        "legend_weight": _(
            "attention weight, 0 to 1|The colour follows the square root of the weight, so that small weights can be "
            "told apart."
        ),
        "legend_signed": _(
            "negative to positive|The numbers of the residual stream, gate and up projection. Full colour is the "
            "98th percentile of the strip's absolute values; the tooltip gives it."
        ),
        "legend_share": _(
            "weight of each value|The row of the attention pattern as a stack: z is the sum of all values, each "
            "times its weight."
        ),
        "legend_wo": _(
            "heads before W_O|The z of all heads, side by side: the larger its norm, the more opaque. The chosen "
            "head stands out."
        ),
        "legend_plus": _(
            "norm of what is added|The larger the circle, the larger the norm of the vector that is added to the "
            "residual stream. The radius grows with log(1 + norm)."
        ),
        "legend_fan": _("probability|The width of each band is the probability of that token with your settings."),
        "legend_closed": _(
            "not opened|Hatched parts are run as a whole by the model's own code. Input and output are the model's "
            "own numbers; the steps between them are not shown."
        ),
        "legend_bars": _(
            "height: √ of the norm|What attention and MLP of each block add to the residual stream of the chosen token."
        ),
        "legend_experts": _(
            "experts, filled: chosen|One field per expert. The router sends the token to the filled ones; the "
            "stronger the colour, the larger the weight. The strips below show their neurons."
        ),
        "legend_bin": _(
            "one bar, several numbers|Where a vector has more numbers than the strip has room for, each bar shows "
            "the largest of its numbers by absolute value."
        ),
    }


def _guide() -> dict[str, Any]:
    """Title and words of each place, with a bar between them."""
    return {
        "guide": _("What you see here"),
        "guide_try": _(
            "Click any number to see how it was computed. Change the temperature and watch the bars. Type a text of "
            "your own above."
        ),
        "guide_embed": _(
            "1 Text becomes numbers|The tokenizer splits your text into {n} tokens: words or parts of words. Each "
            "becomes an embedding of {d} numbers, the coloured strip."
        ),
        "guide_attention": _(
            "2 Attention|Each token takes in information from itself and the tokens before it. In block {b}, head "
            "{h}, “{q}” attends to “{k}” with a weight of {p}."
        ),
        "guide_attention_both": _(
            "2 Attention|Each token takes in information from itself and the tokens before and after it. In block "
            "{b}, head {h}, “{q}” attends to “{k}” with a weight of {p}."
        ),
        "guide_closed": _(
            "2 Mixing the tokens|In block {b} this step is run as a whole: only its input and output are shown."
        ),
        "guide_mlp": _(
            "3 MLP|{f} neurons work on each token separately. Their output is added to its residual stream."
        ),
        "guide_experts": _(
            "3 Mixture of experts|A router sends each token to {k} of {n} experts. Their outputs are added to its "
            "residual stream."
        ),
        "guide_block": _("4 One block|The bars show how much the block adds to the residual stream of “{q}”."),
        "guide_blocks": _(
            "4 {n} blocks in a row|Each block repeats both steps with its own weights. The bars show how much it "
            "adds to the residual stream of “{q}”. Click one to open it."
        ),
        "guide_next": _(
            "5 {heading}|At the end, each of {v} tokens has a probability. With your settings, the most likely "
            "one here is “{t}”: {p}."
        ),
    }


def _heads() -> dict[str, Any]:
    return {
        "kinds": {
            "previous": _("previous token"),
            "first": _("first token (sink)"),
            "self": _("same token"),
            "induction": _("induction"),
            "broad": _("broad"),
            "mixed": _("mixed"),
        },
        "why_previous": _("On this text, the attention weight on the previous token is {p} on average."),
        "why_first": _(
            "On this text, the attention weight on the first token is {p} on average: an attention sink. Heads often "
            "attend to it when no other token is relevant."
        ),
        "why_self": _("On this text, each token's attention weight on itself is {p} on average."),
        "why_induction": _(
            "On this text, a repeated token puts {p} of its attention weight on the tokens that followed its earlier "
            "copies, on average."
        ),
        "why_broad": _(
            "On this text, attention is spread over many tokens: its entropy is {p} of the largest possible, on "
            "average."
        ),
        "why_mixed": _("On this text, no simple description fits; the closest scores {p}."),
        "sink": _("attention sink: this head's weight on the first token is {p} on average"),
    }


def not_drawn(trace: Trace) -> list[Paragraph]:
    """Why there is no flow of an encoder-decoder, what it has read, and where its numbers are."""
    source = trace.source
    n = count(len(source.tokens)) if source is not None else count(0)
    below = _(
        "Attention and cross-attention of each block, the MLP, the residual stream, softmax and sampling are "
        "below, with the numbers of this run."
    )
    if source is not None and source.kind != "text":
        said = _(
            "This model has two parts. The <b>encoder</b> has read the {kind} that the run was given, and made {n} vectors of it. "
            "The <b>decoder</b> writes a text, token by token, and each of its blocks also attends to these vectors "
            "(<b>cross-attention</b>). This picture cannot show that yet."
        )
        return [*rich(said, kind=kind_word(source.kind), n=n), *rich(below)]
    read = source.text if source is not None else ""
    said = _(
        "This model has two parts. The <b>encoder</b> has read your text: <code>{read}</code> ({n} tokens). The "
        "<b>decoder</b> writes another one, token by token, and each of its blocks also attends to the encoder's "
        "text (<b>cross-attention</b>). This picture cannot show that yet."
    )
    return [*rich(said, read=read if len(read) <= LONGEST else f"{read[:LONGEST]}…", n=n), *rich(below)]


def kind_word(kind: str) -> str:
    """What an encoder has read, in words."""
    return {"audio": _("sound"), "image": _("image")}.get(kind, kind)
