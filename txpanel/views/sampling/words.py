"""The texts of the sampling bench, and its presets with what each one does. What is said of a stage stands with its declaration."""

from __future__ import annotations

from typing import Any

from txpanel.decoding import PRESETS, Settings
from txpanel.decoding.stages import SPECS, stage_label
from txpanel.messages import _

__all__ = ["bench_words", "presets"]


def presets(own: Settings | None) -> list[dict[str, Any]]:
    """What the bench offers ready-made; the model's own ``generation_config`` last, where it says something usable."""
    titles = {
        "plain": _("all stages off: the probabilities as the model gives them"),
        "greedy": _("always the most likely token"),
        "balanced": _("temperature below 1; the least likely tokens are cut off"),
        "creative": _("temperature above 1; tokens far less likely than the most likely one are cut off"),
        "own": _("this model's generation_config, as transformers' generate uses it"),
    }
    if own is not None and own.left_out:
        titles["own"] = _(
            "this model's generation_config, as transformers' generate uses it, without the settings named below"
        )
    offered = {**PRESETS, **({"own": own} if own is not None else {})}
    return [
        {
            "key": key,
            "title": titles[key],
            "values": {spec.key: getattr(settings, spec.key) for spec in SPECS},
            "left_out": list(settings.left_out),
        }
        for key, settings in offered.items()
    ]


def bench_words(*, fills: bool = False) -> dict[str, str]:
    """Every text of the bench, by the name that its modules use.

    Args:
        fills: of a model that fills gaps: what is drawn is put into one.
    """
    return {
        **_settings(),
        **_columns(),
        **_draw(),
        **_path(),
        **_what_if(),
        **({"append": _("Fill in")} if fills else {}),
    }


def _settings() -> dict[str, str]:
    return {
        "presets": _("Settings"),
        "preset_plain": _("Model as it is"),
        "preset_greedy": _("Greedy"),
        "preset_balanced": _("Balanced"),
        "preset_creative": _("Creative"),
        "preset_own": _("Model's own"),
        "left_out": _("Also in this model's generation_config, but not applied here:"),
        "off": _("off"),
    }


def _columns() -> dict[str, str]:
    return {
        "token": _("token"),
        "logit": _("logit"),
        "from_model": _("from the model"),
        "model_p": _("the model"),
        "at_one": _("softmax of the logits"),
        "with_stage": _("with {stage}"),
        "final": _("with your settings"),
        "left": _("{n} left"),
        "all": _("all {n}"),
        "cut": _("cut off"),
        "cut_by": _("cut off by {stage}"),
        "others": _("{n} other tokens"),
        "entropy": _("entropy"),
        "entropy_title": _("0 bits when only one token is left"),
        "bits": _("{n} bits"),
        "id": _("token {id}"),
        "rank": _("rank {rank}, token id {id}"),
        "why": _("why this number?"),
        "path_title": _("show this token at every stage"),
        "table": _("the most likely tokens after each stage"),
        "log": _("logarithmic bars"),
        "log_title": _("scale from 0.000001 to 1; one sixth of the full width is a factor of ten"),
        "none": _("With these settings no token is left to draw from. Loosen one of them."),
    }


def _draw() -> dict[str, str]:
    return {
        "draw": _("The draw"),
        "seed": _("seed"),
        "roll": _("Next seed"),
        "replay": _("Replay"),
        "replay_title": _("show the draw again, with the same number"),
        "append": _("Append"),
        "more": _("{n} more tokens"),
        "before": _("before"),
        "back": _("Back"),
        "sentence": _(
            "Seed {seed} gives the random number u = {u}. It falls into the interval of {token}, from {low} to "
            "{high}: rank {rank}, as wide as its probability, {p}."
        ),
        "why_not": _("{best} is more likely ({p}), but its interval ends at {bound}, below u."),
        "why_cut": _("{best}, the model's most likely token, was cut off by {stage}."),
        "changed": _("{kept} tokens left, entropy {bits} bits."),
        "still": _("The same u still falls on {now}."),
        "instead": _("The same u now falls on {now} instead of {was}."),
    }


def _path() -> dict[str, str]:
    return {
        "renormalise": stage_label("renormalise"),
        "path": _("Every stage for"),
        "path_note": _("Click any token above to see its stages."),
        "pick_drawn": _("drawn token"),
        "pick_best": _("most likely token"),
        "path_logits": _("x = {x}"),
        "path_share": _("e^({x} − {max}) ÷ {sum} = {p}"),
        "path_hit": _("{low} ≤ u = {u} < {high}: drawn"),
        "path_missed": _("u = {u} is not between {low} and {high}: not drawn"),
        "path_none": _("cut off: it has no interval and cannot be drawn"),
    }


def _what_if() -> dict[str, str]:
    return {
        "sweep": _("Other temperatures"),
        "sweep_note": _("probabilities at other temperatures, before any token is cut off"),
        "sweep_now": _("now {t}"),
        "seeds": _("1,000 seeds"),
        "seeds_note": _("how often each token is drawn with the seeds 0 to 999; the line marks the expected number"),
        "drawn_times": _("times drawn"),
        "expected": _("expected"),
        "first_seed": _("first seed"),
        "take_seed": _("draw with seed {seed}"),
        "empty": _("Type a text above to draw the next token here."),
    }
