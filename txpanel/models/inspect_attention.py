"""Reading the parts of an attention: projections, norms of queries and keys, scale, window, rotation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from txpanel.messages import _
from txpanel.models.anatomy import Latent, Rotary
from txpanel.models.inspect_mlp import MLPInspector
from txpanel.models.parts import BlockParts, NormParts, first, norm_parts, packed_rows
from txpanel.models.quirks import HEAD
from txpanel.models.reading_order import calls
from txpanel.models.used_settings import reads


class AttentionInspector(MLPInspector):
    """The part of the inspector that reads attention."""

    def _base(self, block: nn.Module) -> nn.Module:
        """The module that holds the list of blocks."""
        path = self.names[id(block)].rpartition(".")[0].rpartition(".")[0]
        return self.model.get_submodule(path)

    def _norm(self, module: nn.Module) -> NormParts:
        works: nn.Module = self.plain(module)
        return replace(norm_parts(works, self.names.get(id(works), type(works).__name__)), module=module)

    def _attention(self, attn: nn.Module, parts: BlockParts, facts: dict[str, Any]) -> None:
        config, quirk = self.config, self.quirk
        n_heads = (
            number(config, "num_attention_heads") or number(attn, "num_heads") or number(attn, "num_attention_heads")
        )
        n_kv = number(attn, "num_kv_heads") or number(config, "num_key_value_heads") or n_heads
        if shared := number(attn, "num_key_value_groups"):
            n_kv = n_heads // shared
        if quirk.packing == "per-head":
            n_kv = n_heads
        o = first(attn, "o") or first(parts.block, "block_o")
        if o is None:
            raise self.fail(_("the output projection of attention"))
        parts.modules["o"] = o
        parts.maps["o"] = self.linear(o)
        if getattr(attn, "kv_a_proj_with_mqa", None) is not None:
            n_kv = n_heads
            self._latent(attn, parts, facts, n_heads)
        else:
            self._projections(attn, parts, facts, n_heads, n_kv)
        facts.update(n_heads=n_heads, n_kv_heads=n_kv)
        self._qk_norm(attn, parts, facts)
        facts["scaling"] = self._scaling(attn, int(facts["head_dim"]))
        facts["v_factor"] = float(getattr(attn, "v_scale", 1.0))
        facts["q_factor"] = self._q_factor(attn, int(facts["head_dim"]))
        cap = getattr(attn, "attn_logit_softcapping", None)
        facts["softcap"] = (
            cap if reads(attn, "attn_logit_softcapping") else None
        )  # Gemma 3 keeps one that it does not use
        usual = not self.fills  # an attention without `is_causal` hides later keys, except in a masked language model
        facts["causal"] = bool(getattr(attn, "is_causal", usual)) and getattr(config, "is_causal", True) is not False
        facts["window"] = self._window(attn, self._base(parts.block))
        facts["clip"] = self._clip(attn)
        sinks = getattr(attn, "sinks", None)
        facts["sinks"] = sinks is not None
        if sinks is not None:
            parts.sinks = sinks

    def _q_factor(self, attn: nn.Module, head_dim: int) -> float:
        if self.quirk.q_factor == HEAD:
            return float(head_dim**-0.5)
        return float(getattr(attn, self.quirk.q_factor)) if self.quirk.q_factor else 1.0

    def _window(self, attn: nn.Module, base: nn.Module) -> int | None:
        """How far back queries look; `base` makes the masks, and may not know of a window that the config has."""
        if getattr(attn, "attention_type", None) == "local":
            return int(self.config.window_size)
        makers = ("create_sliding_window_causal_mask", "create_bidirectional_sliding_window_mask", "sliding_window")
        if not any(reads(base, name) for name in makers):
            return None
        window = getattr(attn, "sliding_window", None)
        types = getattr(self.config, "layer_types", None)
        if not any(reads(base, name) for name in ("layer_types", "layer_type", "attention_type")):
            types = None  # one mask for all blocks (Mistral), whatever the config says
        layer = getattr(attn, "layer_idx", None)
        if window is None and types and layer is not None and types[layer] == "sliding_attention":
            window = getattr(self.config, "sliding_window", None)
        if window is None and not types:
            window = getattr(self.config, "sliding_window", None)
        return int(window) if window else None

    def _clip(self, attn: nn.Module) -> float | None:
        """The limit to which q, k and v are clipped (``clip_qkv``); ``None``: they are not."""
        if not reads(attn, "clip_qkv"):
            return None
        found: Any = attn.clip_qkv if hasattr(attn, "clip_qkv") else getattr(self.config, "clip_qkv", None)
        return float(found) if found else None

    def _projections(self, attn: nn.Module, parts: BlockParts, facts: dict[str, Any], n_heads: int, n_kv: int) -> None:
        separate, fused = first(attn, "q"), first(attn, "qkv")
        if separate is not None:
            for name in ("q", "k", "v"):
                parts.modules[name] = first(attn, name)
                parts.maps[name] = self.linear(parts.modules[name])
            head_dim = self._gate(attn, parts, facts, n_heads, n_kv)
        elif fused is not None:
            outputs = self.linear(fused).outputs
            head_dim = outputs // (n_heads + 2 * n_kv)
            parts.modules["qkv"] = fused
            for part, name in enumerate(("q", "k", "v")):
                parts.maps[name] = self.linear(fused, packed_rows(self.quirk.packing, part, n_heads, n_kv, head_dim))
        else:
            raise self.fail(_("the projection to q, k and v"))
        value_dim = parts.maps["v"].outputs // n_kv
        facts.update(head_dim=head_dim, value_dim=value_dim, attn_bias=parts.maps["q"].bias is not None)

    def _gate(self, attn: nn.Module, parts: BlockParts, facts: dict[str, Any], n_heads: int, n_kv: int) -> int:
        """A gate on what the heads give: a projection of its own, or every second half of the one to q. Returns the size of a head of q."""
        wide = parts.maps["q"].outputs // n_heads
        given = int(parts.maps["o"].stored.shape[0 if parts.maps["o"].transposed else 1])
        own = first(attn, "attn_gate")
        if own is not None:
            outputs = self.linear(own).outputs
            if outputs in (given, n_heads):
                facts.update(gate="sigmoid", gate_per_head=outputs == n_heads)
                parts.modules["z_gate"], parts.maps["z_gate"] = own, self.linear(own)
            return wide
        if parts.maps["q"].outputs != 2 * given or parts.maps["k"].outputs // n_kv == wide:
            return wide
        half, heads = wide // 2, torch.arange(n_heads)[:, None]
        module = parts.modules["q"]
        parts.maps["q"] = self.linear(module, (heads * wide + torch.arange(half)).flatten())
        parts.maps["z_gate"] = self.linear(module, (heads * wide + half + torch.arange(half)).flatten())
        facts["gate"] = "sigmoid"
        return half

    def _latent(self, attn: Any, parts: BlockParts, facts: dict[str, Any], n_heads: int) -> None:
        q_rank = getattr(attn, "q_lora_rank", None)
        rank, nope, rope, value = attn.kv_lora_rank, attn.qk_nope_head_dim, attn.qk_rope_head_dim, attn.v_head_dim
        facts["latent"] = Latent(q_rank, rank, nope, rope)
        facts.update(
            head_dim=nope + rope, value_dim=value, attn_bias=bool(getattr(self.config, "attention_bias", False))
        )
        if q_rank is None:
            parts.modules["q"] = attn.q_proj
            parts.maps["q"] = self.linear(attn.q_proj)
        else:
            parts.modules.update(q_latent=attn.q_a_proj, q=attn.q_b_proj)
            parts.maps.update(q_latent=self.linear(attn.q_a_proj), q=self.linear(attn.q_b_proj))
            parts.norms["q_latent_norm"] = self._norm(attn.q_a_layernorm)
        down, up = attn.kv_a_proj_with_mqa, attn.kv_b_proj
        parts.modules.update(kv_down=down, kv_up=up)
        parts.norms["kv_latent_norm"] = self._norm(attn.kv_a_layernorm)
        heads, wide = torch.arange(n_heads)[:, None], nope + value
        parts.maps["kv_latent"] = self.linear(down, torch.arange(rank))
        parts.maps["k_rope"] = self.linear(down, torch.arange(rank, rank + rope))
        parts.maps["k_nope"] = self.linear(up, (heads * wide + torch.arange(nope)).flatten())
        parts.maps["v"] = self.linear(up, (heads * wide + nope + torch.arange(value)).flatten())

    def _scaling(self, attn: nn.Module, head_dim: int) -> float:
        """The factor on q·k. Newer versions of transformers call it ``scaling`` in families that had a name of their own for it."""
        if self.quirk.scale is None:
            return 1.0
        name, power = self.quirk.scale if hasattr(attn, self.quirk.scale[0]) else ("scaling", 1)
        if not hasattr(attn, name):  # written out in its code: the usual one, which is compared
            return float(head_dim**-0.5)
        return float(getattr(attn, name)) ** power

    def _qk_norm(self, attn: nn.Module, parts: BlockParts, facts: dict[str, Any]) -> None:
        norm_q, norm_k = first(attn, "q_norm"), first(attn, "k_norm")
        if norm_q is None:
            return
        if hasattr(norm_q, "norms"):
            facts["qk_norm"] = "per-head"
            parts.norms["q_norm"], parts.norms["k_norm"] = self._stacked(norm_q), self._stacked(norm_k)
        else:
            parts.norms["q_norm"], parts.norms["k_norm"] = self._norm(norm_q), self._norm(norm_k)
            weight = parts.norms["q_norm"].weight
            over_all = weight is not None and weight.dim() == 1 and weight.shape[0] != facts["head_dim"]
            facts["qk_norm"] = "all" if over_all else "per-head" if weight is not None and weight.dim() == 2 else "head"
        norm_v = first(attn, "v_norm")
        if norm_v is not None:
            parts.norms["v_norm"], parts.modules["v_norm"] = self._norm(norm_v), norm_v
            facts["v_norm"] = parts.norms["v_norm"].kind
        facts["qk_norm_kind"] = parts.norms["q_norm"].kind
        order = calls(type(attn))
        rotations = [at for at, name in enumerate(order) if "rotary" in name or "rope" in name]
        mine = [at for at, name in enumerate(order) if getattr(attn, name, None) is norm_q]
        facts["qk_norm_late"] = bool(rotations and mine and mine[0] > rotations[0])
        parts.modules.update(q_norm=norm_q, k_norm=norm_k)

    def _stacked(self, module: Any) -> NormParts:
        heads = [norm_parts(norm, self.names.get(id(norm), "norm")) for norm in module.norms]
        weight = None if heads[0].weight is None else torch.stack([head.weight for head in heads])  # type: ignore[misc]
        bias = None if heads[0].bias is None else torch.stack([head.bias for head in heads])  # type: ignore[misc]
        return NormParts(
            module, self.names.get(id(module), "norms"), heads[0].kind, heads[0].eps, weight, bias, separate=True
        )

    def _positions(self, attn: nn.Module, facts: dict[str, Any], index: int, base_module: nn.Module) -> None:
        config = self.config
        facts["alibi"] = bool(self.quirk.alibi or (getattr(config, "alibi", False) and reads(attn, "alibi")))
        rope = getattr(config, "rope_parameters", None)
        dims: Any = getattr(attn, "rotary_ndims", None)
        base: float | None
        uses = getattr(attn, "use_rope", True) and not facts["alibi"]
        if self.quirk.rotary_dims:
            dims, base = getattr(config, self.quirk.rotary_dims) or facts["head_dim"], self.quirk.rotary_base
        elif rope and uses:
            inner = rope.get(config.layer_types[index]) if isinstance(rope.get("full_attention"), dict) else rope
            base = inner.get("rope_theta") if isinstance(inner, dict) else None
            rotary = getattr(attn, "rotary_emb", None) or getattr(base_module, "rotary_emb", None)
            angles, usual = _angles(rotary, config.layer_types[index] if inner is not rope else "")
            share = float(inner.get("partial_rotary_factor") or 1.0) if isinstance(inner, dict) else 1.0
            latent: Latent | None = facts.get("latent")
            if angles is not None:  # what the model made of the config counts: Llama ignores a share of the dimensions
                dims = 2 * len(angles)
            dims = dims or (latent.rope_dims if latent else int(facts["head_dim"] * share))
            base = base if angles is None or (usual and follows(angles, base)) else None
        elif uses and getattr(attn, "position_embedding_type", None) == "rotary":  # ESM
            angles, usual = _angles(getattr(self._parent(base_module), "rotary_embeddings", None), "")
            dims, base = facts["head_dim"], getattr(config, "rope_theta", 10000.0)
            base = base if angles is not None and usual and follows(angles, base) else None
        else:
            return
        offset = facts["latent"].nope_dims if facts.get("latent") else 0
        layout = self.quirk.rotary_layout
        if offset and layout == "half" and getattr(config, "rope_interleave", False):
            layout = "split"
        if layout == "split" and not getattr(config, "rope_interleave", True):
            layout = "half"
        facts["rotary"] = Rotary(int(dims), base, layout, offset)


def _angles(rotary: Any, layer_type: str) -> tuple[Tensor | None, bool]:
    """The angles of one step of position, [dims / 2], as a model holds them (None: it keeps none); whether their cos and sin are used as they are.

    Yarn and LongRoPE multiply these by a factor, and dynamic kinds have other angles once a text is long.
    """
    own = f"{layer_type}_" if layer_type else ""
    found = getattr(rotary, f"{own}inv_freq", None)
    kind = getattr(rotary, "rope_type", "default")
    kind = kind.get(layer_type, "default") if isinstance(kind, dict) else kind
    usual = float(getattr(rotary, f"{own}attention_scaling", 1.0)) == 1.0 and kind not in ("dynamic", "longrope")
    return (found if isinstance(found, Tensor) else None), usual


def follows(angles: Tensor, base: float | None) -> bool:
    """Whether angles are the usual series ``base^(-2 j / dims)``; scaled ones (linear, yarn, LongRoPE ...) are not."""
    if base is None:
        return False
    series = float(base) ** -(torch.arange(len(angles), dtype=torch.float64) / len(angles))
    return bool(torch.allclose(angles.detach().cpu().double(), series, rtol=1e-4, atol=0.0))


def number(owner: Any, name: str) -> int:
    """An integer attribute of an object; 0 where there is none, or where it differs from block to block."""
    try:
        found = getattr(owner, name, None)
    except Exception:  # configurations that differ from block to block raise errors of their own
        return 0
    return int(found) if isinstance(found, int) else 0
