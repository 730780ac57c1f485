"""Flow: the whole model as one picture, a lane for every token."""

from __future__ import annotations

from txpanel.views.flow.view import FlowView

__all__ = ["FlowView"]
