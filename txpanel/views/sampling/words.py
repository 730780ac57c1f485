"""The texts of the sampling bench, and its presets with what each one does."""

from __future__ import annotations

from typing import Any

from txpanel.decoding import FIELDS, PRESETS, Settings
from txpanel.messages import _

__all__ = ["KNOBS", "bench_words", "presets"]

KNOBS = tuple(name for name in FIELDS if name != "seed")


def presets(own: Settings | None) -> list[dict[str, Any]]:
    """What the bench offers ready-made; the model's own ``generation_config`` last, where it says something usable."""
    titles = {
        "plain": _("all stages off: the probabilities as the model gives them"),
        "greedy": _("always the likeliest token"),
        "balanced": _("a little sharper, without the unlikely end"),
        "creative": _("flatter, without what is far less likely than the likeliest"),
        "own": _("what transformers' generate does with this model's generation_config if nothing else is said"),
    }
    offered = {**PRESETS, **({"own": own} if own is not None else {})}
    return [
        {"key": key, "title": titles[key], "values": {name: getattr(settings, name) for name in KNOBS}}
        for key, settings in offered.items()
    ]


def bench_words() -> dict[str, str]:
    """Every text of the bench, by the name that its module uses."""
    return {**_knobs(), **_columns(), **_draw(), **_way(), **_others()}


def _knobs() -> dict[str, str]:
    return {
        "presets": _("Settings"),
        "preset_plain": _("Model as it is"),
        "preset_greedy": _("Greedy"),
        "preset_balanced": _("Balanced"),
        "preset_creative": _("Creative"),
        "preset_own": _("Model's own"),
        "repetition_penalty": _("repetition"),
        "no_repeat_ngram_size": _("n-gram"),
        "temperature": _("temperature"),
        "top_k": _("top-k"),
        "top_p": _("top-p"),
        "min_p": _("min-p"),
        "typical_p": _("typical-p"),
        "renormalise": _("renormalise"),
        "logits": _("logit"),
        "off": _("off"),
        "repetition_penalty_off": _("1: off"),
        "repetition_penalty_on": _("logits of tokens of the text ÷ {value} (× if negative)"),
        "no_repeat_ngram_size_off": _("0: off"),
        "no_repeat_ngram_size_on": _("no run of {value} tokens comes twice"),
        "temperature_off": _("1: the model's own"),
        "temperature_on": _("logits are divided by {value}"),
        "temperature_zero": _("0: always the likeliest"),
        "top_k_off": _("0: off"),
        "top_k_on": _("the {value} likeliest stay"),
        "top_p_off": _("1: off"),
        "top_p_on": _("the likeliest that together reach {percent}"),
        "top_p_zero": _("0: only the likeliest stays"),
        "min_p_off": _("0: off"),
        "min_p_on": _("at least {percent} as likely as the likeliest"),
        "typical_p_off": _("1: off"),
        "typical_p_on": _("the least surprising surprises, up to {percent}"),
    }


def _columns() -> dict[str, str]:
    return {
        "token": _("token"),
        "logit": _("logit"),
        "from_model": _("from the model"),
        "repeated": _("÷ {value} if seen"),
        "model_p": _("model's p"),
        "at_one": _("softmax of the logits"),
        "temperature_p": _("with temperature"),
        "greedy": _("0: the largest only"),
        "final": _("drawn from"),
        "left": _("{n} left"),
        "all": _("all {n}"),
        "cut": _("cut off"),
        "cut_by": _("cut: {stage}"),
        "others": _("{n} other tokens"),
        "entropy": _("uncertainty"),
        "entropy_title": _("entropy: 0 bits when only one token is left"),
        "bits": _("{n} bits"),
        "id": _("token {id}"),
        "rank": _("rank {rank}, token id {id}"),
        "why": _("why this number?"),
        "way_title": _("show this token's way through the stages"),
        "table": _("what each stage leaves of the likeliest tokens"),
        "log": _("logarithmic bars"),
        "log_title": _("from a millionth to 1: each sixth of a bar is a factor of ten"),
        "none": _("With these settings no token is left to draw from. Loosen one of them."),
    }


def _draw() -> dict[str, str]:
    return {
        "draw": _("The draw"),
        "seed": _("seed"),
        "roll": _("Next seed"),
        "replay": _("Replay"),
        "replay_title": _("the same number once more"),
        "append": _("Append"),
        "more": _("{n} more tokens"),
        "before": _("before"),
        "back": _("Back"),
        "sentence": _(
            "Seed {seed} gives u = {u}. On a bar from 0 to 1, the likeliest first, it falls between "
            "{low} and {high}: the piece of {token}, number {rank}, as wide as its probability, {p}."
        ),
        "why_not": _("{best} is likelier, with {p}, but its piece ends at {edge}: u lies beyond it."),
        "why_cut": _("{best}, the model's first choice, was cut off by {stage}."),
        "changed": _("{kept} tokens left, {bits} bits of uncertainty."),
        "still": _("The same u still falls on {now}."),
        "instead": _("The same u now falls on {now} instead of {was}."),
    }


def _way() -> dict[str, str]:
    return {
        "way": _("The way of"),
        "way_note": _("Click any token above to follow it."),
        "pick_drawn": _("the drawn one"),
        "pick_best": _("the model's first"),
        "way_logits": _("x = {x}"),
        "way_new": _("not in the text so far: stays {x}"),
        "way_over": _("in the text already: {x} ÷ {r} = {y}"),
        "way_times": _("in the text already, negative: {x} × {r} = {y}"),
        "way_gram": _("would repeat “{gram}”: removed"),
        "way_no_gram": _("repeats no run of {n} tokens: stays"),
        "way_largest": _("the largest logit: stays"),
        "way_not_largest": _("not the largest logit: removed"),
        "way_divided": _("{x} ÷ {t} = {y}"),
        "way_within": _("number {rank} of {k}: stays"),
        "way_beyond": _("number {rank}, and only {k} may stay: removed"),
        "way_short": _("likelier ones add up to {sum}, below {share}: stays"),
        "way_reached": _("likelier ones add up to {sum}, which reaches {share}: removed"),
        "way_enough": _("{p} ≥ {m} × {top} = {limit}: stays"),
        "way_less": _("{p} < {m} × {top} = {limit}: removed"),
        "way_typical": _("surprisal {s} bits, entropy {h}: {d} apart, at most {limit}: stays"),
        "way_untypical": _("surprisal {s} bits, entropy {h}: {d} apart, more than {limit}: removed"),
        "way_share": _("e^({x} − {max}) ÷ {sum} = {p}"),
        "way_hit": _("{low} ≤ u = {u} < {high}: drawn"),
        "way_missed": _("u = {u} is not between {low} and {high}: not drawn"),
        "way_no_piece": _("no piece of the bar is its own: never drawn"),
    }


def _others() -> dict[str, str]:
    return {
        "sweep": _("Other temperatures"),
        "sweep_note": _("what temperature alone does to p, before anything is cut off"),
        "sweep_now": _("now {t}"),
        "seeds": _("1,000 seeds"),
        "seeds_note": _("seeds 0 to 999 on this bar; the line is what p promises"),
        "drawn_times": _("times drawn"),
        "expected": _("expected"),
        "first_seed": _("first seed"),
        "take_seed": _("draw with seed {seed}"),
        "empty": _("Type a text above: then the next token can be drawn here."),
    }
