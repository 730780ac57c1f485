"""What a model's processor returns for text with images or sound: read, checked, and identified by a digest of its content.

Everything but the token ids is passed to the model unchanged. Arguments with an entry per token (masks, kinds of tokens) grow with the
text as in the model's own ``generate``.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from txpanel.errors import BadText, Unsupported
from txpanel.messages import _
from txpanel.models.tokens import Place, token_ids

PLACE_ID = re.compile(r"(image|video|audio|sound|speech)_token_(?:id|index)")
"""Config entries that hold the ids of tokens that stand for an image or a sound."""
OURS = frozenset(
    {
        "labels", "inputs_embeds", "position_ids", "past_key_values", "cache", "use_cache", "cache_position", "output_attentions",
        "output_hidden_states", "return_dict", "logits_to_keep", "kwargs", "self", "input_ids",
    }
)  # fmt: skip
"""Arguments of a model's pass that txpanel sets itself; they may not stand in the inputs."""


@dataclass(eq=False)
class Inputs:
    """What a model reads beside its tokens.

    Attributes:
        ids: the token ids that it was made with. named: all else, by the names of the model's arguments. key: tells it from other contents.
        kinds: what token ids stand for (``image``, ``audio``, ...). places: where the model puts something else than the token's row.
        rows: what it puts there, float32 [n, D]. deltas: the shift of the positions after it (M-RoPE), by module, as the model has computed it.
        grows: whether a longer text was compared with the model's own ``generate``; ``None``: not yet; a sentence: it can't be continued.
    """

    ids: tuple[int, ...]
    named: dict[str, Any]
    key: str
    kinds: dict[int, str] = field(default_factory=dict)
    places: tuple[Place, ...] = ()
    rows: Tensor | None = None
    deltas: dict[int, Any] = field(default_factory=dict)
    grows: bool | str | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def begin(self, ids: Any) -> bool:
        """Whether a text begins with these tokens, so that what belongs to them belongs to it."""
        return len(ids) >= len(self.ids) and tuple(int(token) for token in ids[: len(self.ids)]) == self.ids

    def extended(self, model: Any, length: int) -> dict[str, Any]:
        """The arguments for a text that has grown to ``length`` tokens, as the model's own ``generate`` has them."""
        named, empty = dict(self.named), {"logits": None}
        for _more in range(length - len(self.ids)):
            named = model._update_model_kwargs_for_generation(empty, named, is_encoder_decoder=False)
        return {name: value for name, value in named.items() if name in self.named}


def read_inputs(model: Any, inputs: Any, device: torch.device) -> Inputs:
    """A processor's result as a model takes it.

    Args:
        model: of transformers. inputs: a mapping such as ``processor(text=..., images=..., return_tensors="pt")``, of one text.

    Raises:
        BadText: it is no such mapping, or of several texts. Unsupported: it has something that the model does not take. In words.
    """
    if not isinstance(inputs, Mapping) or "input_ids" not in inputs:
        raise BadText(
            _(
                "inputs must be what the model's processor returns: a mapping with input_ids, such as "
                'processor(text=..., images=..., return_tensors="pt").'
            )
        )
    given = {name: plain(name, value, device) for name, value in inputs.items() if value is not None}
    ids = given.pop("input_ids")
    if not isinstance(ids, Tensor) or ids.dim() not in (1, 2) or (ids.dim() == 2 and len(ids) != 1):
        raise BadText(_("inputs must be of one text: input_ids of the shape [1, tokens]."))
    numbers = token_ids(ids)
    mask = given.get("attention_mask")
    if isinstance(mask, Tensor):
        mask = given["attention_mask"] = mask[None] if mask.dim() == 1 else mask
        if mask.shape != (1, len(numbers)):
            words = _("attention_mask in inputs has the shape {shape}, and the text has {n} tokens.")
            raise BadText(words.format(shape=list(mask.shape), n=len(numbers)))
        if not bool(mask.bool().all()):
            raise BadText(_("inputs has padding. Remove it: a single text needs none."))
    if set(given) == {"attention_mask"}:  # a text, and nothing else
        given = {}
    if given and getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        words = _(
            "An encoder-decoder is given input_ids of its source alone, not “{name}”. To begin with tokens of the decoder: "
            "model.having_read(source).trace(ids)."
        )
        raise Unsupported(words.format(name=sorted(given.keys() - {"attention_mask"})[0]))
    ours = sorted(given.keys() & OURS)
    if ours:
        words = _("“{name}” does not belong in inputs: the run sets it itself. Remove it.")
        raise Unsupported(words.format(name=ours[0]))
    unknown = sorted(given.keys() - _taken(model))
    if unknown:
        words = _("The model does not accept “{name}”. It accepts: {names}.")
        names = ", ".join(sorted(_taken(model)))
        raise Unsupported(words.format(name=unknown[0], names=names))
    return Inputs(tuple(numbers), given, digest(numbers, given), kinds_of(model))


def kinds_of(model: Any) -> dict[int, str]:
    """The ids of tokens that stand for an image or a sound, and which of these (``image``, ``audio`` ...)."""
    found: dict[int, str] = {}
    config = getattr(model, "config", None)
    for name, value in sorted(vars(config).items()) if config is not None else ():
        kind = PLACE_ID.fullmatch(name)
        if kind is not None and isinstance(value, int):
            found.setdefault(value, kind[1])
    return found


def plain(name: str, value: Any, device: torch.device) -> Any:
    """A copy on the model's device, so that later changes of the original do not change a recorded run.

    Raises:
        BadText: it is neither a plain tensor, a list of them, an array, a number nor a text. In words.
    """
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        value = torch.from_numpy(value)
    if isinstance(value, Tensor) and (value.is_meta or value.is_nested or value.layout is not torch.strided):
        kind = value.device if value.is_meta else "nested" if value.is_nested else value.layout
        words = _("“{name}” in inputs is a tensor whose numbers cannot be read ({kind}). Give it as a plain one.")
        raise BadText(words.format(name=name, kind=str(kind).removeprefix("torch.")))
    if isinstance(value, Tensor):
        return value.detach().to(device, copy=True)
    if isinstance(value, (list, tuple)) and value and all(isinstance(one, Tensor) for one in value):
        return type(value)(one.detach().to(device, copy=True) for one in value)
    if isinstance(value, (bool, int, float, str)):
        return value
    words = _('“{name}” in inputs is not a tensor: call the processor with return_tensors="pt".')
    raise BadText(words.format(name=name))


def _taken(model: Any) -> set[str]:
    """Names of the arguments that are part of what a model reads; what its pass hands on without a name is its inner model's."""
    found = set[str]()
    for owner in (model, getattr(model, "model", None)):
        if owner is not None:
            found |= inspect.signature(type(owner).forward).parameters.keys()
    return found - OURS


def digest(ids: list[int], given: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of ids and arguments: equal digest, equal inputs."""
    made = hashlib.sha256(repr(ids).encode())
    for name, value in sorted(given.items()):
        for one in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(one, Tensor):
                plain = one.cpu().contiguous()
                made.update(f"{name} {plain.dtype} {tuple(plain.shape)} ".encode())
                made.update(plain.view(torch.uint8).numpy().tobytes() if plain.dim() else repr(plain.item()).encode())
            else:
                made.update(f"{name} {one!r} ".encode())
    return made.hexdigest()
