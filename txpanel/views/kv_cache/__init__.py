"""KV cache: what is kept of every token, what a step adds, and what a step costs with and without it."""

from __future__ import annotations

from txpanel.views.kv_cache.view import KVCacheView

__all__ = ["KVCacheView"]
