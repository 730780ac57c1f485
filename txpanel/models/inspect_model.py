"""From a loaded language model to its anatomy (facts) and its parts (modules and weights)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from txpanel.errors import Unsupported
from txpanel.messages import _
from txpanel.models import adapters
from txpanel.models.anatomy import Anatomy, BlockAnatomy
from txpanel.models.closing import about_module, close_part
from txpanel.models.find_blocks import find_blocks, find_mixer, find_mlp, kind_of
from txpanel.models.inspect_cross import CrossInspector
from txpanel.models.inspect_ends import EndsInspector
from txpanel.models.pair import pair_of
from txpanel.models.parts import BlockParts, ModelParts, first
from txpanel.models.quantised import is_plain
from txpanel.models.quirks import quirk_of
from txpanel.models.reading_order import calls, norm_before, norm_places
from txpanel.models.token_head import refuse_other_heads
from txpanel.models.used_settings import reads


def inspect_model(model: nn.Module, given: nn.Module | None = None) -> tuple[Anatomy, ModelParts]:
    """Find a model's standard parts and describe its anatomy, as open as it can be read; what can't be read is opaque, with the reason.

    It is a proposal: :mod:`txpanel.tracing.verify` compares it with the model.

    Args:
        model: of transformers. given: the module that was handed over, by whose names parameters are called: `model`, or peft's around it.

    Raises:
        Unsupported: in words, for models that have no list of blocks or no token table.
    """
    config = text_config(model)
    _refuse_empty(model)
    family = str(getattr(config, "model_type", type(model).__name__))
    pair = pair_of(model)
    refuse_other_heads(model)
    given = model if given is None else given
    tensors = [*given.named_parameters(remove_duplicate=False), *given.named_buffers()]
    names = {id(tensor): name for name, tensor in reversed(tensors)}  # of tied parameters the first name counts
    names.update({id(module): name for name, module in given.named_modules()})
    adapters.refuse_foreign(model)
    inspector = _Inspector(given, config, family, quirk_of(family), names)
    inspector.pair = pair
    blocks = find_blocks(model if pair is None else pair.decoder, config, family)
    found = inspector.whole([inspector.block(index, block) for index, block in enumerate(blocks)])
    return _close_unread(model, *found, inspector.adapters_read)


def _close_unread(model: nn.Module, anatomy: Anatomy, parts: ModelParts, read: set[int]) -> tuple[Anatomy, ModelParts]:
    """The same, with those parts of blocks closed that have an active adapter which the inspector did not read.

    Outside the blocks (an image's tower, an encoder, another head) nothing is closed for it: the ways in and out are compared with the run.
    """
    for layer, own in enumerate(parts.blocks):
        whole = {id(inner) for module in own.opaque.values() for inner in module.modules()}  # called, need not be read
        for module, reason in adapters.unread(own.block, read | whole):
            owners = {"mixer": own.attn, "cross": own.cross, "mlp": own.mlp}
            part = next((name for name, one in owners.items() if one is not None and module in one.modules()), "block")
            if not {part, "block"} & set(anatomy.blocks[layer].opaque):
                anatomy = close_part(anatomy, parts, layer, part, reason)
    return anatomy, parts


def _refuse_empty(model: nn.Module) -> None:
    """Refuse a model with weights that were never loaded (device “meta”): its results would be arbitrary.

    Raises:
        Unsupported: in words, with the name of the first.
    """
    empty = [name for name, weight in model.named_parameters() if weight.device.type == "meta"]
    if empty:
        raise Unsupported(
            _(
                "Weights of this model hold no numbers (they are on the device “meta”), such as {name}. Load the whole model "
                "into memory, and open it again."
            ).format(name=empty[0])
        )


def rope_kinds(config: Any) -> list[dict[str, Any]]:
    """The rotary settings of a config: those for all blocks, and those for each kind of block where they differ."""
    rope = getattr(config, "rope_parameters", None)
    return [rope, *(kind for kind in rope.values() if isinstance(kind, dict))] if isinstance(rope, dict) else []


def text_config(model: nn.Module) -> Any:
    """The config of the language model, also where it sits inside a multimodal one."""
    config: Any = getattr(model, "config", None)
    if config is None:
        raise Unsupported(
            _(
                "This object has no config, so it is not a Hugging Face model. Wrap a causal language model from transformers."
            )
        )
    if getattr(config, "is_encoder_decoder", False) and hasattr(config, "get_text_config"):
        return config.get_text_config(decoder=True)
    return config.get_text_config() if hasattr(config, "get_text_config") else config


UNLIMITED = 10**9
"""Positions of a model that has no limit."""
ERRORS = (AttributeError, KeyError, IndexError, TypeError, ValueError, RuntimeError, ZeroDivisionError, Unsupported)
"""Errors that reading an unknown structure may raise."""


class _Inspector(EndsInspector, CrossInspector):
    """Reads one model, block by block."""

    # -- blocks ---------------------------------------------------------------------------------------------------

    def block(self, index: int, block: nn.Module) -> tuple[BlockAnatomy, BlockParts]:
        """Facts and parts of one block; what cannot be read in it is opaque."""
        mixer, mlp = find_mixer(block), find_mlp(block)
        if mlp is None and first(block, "down") is not None:
            mlp = ("", block)  # OPT keeps the two projections of its MLP in the block itself
        attn = self._own_copy(mixer[1]) if mixer is not None else None
        parts = BlockParts(block, attn, self._own_copy(mlp[1]) if mlp is not None else None, self.quirk)
        kind = kind_of(block, attn, self.config, index)
        facts: dict[str, Any] = {
            "index": index,
            "kind": kind,
            "mlp_there": mlp is not None,
            "opaque": {},
            "modules": {},
            "causal": not self.fills,
        }
        if kind == "unknown" or (kind == "hybrid" and attn is None):
            self._close(facts, parts, "block", block, _("its parts are not understood"))
            return BlockAnatomy(**facts), parts
        try:
            self._norms(block, parts, facts)
            self._cross(block, parts, facts)
        except ERRORS as error:
            self._close(facts, parts, "block", block, self._reason(_("its normalisations"), error))
            return BlockAnatomy(**facts), parts
        if kind == "attention":
            self._read_part(
                facts,
                parts,
                "mixer",
                attn,
                _("its attention"),
                lambda own: self._open_attention(attn, parts, own, index),
            )
        elif kind != "mlp":
            words = _("{name} is not attention but a layer of another kind ({kind})")
            self._close(facts, parts, "mixer", attn, words.format(name=type(attn).__name__, kind=kind))
        if mlp is not None:
            self._read_part(
                facts,
                parts,
                "mlp",
                None if mlp[1] is block else parts.mlp,
                _("its MLP"),
                lambda own: self._mlp(parts, own),
            )
        facts["residual_multiplier"] = self._residual_multiplier(block)
        facts["adapters"] = adapters.described(parts.maps)
        facts["quantised"] = {name: found.packed.method for name, found in parts.maps.items() if found.packed}
        facts["norm_eps"] = {name: norm.eps for name, norm in parts.norms.items()}
        return BlockAnatomy(**facts), parts

    def _own_copy(self, module: nn.Module) -> nn.Module:
        """A part of a block; the copy that an adapter runs in its place (``modules_to_save``)."""
        try:
            found: nn.Module = self.plain(module)
        except Unsupported:  # it is closed for that
            return module
        return found

    def _residual_multiplier(self, block: Any) -> float:
        """The factor on what attention and MLP add; ESM C divides by one."""
        divisor = getattr(block, "scaling_factor", None)
        if isinstance(divisor, float) and reads(block, "scaling_factor"):
            return 1.0 / divisor
        return float(getattr(block, "residual_multiplier", getattr(block, "residual_scale", 1.0)))

    def _read_part(
        self,
        facts: dict[str, Any],
        parts: BlockParts,
        part: str,
        module: nn.Module | None,
        what: str,
        read: Callable[[dict[str, Any]], None],
    ) -> None:
        """Read a part; where that fails, it is opaque."""
        kept = dict(parts.maps), dict(parts.norms), dict(parts.modules)
        own = dict(facts)
        try:
            read(own)
            facts.update(own)
        except ERRORS as error:
            parts.maps, parts.norms, parts.modules = kept
            self._close(
                facts, parts, part if module is not None else "block", module or parts.block, self._reason(what, error)
            )

    def _close(self, facts: dict[str, Any], parts: BlockParts, part: str, module: Any, reason: str) -> None:
        facts["opaque"][part] = reason
        for name, found in about_module(self.names, part, module).items():
            facts.setdefault(name, {}).update(found)
        parts.opaque[part] = module

    def _reason(self, what: str, error: Exception) -> str:
        if isinstance(error, Unsupported):
            return str(error)
        return _("{what} cannot be read ({error})").format(what=what, error=f"{type(error).__name__}: {error}"[:200])

    def _open_attention(self, attn: Any, parts: BlockParts, facts: dict[str, Any], index: int) -> None:
        self._attention(attn, parts, facts)
        self._positions(attn, facts, index, self._base(parts.block))
        self.distances(attn, parts, facts, self._base(parts.block))

    def _cross(self, block: nn.Module, parts: BlockParts, facts: dict[str, Any]) -> None:
        """Cross-attention, where it stands between attention and MLP, with its norm as theirs."""
        cross = first(block, "cross") if self.pair is not None else None
        if cross is None:
            return
        norm = first(block, "cross_ln") or norm_before(block, self._name_of(block, cross))
        if norm is None or facts["norm_place"] not in ("pre", "post") or facts["parallel"] or not facts["mlp_there"]:
            raise self.fail("the norm of cross-attention")
        parts.cross, parts.norms["cross_ln"] = cross, self._norm(norm)
        self._read_part(
            facts,
            parts,
            "cross",
            cross,
            _("its cross-attention"),
            lambda own: self.open_cross(cross, parts, own),
        )

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
            if not facts["parallel"] and not hasattr(block, "do_layer_norm_before"):
                facts["norm_place"], chosen = self._by_order(block, parts) or (facts["norm_place"], chosen)
                ln1 = chosen["ln1"]
            around: Any = getattr(block, "attention", None)  # ALBERT, MPNet: the norm is the last thing that it calls
            ends = (
                ln1 is not None
                and ln1 is getattr(around, "LayerNorm", None)
                and calls(type(around))[-1:] == ("LayerNorm",)
            )
            if ends or (ln1 is not None and ln1 is first(block, "post_ln1")):
                facts["norm_place"] = "post"
        if facts["kind"] == "mlp":
            chosen = {"ln2": chosen.get("ln2") or ln1}
        alone = facts["kind"] == "mlp" or not facts["mlp_there"]
        if alone:
            facts["parallel"] = False
        if ln1 is None and facts["norm_place"] != "branch":
            raise self.fail(_("the normalisation before attention"))
        for name, module in chosen.items():
            if module is None or isinstance(
                module, nn.Identity
            ):  # ModernBERT's first block has none before its attention
                continue
            try:
                parts.norms[name] = self._norm(module)
            except ERRORS as error:
                self._close(facts, parts, name, module, str(error))
        there = {*parts.norms, *facts["opaque"]}
        facts["shared_norm"] = facts["parallel"] and "ln2" not in there
        facts["norm_kind"] = next((norm.kind for norm in parts.norms.values()), "RMSNorm")
        facts["norm_residual"] = bool(getattr(block, "apply_residual_connection_post_layernorm", False))

    def _by_order(self, block: nn.Module, parts: BlockParts) -> tuple[Any, dict[str, Any]] | None:
        """Where the norms stand, by the order in which the block's code calls them."""
        inner = first(block, "up") if parts.mlp is block else parts.mlp
        named = first(block, "cross_ln") is not None  # else it may stand under the name of another
        cross = first(block, "cross") if self.pair is not None and not named else None
        return norm_places(block, *(self._name_of(block, part) for part in (parts.attn, inner, cross)))

    @staticmethod
    def _name_of(block: nn.Module, part: nn.Module | None) -> str:
        """The attribute of a block that is a part, or has it inside; "": there is none."""
        there = (name for name, child in block.named_children() if any(part is m for m in child.modules()))
        return next(there, "") if part is not None else ""

    def _is_parallel(self, block: nn.Module) -> bool:
        for flag in ("use_parallel_residual", "parallel_attn"):
            if hasattr(block, flag):
                return bool(getattr(block, flag))
        if self.quirk.parallel_if:
            return any(getattr(self.config, flag) for flag in self.quirk.parallel_if)
        if first(block, "ln2") is None and len(order := calls(type(block))) > 1:  # two norms under other names
            return sum("norm" in type(adapters.core(getattr(block, name, None))).__name__.lower() for name in order) < 2
        return first(block, "ln2") is None or first(block, "ln2") is first(block, "ln1")

    # -- the rest -------------------------------------------------------------------------------------------------

    def whole(self, opened: list[tuple[BlockAnatomy, BlockParts]]) -> tuple[Anatomy, ModelParts]:
        """Facts and parts of the model, from those of its blocks."""
        model: Any = adapters.inner_model(self.model)
        blocks, parts = [facts for facts, _parts in opened], [part for _facts, part in opened]
        embed, head = model.get_input_embeddings(), model.get_output_embeddings()
        if self.pair is not None:  # the encoder may have another table
            embed = first(self.pair.decoder, "embed") or embed
        table, unembedding = getattr(embed, "weight", None), getattr(head, "weight", None)
        whole = ModelParts(blocks=parts, names=self.names, embed=embed, continues=not self.fills)
        facts: dict[str, Any] = {"opaque": {}, "norm_eps": {}}
        base = self._base(parts[0].block)
        try:
            self._read_embedding(whole, facts, embed, base)
        except ERRORS as error:
            facts["opaque"]["embed"] = self._reason(_("the step from a token to the residual stream"), error)
        try:
            self._read_output(whole, facts, head, base)
        except ERRORS as error:
            facts["opaque"]["output"] = self._reason(_("the step from the residual stream to the logits"), error)
        facts["norm_eps"] = {name: norm.eps for name, norm in whole.norms.items()}
        facts["encoder"] = self.encoder()
        vocab = whole.maps["unembed"].outputs if "unembed" in whole.maps else int(self.config.vocab_size)
        width = self._width(parts, whole)
        anatomy = Anatomy(
            family=self.family, n_layers=len(blocks), width=width, vocab=vocab,
            max_tokens=self._max_tokens(whole, facts),
            positions=self._position_kind(blocks, "pos_embed" in whole.tables),
            tied=_are_one(table, unembedding), parameters=_count(model, parts, whole), blocks=tuple(blocks),
            embed_width=int(table.shape[1]) if table is not None else width, adapters=adapters.described(whole.maps),
            quantised={name: found.packed.method for name, found in whole.maps.items() if found.packed}, fills=self.fills, **facts,
        )  # fmt: skip
        return anatomy, whole

    def _max_tokens(self, whole: ModelParts, facts: dict[str, Any]) -> int:
        """Positions that the model was built for; none and -1 (XLNet) in a config: any number. No more than its table of positions has rows for.

        RoBERTa's begin behind the padding token's, so of 514 positions 512 are left. Dynamic NTK stretches its angles to a text of up to ``factor``
        times the length that the config says.
        """
        said = (getattr(self.config, name, None) for name in ("max_position_embeddings", "max_seq_len"))
        stated = next((int(n) for n in said if isinstance(n, (int, float)) and n > 0), UNLIMITED)
        if stated != UNLIMITED:
            stated = int(stated * self._stretch())
        name, table = whole.tables.get("pos_embed", ("", None))
        if table is None or name not in dict(self.model.named_parameters(remove_duplicate=False)):  # buffers can grow
            return stated
        pad = facts.get("position_pad")
        return min(stated, len(table) - int(facts.get("position_offset", 0)) - (0 if pad is None else int(pad) + 1))

    def _stretch(self) -> float:
        """How many times its stated length a text may have by dynamic NTK; 1: the model's code does nothing of the kind."""
        kinds = [str(getattr(module, "rope_type", "")) for module in self.model.modules()]
        factors = [kind.get("factor") for kind in rope_kinds(self.config) if kind.get("rope_type") == "dynamic"]
        known = [float(factor) for factor in factors if isinstance(factor, (int, float)) and factor > 1]
        return min(known) if known and any("dynamic" in kind for kind in kinds) else 1.0

    def _width(self, parts: list[BlockParts], whole: ModelParts) -> int:
        """Width of the residual stream: the outputs of an output projection; else what the config says."""
        for part in parts:
            if "o" in part.maps:
                return int(part.maps["o"].outputs)
        for key in ("hidden_size", "n_embd", "d_model"):
            if isinstance(getattr(self.config, key, None), int):
                return int(getattr(self.config, key))
        return int(whole.maps["unembed"].stored.shape[-1]) if "unembed" in whole.maps else 0

    def _position_kind(self, blocks: list[BlockAnatomy], learned: bool) -> Any:
        if learned:
            return "learned"
        if any(b.relative for b in blocks):
            return "relative"
        return "rotary" if any(b.rotary for b in blocks) else "alibi" if any(b.alibi for b in blocks) else "none"


def _are_one(table: Tensor | None, unembedding: Tensor | None) -> bool:
    """Whether two matrices are the same numbers in memory."""
    if table is None or unembedding is None or not (is_plain(table) and is_plain(unembedding)):
        return False
    return table.data_ptr() == unembedding.data_ptr()


def _count(model: nn.Module, blocks: list[BlockParts], whole: ModelParts) -> int:
    """How many weights there are; of packed ones those that they stand for."""
    maps = [found for part in [block.maps for block in blocks] + [whole.maps] for found in part.values()]
    packed = {id(found.stored): found.packed.shape for found in maps if found.packed}
    return sum(math.prod(packed.get(id(parameter), parameter.shape)) for parameter in model.parameters())
