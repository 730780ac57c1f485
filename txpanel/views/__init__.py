"""The built-in views, each in a file of its own; imported when first used, since plotting libraries take a second."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from txpanel.views.attention import AttentionView
    from txpanel.views.base import View
    from txpanel.views.embedding import EmbeddingView
    from txpanel.views.flow import FlowView
    from txpanel.views.mlp import MLPView
    from txpanel.views.residual import ResidualView
    from txpanel.views.sampling import SamplingView
    from txpanel.views.softmax import SoftmaxView

_MODULES = {
    "AttentionView": "attention",
    "EmbeddingView": "embedding",
    "FlowView": "flow",
    "MLPView": "mlp",
    "ResidualView": "residual",
    "SamplingView": "sampling",
    "SoftmaxView": "softmax",
    "View": "base",
}

__all__ = [
    "AttentionView",
    "EmbeddingView",
    "FlowView",
    "MLPView",
    "ResidualView",
    "SamplingView",
    "SoftmaxView",
    "View",
]


def __getattr__(name: str) -> Any:
    """Import a view on its first use (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module 'txpanel.views' has no attribute {name!r}")
    return getattr(import_module(f"txpanel.views.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
