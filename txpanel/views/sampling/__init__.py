"""Sampling: every stage from the logits to the next token, and the draw."""

from __future__ import annotations

from txpanel.views.sampling.view import SamplingView

__all__ = ["SamplingView"]
