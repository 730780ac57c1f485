"""The "why this number" card: operands that add up to the number that was asked for."""

from __future__ import annotations

from txpanel.views.why.view import WhyCard

__all__ = ["WhyCard"]
