"""The views: each one file, each a plugin like any other. Names are imported when they are first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "AttentionView": "txpanel.views.attention",
    "EmbeddingView": "txpanel.views.embedding",
    "FlowView": "txpanel.views.flow",
    "MLPView": "txpanel.views.mlp",
    "ResidualView": "txpanel.views.residual",
    "SamplingView": "txpanel.views.sampling",
    "SoftmaxView": "txpanel.views.softmax",
    "View": "txpanel.views.base",
    "ViewFrame": "txpanel.views.frame",
    "WhyCard": "txpanel.views.why",
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
    "ViewFrame",
    "WhyCard",
]

if TYPE_CHECKING:
    from txpanel.views.attention.view import AttentionView
    from txpanel.views.base import View
    from txpanel.views.embedding.view import EmbeddingView
    from txpanel.views.flow.view import FlowView
    from txpanel.views.frame import ViewFrame
    from txpanel.views.mlp.view import MLPView
    from txpanel.views.residual.view import ResidualView
    from txpanel.views.sampling.view import SamplingView
    from txpanel.views.softmax.view import SoftmaxView
    from txpanel.views.why.view import WhyCard


def __getattr__(name: str) -> Any:
    """Import a view on its first use (PEP 562)."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'txpanel.views' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
