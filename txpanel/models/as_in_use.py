"""Explaining a model does not change it: whatever a pass sets is restored after the pass, also after an exception.

A model in training mode is run as in inference: without dropout, without autocast. Rotary embeddings that follow the length of the text
(LongRoPE, dynamic NTK) remember the longest text so far in their module; that is restored as well. Passes of several threads can
overlap, since a pass releases the lock between two blocks: the first pass sets the mode, the last one to end restores it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from txpanel.models.torch_modes import without_autocast

MOVING = ("dynamic", "longrope")
"""Kinds of rotary embedding whose angles depend on the length of the text (``rope_type`` in transformers)."""


@dataclass
class _Kept:
    """The state of a model before its first running pass, to be restored after the last one."""

    passes: int = 0
    training: list[nn.Module] = field(default_factory=list)
    rotary: list[tuple[nn.Module, dict[str, Any], dict[str, tuple[Tensor | None, Tensor | None]]]] = field(
        default_factory=list
    )


_kept: WeakKeyDictionary[nn.Module, _Kept] = WeakKeyDictionary()
_guard = threading.Lock()


@contextmanager
def as_in_use(model: nn.Module, modules: list[nn.Module] | None = None) -> Iterator[None]:
    """Inside, a model runs in inference mode; afterwards each of its modules is as it was before.

    Args:
        model: its modules may be in different modes. modules: all of its modules, if they are known: finding them takes a while.
    """
    with _guard:
        kept = _kept.setdefault(model, _Kept())
        kept.passes += 1
        if kept.passes == 1:
            _set(modules if modules is not None else modules_of(model), kept)
    try:
        with without_autocast():
            yield
    finally:
        with _guard:
            kept.passes -= 1
            if not kept.passes:
                _put_back(kept)


@contextmanager
def own_positions(modules: list[nn.Module], deltas: dict[int, Any] | None) -> Iterator[None]:
    """Inside, positions are those of one text. Some models keep the shift of positions by an image (M-RoPE), and would apply it to another text.

    Args:
        modules: those that keep it. deltas: the shift of this text, by place in `modules`; updated afterwards. ``None``: a plain text, without one.
    """
    before = [module.__dict__["rope_deltas"] for module in modules]
    for at, module in enumerate(modules):
        module.__dict__["rope_deltas"] = None if deltas is None else deltas.get(at)
    try:
        yield
    finally:
        for at, (module, was) in enumerate(zip(modules, before, strict=True)):
            if deltas is not None:
                deltas[at] = module.__dict__["rope_deltas"]
            module.__dict__["rope_deltas"] = was


def moving_rotary(model: nn.Module) -> list[nn.Module]:
    """The modules whose rotary angles depend on the length of the text."""
    return _moving(modules_of(model))


def modules_of(model: nn.Module) -> list[nn.Module]:
    """All modules, each once, as ``model.modules()`` gives them, in a fifth of its time: this is called for every pass."""
    found, seen, left = list[nn.Module](), set[int](), [model]
    while left:
        module = left.pop()
        if id(module) not in seen:
            seen.add(id(module))
            found.append(module)
            left.extend(child for child in module.__dict__["_modules"].values() if child is not None)
    return found


def _moving(modules: list[nn.Module]) -> list[nn.Module]:
    return [module for module in modules if "rope_type" in module.__dict__ and _moves(module.__dict__["rope_type"])]


def _moves(rope_type: Any) -> bool:
    kinds = rope_type.values() if isinstance(rope_type, dict) else (rope_type,)
    return any(kind in str(one) for one in kinds for kind in MOVING)


def _set(modules: list[nn.Module], kept: _Kept) -> None:
    kept.training = [module for module in modules if module.training]
    for module in kept.training:  # not .eval(): some modules do more in it, such as merging an adapter
        module.training = False
    kept.rotary = [
        (
            module,
            {key: value for key, value in module.__dict__.items() if key not in ("_buffers", "training")},
            {name: (buffer, None if buffer is None else buffer.clone()) for name, buffer in module._buffers.items()},
        )
        for module in _moving(modules)
    ]


def _put_back(kept: _Kept) -> None:
    for module in kept.training:
        module.training = True
    for module, attributes, buffers in kept.rotary:
        for key in [key for key in module.__dict__ if key not in attributes and key not in ("_buffers", "training")]:
            del module.__dict__[key]
        module.__dict__.update(attributes)
        module._buffers.clear()
        for name, (buffer, content) in buffers.items():
            if buffer is not None and content is not None and not torch.equal(buffer, content):
                with torch.no_grad():
                    buffer.copy_(content)
            module._buffers[name] = buffer
    kept.training, kept.rotary = [], []
