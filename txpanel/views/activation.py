"""Readable names of the activation functions in models' configs."""

from __future__ import annotations

__all__ = ["activation_name"]


def activation_name(activation: str, *, brief: bool = False) -> str:
    """The usual name of an activation that the config calls, for example, ``"gelu_new"``; `brief`: without the variant."""
    known = {
        "silu": "SiLU",
        "swish": "SiLU",
        "relu": "ReLU",
        "gelu": "GELU",
        "gelu_new": "GELU (tanh)",
        "gelu_pytorch_tanh": "GELU (tanh)",
        "gelu_fast": "GELU (tanh)",
    }
    name = known.get(activation, activation)
    return name.partition(" (")[0] if brief else name
