"""Softmax: from logits to probabilities over the whole vocabulary."""

from __future__ import annotations

from txpanel.views.softmax.view import SoftmaxView

__all__ = ["SoftmaxView"]
