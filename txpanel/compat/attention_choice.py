"""One call of an attention module by another name in transformers' registry, without the checks of a whole model.

`PreTrainedModel.set_attn_implementation` goes through all parts of the model and checks each name against a list; for a single
call of a single block, many times a second, the name is set where modules read it.

Versions: transformers 5.21 to 5.24.
Reason: there is no public way to choose for one module and one call.
Upstream: huggingface/transformers, src/transformers/configuration_utils.py, `_attn_implementation`.
Test: tests/compat/test_attention_choice.py::test_modules_still_read_the_name_from_there
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["attention_by"]


@contextmanager
def attention_by(config: Any, name: str) -> Iterator[str]:
    """Inside, modules with this configuration look attention up under a name; gives the one that they had before."""
    before: str = config._attn_implementation
    config._attn_implementation = name
    try:
        yield before
    finally:
        config._attn_implementation = before
