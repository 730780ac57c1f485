"""Names of tensors and cells: TransformerLens's names without its ``hook_`` prefix."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["cell_name", "split_name"]


def split_name(name: str) -> tuple[int | None, str]:
    """``blocks.3.ln1.scale`` -> (3, ``ln1.scale``); names outside the blocks -> (None, name)."""
    if name.startswith("blocks."):
        layer, _, own = name[7:].partition(".")
        if layer.isdecimal() and own:
            return int(layer), own
    return None, name


def cell_name(name: str, index: Mapping[str, int]) -> str:
    """``blocks.3.ln1[4, 17]``."""
    return f"{name}[{', '.join(str(i) for i in index.values())}]" if index else name
