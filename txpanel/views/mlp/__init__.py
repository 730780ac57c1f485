"""MLP: neuron by neuron, what each token does on its own and what that adds to its residual stream."""

from __future__ import annotations

from txpanel.views.mlp.view import MLPView

__all__ = ["MLPView"]
