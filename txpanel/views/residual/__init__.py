"""Residual stream: what each block adds, the norms, and the logit lens."""

from __future__ import annotations

from txpanel.views.residual.view import ResidualView

__all__ = ["ResidualView"]
