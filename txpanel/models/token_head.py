"""Whether a model's head predicts tokens: the same blocks can also be loaded without a head, or with one that classifies texts or tokens."""

from __future__ import annotations

from functools import cache
from typing import Any

from torch import Tensor, nn

from txpanel.errors import Unsupported
from txpanel.messages import _

__all__ = ["refuse_other_heads", "refuse_other_logits"]

_PREDICTING = ("CAUSAL_LM", "MASKED_LM", "SEQ_TO_SEQ_CAUSAL_LM", "IMAGE_TEXT_TO_TEXT", "MULTIMODAL_LM", "VISION_2_SEQ", "SPEECH_SEQ_2_SEQ")  # fmt: skip
_OTHER = (
    "SEQUENCE_CLASSIFICATION",
    "TOKEN_CLASSIFICATION",
    "QUESTION_ANSWERING",
    "MULTIPLE_CHOICE",
    "NEXT_SENTENCE_PREDICTION",
)
_LOADERS = {"MASKED_LM": "AutoModelForMaskedLM", "CAUSAL_LM": "AutoModelForCausalLM", "IMAGE_TEXT_TO_TEXT": "AutoModelForImageTextToText"}  # fmt: skip


@cache
def _classes(tasks: tuple[str, ...]) -> frozenset[str]:
    """Names of transformers' classes for these tasks."""
    from transformers.models.auto import modeling_auto as auto  # late: torch; models are listed without it

    found: set[str] = set()
    for task in tasks:
        for names in getattr(auto, f"MODEL_FOR_{task}_MAPPING_NAMES", {}).values():
            found |= {names} if isinstance(names, str) else set(names)
    return frozenset(found)


@cache
def _bare() -> frozenset[str]:
    """Names of transformers' classes without any head."""
    from transformers.models.auto import modeling_auto as auto  # late: as above

    found: set[str] = set()
    for names in auto.MODEL_MAPPING_NAMES.values():
        found |= {names} if isinstance(names, str) else set(names)
    return frozenset(found)


def refuse_other_heads(model: nn.Module) -> None:
    """Refuse a class of transformers that does not predict tokens: one without a head, or with a head for something else.

    Raises:
        Unsupported: in words, with the class that loads the same weights with the head for tokens.
    """
    predicting, other = _classes(_PREDICTING), _classes(_OTHER)
    names = [kind.__name__ for kind in type(model).__mro__]
    decides = next((name for name in names if name in predicting or name in other), None)
    bare = names[0] in _bare() or names[0].endswith("ForPreTraining")  # BERT's gives two answers, ELECTRA's detects
    if decides in predicting or (decides is None and not bare):
        return
    words = _("{kind} predicts no tokens: it is without the head for them.")
    said, loader = words.format(kind=names[0]), _loader(model)
    if loader:
        said += " " + _("Load the model with {loader}, and open that.").format(loader=loader)
    raise Unsupported(said)


def _loader(model: Any) -> str:
    """The class that loads these weights with the head for tokens; empty: there is none, or it is not known."""
    from transformers.models.auto import modeling_auto as auto  # late: as above

    family = getattr(getattr(model, "config", None), "model_type", "")
    return next(
        (loader for task, loader in _LOADERS.items() if family in getattr(auto, f"MODEL_FOR_{task}_MAPPING_NAMES", {})),
        "",
    )


def refuse_other_logits(family: str, logits: Tensor, tokens: int, vocab: int) -> None:
    """Refuse a model whose output ``logits`` is not one number per token of the vocabulary for each token of a text.

    Args:
        logits: of a pass, without the batch axis. tokens: of the text. vocab: rows of the table of tokens.

    Raises:
        Unsupported: in words.
    """
    if logits.dim() == 2 and logits.shape[0] == tokens and logits.shape[1] > vocab // 2:
        return
    words = _(
        "What '{family}' calls logits has the shape {shape} for {tokens} tokens and a table of {vocab:,}: it predicts no "
        "tokens. Load the model with the head that does, and open that."
    )
    raise Unsupported(words.format(family=family, shape=tuple(logits.shape), tokens=tokens, vocab=vocab))
