"""What the bar says of a model and its blocks, in a few words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from txpanel.decoding.ranges import RANGES
from txpanel.decoding.settings import SURPRISE, USUAL
from txpanel.messages import _, again, plural
from txpanel.page.top_bar.words import gap_examples
from txpanel.toolkit.format import count
from txpanel.toolkit.part_words import blocks_named, kind_name, mixer_name

if TYPE_CHECKING:
    from txpanel.models.anatomy import Anatomy
    from txpanel.models.catalogue import Entry
    from txpanel.models.language_model import LanguageModel
    from txpanel.models.limits import Limits
    from txpanel.session.state import ModelState


def of(n: int) -> list[str]:
    """Names of n choices, such as “3 of 12”."""
    return [_("{i} of {n}").format(i=i + 1, n=n) for i in range(n)]


def block_name(anatomy: Anatomy, layer: int) -> str:
    """A block's number; where blocks are of several kinds, with its own."""
    said = _("{i} of {n}").format(i=layer + 1, n=anatomy.n_layers)
    several = len({block.kind for block in anatomy.blocks}) > 1
    return f"{said} · {kind_name(anatomy.blocks[layer].kind)}" if several else said


def headless(anatomy: Anatomy, layer: int) -> str:
    """Why there is no head to choose in a block."""
    block = anatomy.blocks[layer]
    there = [other.index for other in anatomy.blocks if other.has_attention]
    said = _("Block {n} has no heads: {name}.").format(n=layer + 1, name=mixer_name(block))
    return said + (" " + _("Attention is opened in {blocks}.").format(blocks=blocks_named(there)) if there else "")


def gaps(model: LanguageModel | None) -> dict[str, Any]:
    """Of a model that fills gaps: its mask token as it is typed, why it does not generate, and texts with a gap; {} of one that writes on."""
    if model is None or not model.anatomy.fills:
        return {}
    from txpanel.models.masked_tokens import no_continuation  # late: torch; the page is painted before it is imported

    mask = getattr(model.tokenizer, "mask_token", None)
    return {
        "mask": str(mask or ""),
        "reason": no_continuation(),
        "examples": gap_examples(model.anatomy.family, str(mask)) if mask else [],
    }


def size_of_model(anatomy: Anatomy) -> str:
    """Blocks and heads in a few words."""
    n = anatomy.n_layers
    blocks = plural("{n} block", "{n} blocks", n).format(n=n)
    block = next((block for block in anatomy.blocks if block.has_attention), None)
    if block is None:
        return f"{blocks} · {', '.join(dict.fromkeys(mixer_name(each) for each in anatomy.blocks))}"
    if block.n_kv_heads != block.n_heads:
        heads = _("{heads} heads, {kv} key/value heads").format(heads=block.n_heads, kv=block.n_kv_heads)
    else:
        heads = plural("{n} head", "{n} heads", block.n_heads).format(n=block.n_heads)
    return f"{blocks} · {heads}"


def entry_facts(entry: Entry) -> dict[str, str]:
    """What the list of models says of one."""
    from txpanel.models.progress import size_text  # late: only when it is shown

    facts = [_("{n} M parameters").format(n=count(round(entry.parameters / 1e6)))] if entry.parameters > 1e6 else []
    facts += [size_text(entry.packages.nbytes if entry.packages else entry.nbytes)] if entry.nbytes else []
    return {
        "name": entry.name,
        "title": entry.title,
        "facts": " · ".join([*facts, entry.licence]),
        "note": " ".join(part for part in (again(entry.note), again(entry.terms)) if part),
    }


def settings_ready(state: ModelState | None) -> dict[str, dict[str, float]]:
    """Settings that are one click away: the usual ones of this page, and those that surprise."""
    usual = state.usual if state is not None else USUAL
    return {
        name: {k: each[k] for k in RANGES if k != "seed"} for name, each in (("usual", usual), ("surprise", SURPRISE))
    }


def limits_shown(limits: Limits) -> dict[str, int]:
    """What the page does not let anybody ask for: tokens, characters (0: any number), bytes of a file."""
    most = limits.characters
    return {
        "new_tokens": limits.max_new_tokens,
        "characters": int(most) if math.isfinite(most) else 0,
        "upload": limits.max_upload_mb * 1_000_000,
    }
