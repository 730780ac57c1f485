"""What tests with adapters do not want to hear."""

from __future__ import annotations

import pytest

PEFT_WARNS = pytest.mark.filterwarnings(
    "ignore:.*is_gradient_checkpointing:FutureWarning",  # peft 0.21.2 asks transformers for it
    "ignore::UserWarning:peft",
)
