"""Everything that the comparison of a model with its own run depends on, as plain texts: where they are the same, so is its result."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from functools import cache
from importlib import metadata
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import psutil
import torch

OWN = ("models", "tracing", "compat")
"""The rooms whose code decides what is opened and how it is compared."""
PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "numpy")
"""Libraries whose code a run, or its comparison, goes through."""
KERNELS = ("ONEDNN_", "DNNL_", "MKL_", "ATEN_")
"""Prefixes of the environment variables that choose between kernels."""

Facts = dict[str, str]
LanguageModel = Any  # its module imports this one


def facts_of(model: LanguageModel) -> Facts | None:
    """The facts of a model as it is now. Reads all bits of its weights, at the speed of memory.

    Returns:
        ``None``: the user has put a hook or function into it, or txpanel's own code cannot be read: then nothing is remembered.
    """
    state = model.watch.look()
    own = own_code()
    if state.foreign or own is None:
        return None
    bits, structure = model.watch.digests(_stable_name)
    anatomy = json.dumps(model.anatomy.as_dict(), sort_keys=True, default=str)
    return {
        "weights": bits,
        "modules, settings and code of the model": structure,
        "anatomy": hashlib.sha256(anatomy.encode()).hexdigest(),
        "attention": str(getattr(model.model.config, "_attn_implementation", "")),
        "dtype": str(model.dtype),
        "device": _device(model.device),
        "tokenizer": _tokenizer(model.tokenizer),
        "code of txpanel": own,
        **_versions(),
        "processor": _processor(),
        "arithmetic": _arithmetic(),
    }


@cache
def own_code(root: Path = Path(__file__).parents[1]) -> str | None:
    """A digest of txpanel's own code, as far as it decides what is opened and how it is compared.

    Returns:
        ``None``: it can't be read, or a file was changed since this process began, so that the code that runs may differ from the files.
    """
    made = hashlib.sha256()
    try:
        files = sorted([root / "errors.py", *(path for room in OWN for path in (root / room).rglob("*.py"))])
        began = psutil.Process().create_time()
        for file in files:
            if file.stat().st_mtime > began:
                return None
            content = file.read_bytes()
            made.update(f"{file.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    except (OSError, psutil.Error):
        return None
    return made.hexdigest() if len(files) > len(OWN) else None


def _versions() -> Facts:
    found = {name: metadata.version(name) for name in PACKAGES}
    return {
        "python": platform.python_version(),
        **found,
        "torch build": f"{torch.__version__} {torch.version.git_version}",
    }


def _device(device: torch.device) -> str:
    return f"{device} {torch.cuda.get_device_name(device)}" if device.type == "cuda" else str(device)


def _tokenizer(tokenizer: Any) -> str:
    """Its class and its special tokens: the fixed text is made of ids that are none of these."""
    kind, special = type(tokenizer), sorted(getattr(tokenizer, "all_special_ids", None) or [])
    mask = getattr(tokenizer, "mask_token_id", None)
    return f"{kind.__module__}.{kind.__qualname__} {len(tokenizer)} {special} {mask}"


@cache
def _processor() -> str:
    """Model and features of the CPU: libraries choose their kernels by them."""
    names = {"model name", "flags", "Features", "CPU implementer", "CPU part"}
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n\n")[0].splitlines()
        told = [line for line in lines if line.split(":")[0].strip() in names]
    except OSError:
        told = [platform.processor()]
    digest = hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]
    return f"{platform.system()} {platform.machine()} {torch.backends.cpu.get_cpu_capability()} {digest}"


def _arithmetic() -> str:
    """Settings of the process that change the last digits of results."""
    backends: Any = torch.backends
    chosen = sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith(KERNELS))
    told = [
        torch.get_default_dtype(),
        torch.get_float32_matmul_precision(),
        torch.are_deterministic_algorithms_enabled(),
        backends.mkldnn.enabled,
        backends.cuda.matmul.allow_tf32,
        backends.cudnn.allow_tf32,
        backends.cuda.flash_sdp_enabled(),
        backends.cuda.mem_efficient_sdp_enabled(),
        backends.cuda.math_sdp_enabled(),
    ]
    return " ".join(map(str, told + [one for one in chosen if "_NUM_THREADS" not in one]))


def _stable_name(thing: Any) -> str:
    """A text for an object that is the same in every process: a function by its name and its code, anything else by its class."""
    if isinstance(thing, FunctionType):
        return f"{thing.__module__}.{thing.__qualname__} {_code(thing.__code__)}"
    kind = thing if isinstance(thing, type) else type(thing)
    return f"{kind.__module__}.{kind.__qualname__}"


def _code(code: CodeType) -> str:
    parts = [_code(part) if isinstance(part, CodeType) else _constant(part) for part in code.co_consts]
    text = f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {parts}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _constant(value: Any) -> str:
    return str(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)
