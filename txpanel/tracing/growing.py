"""Whether a text with an image or a sound in it can be continued: only where that gives what the model's own ``generate`` gives.

What such a model is given for later tokens (their kind, position, mask) differs by family, and in some families between
one pass and ``generate``. So the first time that a text grows, it is compared once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig

from txpanel.errors import Unsupported
from txpanel.messages import _
from txpanel.models.language_model import LanguageModel
from txpanel.tracing.compare import gap
from txpanel.tracing.probe import run

STEPS = 4
"""Tokens that are generated for the comparison."""


def check_growth(model: LanguageModel, ids: list[int]) -> None:
    """Refuse to read more tokens after an image or a sound where the model's own ``generate`` would go on otherwise.

    Raises:
        Unsupported: in words.
    """
    given = model.inputs
    if given is None or len(ids) <= len(given):
        return
    if given.grows is None:
        with model.lock, model.running():
            given.grows = _as_generated(model)
    if isinstance(given.grows, str):
        raise Unsupported(given.grows)


def _as_generated(model: LanguageModel) -> bool | str:
    given = model.inputs
    assert given is not None
    room = model.max_tokens - len(given)
    try:
        ids, logits = _generated(model, max(1, min(STEPS, room)))
        whole = run(model, ids, last=len(logits) + 1).logits[:-1]
        same = gap(None, {}, whole, logits, model.dtype).ok
    except Exception as error:  # whatever a model's own code may raise
        words = _("This text cannot be continued: the model's own generate does not run with these inputs ({error}).")
        return words.format(error=f"{type(error).__name__}: {error}"[:200])
    if same:
        return True
    return _(
        "This text cannot be continued here: for tokens after an image or a sound, this model computes other "
        "numbers in one pass than in its own generate. The run of the given text is correct."
    )


def _generated(model: LanguageModel, steps: int) -> tuple[Tensor, Tensor]:
    """The model's own greedy continuation: int64 [T + n], and the logits of its steps, float32 [n, V]."""
    given = model.inputs
    assert given is not None
    made: Any = GenerationConfig
    settings = made(
        do_sample=False,
        num_beams=1,
        max_new_tokens=steps,
        pad_token_id=0,
        output_logits=True,
        return_dict_in_generate=True,
    )
    ids = torch.tensor([given.ids], device=model.device)
    found = model.model.generate(input_ids=ids, **given.named, generation_config=settings)
    return found.sequences[0].cpu(), torch.cat([one.float().cpu() for one in found.logits])
