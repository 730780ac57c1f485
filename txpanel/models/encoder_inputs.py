"""What an encoder reads that is no text: a sound or a picture, as the model's own processor makes it.

The tensors are passed to the encoder unchanged. Its output vectors take the place of a text's tokens, and are named by their number.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from txpanel.errors import BadText, Unsupported
from txpanel.messages import _
from txpanel.models.given_inputs import digest, plain
from txpanel.models.tokens import Place, Tokens, token_ids

__all__ = ["KINDS", "EncoderInputs", "probes", "read_encoder_inputs", "source_tokens", "without_mask"]

KINDS = {
    "input_features": ("audio", 3),
    "input_values": ("audio", 2),
    "pixel_values": ("image", 4),
    "flattened_patches": ("image", 3),
}
"""What the arguments of encoders stand for, and how many axes they have, with the one of the batch."""
PARTS = ("encoder", "vision_config", "audio_config", "encoder_config")
"""Sub-configs that may hold the encoder's own settings."""
STEPS = 76
"""Length of the sound with which a model is verified whose encoder takes any length: frames, or hundreds of samples."""


@dataclass(frozen=True, eq=False)
class EncoderInputs:
    """What an encoder is given instead of token ids.

    Attributes:
        reads: the argument that is the sound or the picture. named: all arguments by name, tensors on the model's device. key: tells it from other contents.
        start: ids with which the decoder is to begin, where they came with it.
    """

    reads: str
    named: dict[str, Any]
    key: str
    start: tuple[int, ...] = ()

    @property
    def kind(self) -> str:
        """``audio`` or ``image``; else the name of the argument."""
        return KINDS.get(self.reads, (self.reads, 0))[0]


def read_encoder_inputs(reads: str, encoder: nn.Module, inputs: Any, like: Tensor) -> EncoderInputs:
    """A processor's result, for an encoder that reads no text.

    Args:
        reads: the argument that must be there. inputs: a mapping such as ``processor(audio, return_tensors="pt")``, of one sound or picture.
        like: a weight, whose device and type it gets.

    Raises:
        BadText: it is no such mapping, or of several. Unsupported: it has something that the encoder does not take. In words.
    """
    if not isinstance(inputs, Mapping) or inputs.get(reads) is None:
        words = _(
            "This model does not read text. Its encoder reads {name}: give what the model's processor returns, such as "
            'model.trace(inputs=processor(..., return_tensors="pt")).'
        )
        raise BadText(words.format(name=reads))
    given = {name: plain(name, value, like.device) for name, value in inputs.items() if value is not None}
    first = given.pop("decoder_input_ids", None)
    start = tuple(token_ids(first)) if isinstance(first, Tensor) else ()
    given.pop("labels", None)
    known = set(inspect.signature(type(encoder).forward).parameters) | {"attention_mask"}
    unknown = sorted(given.keys() - known - {reads})
    if unknown:
        words = _("The model does not accept “{name}”. It accepts: {names}.")
        raise Unsupported(words.format(name=unknown[0], names=", ".join(sorted({reads, "attention_mask"}))))
    found = given[reads]
    if not isinstance(found, Tensor) or found.dim() < 2 or len(found) != 1 or not found.is_floating_point():
        words = _("“{name}” in inputs must be one sound or picture: a tensor of real numbers whose first size is 1.")
        raise BadText(words.format(name=reads))
    named = {
        name: value.to(like.dtype) if isinstance(value, Tensor) and value.is_floating_point() else value
        for name, value in given.items()
    }
    return EncoderInputs(reads, named, digest([], named), start)


def without_mask(inputs: EncoderInputs, encoder: nn.Module, state: Callable[[dict[str, Any]], Tensor]) -> EncoderInputs:
    """The same without a mask that changes nothing: one of ones, or of an encoder that does not read it (Whisper's sounds end in silence).

    Args:
        state: what the encoder makes of what it is given.

    Raises:
        BadText: the mask leaves something out, so that not all vectors would stand for what was given.
    """
    mask = inputs.named.get("attention_mask")
    if mask is None:
        return inputs
    bare = {name: value for name, value in inputs.named.items() if name != "attention_mask"}
    if not bool(mask.bool().all()):
        takes = "attention_mask" in inspect.signature(type(encoder).forward).parameters
        if takes and not torch.equal(state(bare), state(inputs.named)):
            raise BadText(_("inputs has padding. Remove it: a single one needs none."))
    return replace(inputs, named=bare, key=digest([], bare))


def source_tokens(inputs: EncoderInputs, vectors: int, module: str) -> Tokens:
    """Tokens that stand for the encoder's vectors, shown as ``<audio> 3 of 1500``.

    Args:
        inputs: what the encoder read. vectors: how many it returned. module: the encoder's path in the model.
    """
    name = f"<{inputs.kind}> {{}} of {vectors}"
    places = (Place(0, vectors, inputs.kind, module),)
    return Tokens(
        np.zeros(vectors, np.int64), [name.format(i + 1) for i in range(vectors)], [b""] * vectors, True, places
    )


def probes(reads: str, config: Any, like: Tensor) -> Iterator[EncoderInputs]:
    """Sine waves to verify a model with, in the shapes that its encoder may take, the most likely shape first."""
    configs = [config, *(getattr(config, part) for part in PARTS if hasattr(config, part))]

    def said(*names: str) -> Any:
        return next((value for one in configs for name in names if (value := getattr(one, name, None))), None)

    shapes: list[tuple[int, ...]] = []
    bins, room, size = said("num_mel_bins"), said("max_source_positions"), said("image_size")
    if reads == "pixel_values":
        high, wide = size if isinstance(size, (list, tuple)) else (size or 224, size or 224)
        shapes += [(1, said("num_channels") or 3, high, wide)]
    elif reads == "flattened_patches":
        shapes += [(1, STEPS // 4, 2 + (said("patch_embed_hidden_size") or 768))]
    elif reads == "input_values":
        shapes += [(1, 100 * STEPS), (1, STEPS, bins or 80)]
    else:
        features = (said("input_feat_per_channel") or 80) * (said("input_channels") or 1)
        shapes += [(1, bins, 2 * room)] if bins and room else []  # Whisper's has one length
        shapes += [(1, STEPS, features), (1, STEPS, bins or 80), (1, bins or 80, STEPS)]
    for shape in shapes:
        numbers = (0.7919 * torch.arange(math.prod(shape))).sin().reshape(shape)
        if reads == "flattened_patches":  # row and column of each, counted from 1
            numbers[0, :, 0], numbers[0, :, 1] = 1, torch.arange(1, shape[1] + 1)
        named = {reads: numbers.to(like.device, like.dtype)}
        yield EncoderInputs(reads, named, digest([], named))
