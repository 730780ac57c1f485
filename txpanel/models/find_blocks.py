"""Where the decoder blocks of a loaded model are, and of what kind each one is.

The language model is found from its token table (and from there upwards), never as the longest list of layers: a model that also reads
images or sound may have an encoder for them with more layers.
"""

from __future__ import annotations

import re
from typing import Any, cast

from torch import nn

from txpanel.errors import Unsupported
from txpanel.messages import _
from txpanel.models.adapters import core
from txpanel.models.parts import NAMES, first

MIXERS = (
    *NAMES["attn"],
    *(
        "mamba",
        "mixer",
        "linear_attn",
        "conv",
        "short_conv",
        "temporal_block",
        "time_mix",
        "time_mixing",
        "token_mixer",
    ),
    *("ssm", "recurrent", "rwkv", "mlstm_layer", "retention", "delta_net", "operator"),
)
"""Attribute names of attention or of the layer in its place, in order of preference."""

KINDS: tuple[tuple[str, str], ...] = (
    (r"(mlp|moe|ffn|feedforward|experts)(block|layer)?$", "mlp"),
    (r"rwkv", "rwkv"),
    (r"lightning|linear_?att|delta_?net|deltaatt|retention|gatedlinear|kda", "linear attention"),
    (r"mamba2", "mamba2"),
    (r"mamba", "mamba"),
    (r"conv", "convolution"),
    (r"recurrent(?!gemma)|rglru|lru|lstm|gru", "recurrent"),
    (r"att", "attention"),
    (r"mlp|moe|ffn|feedforward|experts", "mlp"),
)
"""Patterns in class names, and the kind that each means; the first that fits."""

TYPES = {
    "full_attention": "attention", "sliding_attention": "attention", "chunked_attention": "attention", "attention": "attention",
    "linear_attention": "linear attention", "conv": "convolution", "mamba": "mamba", "recurrent": "recurrent", "moe": "mlp", "mlp": "mlp",
}  # fmt: skip
"""Kinds of ``config.layer_types``, where a class name says nothing."""


def find_blocks(model: nn.Module, config: Any, family: str) -> list[nn.Module]:
    """The decoder blocks, in order.

    Raises:
        Unsupported: there is no list of blocks.
    """
    count = getattr(config, "num_hidden_layers", None)
    shared = _shared(model, config)
    if shared:
        return shared
    for owner in _around(model):
        lists = [list(found) for found in owner.modules() if isinstance(found, nn.ModuleList) and _are_blocks(found)]
        lists = [found for found in lists if not any(_inside(found, other) for other in lists)]
        if lists:
            direct = [list(child) for child in owner.children() if isinstance(child, nn.ModuleList)]
            return max(lists, key=lambda found: (len(found) == count, found in direct, len(found)))
    words = _(
        "'{family}' has no list of blocks that a text goes through one after another, so it cannot be shown step by step. "
        "Open another model, or report this family."
    )
    raise Unsupported(words.format(family=family))


def _shared(model: nn.Module, config: Any) -> list[nn.Module]:
    """The blocks of a model that goes through the same ones several times (ALBERT), each as often as it is called; [] for all others."""
    groups = next((found for name, found in model.named_modules() if name.endswith("albert_layer_groups")), None)
    if not isinstance(groups, nn.ModuleList):
        return []
    each = config.num_hidden_layers / len(groups)
    places = [int(i / each) for i in range(config.num_hidden_layers)]
    return [block for place in places for block in cast(Any, groups[place]).albert_layers]


def _around(model: Any) -> list[nn.Module]:
    """The modules around the token table, from the innermost outwards."""
    try:
        table = model.get_input_embeddings() if hasattr(model, "get_input_embeddings") else None
    except NotImplementedError:
        table = None
    path = next((name for name, module in model.named_modules() if module is table), "") if table is not None else ""
    steps = path.split(".")[:-1]
    return [model.get_submodule(".".join(steps[:n])) for n in range(len(steps), -1, -1)]


def _are_blocks(found: nn.ModuleList) -> bool:
    """Whether a list holds blocks: modules of several parts, not linear maps, norms or the experts of a mixture."""
    return len(found) > 0 and all(_has_parts(block) for block in found)


def _has_parts(block: nn.Module) -> bool:
    """Whether a module has several parts, or a list of them alone (T5)."""
    parts = list(core(block).children())
    return len(parts) > 1 or (len(parts) == 1 and isinstance(parts[0], nn.ModuleList) and len(parts[0]) > 1)


def _inside(found: list[nn.Module], other: list[nn.Module]) -> bool:
    """Whether a list is inside a block of another list."""
    return found is not other and any(
        found[0] is inner for block in other for inner in block.modules() if inner is not block
    )


def find_mixer(block: nn.Module) -> tuple[str, nn.Module] | None:
    """What mixes the tokens in a block, with its path in there; ``None``: it has only an MLP, or there are several candidates."""
    for path in MIXERS:
        found: Any = block
        for step in path.split("."):
            found = getattr(found, step, None)
        if isinstance(found, nn.Module):
            return (path, found) if class_kind(found) != "mlp" else None
    others = [(name, child) for name, child in block.named_children() if _may_mix(child)]
    return others[0] if len(others) == 1 else None


def find_mlp(block: nn.Module) -> tuple[str, nn.Module] | None:
    """A block's MLP, dense or a mixture, with its path in there."""
    for path in NAMES["mlp"]:
        found: Any = block
        for step in path.split("."):
            found = getattr(found, step, None)
        if isinstance(found, nn.Module) and not isinstance(core(found), nn.Linear):
            return path, found
    mixed = getattr(block, "mixer", None)  # a block that is an MLP alone
    return ("mixer", mixed) if isinstance(mixed, nn.Module) and class_kind(mixed) == "mlp" else None


def _may_mix(child: nn.Module) -> bool:
    child = core(child)
    name = type(child).__name__.lower()
    plain = isinstance(child, (nn.Linear, nn.Dropout, nn.Identity, nn.ModuleList, nn.Embedding))
    return not plain and "norm" not in name and class_kind(child) not in ("mlp", "unknown")


def class_kind(module: nn.Module) -> str:
    """What a module's class name says about its kind; state-space layers are told apart by their parts."""
    module = core(module)
    name = type(module).__name__.lower()
    kind = next((kind for pattern, kind in KINDS if re.search(pattern, name)), "unknown")
    if kind in ("unknown", "mamba", "mamba2") and hasattr(module, "A_log"):
        return "mamba" if hasattr(module, "dt_proj") else "mamba2"
    return kind


def kind_of(block: nn.Module, mixer: nn.Module | None, config: Any, index: int) -> str:
    """The kind of a block: see :class:`~txpanel.models.anatomy.BlockAnatomy`."""
    several = {class_kind(child) for child in block.children() if _may_mix(child)} - {"mlp", "unknown"}
    if len(several) > 1:
        return "hybrid"
    if mixer is None:
        return "mlp" if find_mlp(block) is not None else "unknown"
    kind = class_kind(mixer)
    if kind == "unknown":
        types = getattr(config, "layer_types", None) or getattr(config, "layers_block_type", None) or []
        kind = TYPES.get(str(types[index]), "unknown") if index < len(types) else "unknown"
    return "attention" if kind == "unknown" and first(mixer, "o") is not None else kind
