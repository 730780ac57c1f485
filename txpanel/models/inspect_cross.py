"""Reading a decoder's cross-attention, and biases that follow from the distance between two tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from txpanel.models.adapters import core
from txpanel.models.anatomy import Cross, Encoder, Relative
from txpanel.models.encoder_inputs import KINDS
from txpanel.models.inspect_attention import AttentionInspector, number
from txpanel.models.pair import Pair
from txpanel.models.parts import BlockParts, first


class CrossInspector(AttentionInspector):
    """The part of the inspector that reads what only decoders beside an encoder have."""

    pair: Pair | None = None

    def encoder(self) -> Encoder | None:
        """The facts of the encoder, which reads the source; ``None``: there is none."""
        if self.pair is None:
            return None
        own, blocks = self.pair.encoder, self.pair.blocks
        size = sum(parameter.numel() for parameter in own.parameters())
        made_by = type(blocks[0] if blocks else own).__name__
        module, names = self.names.get(id(own), ""), tuple(self.names.get(id(one), "") for one in blocks)
        reads = "" if self.pair.reads_text else self.pair.reads
        return Encoder(module, names, made_by, size, reads, KINDS.get(reads, (reads, 3))[1] if reads else 0)

    def open_cross(self, cross: Any, parts: BlockParts, facts: dict[str, Any]) -> None:
        """The projections of a cross-attention, and its factors."""
        n_heads = next(filter(None, (number(cross, name) for name in ("num_heads", "n_heads", "num_attn_heads"))), 0)
        n_heads = n_heads or number(self.config, "num_attention_heads")
        n_kv = n_heads // (number(cross, "num_key_value_groups") or 1)
        fused = first(cross, "qkv") if first(cross, "k") is None else None  # GPT-2's: keys and values in one matrix
        for name in ("q", "k", "v", "o"):
            module = first(cross, name) or (first(cross, "cross_q") if name == "q" else fused)
            if module is None:
                raise self.fail("a projection of cross-attention")
            parts.modules[f"cross_{name}"] = module
            half = self.linear(module).outputs // 2
            rows = torch.arange(half) + half * (name == "v") if fused is not None and name in ("k", "v") else None
            parts.maps[f"cross_{name}"] = self.linear(module, rows)
        head_dim = parts.maps["cross_q"].outputs // n_heads
        facts["cross"] = Cross(
            n_heads,
            n_kv,
            head_dim,
            parts.maps["cross_v"].outputs // n_kv,
            self._scaling(cross, head_dim),
            float(getattr(cross, self.quirk.q_factor)) if self.quirk.q_factor else 1.0,
            getattr(cross, "attn_logit_softcapping", None),
            parts.maps["cross_q"].bias is not None,
        )

    def distances(self, attn: Any, parts: BlockParts, facts: dict[str, Any], base: nn.Module) -> None:
        """T5's bias per distance: in a table of the block's own, or of the first block's."""
        if not hasattr(attn, "has_relative_attention_bias"):
            return
        owners = [attn, *base.modules()]
        with_table = (
            one for one in owners if isinstance(core(getattr(one, "relative_attention_bias", None)), nn.Embedding)
        )
        owner: Any = next(with_table, None)
        if owner is None:
            return
        table = self.plain(owner.relative_attention_bias)
        parts.modules["distances"] = owner
        parts.distances = self.names.get(id(table.weight), "relative_attention_bias.weight"), table.weight.detach()
        both_ways = not getattr(attn, "is_decoder", False)
        facts["relative"] = Relative(
            int(table.weight.shape[0]), int(getattr(attn, "relative_attention_max_distance", 128)), both_ways
        )
