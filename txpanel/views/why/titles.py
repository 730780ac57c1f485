"""What a number is called in words: for each name of a tensor the words of the glossary. The name itself is code, and stands below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from txpanel.messages import _
from txpanel.tracing.graph.derived import LENS, NEAR, OTHERS, SURPRISAL
from txpanel.tracing.names import GIVEN, split_name

if TYPE_CHECKING:
    from txpanel.tracing import Trace

__all__ = ["title"]


def title(trace: Trace, name: str) -> str:
    """The words for a tensor's name; empty for names of other packages."""
    if name.endswith((".weight", ".bias")):
        return _("Weight of the model")
    if name.startswith(GIVEN):
        return _("Input of the model")
    if NEAR.fullmatch(name):
        return _("Cosine of two embeddings")
    if SURPRISAL.fullmatch(name):
        return _("Surprisal")
    if name.startswith("encoder."):
        return _called(name) or _("Residual stream of the encoder")
    lens = LENS.fullmatch(name)
    if lens is None:
        return _called(split_name(name)[1])
    own = _called(name.split(".", 3 if lens[2] else 2)[-1])
    return own if not own or int(lens[1]) == trace.anatomy.n_layers else _("Logit lens: {what}").format(what=own)


def _called(own: str) -> str:
    """The words for a name without its place."""
    if left := OTHERS.fullmatch(own):
        return (
            _("Probability of all other tokens") if left[2] == "probs" else _("Sum of the exponentials of other tokens")
        )
    if own in (known := {**_tokens(), **_attention(), **_mlp(), **_output()}):
        return known[own]
    for sign, words in (("_lora_", _("Adapter, down to its rank")), ("_dora_", _("Factor of the adapter"))):
        if sign in own:
            return words
    whole, _dot, measure = own.rpartition(".")
    measures = {
        "norm": _("{what}: norm"),
        "cosine": _("{what}: cosine with the residual stream"),
        "mean": _("{what}: mean"),
        "var": _("{what}: variance"),
        "scale": _("{what}: factor"),
        "write": _("{what}: norm of what the neuron adds"),
        "sum": _("{what}: sum of the exponentials"),
        "max": _("{what}: largest score"),
    }
    what = _called(whole) if measure in measures else ""
    return measures[measure].format(what=what) if what else ""


def _tokens() -> dict[str, str]:
    return {
        "tokens": _("Token id"),
        "positions": _("Position"),
        "token_types": _("Token type"),
        "encoder.tokens": _("Token id"),
        "encoder.state": _("Output of the encoder"),
        "embed": _("Embedding"),
        "embed_proj": _("Embedding, projected"),
        "pos_embed": _("Position embedding"),
        "embed_norm": _("Embedding, normalised"),
        "token_type_embed": _("Embedding of the token type"),
        "embed_sum": _("Sum of the embeddings"),
        "embed_scaled": _("Embedding, scaled"),
        "resid_pre": _("Residual stream before the block"),
        "resid_mid": _("Residual stream between attention and MLP"),
        "resid_mid_cross": _("Residual stream after cross-attention"),
        "resid_sum": _("Residual stream before its normalisation"),
        "resid_post": _("Residual stream after the block"),
        "ln1": _("First normalisation"),
        "ln2": _("Second normalisation"),
        "cross_ln": _("Normalisation of cross-attention"),
        "ln_final": _("Final normalisation"),
        "block_in": _("Input of the block"),
        "block_out": _("Output of the block"),
    }


def _attention() -> dict[str, str]:
    query, key, value = _("Query"), _("Key"), _("Value")
    return {
        "q": query,
        "k": key,
        "v": value,
        "q_proj": _("Query, projected"),
        "k_proj": _("Key, projected"),
        "v_proj": _("Value, projected"),
        "q_norm": _("Query, normalised"),
        "k_norm": _("Key, normalised"),
        "v_norm": _("Value, normalised"),
        "q_unclipped": _("Query, before it is limited"),
        "k_unclipped": _("Key, before it is limited"),
        "v_unclipped": _("Value, before it is limited"),
        "q_pre_rotary": _("Query, before the rotary embedding"),
        "k_pre_rotary": _("Key, before the rotary embedding"),
        "q_rotated": _("Query, after the rotary embedding"),
        "k_rotated": _("Key, after the rotary embedding"),
        "q_latent": _("Latent vector of the query"),
        "q_latent_norm": _("Latent vector of the query, normalised"),
        "kv_latent": _("Latent vector of key and value"),
        "kv_latent_norm": _("Latent vector of key and value, normalised"),
        "k_rope": _("Part of the key with rotary embedding"),
        "k_nope": _("Part of the key without rotary embedding"),
        "rotary_cos": _("cos of the rotary angle"),
        "rotary_sin": _("sin of the rotary angle"),
        "scores": _("Attention score"),
        "scores_capped": _("Attention score after the soft-cap"),
        "alibi": _("Position bias of the attention score"),
        "position_bias": _("Position bias of the attention score"),
        "scores_biased": _("Attention score with position bias"),
        "mask": _("Mask"),
        "masked": _("Attention score after the mask"),
        "sinks": _("Learned attention sink"),
        "pattern": _("Attention weight"),
        "pattern.max": _("Largest attention score of the row"),
        "pattern.sum": _("Sum of the exponentials of the row"),
        "z": _("z: sum of the weighted values"),
        "z_gate": _("Gate of z"),
        "z_gated": _("z times its gate"),
        "result": _("Output of one head"),
        "attn_proj": _("Output of all heads"),
        "attn_out": _("Attention output"),
        "attn_norm": _("Attention output, normalised"),
        "attn_normed": _("Attention output, normalised"),
        "mixer_in": _("Input of the token mixer"),
        "mixer_proj": _("Token mixer, projected"),
        "mixer_out": _("Output of the token mixer"),
        "cross_q": _("Cross-attention: query"),
        "cross_k": _("Cross-attention: key"),
        "cross_v": _("Cross-attention: value"),
        "cross_scores": _("Cross-attention: score"),
        "cross_scores_capped": _("Cross-attention: score"),
        "cross_pattern": _("Cross-attention: weight"),
        "cross_z": _("Cross-attention: z"),
        "cross_result": _("Cross-attention: output of one head"),
        "cross_in": _("Cross-attention: input"),
        "cross_out": _("Cross-attention: output"),
    }


def _mlp() -> dict[str, str]:
    return {
        "mlp_in": _("Input of the MLP"),
        "mlp_pre": _("Up projection of the MLP"),
        "mlp_gate": _("Gate of the MLP"),
        "mlp_post": _("Neuron activation"),
        "mlp_proj": _("Down projection of the MLP"),
        "mlp_norm": _("MLP output, normalised"),
        "mlp_normed": _("MLP output, normalised"),
        "mlp_out": _("MLP output"),
        "router": _("Score of the router"),
        "expert_index": _("Chosen expert"),
        "expert_weight": _("Weight of the expert"),
        "expert_out": _("Output of the expert"),
        "shared_pre": _("Shared expert: up projection"),
        "shared_gate": _("Shared expert: gate of its neurons"),
        "shared_post": _("Shared expert: neuron activation"),
        "shared_out": _("Shared expert: output"),
        "shared_switch": _("Shared expert: its own gate"),
        "shared_switched": _("Shared expert: output times its gate"),
    }


def _output() -> dict[str, str]:
    return {
        "mlm_pre": _("Output layer, before the activation function"),
        "mlm_post": _("Output layer, after the activation function"),
        "mlm_norm": _("Output layer, normalised"),
        "output_proj": _("Residual stream, projected for the output"),
        "logits_raw": _("Logit before scaling"),
        "logits": _("Logit"),
        "probs": _("Probability"),
        "probs.max": _("Largest logit"),
        "probs.sum": _("Sum of all exponentials"),
        "probs.entropy": _("Entropy"),
        "probs.shifted": _("Logit minus the largest logit"),
        "probs.exp": _("Exponential of the logit"),
        "probs.bins": _("Probability of the tokens in a bin"),
    }
