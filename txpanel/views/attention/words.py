"""The sentences of the attention view: what attention and this head do, what the chosen weight means, what an option changed."""

from __future__ import annotations

import numpy as np

from txpanel.messages import _, plural
from txpanel.models.tokens import visible
from txpanel.toolkit.format import number, percent
from txpanel.toolkit.text import Paragraph, rich
from txpanel.views.attention.data import Look
from txpanel.views.attention.written import HeadShares

__all__ = [
    "choice_words",
    "head_words",
    "heads_words",
    "lead_words",
    "quoted",
    "share_words",
    "short_label",
    "stage_words",
    "vector_words",
]


def titles() -> tuple[str, str]:
    """What rows and columns are. The rows' title is turned, so its arrow to the left points down."""
    return _("who looks (query) ←"), _("at whom (key) →")


def quoted(text: str) -> str:
    """A token as it stands in a sentence."""
    return f"“{visible(text)}”"


def short_label(label: str) -> str:
    """What a head does, in the few letters that fit under its thumbnail."""
    return {
        "previous": _("prev."),
        "first": _("first"),
        "self": _("self"),
        "induction": _("ind."),
        "broad": _("broad"),
        "mixed": "",
    }[label]


def lead_words(look: Look) -> str:
    """What attention is, in two sentences."""
    if not look.trace.anatomy.blocks[look.layer].causal:
        return _(
            "For each token, the head compares a <q>query</q> with the <k>keys</k> of all tokens, before and after "
            "it. The better a key matches, the larger the weight of that token's <v>value</v>."
        )
    return _(
        "For each token, the head compares a <q>query</q> with the <k>keys</k> of the token itself and of all "
        "earlier tokens. The better a key matches, the larger the weight of that token's <v>value</v>."
    )


def head_words(look: Look) -> list[Paragraph]:
    """What this head does on this text."""
    label, share = look.behaviour
    text = {
        "previous": _(
            "On this text, this head attends mostly to the <b>previous token</b>: the attention weight on it is "
            "{share} on average."
        ),
        "first": _(
            "On this text, this head attends mostly to the <b>first token</b>: the attention weight on it is {share} "
            "on average. Heads often attend to such an <b>attention sink</b> when no other token is relevant."
        ),
        "self": _(
            "On this text, each token attends mostly to <b>itself</b>: the attention weight is {share} on average."
        ),
        "induction": _(
            "On this text, a repeated token attends to <b>the tokens that followed its earlier copies</b>: weight "
            "{share} on average. This is an <b>induction head</b>: it continues repetitions."
        ),
        "broad": _(
            "On this text, this head spreads its attention <b>broadly</b>: the entropy of the attention weights is "
            "{share} of the largest possible, on average."
        ),
        "mixed": _("On this text, no simple description fits this head."),
    }[label]
    return rich(text, share=percent(share))


def choice_words(look: Look, query: int, key: int) -> list[Paragraph]:
    """The chosen cell of the pattern, in words."""
    strings = look.trace.tokens.strings
    value = float(look.pattern[query, key])
    if np.isnan(value):
        block = look.trace.anatomy.blocks[look.layer]
        text = (
            _("<q>{query}</q> cannot attend to <k>{key}</k>: it is outside the window of this block.")
            if not block.causal
            else _("<q>{query}</q> cannot attend to <k>{key}</k>: it comes later in the text.")
            if key > query
            else _("<q>{query}</q> cannot attend to <k>{key}</k>: it is too far back for the window of this block.")
        )
        return rich(text, query=quoted(strings[query]), key=quoted(strings[key]))
    text = _(
        "The attention weight of <q>{query}</q> on <k>{key}</k> is <b>{share}</b>: the <v>value</v> of {key} "
        "enters the sum z with this weight."
    )
    return rich(text, query=quoted(strings[query]), key=quoted(strings[key]), share=percent(value))


def heads_words(look: Look) -> list[Paragraph]:
    """How many heads there are, and which share keys and values."""
    block = look.trace.anatomy.blocks[look.layer]
    n = block.n_heads
    text = plural(
        "Block {block} has {n} head.",
        "Block {block} has {n} heads. They work in parallel, each with its own attention pattern.",
        n,
    )
    paragraphs = rich(text, block=look.layer + 1, n=n)
    if block.n_kv_heads == 1 < n:
        paragraphs += rich(_("All heads share one <k>key</k> and one <v>value</v> per token."))
    elif block.n_kv_heads < n:
        paragraphs += rich(
            _(
                "Each group of {group} heads shares one <k>key</k> and one <v>value</v> per token; only the "
                "<q>queries</q> differ."
            ),
            group=block.group,
        )
    return paragraphs


def stage_words(look: Look, part: str) -> tuple[str, str]:
    """Title and subtitle of a stage."""
    block = look.trace.anatomy.blocks[look.layer]
    if part == "scores":
        root = abs(block.scaling - block.head_dim**-0.5) < 1e-9
        factor = f"/ √{block.head_dim}" if root else f"× {number(block.scaling, 3)}" if block.scaling != 1 else ""
        return _("Scores: q · k {factor}").format(factor=factor), _("how well each query matches each key")
    window = block.window
    shut = (
        _("only the last {n} tokens, itself included, are not masked").format(n=window)
        if window
        else _("later tokens are masked")
    )
    if not block.causal:
        shut = _("no token is masked")
        if window:
            shut = _("tokens more than {n} positions away are masked").format(n=window - 1)
        elif bool(np.isnan(look.pattern).any()):
            shut = _("masked as in the model's own mask")
    return {
        "scores_capped": (
            _("Soft-capping"),
            _("large scores are squeezed smoothly to stay within ±{cap}").format(cap=number(block.softcap or 0)),
        ),
        "scores_biased": (_("Position bias"), _("ALiBi: the farther back the key, the lower the score")),
        "masked": (_("Mask"), shut),
        "pattern": (
            _("Pattern: softmax"),
            _("each row adds up to 1") if not block.sinks else _("each row plus its learned sink adds up to 1"),
        ),
    }[part]


def option_words(look: Look, *, hide_sink: bool, weigh: bool) -> str:
    """What the pattern's picture shows instead, when an option is on; else nothing."""
    said = []
    if hide_sink:
        said.append(
            _("first token hidden, each row rescaled to add up to 1: these are not the weights that the model used")
        )
    if weigh:
        said.append(
            _("attention weight × norm of v · W_O: the size of what each key contributes to the attention output")
            if look.norms is not None
            else _("value weighting is not available: this run was opened without the model's weights")
        )
    return "; ".join(said)


def sink_words(look: Look) -> list[Paragraph]:
    """What an attention sink is, with the numbers that show it on this text."""
    norms = look.trace.tensor(f"blocks.{look.layer}.resid_pre").float().norm(dim=-1)
    if len(norms) < 3:
        return []
    first, others = float(norms[0]), float(norms[1:].median())
    text = _(
        "The residual stream of the first token has norm {first} here; the median of the others is {others}. "
        "Hide the first token to see the rest of the pattern."
    )
    return rich(text, first=number(first, 3), others=number(others, 3))


def vector_words(part: str, *, norm: bool, rotary: bool) -> tuple[str, str]:
    """Title and subtitle of q, k, v or z and of the steps before them."""
    letter = part[0]
    who = {
        "q": _("what each token looks for"),
        "k": _("what each token can be found by"),
        "v": _("what each token passes on"),
        "z": _("sum of all v, each times its attention weight"),
    }[letter]
    if part.endswith("_proj"):
        return _("{letter} before normalisation").format(letter=letter), _("output of the projection")
    if part.endswith("_pre_rotary"):
        return _("{letter} before rotary embedding").format(letter=letter), _("does not depend on the position")
    if letter in "qk" and rotary:
        return letter, _("{who}, rotated by its position").format(who=who)
    return letter, _("{who}, normalised").format(who=who) if letter in "qk" and norm else who


def share_words(look: Look, shares: HeadShares | None) -> list[Paragraph]:
    """The check under the heads' shares."""
    if shares is None:
        return rich(
            _("<muted>The outputs of the heads need the model's weights, and this run was opened without them.</muted>")
        )
    name = shares.output
    if not shares.agrees:
        return rich(
            _("<bad>The outputs of the heads do not add up to <code>{name}</code>: the difference is {off}.</bad>"),
            name=name,
            off=number(shares.difference, 2),
        )
    bias = _(" and the bias (norm {bias})").format(bias=number(shares.bias, 3)) if shares.bias else ""
    text = _(
        "<good>✓</good> The outputs of the heads{bias} add up to <code>{name}</code> of {token}: largest "
        "difference {off}."
    )
    return rich(
        text,
        bias=bias,
        name=name,
        token=quoted(look.trace.tokens.strings[shares.token]),
        off=number(shares.difference, 2),
    )
