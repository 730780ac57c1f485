"""What transformers' ``generate`` would do with a model's ``generation_config`` that no stage here does: named, so that nobody thinks it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from txpanel.messages import _
from txpanel.models.as_in_use import moving_rotary

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
            _(
                "classifier-free guidance: a second run without the prompt; the difference that the prompt makes is "
                "enlarged"
            ),
        ),
        "sequence_bias": (_some, _("a number is added to the logits of given words")),
        "encoder_repetition_penalty": (_not(1.0), _("tokens of the prompt become more likely; below 1, less likely")),
        "encoder_no_repeat_ngram_size": (
            _more_than(0),
            _("sequences of this many tokens are not copied from the prompt"),
        ),
        "bad_words_ids": (_some, _("words that are never generated")),
        "min_length": (_more_than(0), _("minimum number of tokens, with the prompt")),
        "min_new_tokens": (_more_than(0), _("minimum number of new tokens")),
        "forced_bos_token_id": (_some, _("token that is always generated first")),
        "forced_eos_token_id": (_some, _("token that is generated last when the maximum length is reached")),
        "exponential_decay_length_penalty": (
            _some,
            _("after a given length, the end of the text becomes more likely with each token"),
        ),
        "suppress_tokens": (_some, _("tokens that are never generated")),
        "begin_suppress_tokens": (_some, _("tokens that are never generated first")),
        "watermarking_config": (_some, _("the generated text carries a watermark")),
        "constraints": (_some, _("constrained beam search: the text contains given parts")),
        "force_words_ids": (_some, _("constrained beam search: the text contains given words")),
        "penalty_alpha": (_more_than(0), _("contrastive search: tokens similar to the text so far are penalised")),
        "dola_layers": (_some, _("DoLa: the logits of an early block are subtracted from those of the last one")),
        "num_beams": (_more_than(1), _("beam search instead of one token after another; see Beam search")),
        "num_beam_groups": (_more_than(1), _("diverse beam search: groups of beams that are kept different")),
        "token_healing": (bool, _("token healing: the last token of the prompt is removed and generated again")),
        "stop_strings": (_some, _("texts that end the generation")),
        "max_length": (_some, _("maximum number of tokens, with the prompt")),
        "max_new_tokens": (_some, _("maximum number of new tokens")),
        "max_time": (_some, _("maximum time in seconds")),
    }


def left_out(config: Any, module: nn.Module | None = None) -> tuple[str, ...]:
    """Sentences, one for each entry of a ``generation_config`` that changes what ``generate`` writes and has no stage here.

    Each begins with the entry's name, such as ``suppress_tokens = [5, 7]: tokens that are never chosen``.

    Args:
        module: the model of transformers, where it is known: its kind of positions may change what ``generate`` writes.
    """
    return (*_found(config), *_of_positions(config, module))


def _of_positions(config: Any, module: nn.Module | None) -> Iterator[str]:
    """Dynamic NTK: a cache keeps keys that were rotated by the angles of a shorter text, so ``generate`` differs from the model's own pass over that text."""
    if module is None or getattr(config, "use_cache", True) is False:
        return
    if any("dynamic" in str(one.__dict__.get("rope_type", "")) for one in moving_rotary(module)):
        yield "use_cache = True: " + _(
            "keys of a shorter text are kept with its angles (dynamic NTK); here each text is computed with its own, as with use_cache = False"
        )


def _found(config: Any) -> Iterator[str]:
    for name, (wanted, does) in _rules().items():
        value = getattr(config, name, None)
        if value is not None and wanted(value) and not (name == "penalty_alpha" and _penalty_unused(config)):
            yield f"{name} = {_short(value)}: {does}"


def _penalty_unused(config: Any) -> bool:
    """Contrastive search is greedy with more than one candidate: elsewhere its penalty does nothing."""
    top_k = getattr(config, "top_k", None)
    return bool(getattr(config, "do_sample", False)) or (top_k is not None and top_k <= 1)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
