"""What people call the activation functions of the models' configs."""

from __future__ import annotations

__all__ = ["activation_name"]


def activation_name(activation: str, *, brief: bool = False) -> str:
    """How people write an activation whose name in the config is, say, ``"gelu_new"``; `brief`: without which variant it is."""
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
