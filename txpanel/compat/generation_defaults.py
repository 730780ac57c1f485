"""The values that transformers' ``generate`` uses for settings that were left open.

A `GenerationConfig` of transformers 5 says None for what is left open; ``generate`` fills it in from a list of its own.

Versions: transformers 5.21 to 5.24.
Reason: the defaults are not public, and the page says what the model would do by itself.
Upstream: huggingface/transformers, src/transformers/generation/configuration_utils.py, `_get_default_generation_params`.
Test: tests/compat/test_generation_defaults.py::test_a_new_configuration_still_leaves_them_open
"""

from __future__ import annotations

from typing import Any

from transformers import GenerationConfig

__all__ = ["generation_defaults"]


def generation_defaults() -> dict[str, Any]:
    """By name, such as ``top_k``: 50."""
    listed = getattr(GenerationConfig, "_get_default_generation_params", None)
    found: dict[str, Any] = listed() if listed is not None else GenerationConfig().to_dict()  # type: ignore[no-untyped-call]
    return found
