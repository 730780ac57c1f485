"""What transformers' ``generate`` would do with a model's ``generation_config`` that no stage here does: named, so that nobody takes it for done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from txpanel.messages import _

__all__ = ["left_out"]

Wanted = Callable[[Any], bool]


def _more_than(least: float) -> Wanted:
    return lambda value: isinstance(value, (int, float)) and value > least


def _not(off: Any) -> Wanted:
    return lambda value: value != off


def _some(value: Any) -> bool:
    """Anything that is given, 0 (an id) as well; not ``False``, which means off."""
    return bool(value) or (value == 0 and value is not False)


def _rules() -> dict[str, tuple[Wanted, str]]:
    """By the name in the configuration: when it changes which tokens come, and what it does."""
    return {
        "guidance_scale": (
            _not(1),
            _("classifier-free guidance: a second run without the prompt, and what the prompt changes is enlarged"),
        ),
        "sequence_bias": (_some, _("a number is added to the logits of given words")),
        "encoder_repetition_penalty": (_not(1.0), _("tokens of the prompt are made likelier, or less likely below 1")),
        "encoder_no_repeat_ngram_size": (
            _more_than(0),
            _("sequences of so many tokens are not copied from the prompt"),
        ),
        "bad_words_ids": (_some, _("words that are never written")),
        "min_length": (_more_than(0), _("the text does not end before it has so many tokens")),
        "min_new_tokens": (_more_than(0), _("the text does not end before it has so many new tokens")),
        "forced_bos_token_id": (_some, _("the token that always comes first")),
        "forced_eos_token_id": (_some, _("the token that comes last when the most tokens are reached")),
        "exponential_decay_length_penalty": (_some, _("from some length on the end becomes likelier with each token")),
        "suppress_tokens": (_some, _("tokens that are never chosen")),
        "begin_suppress_tokens": (_some, _("tokens that are never chosen first")),
        "watermarking_config": (_some, _("the choice of tokens carries a watermark")),
        "constraints": (_some, _("a search for texts that contain given parts")),
        "force_words_ids": (_some, _("a search for texts that contain given words")),
        "penalty_alpha": (_more_than(0), _("contrastive search: tokens that repeat what is there count less")),
        "dola_layers": (_some, _("the logits of early layers are taken off those of the last one")),
        "num_beams": (_more_than(1), _("a beam search instead of one token after another; see Beam search")),
        "num_beam_groups": (_more_than(1), _("a beam search in groups that are kept different")),
        "token_healing": (bool, _("the prompt's last token is taken away and chosen again")),
        "stop_strings": (_some, _("texts at which it stops")),
        "max_length": (_some, _("the most tokens that the text has")),
        "max_new_tokens": (_some, _("the most tokens that are written")),
        "max_time": (_some, _("the most seconds that it takes")),
    }


def left_out(config: Any) -> tuple[str, ...]:
    """Sentences, one for each entry of a ``generation_config`` that changes what ``generate`` writes and has no stage here.

    Each begins with the entry's name, such as ``suppress_tokens = [5, 7]: tokens that are never chosen``.
    """
    return tuple(_found(config))


def _found(config: Any) -> Iterator[str]:
    for name, (wanted, does) in _rules().items():
        value = getattr(config, name, None)
        if value is not None and wanted(value) and not (name == "penalty_alpha" and _plain(config)):
            yield f"{name} = {_short(value)}: {does}"


def _plain(config: Any) -> bool:
    """Contrastive search is greedy with more than one candidate: elsewhere its penalty does nothing."""
    top_k = getattr(config, "top_k", None)
    return bool(getattr(config, "do_sample", False)) or (top_k is not None and top_k <= 1)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
