"""The words of the attention view: who looks at whom, what a head does, what an option changed."""

from __future__ import annotations

import numpy as np

from txpanel.messages import _, plural
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


def quoted(text: str) -> str:
    """A token as it stands in a sentence."""
    return f"“{text.strip() or text.replace(' ', '␣')}”"


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
            "Each token asks a question (its <q>query</q>) of every token, before it and after it (their <k>keys</k>). "
            "The better the match, the more of that token's <v>value</v> it takes."
        )
    return _(
        "Each token asks a question (its <q>query</q>) of every token before it (their <k>keys</k>). "
        "The better the match, the more of that token's <v>value</v> it takes."
    )


def head_words(look: Look) -> list[Paragraph]:
    """What this head does on this text."""
    label, share = look.behaviour
    text = {
        "previous": _(
            "On this text it looks mostly at the <b>token just before</b>: {share} of its attention on average."
        ),
        "first": _(
            "On this text it rests on the <b>first token</b>: {share} of its attention on average. Such "
            "an <b>attention sink</b> is where a head looks when it has nothing to fetch."
        ),
        "self": _("On this text each token looks mostly at <b>itself</b>: {share} of its attention on average."),
        "induction": _(
            "On this text it looks at <b>what came after the same token earlier</b> ({share} on "
            "average): an <b>induction head</b>, which continues repetitions."
        ),
        "broad": _("On this text it spreads its attention <b>broadly</b>: {share} of the greatest spread there is."),
        "mixed": _("On this text it does nothing that has a simple name."),
    }[label]
    return rich(text, share=percent(share))


def choice_words(look: Look, query: int, key: int) -> list[Paragraph]:
    """The chosen cell of the pattern, in words."""
    strings = look.trace.tokens.strings
    value = float(look.pattern[query, key])
    if np.isnan(value):
        block = look.trace.anatomy.blocks[look.layer]
        text = (
            _("<q>{query}</q> may not look at <k>{key}</k>: it is too far away for this block's window.")
            if not block.causal
            else _("<q>{query}</q> may not look at <k>{key}</k>: it comes later.")
            if key > query
            else _("<q>{query}</q> may not look at <k>{key}</k>: it is too far back for this block's window.")
        )
        return rich(text, query=quoted(strings[query]), key=quoted(strings[key]))
    text = _("Here <q>{query}</q> takes <b>{share}</b> of what it fetches from the <v>value</v> of <k>{key}</k>.")
    return rich(text, query=quoted(strings[query]), key=quoted(strings[key]), share=percent(value))


def heads_words(look: Look) -> list[Paragraph]:
    """How many heads there are, and which share keys and values."""
    block = look.trace.anatomy.blocks[look.layer]
    n = block.n_heads
    text = plural(
        "Block {block} has {n} head.",
        "Block {block} has {n} heads that work side by side; each decides for itself who looks at whom.",
        n,
    )
    paragraphs = rich(text, block=look.layer + 1, n=n)
    if block.n_kv_heads == 1 < n:
        paragraphs += rich(_("All of them share one <k>key</k> and one <v>value</v> per token."))
    elif block.n_kv_heads < n:
        paragraphs += rich(
            _(
                "They stand in groups of {group}: a group shares one <k>key</k> and one <v>value</v> per "
                "token, only the <q>queries</q> differ."
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
        return _("Scores  q · k {factor}").format(factor=factor), _("how well each query matches each key")
    window = block.window
    shut = _("no looking ahead, nor back beyond {n} tokens").format(n=window) if window else _("no token looks ahead")
    if not block.causal:
        shut = _("every token sees both sides: nothing is shut")
        if window:
            shut = _("to both sides, no further than {n} tokens").format(n=window - 1)
        elif bool(np.isnan(look.pattern).any()):
            shut = _("some tokens are shut, as the model's own mask has it")
    return {
        "scores_capped": (
            _("Soft cap"),
            _("scores bent so that none passes ±{cap}").format(cap=number(block.softcap or 0)),
        ),
        "scores_biased": (_("Position bias"), _("ALiBi: the farther back, the lower")),
        "masked": (_("Mask"), shut),
        "pattern": (
            _("Pattern  softmax"),
            _("each row adds up to 1") if not block.sinks else _("each row and its learned sink add up to 1"),
        ),
    }[part]


def option_words(look: Look, *, hide_sink: bool, weigh: bool) -> str:
    """What the pattern's picture shows instead, when an option is on; else nothing."""
    said = []
    if hide_sink:
        said.append(_("first token left out and each row divided by what remains: not what the model used"))
    if weigh:
        said.append(
            _("weight × |v W_O| of the key: what really arrives, not how hard it is looked at")
            if look.norms is not None
            else _("cannot be weighted: this run was opened without the model's weights")
        )
    return "; ".join(said)


def sink_words(look: Look) -> list[Paragraph]:
    """Why heads rest on the first token, with the numbers that show it."""
    norms = look.trace.tensor(f"blocks.{look.layer}.resid_pre").float().norm(dim=-1)
    if len(norms) < 3:
        return []
    first, others = float(norms[0]), float(norms[1:].median())
    text = _(
        "The first token's stream has length {first} here, the others about {others}. Hide it to see what is left."
    )
    return rich(text, first=number(first, 3), others=number(others, 3))


def vector_words(part: str, *, norm: bool, rotary: bool) -> tuple[str, str]:
    """Title and subtitle of q, k, v or z and of the steps before them."""
    letter = part[0]
    who = {
        "q": _("what each token looks for"),
        "k": _("what each token offers to be found by"),
        "v": _("what each token hands over"),
        "z": _("what each token fetched: its row of the pattern times all v"),
    }[letter]
    if part.endswith("_proj"):
        return _("{letter} before norm").format(letter=letter), _("straight from the projection")
    if part.endswith("_pre_rotary"):
        return _("{letter} before position").format(letter=letter), _("the same for every place in the text")
    if letter in "qk" and rotary:
        return letter, _("{who}, turned by position").format(who=who)
    return letter, _("{who}, after its norm").format(who=who) if letter in "qk" and norm else who


def share_words(look: Look, shares: HeadShares | None) -> list[Paragraph]:
    """The check under the heads' shares."""
    if shares is None:
        return rich(
            _("<muted>The heads' shares need the model's weights, and this run was opened without them.</muted>")
        )
    name = shares.output
    if not shares.agrees:
        return rich(
            _("<bad>The shares do not add up to <code>{name}</code>: they are off by {off}.</bad>"),
            name=name,
            off=number(shares.difference, 2),
        )
    bias = _(" and the bias (length {bias})").format(bias=number(shares.bias, 3)) if shares.bias else ""
    text = _(
        "<good>✓</good> The heads' vectors{bias} add up to <code>{name}</code> of {token}: largest difference {off}."
    )
    return rich(
        text,
        bias=bias,
        name=name,
        token=quoted(look.trace.tokens.strings[shares.token]),
        off=number(shares.difference, 2),
    )
