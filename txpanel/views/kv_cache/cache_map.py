"""The KV cache as a map of blocks and tokens, and what a step costs with and without it."""

from __future__ import annotations

from typing import Any

import param

from txpanel.toolkit.component import Component

__all__ = ["CacheMap"]


class CacheMap(Component):
    """One row per block, one column per token: kept, new in this step, or no longer read."""

    blocks = param.List(default=[], doc="Per block: kept (tokens), read (tokens that a query can still see), label.")
    tokens = param.Dict(default={}, doc="n, fresh (how many of them came with this step), strings.")
    bytes = param.List(default=[], doc="How many bytes that is: label, sum and result of each line.")
    costs = param.Dict(default={}, doc="at (tokens), cached, whole: multiply-adds of a step; texts of both at the end.")
    words = param.Dict(default={}, doc="All texts.")

    _module = "cache_map.js"
    _styles = "cache_map.css"

    def __init__(self, on_token: Any = None, **params: Any) -> None:
        super().__init__(**params)
        self.on_token = on_token

    def _handle_msg(self, data: Any) -> None:
        if self.on_token is not None and isinstance(data, dict) and isinstance(data.get("token"), int):
            self.on_token(data)
