"""MLP: neuron by neuron, what it computes for each token separately and adds to its residual stream."""

from __future__ import annotations

from txpanel.views.mlp.view import MLPView

__all__ = ["MLPView"]
