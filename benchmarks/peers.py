"""The peers that are installed (`pip install -c constraints.txt ".[bench]"`), each on a copy of the same weights."""

from __future__ import annotations

import copy
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch

from benchmarks.subject import Subject

Run = Callable[[torch.Tensor], Any]
Make = Callable[[Subject], Run]


def transformer_lens(subject: Subject) -> Any:
    from transformer_lens.model_bridge import TransformerBridge

    model, folder = copy.deepcopy(subject.plain), str(subject.folder)
    return TransformerBridge.boot_transformers(folder, hf_model=model, tokenizer=subject.tokenizer, device="cpu")


def _lens_all(subject: Subject) -> Run:
    bridge = transformer_lens(subject)
    return lambda ids: bridge.run_with_cache(ids)[1]


def _lens_pattern(subject: Subject) -> Run:
    bridge = transformer_lens(subject)
    return lambda ids: bridge.run_with_cache(ids, names_filter=lambda name: name.endswith("hook_pattern"))[1]


def _interp_engine(subject: Subject) -> Run:
    from interp_engine import load_model
    from interp_engine.capture import capture_attention

    model = load_model(str(subject.folder), backend="eager", device="cpu", dtype="float32")
    layers = list(range(subject.config.n_layer))
    return lambda ids: capture_attention(model, ids, layers)


def _nnsight(subject: Subject) -> Run:
    from nnsight import TransformersModel

    model = TransformersModel(copy.deepcopy(subject.eager), tokenizer=subject.tokenizer)

    def run(ids: torch.Tensor) -> list[torch.Tensor]:
        kept = []
        with model.trace(ids, output_attentions=True):
            for block in model.transformer.h:
                kept.append(block.attn.output[1].save())
        return kept

    return run


RECORDERS: dict[str, tuple[str, Make]] = {
    "TransformerLens, whole cache": ("transformer_lens", _lens_all),
    "TransformerLens, patterns only": ("transformer_lens", _lens_pattern),
    "interp-engine, attention of all blocks": ("interp_engine", _interp_engine),
    "nnsight, attention of all blocks": ("nnsight", _nnsight),
}


def installed() -> dict[str, Make]:
    """The recorders that can be imported here."""
    return {title: make for title, (module, make) in RECORDERS.items() if find_spec(module) is not None}


def content(recording: Any) -> Any:
    """What a peer's recording holds, as plain containers."""
    return dict(recording.items()) if hasattr(recording, "items") else recording
