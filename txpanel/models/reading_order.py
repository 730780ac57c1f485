"""In which order a module's code calls its parts: where a norm stands is seen in the code, not in the list of parts."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Hashable, Iterator
from functools import cache
from typing import Any, cast

from torch import nn

from txpanel.models.adapters import core

__all__ = ["calls", "norm_before", "norm_places"]


def calls(kind: type[nn.Module]) -> tuple[str, ...]:
    """What ``kind.forward`` calls, in order of first use: attributes of the module by their name, functions by theirs. () without its source."""
    return _calls(kind.forward)


@cache
def _calls(forward: Hashable) -> tuple[str, ...]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(cast(Callable[..., Any], forward)))))
    except (OSError, TypeError, SyntaxError):
        return ()
    return tuple(dict.fromkeys(_called(tree)))


def _called(node: ast.AST) -> Iterator[str]:
    """The names that are called, in order of execution: arguments before the function that gets them."""
    if isinstance(node, ast.Call):
        for part in [*node.args, *(keyword.value for keyword in node.keywords)]:
            yield from _called(part)
        yield from _called(node.func)
        name = _name(node.func)
        if name:
            yield name
        return
    for child in ast.iter_child_nodes(node):
        yield from _called(child)


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Name):
        return function.id
    path: list[str] = []
    owner: ast.AST = function
    while isinstance(owner, ast.Attribute):
        path.append(owner.attr)
        owner = owner.value
    return path[-1] if path and isinstance(owner, ast.Name) and owner.id == "self" else ""


def norm_before(block: nn.Module, name: str) -> nn.Module | None:
    """The norm that a block's code calls right before a part of that name; ``None``: something else is."""
    order, children = calls(type(block)), dict(block.named_children())
    before = order[order.index(name) - 1] if name in order[1:] else ""
    return children.get(before) if "norm" in type(core(children.get(before))).__name__.lower() else None


def norm_places(block: nn.Module, mixer: str, mlp: str, cross: str = "") -> tuple[str, dict[str, nn.Module]] | None:
    """Where a block's norms stand, by the order in which its code calls them; ``None`` where the order does not tell.

    Args:
        mixer, mlp: names of the attributes that are called in between. cross: of a cross-attention, whose own norm is none of these.

    Returns:
        The place, as `txpanel.models.anatomy.NormPlace` has it, and the norms by their standard names.
    """
    order = calls(type(block))
    if mixer not in order or mlp not in order or order.index(mixer) > order.index(mlp):
        return None
    of_cross = norm_before(block, cross) if cross else None
    norms = [
        (order.index(name), child)
        for name, child in block.named_children()
        if name in order
        and "norm" in type(core(child)).__name__.lower()
        and not name.startswith(("encoder_attn", "cross", "ln_cross"))
        and child is not of_cross
    ]
    first, second = order.index(mixer), order.index(mlp)
    norms.sort(key=lambda one: one[0])
    before = [child for at, child in norms if at < first]
    between = [child for at, child in norms if first < at < second]
    after = [child for at, child in norms if at > second]
    match len(before), len(between), len(after):
        case 1, 1, 0:
            return "pre", {"ln1": before[0], "ln2": between[0]}
        case 1, 2, 1:
            return "sandwich", {"ln1": before[0], "attn_norm": between[0], "ln2": between[1], "mlp_norm": after[0]}
        case 0, 1, 1:
            return "post", {"ln1": between[0], "ln2": after[0]}
    return None
