"""Values of the model's shape, and of where one looks in it."""

from __future__ import annotations

from txpanel.errors import Unsupported
from txpanel.lessons.situation import Situation
from txpanel.lessons.values.declared import value
from txpanel.messages import _


@value("model", "word")
def _model(here: Situation) -> str:
    """The model's name."""
    model = here.trace.model
    return model.title if model is not None else str(here.trace.provenance.get("model", here.anatomy.family))


@value("model.blocks", "count")
def _blocks(here: Situation) -> int:
    """Blocks."""
    return here.anatomy.n_layers


@value("model.width", "count")
def _width(here: Situation) -> int:
    """Numbers of the residual stream of a token."""
    return here.anatomy.width


@value("model.vocabulary", "count")
def _vocabulary(here: Situation) -> int:
    """Tokens of the vocabulary."""
    return here.anatomy.vocab


@value("model.parameters", "count")
def _parameters(here: Situation) -> int:
    """Weights of the model."""
    return here.anatomy.parameters


@value("model.heads", "count")
def _heads(here: Situation) -> int:
    """Heads of the block."""
    return here.block.n_heads


@value("model.all_heads", "count")
def _all_heads(here: Situation) -> int:
    """Heads of all blocks."""
    return sum(block.n_heads for block in here.anatomy.blocks)


@value("model.key_heads", "count")
def _kv_heads(here: Situation) -> int:
    """Heads with keys and values of their own."""
    return here.block.n_kv_heads


@value("model.group", "count")
def _group(here: Situation) -> int:
    """Heads that share a key and a value."""
    return here.block.group


@value("model.head_size", "count")
def _head_size(here: Situation) -> int:
    """Numbers of a query or key."""
    return here.block.head_dim


@value("model.neurons", "count")
def _neurons(here: Situation) -> int:
    """Neurons of the MLP, or of one expert."""
    return here.block.n_neurons


@value("model.activation", "word")
def _activation(here: Situation) -> str:
    """Name of the activation function."""
    return here.block.activation


@value("model.norm", "word")
def _norm(here: Situation) -> str:
    """LayerNorm or RMSNorm."""
    return here.block.norm_kind


@value("model.window", "count")
def _window(here: Situation) -> int:
    """Tokens that the narrowest sliding window sees."""
    found = [block.window for block in here.anatomy.blocks if block.window]
    if not found:
        raise Unsupported(_("No block of this model has a sliding window."))
    return min(found)


@value("model.softcap", "number")
def _softcap(here: Situation) -> float:
    """The soft-cap of the logits, or of the scores."""
    caps = [here.anatomy.logit_softcap, *(block.softcap for block in here.anatomy.blocks)]
    found = [cap for cap in caps if cap]
    if not found:
        raise Unsupported(_("This model has no soft-cap."))
    return float(found[0])


@value("model.experts", "count")
def _experts(here: Situation) -> int:
    """Experts of the block."""
    if here.block.experts is None:
        raise Unsupported(_("This block has no experts."))
    return here.block.experts.n


@value("model.experts_used", "count")
def _experts_used(here: Situation) -> int:
    """Experts that a token is sent to."""
    if here.block.experts is None:
        raise Unsupported(_("This block has no experts."))
    return here.block.experts.k


@value("block", "ordinal")
def _block(here: Situation) -> int:
    """The block that one looks at."""
    return here.layer


@value("head", "ordinal")
def _head(here: Situation) -> int:
    """The head that one looks at."""
    return here.head


@value("last_block", "ordinal")
def _last_block(here: Situation) -> int:
    """The last block."""
    return here.anatomy.n_layers - 1


@value("middle_block", "ordinal")
def _middle_block(here: Situation) -> int:
    """A block in the middle."""
    return here.anatomy.n_layers // 2


@value("cache.numbers", "count")
def _cache_numbers(here: Situation) -> int:
    """Numbers of keys and values that one token adds to the KV cache."""
    return sum(block.n_kv_heads * (block.head_dim + block.value_dim) for block in here.anatomy.blocks)


@value("cache.computed", "count", "number")
def _cache_computed(here: Situation, more: float) -> int:
    """For how many tokens keys and values are computed in all: those of the text, and of so many tokens that are appended one by one."""
    return _computed(here, int(more)) if here.anatomy.causal else _computed_again(here, int(more))


@value("cache.without", "count", "number")
def _cache_without(here: Situation, more: float) -> int:
    """The same if every run computed them for all tokens."""
    return _computed_again(here, int(more))


def _computed(here: Situation, more: int) -> int:
    return len(here.ids) + more


def _computed_again(here: Situation, more: int) -> int:
    return sum(len(here.ids) + n for n in range(more + 1))


@value("cache.new", "count")
def _cache_new(here: Situation) -> int:
    """How many tokens' vectors have to be computed when one more token is appended: what no earlier query can attend to changes nothing before it."""
    return 1 if here.anatomy.causal else len(here.ids) + 1
