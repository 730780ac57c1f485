"""All that is known of model families by name: what their config and the structure of their modules do not show.

A family is the config's ``model_type``. One that is not listed is read by its structure alone, and its first run is compared with the
model, operation by operation (:mod:`txpanel.tracing.verify`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

__all__ = ["QUIRKS", "Packing", "Quirk", "quirk_of"]

Packing = Literal["thirds", "per-head", "per-group", "by-size", "quarters"]
"""How the rows of a fused q, k, v weight are laid out. ``thirds``: all of q, all of k, all of v, each of the same size; ``by-size``:
the same order, k and v with fewer heads; ``per-head``: q, k, v of head 0, then of head 1, ...; ``per-group``: the queries of a
key/value head, its key, its value, then the next group; ``quarters``: of each quarter of the heads all q, then all v, then all k (CodeGen)."""


@dataclass(frozen=True)
class Quirk:
    """What a family does that its modules' structure does not show.

    Attributes:
        packing: see :data:`Packing`.
        mask_true_means: meaning of ``True`` in a boolean attention mask handed to the blocks.
        mask_buffer: attention keeps its own boolean causal mask in this buffer.
        scale: attribute (and power) of the attention module that gives the factor on q.k; ``None``: 1.
        q_factor: q is multiplied by this attribute of the attention module (or by `HEAD`) before the attention function sees it.
        alibi: positions enter as a bias on the scores, whatever the config says.
        rotary_layout: see :class:`~txpanel.models.anatomy.Rotary`.
        rotary_dims: config entry that says how many dimensions of a head are rotated; ``None``: the usual ``rope_parameters``.
        rotary_base: base of the angles where no config entry gives it.
        position_offset: rows skipped in the table of learned positions.
        parallel_if: config entries of which any one makes attention and MLP read the same input.
        unfuse_gate: how gate and up stand in a fused weight of experts: one half each, or alternating.
        embed_sqrt_width: rows of the token table are multiplied by the square root of the width.
        activation: name of the MLP's activation, where no config entry gives it.
    """

    packing: Packing = "thirds"
    mask_true_means: Literal["look", "hide"] = "look"
    mask_buffer: str | None = None
    scale: tuple[str, int] | None = ("scaling", 1)
    q_factor: str | None = None
    alibi: bool = False
    rotary_layout: Literal["half", "interleaved", "split"] = "half"
    rotary_dims: str | None = None
    rotary_base: float | None = None
    position_offset: int = 0
    parallel_if: tuple[str, ...] = ()
    unfuse_gate: Literal["halves", "interleaved"] = "halves"
    embed_sqrt_width: bool = False
    activation: str = "gelu"


HEAD = "head_dim ** -0.5"
"""A factor on q that is written out in the code."""

_INTERLEAVED = Quirk(rotary_layout="interleaved")
_SPLIT = Quirk(rotary_layout="split")
_GPT_J = Quirk(rotary_layout="interleaved", rotary_dims="rotary_dim", rotary_base=10000.0, scale=("scale_attn", -1))

QUIRKS: dict[str, Quirk] = {
    "gpt_neox": Quirk(packing="per-head"),
    "gpt_neox_japanese": Quirk(packing="per-head"),
    "gptj": _GPT_J,
    "codegen": replace(_GPT_J, packing="quarters"),
    "persimmon": Quirk(packing="per-head"),
    "gpt_neo": Quirk(mask_buffer="bias", scale=None),
    "esm": Quirk(q_factor=HEAD),
    "opt": Quirk(q_factor="scaling", position_offset=2, scale=None),
    "whisper": Quirk(q_factor="scaling", scale=None),
    "xglm": Quirk(q_factor="scaling", scale=None),
    "trocr": Quirk(q_factor="scaling", scale=None),
    "led": Quirk(q_factor="scaling", scale=None),
    "mvp": Quirk(q_factor="scaling", scale=None),
    "bloom": Quirk(packing="per-head", scale=("inv_norm_factor", 1), alibi=True, activation="bloom_gelu"),
    "falcon": Quirk(
        packing="per-group", scale=("inv_norm_factor", 1), parallel_if=("parallel_attn", "new_decoder_architecture")
    ),
    "mpt": Quirk(mask_true_means="hide", scale=("softmax_scale", 1), alibi=True),
    "phi3": Quirk(packing="by-size"),
    "gemma": Quirk(embed_sqrt_width=True),
    "gemma2": Quirk(embed_sqrt_width=True),
    "cohere": _INTERLEAVED,
    "cohere2": _INTERLEAVED,
    "glm": _INTERLEAVED,
    "glm4": _INTERLEAVED,
    "helium": _INTERLEAVED,
    "ernie4_5": _INTERLEAVED,
    "ernie4_5_moe": _INTERLEAVED,
    "deepseek_v2": _SPLIT,
    "deepseek_v3": _SPLIT,
    "gpt_oss": Quirk(unfuse_gate="interleaved"),
}


def quirk_of(family: str) -> Quirk:
    """What is known of a family; of an unknown one, what most do."""
    return QUIRKS.get(family, Quirk())
