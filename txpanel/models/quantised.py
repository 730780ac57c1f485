"""Weights that are stored in fewer bits: which method keeps them, the matrix that its kernel multiplies with, and the kernel's own error.

A packed matrix is unpacked when it is needed and not kept. Supported are the methods whose kernels were compared with this code (bitsandbytes 8 and
4 bit, torchao, quanto); others are recognised by their modules' attributes and refused by name: packed numbers are never shown as weights.

Kernels that also round their input (8-bit integers, float8) give another number than the unpacked matrix does. How far off that can be
is part of the explanation (`PackedWeight.error`): rounding errors are independent, so six standard deviations of their sum.
"""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import ref

import torch
from torch import Tensor, nn

from txpanel.errors import Unsupported
from txpanel.messages import _

__all__ = ["PackedWeight", "is_plain", "packed_weight", "plain_parts", "plain_values", "refuse_packed"]

SIGMAS = 6.0
"""Standard deviations that a sum of rounding errors is allowed."""
_last: tuple[Callable[[], object], list[tuple[int, int]], Tensor | None] = (lambda: None, [], None)
"""The matrix that was unpacked last: its module, where its packed numbers are and how often they were written to, its numbers."""
HELD = {
    "qweight": "GPTQ or AWQ", "W_q": "HQQ", "weight_packed": "compressed-tensors", "codebooks": "AQLM", "weight_scale_inv": "FP8",
    "gate_up_proj_blocks": "MXFP4", "trellis": "QTIP", "Qidxs": "QuIP#",
}  # fmt: skip
"""Attributes by which modules of unsupported methods are recognised, and the methods' names."""


@dataclass(frozen=True)
class PackedWeight:
    """A matrix in fewer bits.

    Attributes:
        module: the layer that holds it. method: of quantisation, in words. shape: (out, in).
        rounds_input: how the kernel rounds its input: to 8-bit integers by row, to float8, or not at all (``""``).
        outliers: inputs larger than this are not rounded to integers, but taken as they are (LLM.int8(), arXiv:2208.07339); 0: all are.
        computes_in: type in which the kernel multiplies, where that is narrower than float32.
    """

    module: nn.Module
    method: str
    shape: tuple[int, int]
    rounds_input: str = ""
    computes_in: torch.dtype | None = None
    outliers: float = 0.0

    def dense(self) -> Tensor:
        """Float32 [out, in]: the numbers that the kernel multiplies with. Not to be written to: the last one is cached."""
        global _last
        key = [(one.data_ptr(), one._version) for one in plain_parts(self.module.weight) if not one.is_inference()]  # type: ignore[arg-type]
        last, was, found = _last
        if found is None or not key or last() is not self.module or was != key:
            found = self._unpack()
            _last = (ref(self.module), key, found)
        return found

    def _unpack(self) -> Tensor:
        layer: Any = self.module
        with torch.inference_mode(False), torch.no_grad():
            if self.method.startswith("bitsandbytes, 8"):
                scale = layer.state.SCB if layer.state.SCB is not None else layer.weight.SCB
                found = layer.weight.data.float() * (scale.float()[:, None] / 127)
            elif self.method.startswith("bitsandbytes, 4"):
                found = _four_bits(layer.weight)
                found = found if self.computes_in is None else found.to(self.computes_in)
            else:
                found = layer.weight.dequantize()
        return found.detach().float()

    def error(self, x: Tensor, weight: Tensor) -> Tensor:
        """How far the kernel's output may be from ``weight @ x``.

        Args:
            x: its input [.., in]. weight: rows of `dense`, [out, in].

        Returns:
            Float32 [.., out]; 0 where the kernel only adds in float32.
        """
        x, variance = x.float(), torch.zeros(*x.shape[:-1], weight.shape[0], device=x.device, dtype=torch.float32)
        if self.rounds_input == "int8":  # steps of the row's largest number / 127, evenly spread errors
            size = x.abs()
            size = torch.where(size > self.outliers, 0.0, size) if self.outliers else size
            step = size.amax(-1, keepdim=True) / 127
            variance = variance + step**2 / 12 * weight.pow(2).sum(-1)
        elif self.rounds_input == "float8":  # three bits after the leading one
            variance = variance + (2.0**-4 / math.sqrt(3)) ** 2 * (x.pow(2) @ weight.pow(2).T)
        if self.computes_in is not None:
            eps = torch.finfo(self.computes_in).eps / 2
            variance = variance + 2 * eps**2 * (x.pow(2) @ weight.pow(2).T) + (eps * (x @ weight.T)) ** 2
        return SIGMAS * variance.sqrt()


def _four_bits(weight: Any) -> Tensor:
    """The matrix of a bitsandbytes weight of 4 bits, the weight left as it is.

    On processors with bfloat16 instructions (AVX-512) bitsandbytes 0.49 writes weights anew at their first use, in the order of its kernel, with
    scales of bfloat16 by column (``functional._convert_weight_packed_for_cpu``); its own ``dequantize_4bit`` reads only the order of before.
    """
    library, state, data = sys.modules["bitsandbytes"].functional, weight.quant_state, weight.data
    if getattr(state, "packing_format_for_cpu", False):
        scales, state = state.absmax, copy.copy(state)
        state.original_nested = False  # its scales are plain numbers since then
        data, state = library._convert_weight_packed_for_cpu_inverse(data, state)
        state.absmax, state.dtype = scales.float().T.reshape(-1).contiguous(), torch.float32
    found: Tensor = library.dequantize_4bit(data, state)
    return found


def is_plain(weight: object) -> bool:
    """Whether a parameter's own numbers are the weights: a floating point tensor that is no packed one."""
    if not isinstance(weight, Tensor) or _made_by(weight):
        return False
    return weight.is_floating_point() and weight.element_size() > 1


def plain_values(weight: Tensor) -> Tensor | None:
    """A parameter's numbers, unpacked where the parameter can do that by itself; ``None``: they are packed."""
    if is_plain(weight):
        return weight.detach()
    if _made_by(weight) and hasattr(weight, "dequantize"):
        with torch.inference_mode(False), torch.no_grad():
            return weight.dequantize().detach()
    return None


def plain_parts(weight: Tensor) -> list[Tensor]:
    """The tensors in memory that a parameter consists of."""
    flatten = getattr(weight, "__tensor_flatten__", None)
    if flatten is None or not _made_by(weight):
        return [weight]
    return [one for name in flatten()[0] if isinstance(one := getattr(weight, name), Tensor)]


def packed_weight(module: Any) -> PackedWeight | None:
    """How a linear layer keeps its matrix; ``None`` where it is a plain one.

    Raises:
        Unsupported: it is kept by a method that is not read here, which is named.
    """
    weight = getattr(module, "weight", None)
    kind = type(module).__module__
    if kind.startswith("bitsandbytes.") and type(module).__name__ == "Linear8bitLt":
        if isinstance(weight, Tensor) and weight.dtype == torch.int8:
            threshold = float(module.state.threshold or 0.0)
            return PackedWeight(module, "bitsandbytes, 8 bits", _shape(weight), "int8", torch.float16, threshold)
        raise _not_read(module, "bitsandbytes")
    if kind.startswith("bitsandbytes.") and type(module).__name__ == "Linear4bit":
        state = getattr(weight, "quant_state", None)
        if state is None:
            raise _not_read(module, "bitsandbytes")
        narrow = _narrow(module.compute_dtype if module.compute_dtype is not None else state.dtype)
        if module.weight.device.type == "cpu" and getattr(module, "support_avx512bf16_for_cpu", False):
            narrow = torch.bfloat16  # the only type of that kernel, whatever type is asked for
        return PackedWeight(module, f"bitsandbytes, 4 bits ({state.quant_type})", _shape(state), "", narrow)
    maker = _made_by(weight)
    if (
        type(weight).__name__ == "WeightQBitsTensor"
    ):  # its own kernel fails in torch's inference mode, in which all runs are made
        raise _not_read(module, "quanto, 4 bits")
    if maker and weight is not None and hasattr(weight, "dequantize") and len(weight.shape) == 2:
        name = type(weight).__name__
        return PackedWeight(module, f"{maker} ({name})", _shape(weight), _input_rounding(weight), _narrow(weight.dtype))
    if weight is None or not is_plain(weight):
        raise _not_read(module, next((method for name, method in HELD.items() if hasattr(module, name)), ""))
    refuse_packed(module)
    return None


def refuse_packed(module: Any) -> None:
    """Refuse a module, such as one of experts, that holds packed numbers.

    Raises:
        Unsupported: in words, with the method's name where that is known.
    """
    held = next((method for name, method in HELD.items() if hasattr(module, name)), "")
    if held or any(not is_plain(weight) for weight in module.parameters(recurse=False)):
        raise _not_read(module, held)


def _not_read(module: Any, method: str) -> Unsupported:
    return Unsupported(
        _(
            "The weights of {layer} are quantised in a way that txpanel cannot unpack{method}. Load the model with "
            "plain weights (for some methods: quantization_config with dequantize=True)."
        ).format(layer=type(module).__name__, method=f" ({method})" if method else "")
    )


def _made_by(weight: object) -> str:
    """The library of a tensor that is no plain one."""
    root = type(weight).__module__.partition(".")
    return root[0] if root[0] == "torchao" else "quanto" if type(weight).__module__.startswith("optimum.quanto") else ""


def _input_rounding(weight: Any) -> str:
    how = str(getattr(weight, "act_quant_kwargs", None) or getattr(weight, "activation_quantization", None) or "")
    how = how or str(getattr(weight, "activation_qtype", None) or "")
    return "" if how in ("", "None") else "float8" if "float8" in how.lower() else "int8"


def _narrow(dtype: torch.dtype) -> torch.dtype | None:
    return dtype if dtype in (torch.bfloat16, torch.float16) else None


def _shape(of: Any) -> tuple[int, int]:
    out, size = of.shape
    return int(out), int(size)
