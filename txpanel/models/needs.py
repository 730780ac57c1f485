"""How much memory a model will need, read from its configuration and from the tables of contents of its weights, before anything is loaded."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from txpanel.errors import TooLarge
from txpanel.messages import _
from txpanel.models import catalogue, machine, memory
from txpanel.models.progress import size_text
from txpanel.models.sources import folder as local

__all__ = ["Needs", "check", "of_entry", "of_folder", "words"]

ITEM = {"float64": 8, "float32": 4, "float": 4, "double": 8}
"""Bytes of a number by the name of its type; all others that weights can have take 2."""
STORED = {"F64": "float64", "F32": "float32", "BF16": "bfloat16", "F16": "float16"}
FRESH = 40_000_000
"""Bytes of a session that has looked at all views and at 25 texts: its page on the server, and unused memory between its objects.
Measured by `python -m benchmarks.soak`; one that has just been opened takes 11 million."""
BESIDE = 1.05
"""Factor on the weights for what loading takes beside them: buffers, and one tensor at a time in the type of the file."""

WIDTH = ("hidden_size", "n_embd", "d_model", "dim")
LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads")
SHARED = ("num_key_value_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num")
"""Names that configurations have for the same thing."""


@dataclass(frozen=True, slots=True)
class Needs:
    """The memory that a model needs, in bytes.

    Attributes:
        weights: of the model as it will be loaded. token: of each token of a text that is kept: its streams, keys and values; 0: not known.
        session: of a further session. dtype: of the weights, by name. parameters: how many.
    """

    weights: int
    token: int
    session: int
    dtype: str
    parameters: int


def of_folder(folder: Path, dtype: Any = None) -> Needs:
    """The needs of a model in a folder.

    Args:
        folder: with config.json and safetensors.
        dtype: a torch dtype or its name; ``None`` is float32, as for `txpanel.load`.

    Raises:
        BadFile, Unsupported: in words.
    """
    name = _name(dtype)
    tied = bool(local.config(folder).get("tie_word_embeddings", False))
    numbers = sum(_numbers(file, tied) for file in local.weights(folder))
    return _needs(numbers, name, local.config(folder))


def of_entry(entry: catalogue.Entry, dtype: Any = None) -> Needs:
    """The needs of a model of the catalogue that is not on this machine yet."""
    return _needs(entry.parameters, _name(dtype), {})


def _needs(numbers: int, name: str, config: Mapping[str, Any]) -> Needs:
    item = ITEM.get(name, 2)
    return Needs(numbers * item, _of_token(config, item), FRESH, name, numbers)


def _name(dtype: Any) -> str:
    return "float32" if dtype is None else str(dtype).removeprefix("torch.")


def _numbers(file: Path, tied: bool) -> int:
    """How many numbers a file of weights holds that will be loaded; its table of contents is read, nothing else."""
    local.check_safetensors(file)
    with file.open("rb") as opened:
        head = json.loads(opened.read(struct.unpack("<Q", opened.read(8))[0]))
    shapes = {name: entry["shape"] for name, entry in head.items() if name != "__metadata__"}
    # masks that old files keep among the weights have four dimensions; a tied output is the token table once more
    return sum(
        math.prod(shape)
        for name, shape in shapes.items()
        if len(shape) < 4 and not (tied and name.endswith("lm_head.weight") and len(shapes) > 1)
    )


def _of_token(config: Mapping[str, Any], item: int) -> int:
    """Bytes that a run keeps for each token: the stream before each block and after the last, keys and values."""
    text = config.get("text_config")
    config = text if isinstance(text, Mapping) else config
    width, layers, heads = (_first(config, names) for names in (WIDTH, LAYERS, HEADS))
    if not (width and layers):
        return 0
    each = _first(config, ("head_dim",)) or (width // heads if heads else width)
    shared = _first(config, SHARED) or heads or 1
    return ((layers + 1) * width + 2 * layers * shared * each) * item


def _first(config: Mapping[str, Any], names: tuple[str, ...]) -> int:
    found = (config.get(name) for name in names)
    return next((value for value in found if isinstance(value, int) and not isinstance(value, bool)), 0)


def words(needs: Needs) -> str:
    """What a model will need, for the terminal."""
    each = (
        _("{token} for each token of a text that is kept, ").format(token=size_text(needs.token)) if needs.token else ""
    )
    text = _(
        "{weights} for the weights ({dtype}), {token}about {session} for each session; up to {cap} are kept besides the weights."
    )
    return text.format(
        weights=size_text(needs.weights), dtype=needs.dtype, token=each, session=size_text(needs.session),
        cap=size_text(memory.cap()),
    )  # fmt: skip


def check(title: str, needs: Needs, *, free: int | None = None, place: str = "") -> None:
    """Refuse what cannot fit, before it takes the machine down.

    Args:
        title: of the model. free: bytes that there are; None: as this machine, or its container, has them. place: of a device of its own.

    Raises:
        TooLarge: in words.
    """
    room = machine.now()
    there = room.free if free is None else free
    if needs.weights * BESIDE <= there:
        return
    where = place or (_("this container") if room.contained else _("this machine"))
    half = _(" or --dtype bfloat16, which takes half") if ITEM.get(needs.dtype, 2) == 4 else ""
    text = _(
        "{title} does not fit: its weights alone take {weights} in {dtype}, and {where} has {free} of memory "
        "left. Choose a smaller model{half}."
    )
    raise TooLarge(
        text.format(
            title=title,
            weights=size_text(needs.weights),
            dtype=needs.dtype,
            where=where,
            free=size_text(there),
            half=half,
        )
    )
