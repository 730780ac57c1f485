"""Which models predict masked tokens (BERT and its kin, “models that fill gaps”) instead of continuing a text."""

from __future__ import annotations

from functools import cache
from typing import Any

from txpanel.errors import Unsupported
from txpanel.messages import _

__all__ = ["mask_id", "no_continuation", "predicts_masked_tokens", "refuse_continuation"]


@cache
def _classes() -> tuple[frozenset[str], frozenset[str]]:
    """Names of transformers' causal and masked language models."""
    from transformers.models.auto import modeling_auto as auto  # late: torch; models are listed without it

    causal, masked = auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    return frozenset(causal.values()), frozenset(masked.values())


def predicts_masked_tokens(model: Any) -> bool:
    """Whether a model is one of transformers' masked language models, run as such.

    A class that serves for both (XLM) fills gaps unless its config says that it reads from left to right.
    """
    config, names = getattr(model, "config", None), {kind.__name__ for kind in type(model).__mro__}
    causal, masked = _classes()
    if not names & masked or getattr(config, "is_encoder_decoder", False):
        return False
    if names & causal:
        return not getattr(config, "causal", False)
    return not getattr(config, "is_decoder", False)


def mask_id(tokenizer: Any, config: Any = None) -> int | None:
    """The id of the mask token: the tokenizer's, or that of a config; ``None``: there is none."""
    found = getattr(tokenizer, "mask_token_id", None)
    if found is None:
        found = getattr(config, "mask_token_id", None)
    return int(found) if isinstance(found, int) else None


def no_continuation() -> str:
    """The sentence for a request to continue a text with a model that fills gaps."""
    return _(
        "This model predicts masked tokens; it does not continue a text. Put its mask token into the text, and "
        "it predicts the token that belongs there."
    )


def refuse_continuation(model: Any) -> None:
    """Refuse to continue a text with a model that fills gaps.

    Raises:
        Unsupported: it fills gaps.
    """
    if model.anatomy.fills:
        raise Unsupported(no_continuation())
