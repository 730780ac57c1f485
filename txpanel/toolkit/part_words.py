"""What is open of a model and what is not, in words: how a block's parts are called, why they are closed, and which other blocks have them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from txpanel.messages import _, again, plural
from txpanel.toolkit.format import count

if TYPE_CHECKING:
    from txpanel.models.anatomy import Anatomy, BlockAnatomy

__all__ = [
    "Module",
    "blocks_named",
    "closed_parts",
    "ended",
    "first_writes",
    "kind_name",
    "kind_words",
    "mixer_name",
    "module_of",
    "nearest",
    "part_name",
    "state_of",
    "why_closed",
    "with_attention",
    "with_mlp",
    "writer_name",
    "writes",
]


def state_of(block: BlockAnatomy, part: str) -> str:
    """``"open"``, ``"opaque"``, or "" where the block has no such part; `part`: ``"mixer"``, ``"mlp"`` or ``"block"``."""
    if part == "block":
        return "opaque" if "block" in block.opaque else "open"
    if "block" in block.opaque or not (block.has_mixer if part == "mixer" else block.mlp_there):
        return ""
    return "opaque" if part in block.opaque else "open"


def closed_parts(block: BlockAnatomy) -> list[str]:
    """The parts of a block that are drawn as closed boxes, in the order in which they are computed."""
    return ["block"] if "block" in block.opaque else [part for part in ("mixer", "mlp") if part in block.opaque]


def writes(block: BlockAnatomy) -> dict[str, str]:
    """The tensor that each part of a block adds to the stream: ``mixer`` (or the whole block) and ``mlp``, as far as they are there."""
    if "block" in block.opaque:
        return {"mixer": "block_out"}
    out = {"mixer": "mixer_out" if "mixer" in block.opaque else "attn_out"} if block.has_mixer else {}
    return out | ({"mlp": "mlp_out"} if block.mlp_there else {})


def with_attention(block: BlockAnatomy) -> bool:
    """Whether the block has an attention that is opened."""
    return block.has_attention


def with_mlp(block: BlockAnatomy) -> bool:
    """Whether the block has an MLP that is opened."""
    return block.has_mlp


def nearest(anatomy: Anatomy, layer: int, has: Callable[[BlockAnatomy], bool]) -> int | None:
    """The nearest other block of a sort, the later one of two as near; None where there is none."""
    found = [block.index for block in anatomy.blocks if has(block) and block.index != layer]
    return min(found, key=lambda i: (abs(i - layer), -i), default=None)


def blocks_named(layers: Iterable[int]) -> str:
    """Blocks in words, counted from 1 as everywhere on the page: ``block 3``, ``blocks 1–4, 9``."""
    runs: list[list[int]] = []
    for layer in sorted(set(layers)):
        if runs and layer == runs[-1][-1] + 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    several = [f"{run[0] + 1}–{run[-1] + 1}" if len(run) > 2 else ", ".join(str(i + 1) for i in run) for run in runs]
    return plural("block {n}", "blocks {n}", sum(map(len, runs))).format(n=", ".join(several))


def kind_name(kind: str) -> str:
    """What mixes the tokens in a block of this kind, in a word or two."""
    return {
        "attention": _("attention"),
        "mamba": _("Mamba"),
        "mamba2": _("Mamba-2"),
        "convolution": _("convolution"),
        "linear attention": _("linear attention"),
        "recurrent": _("recurrent layer"),
        "rwkv": _("RWKV"),
        "hybrid": _("several parallel layers"),
        "mlp": _("MLP only"),
        "unknown": _("a layer of another kind"),
    }.get(kind, kind)


def kind_words(kind: str) -> str:
    """What such a layer does instead of attention, in a sentence for a newcomer; empty where nothing general can be said."""
    state = _(
        "It is a <b>state space model</b>: it reads the text in order and keeps a state of fixed size, instead "
        "of attending to earlier tokens."
    )
    return {
        "mamba": state,
        "mamba2": state,
        "convolution": _(
            "A <b>convolution</b> combines each token with a few tokens before it, always at the same distances."
        ),
        "linear attention": _(
            "<b>Linear attention</b> keeps one running summary of all earlier tokens, instead of attending to each "
            "of them."
        ),
        "recurrent": _("A <b>recurrent layer</b> reads the text in order and keeps a state of fixed size."),
        "rwkv": _(
            "<b>RWKV</b> reads the text in order and keeps decaying averages, instead of attending to earlier tokens."
        ),
        "hybrid": _(
            "Several kinds of layer, such as attention and a state space model, work <b>in parallel</b> here, and "
            "their outputs are combined."
        ),
        "unknown": _("txpanel does not know how this layer combines the tokens."),
        "mlp": _("This block has only an <b>MLP</b>: no information moves between tokens."),
    }.get(kind, "")


def mixer_name(block: BlockAnatomy) -> str:
    """What mixes the tokens in a block, and that it is not opened where it is an attention."""
    if block.kind == "attention" and not block.has_attention:
        return _("attention, not opened here")
    return kind_name(block.kind)


def part_name(block: BlockAnatomy, part: str) -> str:
    """A part in words: ``Mamba``, ``MLP, not opened here``."""
    if part == "block":
        return _("the whole block") if block.kind in ("attention", "unknown") else kind_name(block.kind)
    if part == "mlp":
        return _("MLP, not opened here") if "mlp" in block.opaque else _("MLP")
    return mixer_name(block)


def writer_name(block: BlockAnatomy, part: str) -> str:
    """What adds to the stream, in words: ``Mamba writes``; of a whole block ``the block adds``."""
    if part == "block":
        return _("block output − input")
    if part == "mlp":
        return _("MLP output")
    own = {
        "attention": _("attention output"),
        "hybrid": _("output of the parallel layers"),
        "unknown": _("output of this layer"),
    }
    return own.get(block.kind) or _("{mixer} output").format(mixer=kind_name(block.kind))


def first_writes(anatomy: Anatomy | None) -> str:
    """What the first of the two writes of a block is called: attention, or what stands in its place in some blocks."""
    blocks = anatomy.blocks if anatomy is not None else ()
    if all(block.kind in ("attention", "mlp") and "block" not in block.opaque for block in blocks):
        return _("attention output")
    names = {writer_name(block, "block" if "block" in block.opaque else "mixer") for block in blocks if block.has_mixer}
    return names.pop() if len(names) == 1 else _("token mixer output")


def why_closed(block: BlockAnatomy, part: str) -> str:
    """Why a part is not opened, as a sentence; empty where it is open."""
    reason = block.opaque.get("block") or block.opaque.get(part) or ""
    return ended(reason)


def ended(reason: str) -> str:
    """A reason as a sentence of its own."""
    said = str(again(reason)).strip()
    if not said:
        return ""
    said = said[0].upper() + said[1:]
    whole = said.endswith((".", "!", "?", ")", "。", "！", "？", "）")) and not said.endswith("...")
    return said if whole else _("{sentence}.").format(sentence=said)


@dataclass(frozen=True)
class Module:
    """A module of the model: its path, the name of its class, and how many parameters it has (class "" and parameters 0: not known)."""

    path: str
    kind: str = ""
    parameters: int = 0

    @property
    def size(self) -> str:
        """Its size in words; empty where it is not known."""
        if not self.kind:
            return ""
        return plural("{n} parameter", "{n} parameters", self.parameters).format(n=count(self.parameters))

    @property
    def words(self) -> str:
        """Path, class and size, as far as they are known."""
        about = ", ".join(text for text in (self.kind, self.size) if text)
        return f"{self.path} ({about})" if self.path and about else self.path or about


def module_of(anatomy: Anatomy, layer: int, part: str) -> Module:
    """The module of a part that is not opened."""
    block = anatomy.blocks[layer]
    return Module(block.modules.get(part, ""), block.made_by.get(part, ""), block.sizes.get(part, 0))
