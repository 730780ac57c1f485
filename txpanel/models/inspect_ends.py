"""Reading the parts before and after the blocks: from token ids to the first residual stream, and from the last one to the logits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from txpanel.errors import Unsupported
from txpanel.messages import _
from txpanel.models import adapters
from txpanel.models.inspect_attention import AttentionInspector
from txpanel.models.inspect_mlp import written_activation
from txpanel.models.parts import ModelParts, first
from txpanel.models.quantised import is_plain
from txpanel.models.used_settings import logit_scale, logit_softcap, reads


class EndsInspector(AttentionInspector):
    """The part of the inspector that reads the two ends of a model."""

    # -- before the blocks -----------------------------------------------------------------------------------------------

    def _read_embedding(self, whole: ModelParts, facts: dict[str, Any], embed: Any, base: Any) -> None:
        """From token ids to the first stream."""
        owner = self._parent(embed)
        embed = self.plain(embed)
        if not is_plain(embed.weight):
            raise Unsupported(_("The embedding matrix is quantised, and only the packed numbers are there."))
        whole.tables["embed"] = (self.names.get(id(embed.weight), "embed.weight"), embed.weight.detach())
        facts["embed_scale"] = self._embed_scale(embed, base)
        if owner is not base and (first(owner, "own_embed_norm") or first(owner, "own_pos_embed")) is not None:
            self._embeddings(whole, facts, owner, base)
            return
        position, embed_norm = self.plain(first(base, "pos_embed")), first(base, "embed_norm")
        rows = getattr(position, "weight", getattr(position, "weights", None))
        if isinstance(rows, Tensor):
            whole.tables["pos_embed"] = (self.names.get(id(rows), "pos_embed.weight"), rows.detach())
            if reads(position, "create_position_ids_from_input_ids"):  # M2M100 counts as RoBERTa does
                facts["position_pad"] = position.padding_idx
            else:
                facts["position_offset"] = int(getattr(position, "offset", self.quirk.position_offset))
            late = first(base, "embed_norm_late") if embed_norm is None else None
            embed_norm, facts["embed_norm_late"] = embed_norm or late, late is not None
        if getattr(base, "project_in", None) is not None:
            self._projection(whole, facts, base.project_in)
        if embed_norm is not None:
            whole.norms["embed_norm"] = self._norm(embed_norm)
            facts.update(embed_norm=True, embed_norm_kind=whole.norms["embed_norm"].kind)

    def _embeddings(self, whole: ModelParts, facts: dict[str, Any], owner: nn.Module, base: nn.Module) -> None:
        """A module of embedding tables (BERT): their rows are added, normalised, and projected to the stream's width."""
        facts["embed_after"] = True
        position, types = first(owner, "own_pos_embed"), first(owner, "own_token_types")
        if position is not None and getattr(owner, "position_embedding_type", "absolute") == "absolute":
            facts["position_pad"] = self._table(whole, "pos_embed", position).padding_idx
        if types is not None:
            self._table(whole, "token_type_embed", types)
            facts["token_types"] = True
        norm = first(owner, "own_embed_norm")
        if norm is not None:
            whole.norms["embed_norm"] = self._norm(norm)
            facts.update(embed_norm=True, embed_norm_kind=whole.norms["embed_norm"].kind)
        places = (owner, self._parent(owner), *self._ancestors(base))
        projection = next(
            (found for place in places if (found := first(place, "own_embed_projection")) is not None), None
        )
        if projection is not None:
            self._projection(whole, facts, projection)
        if getattr(owner, "token_dropout", False) and reads(owner, "token_dropout"):
            facts["mask_dropped"] = getattr(owner, "mask_token_id", None)

    def _ancestors(self, module: nn.Module) -> list[nn.Module]:
        """A module and those around it, from the innermost outwards."""
        steps = self.names.get(id(module), "").split(".")
        return [self.model.get_submodule(".".join(steps[:n])) for n in range(len(steps), 0, -1)]

    def _table(self, whole: ModelParts, name: str, table: Any) -> Any:
        """A table whose rows are added; returns the module that has them."""
        table = self.plain(table)
        whole.tables[name] = (self.names.get(id(table.weight), f"{name}.weight"), table.weight.detach())
        return table

    def _projection(self, whole: ModelParts, facts: dict[str, Any], module: nn.Module) -> None:
        whole.modules["embed_projection"] = module
        whole.maps["embed_projection"] = self.linear(module)
        facts["embed_projection"] = True

    def _embed_scale(self, embed: Any, base: Any) -> float:
        stored = getattr(embed, "embed_scale", getattr(base, "embed_scale", None))
        if stored is not None:
            return float(stored.to(embed.weight.dtype)) if isinstance(stored, Tensor) else float(stored)
        if self.quirk.embed_sqrt_width:
            return float(torch.tensor(self.config.hidden_size**0.5, dtype=embed.weight.dtype))
        return float(getattr(base, "embedding_multiplier", 1.0))

    # -- after the blocks ----------------------------------------------------------------------------------------------

    def _read_output(self, whole: ModelParts, facts: dict[str, Any], head: Any, base: Any) -> None:
        """From the last stream to the logits."""
        facts["final_norm"] = None
        if head is None:
            raise self.fail(_("the unembedding"))
        whole.maps["unembed"] = self.linear(head)
        ln_final = first(base, "ln_final")
        if ln_final is None and base is not self.model:
            ln_final = first(self._parent(base), "outer_ln_final")
        if ln_final is not None:
            whole.norms["ln_final"] = self._norm(ln_final)
            facts["final_norm"] = whole.norms["ln_final"].kind
        if getattr(base, "project_out", None) is not None:
            whole.modules["output_projection"] = base.project_out
            whole.maps["output_projection"] = self.linear(base.project_out)
            facts["output_projection"] = True
        inner = adapters.inner_model(self.model)
        facts["logit_scale"], facts["logit_softcap"] = (
            logit_scale(inner, self.config),
            logit_softcap(inner, self.config),
        )
        self._masked_head(whole, facts, inner, head)
        facts["logit_bias"] = whole.maps["unembed"].bias is not None

    def _masked_head(self, whole: ModelParts, facts: dict[str, Any], inner: nn.Module, head: nn.Module) -> None:
        """The matrix, activation and norm of a masked language model's head, and a bias that stands beside its unembedding."""
        dense, norm = first(inner, "head_dense"), first(inner, "head_norm")
        if isinstance(dense, nn.Module):
            whole.modules["mlm_dense"], whole.maps["mlm_dense"] = dense, self.linear(dense)
            facts["head_width"] = whole.maps["mlm_dense"].outputs
            facts["head"], whole.head_activation = self._head_activation(
                first(inner, "head_act") or getattr(inner, "activation", None), self._parent(dense)
            )
            if norm is not None:
                whole.norms["mlm_norm"] = self._norm(norm)
                facts["head_norm"] = whole.norms["mlm_norm"].kind
        unembed = whole.maps["unembed"]
        beside = getattr(self._parent(head), "bias", None)
        apart = getattr(inner, "final_logits_bias", None)  # of encoder-decoders: a buffer [1, V]
        if isinstance(apart, Tensor) and unembed.bias is None:
            whole.logit_bias = apart[0]
            whole.maps["unembed"] = replace(unembed, bias=apart[0], bias_name=self.names.get(id(apart), "bias"))
            return
        if unembed.bias is None and isinstance(beside, Tensor) and beside.shape == (unembed.outputs,):
            whole.logit_bias = beside
            whole.maps["unembed"] = replace(unembed, bias=beside, bias_name=self.names.get(id(beside), "bias"))

    def _head_activation(self, module: Any, head: nn.Module) -> tuple[str, Any]:
        """Name and function; most keep a module for it, RoBERTa's is written out."""
        if not callable(module):
            return "gelu", written_activation(head) or ACT2FN["gelu"]
        said = [
            value
            for key in ("hidden_act", "activation", "classifier_activation")
            if isinstance(value := getattr(self.config, key, None), str)
        ]
        known = [name for name in (*said, "gelu", *ACT2FN) if name in ACT2FN]
        return next((name for name in known if type(ACT2FN[name]) is type(module)), type(module).__name__), module
