"""The tensors of a GGUF file as weights of a transformers model: every weight from the file, and every tensor of the file used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from txpanel.errors import BadFile, Unsupported
from txpanel.messages import _, plural
from txpanel.models.sources.gguf_content import Content
from txpanel.models.sources.gguf_rope import FREQS, LONG, SHORT
from txpanel.models.sources.gguf_rules import Rules

if TYPE_CHECKING:
    from torch import Tensor

Array = npt.NDArray[np.float32]


def weights(content: Content, rules: Rules, model: Any, tell: Callable[[int], None]) -> dict[str, Tensor]:
    """float32 weights by their names in transformers.

    Args:
        model: the model without weights (on the meta device), which says what is wanted. tell: called with how many numbers are unpacked so far.

    Raises:
        BadFile: a tensor is missing, of another shape, or holds numbers that are none. Unsupported: one that this model has no place for.
    """
    wanted = _wanted(content, model)
    missing = sorted(set(wanted) - set(content.tensors))
    if missing:
        words = plural(
            "{path} is incomplete: {n} tensor is missing, {first}. No weight is ever filled in.",
            "{path} is incomplete: {n} tensors are missing, the first is {first}. No weight is ever filled in.",
            len(missing),
        )
        raise BadFile(words.format(path=content.path, n=len(missing), first=missing[0]))
    beyond = sorted(set(content.tensors) - set(wanted) - {FREQS, LONG, SHORT})
    if beyond:
        words = plural(
            "{path} has {n} tensor that a {family} model of transformers has no place for, {first}. Without it, the "
            "numbers would be wrong.",
            "{path} has {n} tensors that a {family} model of transformers has no place for, the first is {first}. "
            "Without them, the numbers would be wrong.",
            len(beyond),
        )
        raise Unsupported(words.format(path=content.path, n=len(beyond), first=beyond[0], family=rules.family))
    found, done = dict[str, "Tensor"](), 0
    for stored, (name, shape) in wanted.items():
        found[name] = _weight(content, stored, name, shape, rules, model.config)
        done += found[name].numel()
        tell(done)
    return found


def _wanted(content: Content, model: Any) -> dict[str, tuple[str, tuple[int, ...]]]:
    """By the file's name of each tensor: the name in transformers and the shape. A head that is the token table is not stored twice."""
    import gguf  # late: only the process that converts needs it

    kind = next(kind for kind, name in gguf.MODEL_ARCH_NAMES.items() if name == content.architecture)
    names = gguf.get_tensor_name_map(kind, model.config.num_hidden_layers)
    tied = set(model.all_tied_weights_keys) if model.config.tie_word_embeddings else set()
    found: dict[str, tuple[str, tuple[int, ...]]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if name in tied:
            continue
        module, _dot, ending = name.rpartition(".")
        stored = names.get_name(module)
        if stored is None or f"{stored}.{ending}" in found:
            text = _("{path}: GGUF has no name for the weight {name}.")
            raise Unsupported(text.format(path=content.path, name=name))
        found[f"{stored}.{ending}"] = name, tuple(parameter.shape)
    return found


def _weight(content: Content, stored: str, name: str, shape: tuple[int, ...], rules: Rules, config: Any) -> Tensor:
    import torch  # late: only the process that converts needs it

    value = _numbers(content.path, content.tensors[stored])
    module = name.rpartition(".")[0]
    if rules.transposed and module.endswith(rules.transposed) and value.ndim == 2:
        value = value.T
    if value.shape != shape:
        text = _("{path} is damaged or of another kind: {name} has the shape {found} instead of {right}.")
        raise BadFile(text.format(path=content.path, name=stored, found=value.shape, right=shape))
    if rules.interleaved and module.endswith(("q_proj", "k_proj")):
        heads = config.num_attention_heads if module.endswith("q_proj") else config.num_key_value_heads
        value = _side_by_side(value, heads)
    tensor = torch.from_numpy(np.array(value, np.float32, order="C"))
    if rules.less_one and name.endswith("norm.weight"):
        tensor -= 1
    if not bool(torch.isfinite(tensor).all()):
        raise BadFile(
            _("{path} is damaged: {name} holds values that are NaN or infinite.").format(path=content.path, name=stored)
        )
    return tensor


def _numbers(path: Path, tensor: Any) -> Array:
    import gguf  # late: only the process that converts needs it

    try:
        found: Array = gguf.dequantize(tensor.data, tensor.tensor_type)
    except NotImplementedError as error:
        text = _("The tensor {name} is stored as {type}, which txpanel cannot read. It reads: {types}.")
        raise Unsupported(
            text.format(name=tensor.name, type=tensor.tensor_type.name, types="F32, F16, BF16")
        ) from error
    return found.reshape(tuple(int(n) for n in reversed(tensor.shape)))


def _side_by_side(value: Array, heads: int) -> Array:
    """Rows of rotary pairs from (2i, 2i + 1), as llama.cpp stores them, back to (i, i + half), as transformers rotates them."""
    half = value.shape[0] // heads // 2
    return value.reshape(heads, half, 2, *value.shape[1:]).swapaxes(1, 2).reshape(value.shape)
