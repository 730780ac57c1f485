"""Names of tensors and cells: TransformerLens's names without its ``hook_`` prefix."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["GIVEN", "SOURCE_STATE", "SOURCE_TOKENS", "cell_name", "of_source", "split_name"]

GIVEN = "inputs."
"""Prefix of the names of tensors that a model is given beside token ids, or instead of them, such as ``inputs.pixel_values``."""
SOURCE_STATE = "encoder.state"
"""The last state of an encoder: what keys and values of cross-attention are made from. [S, D]"""
SOURCE_TOKENS = "encoder.tokens"
"""Ids of the text that an encoder has read, the source. [S]"""


def split_name(name: str) -> tuple[int | None, str]:
    """``blocks.3.ln1.scale`` -> (3, ``ln1.scale``); names outside the blocks -> (None, name)."""
    if name.startswith("blocks."):
        layer, _, own = name[7:].partition(".")
        if layer.isdecimal() and own:
            return int(layer), own
    return None, name


def of_source(name: str, dim: str) -> bool:
    """Whether a dimension of a tensor counts tokens of the text that an encoder has read, not of the run."""
    if name.startswith("encoder."):
        return dim in ("token", "query", "key")
    own = split_name(name)[1].split(".")[0]
    return own.startswith("cross_") and dim == ("token" if own in ("cross_k", "cross_v") else "key")


def cell_name(name: str, index: Mapping[str, int]) -> str:
    """``blocks.3.ln1[4, 17]``."""
    return f"{name}[{', '.join(str(i) for i in index.values())}]" if index else name
