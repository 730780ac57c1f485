"""Multiply-adds of a forward pass, counted from a model's shape: what a step costs with a cache of keys and values, and without.

Only products of matrices are counted, which is nearly all there is: projections, scores, weighted sums of values, MLP, unembedding.
"""

from __future__ import annotations

from txpanel.models.anatomy import Anatomy, BlockAnatomy


def linear(anatomy: Anatomy) -> int:
    """Multiply-adds of one token in all blocks, whatever stands before it: every weight matrix once."""
    d = anatomy.width
    return sum(_attention_weights(block, d) + _mlp_weights(block, d) for block in anatomy.blocks)


def attention(anatomy: Anatomy, tokens: int) -> int:
    """Multiply-adds of scores and weighted sums for the last of ``tokens`` tokens, which sees ``min(tokens, window)`` of them."""
    return sum(
        block.n_heads * (block.head_dim + block.value_dim) * min(tokens, block.window or tokens)
        for block in anatomy.blocks
    )


def unembedding(anatomy: Anatomy) -> int:
    """Multiply-adds from the last token's stream to its logits."""
    narrow = anatomy.width * anatomy.embed_width if anatomy.output_projection else 0
    return anatomy.embed_width * anatomy.vocab + narrow if narrow else anatomy.width * anatomy.vocab


def cached_step(anatomy: Anatomy, tokens: int) -> int:
    """One step at ``tokens`` tokens when keys and values of those before are kept.

    With latent attention the latent vectors are kept, and each step makes all keys and values from them anew.
    """
    again = (tokens - 1) * sum(_from_latent(block) for block in anatomy.blocks)
    return linear(anatomy) + again + attention(anatomy, tokens) + unembedding(anatomy)


def whole_step(anatomy: Anatomy, tokens: int) -> int:
    """The same step when nothing is kept: all tokens again, each looking at those before it."""
    looks = sum(
        block.n_heads * (block.head_dim + block.value_dim) * _pairs(tokens, block.window) for block in anatomy.blocks
    )
    return tokens * linear(anatomy) + looks + unembedding(anatomy)


def _pairs(tokens: int, window: int | None) -> int:
    """1 + 2 + ... up to ``tokens``, each at most ``window``."""
    w = min(tokens, window or tokens)
    return w * (w + 1) // 2 + (tokens - w) * w


def _attention_weights(block: BlockAnatomy, d: int) -> int:
    out = block.n_heads * block.value_dim * d
    if block.latent is not None:
        made = block.latent
        queries = block.n_heads * (made.nope_dims + made.rope_dims)
        q = d * made.q_rank + made.q_rank * queries if made.q_rank else d * queries
        return q + d * (made.kv_rank + made.rope_dims) + _from_latent(block) + out
    return d * (block.n_heads * block.head_dim + block.n_kv_heads * (block.head_dim + block.value_dim)) + out


def _from_latent(block: BlockAnatomy) -> int:
    """Keys and values of one token from its latent vector; 0 where there is none."""
    made = block.latent
    return made.kv_rank * block.n_heads * (made.nope_dims + block.value_dim) if made is not None else 0


def _mlp_weights(block: BlockAnatomy, d: int) -> int:
    each = (3 if block.gated else 2) * d
    if block.experts is None:
        return each * block.n_neurons
    experts = block.experts
    return each * (experts.k * block.n_neurons + experts.shared) + d * experts.n
