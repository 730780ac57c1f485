"""Tiny random models that read images or sound, each with what its processor would make of one text with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers

TEXT: dict[str, Any] = {
    "vocab_size": 300, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 128, "initializer_range": 0.5, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
TOWER: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 16, "patch_size": 4,
}  # fmt: skip
PATCHES: dict[str, Any] = {
    "depth": 2, "num_heads": 2, "patch_size": 4, "spatial_merge_size": 2, "temporal_patch_size": 2, "in_channels": 3, "initializer_range": 0.5,
}  # fmt: skip
TURNED = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10_000.0}
IMAGE = 299
MARKS = {"image_token_id": IMAGE, "video_token_id": 298, "vision_start_token_id": 297, "vision_end_token_id": 296}
END = [7, 8, 20, 33]

Given = tuple[Any, dict[str, Any]]


def llava() -> Given:
    config = transformers.LlavaConfig(
        vision_config={**TOWER, "model_type": "clip_vision_model"},
        text_config={**TEXT, "model_type": "llama"},
        image_token_index=IMAGE,
    )
    return transformers.LlavaForConditionalGeneration(config), _inputs(
        [1, 5, 9, *[IMAGE] * 16, *END], pixel_values=torch.randn(1, 3, 16, 16)
    )


def qwen2_vl() -> Given:
    vision = {**PATCHES, "embed_dim": 16, "hidden_size": 32, "mlp_ratio": 2}
    config = transformers.Qwen2VLConfig(vision_config=vision, text_config={**TEXT, "rope_parameters": TURNED}, **MARKS)
    return transformers.Qwen2VLForConditionalGeneration(config), _grid()


def qwen2_5_vl() -> Given:
    vision = {
        **PATCHES,
        "hidden_size": 16,
        "out_hidden_size": 32,
        "intermediate_size": 24,
        "window_size": 16,
        "fullatt_block_indexes": [1],
    }
    config = transformers.Qwen2_5_VLConfig(
        vision_config=vision, text_config={**TEXT, "rope_parameters": TURNED}, **MARKS
    )
    return transformers.Qwen2_5_VLForConditionalGeneration(config), _grid()


def qwen3_vl() -> Given:
    vision = {
        **PATCHES,
        "hidden_size": 16,
        "out_hidden_size": 32,
        "intermediate_size": 24,
        "num_position_embeddings": 64,
    }
    config = transformers.Qwen3VLConfig(
        vision_config={**vision, "deepstack_visual_indexes": [0]},
        text_config={
            **TEXT,
            "num_hidden_layers": 3,
            "head_dim": 8,
            "rope_parameters": {**TURNED, "mrope_section": [2, 1, 1]},
        },
        **MARKS,
    )
    return transformers.Qwen3VLForConditionalGeneration(config), _grid()


def idefics3() -> Given:
    config = transformers.Idefics3Config(
        vision_config={**TOWER}, text_config={**TEXT, "model_type": "llama"}, image_token_id=IMAGE, scale_factor=2
    )
    return transformers.Idefics3ForConditionalGeneration(config), _inputs(
        [1, 5, *[IMAGE] * 4, 7, 8, *[IMAGE] * 4, 20, 33],
        pixel_values=torch.randn(1, 2, 3, 16, 16),
        pixel_attention_mask=torch.ones(1, 2, 16, 16, dtype=torch.long),
    )


def smolvlm() -> Given:
    config = transformers.SmolVLMConfig(
        vision_config={**TOWER}, text_config={**TEXT, "model_type": "llama"}, image_token_id=IMAGE, scale_factor=2
    )
    return transformers.SmolVLMForConditionalGeneration(config), _inputs(
        [1, 5, 9, *[IMAGE] * 4, *END],
        pixel_values=torch.randn(1, 1, 3, 16, 16),
        pixel_attention_mask=torch.ones(1, 1, 16, 16, dtype=torch.long),
    )


def paligemma() -> Given:
    config = transformers.PaliGemmaConfig(
        vision_config={**TOWER, "model_type": "siglip_vision_model"},
        text_config={**TEXT, "model_type": "gemma", "head_dim": 8},
        image_token_id=IMAGE,
        projection_dim=32,
        hidden_size=32,
    )
    ids = [*[IMAGE] * 16, 1, *END]
    return transformers.PaliGemmaForConditionalGeneration(config), _inputs(
        ids, pixel_values=torch.randn(1, 3, 16, 16), token_type_ids=torch.zeros(1, len(ids), dtype=torch.long)
    )


def gemma3() -> Given:
    config = transformers.Gemma3Config(
        vision_config={**TOWER, "model_type": "siglip_vision_model"},
        text_config={**TEXT, "head_dim": 8, "sliding_window": 8, "query_pre_attn_scalar": 8},
        image_token_id=IMAGE,
        boi_token_id=298,
        eoi_token_id=297,
        mm_tokens_per_image=4,
    )
    ids = [1, 5, 298, *[IMAGE] * 4, 297, *END]
    module = transformers.Gemma3ForConditionalGeneration(config)
    torch.nn.init.normal_(module.model.multi_modal_projector.mm_input_projection_weight)  # it begins as zeros
    return module, _inputs(
        ids, pixel_values=torch.randn(1, 3, 16, 16), token_type_ids=torch.tensor([[int(i == IMAGE) for i in ids]])
    )


def qwen2_audio() -> Given:
    sound = {
        "num_mel_bins": 8, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 24, "d_model": 16, "max_source_positions": 16,
    }  # fmt: skip
    config = transformers.Qwen2AudioConfig(
        audio_config=sound, text_config={**TEXT, "model_type": "qwen2"}, audio_token_index=IMAGE
    )
    return transformers.Qwen2AudioForConditionalGeneration(config), _inputs(
        [1, 5, 9, *[IMAGE] * 8, *END],
        input_features=torch.randn(1, 8, 32),
        feature_attention_mask=torch.ones(1, 32, dtype=torch.long),
    )


SEEING: dict[str, Callable[[], Given]] = {
    made.__name__: made
    for made in (llava, qwen2_vl, qwen2_5_vl, qwen3_vl, idefics3, smolvlm, paligemma, gemma3, qwen2_audio)
}


def seeing(family: str) -> Given:
    """A model that runs, and what its processor would make of a text."""
    torch.manual_seed(0)
    module, inputs = SEEING[family]()
    return module.eval(), inputs


def _grid() -> dict[str, Any]:
    ids = [5, 9, 297, *[IMAGE] * 6, 296, *END]
    return _inputs(
        ids,
        pixel_values=torch.randn(24, 96),
        image_grid_thw=torch.tensor([[1, 4, 6]]),
        mm_token_type_ids=torch.tensor([[int(i == IMAGE) for i in ids]]),
    )


def _inputs(ids: list[int], **more: Any) -> dict[str, Any]:
    return {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids), dtype=torch.long), **more}
