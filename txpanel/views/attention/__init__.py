"""Attention: which token attends to which, stage by stage from scores to pattern, and what a head adds to the residual stream."""

from __future__ import annotations

from txpanel.views.attention.view import AttentionView

__all__ = ["AttentionView"]
