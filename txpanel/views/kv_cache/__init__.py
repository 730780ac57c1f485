"""KV cache: the keys and values kept of every token, what a step adds, and what a step costs with and without the cache."""

from __future__ import annotations

from txpanel.views.kv_cache.view import KVCacheView

__all__ = ["KVCacheView"]
