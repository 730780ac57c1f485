"""Observing the attention call of one block while it runs: its q, k, v, mask and pattern.

There are two ways to observe the attention call:

* registry: families that look up their attention function in transformers' registry get ours for one call; it keeps
  q, k, v and hands them to the very function that the model uses, so the output is the model's own, bit for bit.
* function mode: the other families are observed at ``torch.matmul`` / ``softmax`` / ``scaled_dot_product_attention``.

The registries are global to the process. Ours is entered once, under a name of our own, together with its mask function (without
one a model would silently attend to the future). What is kept goes to a context variable, so that sessions can't mix.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from inspect import unwrap
from typing import Any, cast
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from txpanel.compat.attention_choice import attention_by

NAME = "txpanel_replay"
_EARLIER: WeakValueDictionary[tuple[int, int], Tensor] = WeakValueDictionary()
"""Causal masks that are still in use, by queries and keys; not to be written to."""


@dataclass
class AttentionCall:
    """What one attention call was given and gave back (batch of one, without the batch axis).

    Attributes:
        q: [H, Q, D]. k: [G, S, D]. v: [G, S, Dv]. mask: as handed over: ``None``, bool or float, [.., Q, S].
        causal: whether keys after the query are hidden where no mask says so; ``None``: not seen. native: name of the model's own attention function.
        pattern: [H, Q, S] where the family computes it itself; else ``None``. calls: how often attention ran.
        bias: [H, Q, S] added to the scores beside the mask; ``None``: there was none. module: the attention module that is observed; ``None``: any.
        before: the call of another attention of the same block that is observed as well.
    """

    q: Tensor | None = None
    k: Tensor | None = None
    v: Tensor | None = None
    mask: Tensor | None = None
    pattern: Tensor | None = None
    native: str = ""
    causal: bool | None = None
    bias: Tensor | None = None
    calls: int = 0
    module: nn.Module | None = None
    before: AttentionCall | None = None
    seen: list[tuple[str, Tensor, Tensor]] = field(default_factory=list)


_call: ContextVar[AttentionCall | None] = ContextVar("txpanel_attention_call", default=None)


def _listen(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **more: Any
) -> Any:
    """Our entry in the registry: keep the call, then let the model's own function do the work."""
    call = _call.get()
    if call is None:
        raise RuntimeError(f"The attention function '{NAME}' only works inside a txpanel replay.")
    native, call = call.native, _call_of(call, module)
    if call is None:
        return _native(module, native)(module, query, key, value, attention_mask, **more)
    call.calls += 1
    call.q, call.k, call.v, call.mask = query[0].detach(), key[0].detach(), value[0].detach(), attention_mask
    bias = more.get("position_bias")
    call.bias = bias[0].detach() if isinstance(bias, Tensor) else None
    call.causal = _hides_later(module, call.native, more.get("is_causal"))
    return _native(module, call.native)(module, query, key, value, attention_mask, **more)


def _call_of(call: AttentionCall, module: nn.Module) -> AttentionCall | None:
    """Of several observed calls the one for a module; else the one that is for any module; else ``None``."""
    at: AttentionCall | None = call
    while at is not None and at.module is not None and at.module is not module:
        at = at.before
    return at


def _hides_later(module: nn.Module, native: str, asked: bool | None) -> bool:
    """Whether an attention function that is given no mask hides later keys by itself: written-out attention does not."""
    if native == "eager":
        return False
    return bool(asked if asked is not None else getattr(module, "is_causal", True))


def _native(module: nn.Module, name: str) -> Callable[..., Any]:
    """The attention function that the model uses by itself."""
    eager = getattr(sys.modules[type(module).__module__], "eager_attention_forward", None)
    found: Callable[..., Any] = ALL_ATTENTION_FUNCTIONS.get_interface(name, eager)  # type: ignore[arg-type]
    return found


AttentionInterface.register(NAME, _listen)
AttentionMaskInterface.register(NAME, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])


def uses_registry(attn: nn.Module) -> bool:
    """Whether an attention module looks its function up in transformers' registry."""
    code = unwrap(type(attn).forward).__code__
    if "ALL_ATTENTION_FUNCTIONS" not in code.co_names:
        return False
    # GPT-2 compares the name itself: with "eager" it may take another code path
    return not (
        "eager" in code.co_consts and getattr(getattr(attn, "config", None), "_attn_implementation", "") == "eager"
    )


@contextmanager
def listening(attn: nn.Module, route: str | None = None, *, besides: bool = False) -> Iterator[AttentionCall]:
    """Keep the attention call that ``attn`` makes inside this context.

    Args:
        attn: the attention module. route: ``registry`` or ``mode``, to force one (for tests). besides: another attention of the block is observed too.
    """
    call = AttentionCall(module=attn if besides else None, before=_call.get())
    token = _call.set(call)
    try:
        with (
            _by_registry(attn, call)
            if (route or ("registry" if uses_registry(attn) else "mode")) == "registry"
            else _by_mode(attn, call)
        ):
            yield call
    finally:
        _call.reset(token)


@contextmanager
def _by_registry(attn: nn.Module, call: AttentionCall) -> Iterator[None]:
    before, config = call.before, cast(Any, attn.config)
    if before is not None and config._attn_implementation == NAME:  # another attention of the same block
        call.native = before.native
        yield
        return
    with attention_by(attn.config, NAME) as call.native:
        yield


@contextmanager
def _by_mode(attn: nn.Module, call: AttentionCall) -> Iterator[None]:
    mode = _Watch(call)
    entered = attn.register_forward_pre_hook(lambda *_: mode.switch(True))
    left = attn.register_forward_hook(lambda *_: mode.switch(False))
    try:
        with mode:
            yield
    finally:
        entered.remove()
        left.remove()
    _read_products(call)


class _Watch(TorchFunctionMode):
    """Sees every matrix product, softmax and fused attention while the attention module runs."""

    PRODUCTS = ("matmul", "__matmul__", "bmm", "baddbmm", "__rmatmul__")

    def __init__(self, call: AttentionCall) -> None:
        super().__init__()
        self.call, self.on = call, False

    def switch(self, on: bool) -> None:
        self.on = on

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if self.on:
            self._note(getattr(func, "__name__", ""), args, kwargs, result)
        return result

    def _note(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        if name in self.PRODUCTS:
            operands = [*args, *(kwargs[key] for key in ("batch1", "batch2", "mat2", "other") if key in kwargs)]
            self.call.seen.append(("product", operands[-2], operands[-1]))
        elif name == "softmax":
            self.call.calls += 1
            self.call.seen.append(("softmax", args[0], result))
        elif name == "scaled_dot_product_attention":
            self.call.calls += 1
            query, key, value = args[:3]
            self.call.q, self.call.k, self.call.v = query[0].detach(), key[0].detach(), value[0].detach()
            self.call.mask = kwargs.get("attn_mask")
            self.call.causal = bool(kwargs.get("is_causal", False))


def _read_products(call: AttentionCall) -> None:
    """q, k, v from the products around the softmax: the last one before it is q k^T, the first one after it is pattern v."""
    at = next((i for i, (kind, *_) in enumerate(call.seen) if kind == "softmax"), None)
    if at is None:
        return
    _, q, k = next(seen for seen in reversed(call.seen[:at]) if seen[0] == "product")
    _, _, pattern = call.seen[at]
    _, _, v = next(seen for seen in call.seen[at:] if seen[0] == "product")
    call.q, call.k, call.v = _heads(q), _heads(k.transpose(-1, -2)), _heads(v)
    call.pattern = _heads(pattern)


def _heads(x: Tensor) -> Tensor:
    """[1, H, T, D] or [H, T, D] -> [H, T, D] (the batch axis of size one is dropped)."""
    return (x[0] if x.dim() == 4 else x).detach()


def allowed(
    mask: Any, queries: int, keys: int, true_means: str, buffer: Tensor | None, hides_later: bool = True
) -> tuple[Tensor, Tensor | None]:
    """A mask in any of its forms as (bool [Q, S]: the query may attend to the key; finite float bias [H or 1, Q, S] or ``None``).

    Args:
        mask: as the attention call got it: ``None``, bool, or float with very negative numbers where attention is forbidden.
            Or the blocks of ``flex_attention``, with the function that made them.
        queries: Q. keys: S. true_means: see :class:`~txpanel.models.quirks.Quirk`. buffer: the module's own causal mask, if any.
        hides_later: whether later keys are hidden where there is no mask.
    """
    if mask is None and buffer is None and hides_later:
        return _earlier(queries, keys), None
    every = torch.ones(queries, keys, dtype=torch.bool)
    if mask is None and buffer is None:
        return every, None
    own = every if buffer is None else buffer[0, 0, keys - queries : keys, :keys].cpu()
    if mask is None:
        return own, None
    if hasattr(mask, "mask_mod"):
        return own & dense(mask, queries, keys), None
    mask = mask.detach().cpu()
    mask = mask.reshape(-1, *mask.shape[-2:])[..., :keys]
    if mask.dtype == torch.bool:
        look = mask[0] if true_means == "look" else ~mask[0]
        return own & look, None
    seen = mask > torch.finfo(mask.dtype).min / 2
    bias = torch.where(seen, mask, torch.zeros_like(mask)).float()
    return own & seen[0], bias if bool(bias.any()) else None


def _earlier(queries: int, keys: int) -> Tensor:
    """Bool [Q, S]: each query sees its own key and those before it. All blocks of a text share one: for 8,192 tokens it takes 67 MB."""
    found = _EARLIER.get((queries, keys))
    if found is None:
        found = _EARLIER[queries, keys] = torch.ones(queries, keys, dtype=torch.bool).tril_(keys - queries)
    return found


def dense(blocks: Any, queries: int, keys: int) -> Tensor:
    """A mask of ``flex_attention`` as bool [Q, S]: it keeps blocks that are not empty, and the function that says which cells in them are seen."""
    from torch.nn.attention.flex_attention import create_mask  # late: few models run by it

    device = blocks.kv_num_blocks.device
    found: Tensor = create_mask(blocks.mask_mod, 1, 1, queries, keys, device=str(device))
    return found[0, 0].cpu()
