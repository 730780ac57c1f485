"""Attention: who looks at whom, stage by stage from scores to pattern, and what a head writes."""

from __future__ import annotations

from txpanel.views.attention.view import AttentionView

__all__ = ["AttentionView"]
