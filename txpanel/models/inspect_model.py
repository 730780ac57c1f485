"""From a loaded causal language model to its anatomy (facts) and its parts (modules and weights)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from txpanel.errors import Unsupported
from txpanel.models.anatomy import Anatomy, BlockAnatomy, Latent, Rotary
from txpanel.models.inspect_mlp import MLPInspector
from txpanel.models.parts import BlockParts, ModelParts, NormParts, first, norm_parts, packed_rows
from txpanel.models.quirks import quirk_of


def inspect_model(model: nn.Module) -> tuple[Anatomy, ModelParts]:
    """Find a model's standard parts and describe its anatomy.

    Raises:
        Unsupported: in words, for models without attention (Mamba, RWKV), encoder-decoders, and structures not understood.
    """
    config = text_config(model)
    family = str(getattr(config, "model_type", type(model).__name__))
    if getattr(config, "is_encoder_decoder", False):
        raise Unsupported(
            f"'{family}' is an encoder-decoder: it reads one text and writes another. txpanel opens decoder-only models, "
            "which continue a text. Try GPT-2, SmolLM2 or another causal language model."
        )
    tensors = [*model.named_parameters(remove_duplicate=False), *model.named_buffers()]
    names = {id(tensor): name for name, tensor in reversed(tensors)}  # of tied parameters the first name counts
    names.update({id(module): name for name, module in model.named_modules()})
    blocks = find_blocks(model, family)
    inspector = _Inspector(model, config, family, quirk_of(family), names)
    try:
        return inspector.whole([inspector.block(index, block) for index, block in enumerate(blocks)])
    except (AttributeError, KeyError, IndexError, TypeError, RuntimeError) as error:  # a structure never seen before
        raise inspector.fail(f"one of its parts ({error})") from error


def text_config(model: nn.Module) -> Any:
    """The config of the language model, also where it sits inside a multimodal one."""
    config: Any = getattr(model, "config", None)
    if config is None:
        raise Unsupported(
            "This object has no config, so it is not a Hugging Face model. Wrap a causal language model from transformers."
        )
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def find_blocks(model: nn.Module, family: str) -> list[nn.Module]:
    """The decoder blocks: the longest list of modules that each have an attention and an MLP."""
    lists = [list(module) for module in model.modules() if isinstance(module, nn.ModuleList) and len(module) > 0]
    lists = [found for found in lists if first(found[0], "attn") is not None]
    if not lists:
        raise Unsupported(
            f"'{family}' has no attention blocks that can be opened (state-space and recurrent models such as Mamba and RWKV have none). "
            "There is no attention to show; open a transformer instead."
        )
    blocks = max(lists, key=len)
    bare = [index for index, block in enumerate(blocks) if first(block, "attn") is None]
    if bare:
        raise Unsupported(
            f"'{family}' mixes attention blocks with blocks of another kind (block {bare[0]} has no attention). txpanel can't show those; "
            "open a model whose blocks all have attention."
        )
    return blocks


class _Inspector(MLPInspector):
    """Reads one model, block by block."""

    # -- blocks ---------------------------------------------------------------------------------------------------

    def block(self, index: int, block: nn.Module) -> tuple[BlockAnatomy, BlockParts]:
        attn, mlp = first(block, "attn"), first(block, "mlp")
        parts = BlockParts(block=block, attn=attn, mlp=mlp if mlp is not None else block, quirk=self.quirk)
        facts: dict[str, Any] = {"index": index}
        self._norms(block, parts, facts)
        self._attention(attn, parts, facts)
        self._mlp(parts, facts)
        self._positions(attn, facts, index)
        facts["residual_multiplier"] = float(getattr(block, "residual_multiplier", 1.0))
        facts["norm_eps"] = {name: norm.eps for name, norm in parts.norms.items()}
        return BlockAnatomy(**facts), parts

    def _norms(self, block: nn.Module, parts: BlockParts, facts: dict[str, Any]) -> None:
        ln1, post_attn = first(block, "ln1"), getattr(block, "post_attention_layernorm", None)
        post_mlp = getattr(block, "post_feedforward_layernorm", None)
        facts["parallel"] = self._is_parallel(block)
        if post_mlp is not None:
            sandwich = getattr(block, "pre_feedforward_layernorm", None)
            facts["norm_place"] = "sandwich" if sandwich is not None else "branch"
            chosen = {"ln1": ln1, "attn_norm": post_attn, "ln2": sandwich, "mlp_norm": post_mlp}
        else:
            before = getattr(block, "do_layer_norm_before", True)
            facts["norm_place"] = "pre" if before else "post"
            ln2 = first(block, "ln2")
            chosen = {"ln1": ln1, "ln2": None if ln2 is ln1 else ln2}
        if ln1 is None and facts["norm_place"] != "branch":
            raise self.fail("the norm before attention")
        parts.norms = {name: self._norm(module) for name, module in chosen.items() if module is not None}
        facts["shared_norm"] = facts["parallel"] and "ln2" not in parts.norms
        facts["norm_kind"] = next(iter(parts.norms.values())).kind
        facts["norm_residual"] = bool(getattr(block, "apply_residual_connection_post_layernorm", False))

    def _norm(self, module: nn.Module) -> NormParts:
        return norm_parts(module, self.names.get(id(module), type(module).__name__))

    def _is_parallel(self, block: nn.Module) -> bool:
        for flag in ("use_parallel_residual", "parallel_attn"):
            if hasattr(block, flag):
                return bool(getattr(block, flag))
        if self.quirk.parallel_if:
            return any(getattr(self.config, flag) for flag in self.quirk.parallel_if)
        return first(block, "ln2") is None

    def _attention(self, attn: nn.Module, parts: BlockParts, facts: dict[str, Any]) -> None:
        config, quirk = self.config, self.quirk
        n_heads = int(config.num_attention_heads)
        n_kv = int(getattr(attn, "num_kv_heads", None) or getattr(config, "num_key_value_heads", None) or n_heads)
        o = first(attn, "o")
        if o is None:
            raise self.fail("the output projection of attention")
        parts.modules["o"] = o
        parts.maps["o"] = self.linear(o)
        if getattr(attn, "kv_a_proj_with_mqa", None) is not None:
            n_kv = n_heads
            self._latent(attn, parts, facts, n_heads)
        else:
            self._projections(attn, parts, facts, n_heads, n_kv)
        facts.update(n_heads=n_heads, n_kv_heads=n_kv)
        self._qk_norm(attn, parts, facts)
        facts["scaling"] = self._scaling(attn)
        facts["q_factor"] = float(getattr(attn, quirk.q_factor)) if quirk.q_factor else 1.0
        facts["softcap"] = getattr(attn, "attn_logit_softcapping", None)
        facts["window"] = self._window(attn)
        sinks = getattr(attn, "sinks", None)
        facts["sinks"] = sinks is not None
        if sinks is not None:
            parts.sinks = sinks

    def _window(self, attn: nn.Module) -> int | None:
        if getattr(attn, "attention_type", None) == "local":
            return int(self.config.window_size)
        window = getattr(attn, "sliding_window", None)
        types = getattr(self.config, "layer_types", None)
        layer = getattr(attn, "layer_idx", None)
        if window is None and types and layer is not None and types[layer] == "sliding_attention":
            window = getattr(self.config, "sliding_window", None)
        if window is None and not types:
            window = getattr(self.config, "sliding_window", None)
        return int(window) if window else None

    def _projections(self, attn: nn.Module, parts: BlockParts, facts: dict[str, Any], n_heads: int, n_kv: int) -> None:
        separate, fused = first(attn, "q"), first(attn, "qkv")
        if separate is not None:
            for name in ("q", "k", "v"):
                parts.modules[name] = first(attn, name)
                parts.maps[name] = self.linear(parts.modules[name])
            head_dim = parts.maps["q"].outputs // n_heads
        elif fused is not None:
            outputs = self.linear(fused).outputs
            head_dim = outputs // (n_heads + 2 * n_kv)
            parts.modules["qkv"] = fused
            for part, name in enumerate(("q", "k", "v")):
                parts.maps[name] = self.linear(fused, packed_rows(self.quirk.packing, part, n_heads, n_kv, head_dim))
        else:
            raise self.fail("the projection to q, k and v")
        value_dim = parts.maps["v"].outputs // n_kv
        facts.update(head_dim=head_dim, value_dim=value_dim, attn_bias=parts.maps["q"].bias is not None)

    def _latent(self, attn: Any, parts: BlockParts, facts: dict[str, Any], n_heads: int) -> None:
        rank, nope, rope, value = attn.kv_lora_rank, attn.qk_nope_head_dim, attn.qk_rope_head_dim, attn.v_head_dim
        facts["latent"] = Latent(attn.q_lora_rank, rank, nope, rope)
        facts.update(
            head_dim=nope + rope, value_dim=value, attn_bias=bool(getattr(self.config, "attention_bias", False))
        )
        if attn.q_lora_rank is None:
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

    def _scaling(self, attn: nn.Module) -> float:
        """The factor on q·k. Newer versions of transformers call it ``scaling`` in families that had a name of their own for it."""
        if self.quirk.scale is None:
            return 1.0
        name, power = self.quirk.scale if hasattr(attn, self.quirk.scale[0]) else ("scaling", 1)
        if not hasattr(attn, name):
            raise self.fail("the scale of attention")
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
        facts["qk_norm_kind"] = parts.norms["q_norm"].kind
        parts.modules.update(q_norm=norm_q, k_norm=norm_k)

    def _stacked(self, module: Any) -> NormParts:
        heads = [norm_parts(norm, self.names.get(id(norm), "norm")) for norm in module.norms]
        weight = None if heads[0].weight is None else torch.stack([head.weight for head in heads])  # type: ignore[misc]
        bias = None if heads[0].bias is None else torch.stack([head.bias for head in heads])  # type: ignore[misc]
        return NormParts(
            module, self.names.get(id(module), "norms"), heads[0].kind, heads[0].eps, weight, bias, separate=True
        )

    def _positions(self, attn: nn.Module, facts: dict[str, Any], index: int) -> None:
        config = self.config
        facts["alibi"] = bool(self.quirk.alibi or getattr(config, "alibi", False))
        rope = getattr(config, "rope_parameters", None)
        dims: Any = getattr(attn, "rotary_ndims", None)
        base: float | None
        uses = getattr(attn, "use_rope", True) and not facts["alibi"]
        if self.quirk.rotary_dims:
            dims, base = getattr(config, self.quirk.rotary_dims) or facts["head_dim"], self.quirk.rotary_base
        elif rope and uses:
            inner = rope.get(config.layer_types[index]) if isinstance(rope.get("full_attention"), dict) else rope
            base = inner.get("rope_theta") if isinstance(inner, dict) else None
            share = float(inner.get("partial_rotary_factor") or 1.0) if isinstance(inner, dict) else 1.0
            latent: Latent | None = facts.get("latent")
            dims = dims or (latent.rope_dims if latent else int(facts["head_dim"] * share))
        else:
            return
        offset = facts["latent"].nope_dims if facts.get("latent") else 0
        layout = self.quirk.rotary_layout
        if layout == "split" and not getattr(config, "rope_interleave", True):
            layout = "half"
        facts["rotary"] = Rotary(int(dims), base, layout, offset)

    # -- the rest -------------------------------------------------------------------------------------------------

    def whole(self, opened: list[tuple[BlockAnatomy, BlockParts]]) -> tuple[Anatomy, ModelParts]:
        model: Any = self.model
        blocks, parts = [facts for facts, _ in opened], [part for _, part in opened]
        embed, head = model.get_input_embeddings(), model.get_output_embeddings()
        base = self._base(parts[0].block)
        if embed is None or head is None:
            raise self.fail("the token table or the unembedding")
        position, embed_norm, ln_final = (first(base, part) for part in ("pos_embed", "embed_norm", "ln_final"))
        position = position if getattr(position, "weight", None) is not None else None
        whole = ModelParts(blocks=parts, names=self.names, embed=embed, maps={"unembed": self.linear(head)})
        whole.tables["embed"] = (self.names.get(id(embed.weight), "embed.weight"), embed.weight.detach())
        if position is not None:
            whole.tables["pos_embed"] = (
                self.names.get(id(position.weight), "pos_embed.weight"),
                position.weight.detach(),
            )
        for name, attribute in (("embed_projection", "project_in"), ("output_projection", "project_out")):
            if getattr(base, attribute, None) is not None:
                whole.maps[name] = self.linear(getattr(base, attribute))
        for name, module in (("embed_norm", embed_norm), ("ln_final", ln_final)):
            if module is not None:
                whole.norms[name] = self._norm(module)
        facts = Anatomy(
            family=self.family, n_layers=len(blocks), width=whole_width(parts[0]), vocab=int(head.weight.shape[0]),
            max_tokens=int(getattr(self.config, "max_position_embeddings", None) or getattr(self.config, "max_seq_len", None) or 10**9),
            positions=self._position_kind(blocks, position is not None), tied=head.weight.data_ptr() == embed.weight.data_ptr(),
            parameters=sum(parameter.numel() for parameter in model.parameters()), blocks=tuple(blocks), embed_width=int(embed.weight.shape[1]),
            embed_scale=self._embed_scale(embed, base), embed_norm=embed_norm is not None,
            embed_norm_kind=whole.norms["embed_norm"].kind if embed_norm is not None else "LayerNorm",
            embed_projection="embed_projection" in whole.maps, position_offset=self.quirk.position_offset if position is not None else 0,
            final_norm=whole.norms["ln_final"].kind if "ln_final" in whole.norms else None, output_projection="output_projection" in whole.maps,
            logit_scale=self._logit_scale(), logit_softcap=getattr(self.config, "final_logit_softcapping", None),
            logit_bias=whole.maps["unembed"].bias is not None,
            norm_eps={name: norm.eps for name, norm in whole.norms.items()},
        )  # fmt: skip
        return facts, whole

    def _base(self, block: nn.Module) -> nn.Module:
        """The module that holds the list of blocks."""
        path = self.names[id(block)].rsplit(".", 2)[0]
        return self.model.get_submodule(path)

    def _position_kind(self, blocks: list[BlockAnatomy], learned: bool) -> Any:
        if learned:
            return "learned"
        return "rotary" if any(b.rotary for b in blocks) else "alibi" if blocks[0].alibi else "none"

    def _embed_scale(self, embed: Any, base: Any) -> float:
        stored = getattr(embed, "embed_scale", None)
        if stored is not None:
            return float(stored.to(embed.weight.dtype)) if isinstance(stored, Tensor) else float(stored)
        if self.quirk.embed_sqrt_width:
            return float(torch.tensor(self.config.hidden_size**0.5, dtype=embed.weight.dtype))
        return float(getattr(base, "embedding_multiplier", 1.0))

    def _logit_scale(self) -> float:
        scaling = getattr(self.config, "logits_scaling", None)
        return 1.0 / float(scaling) if scaling else float(getattr(self.config, "logit_scale", None) or 1.0)


def whole_width(block: BlockParts) -> int:
    """Numbers in the residual stream: what the output projection writes."""
    return int(block.maps["o"].outputs)
