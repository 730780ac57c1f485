"""Writes docs/families.md from the last sweep over all families (`python -m tests.sweep.run` makes a new one)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "families.md"
RESULT = ROOT / "tests" / "sweep" / "result.json"
STATES = {
    "open": "**open**", "partly": "partly", "refused": "refused", "not built": "not built", "wrong": "**wrong**", "crash": "**crash**",
}  # fmt: skip
HEAD = """# Families of models

Written by `python scripts/families.py` from a sweep over transformers {version} (`python -m tests.sweep.run`). One test fails where this table is not what
the last sweep gave; another, marked `sweep`, sweeps again and fails where it gives something else.

For each `model_type` that transformers lists for text generation, a tiny random model (large weights, no constant at 0 or 1) is opened and held against
the untouched model: each block's input, the logits, four greedy tokens, attention patterns where the family gives them, and random cells of every
tensor against the sum of their terms. Your own model is compared with itself in the same way before anything of it is shown.

{counts}

* *open*: stream, logits and generation are right, and every attention and every MLP is opened. The way from a token to the stream, or from the stream to
  the logits, may be closed (the last column says so), and layers that are no attention (state space, convolution, linear attention) are shown as what they
  are: their input, their output, and what they add.
* *partly* open: stream, logits and generation are right; an attention or an MLP, named in the last column with the reason, is closed: real input and
  output, no inside.
* *refused*: nothing is shown, and a sentence says why.
* *not built*: the sweep has no small model of it, for the reason given.

Columns count blocks: "2/3" attention means that two of three attention blocks are opened. *Others* are blocks without attention. *Compared* is the number of
blocks whose attention pattern was also held against transformers' own eager attention.

| family | opens | stream | attention | MLP | norms | logits | generation | others | compared | why not all |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
{rows}

## Models that fill gaps

Encoders: the families of transformers' masked language models that are no encoder-decoders, each run as such, without a mask over later tokens. A `model_type`
may be in both tables: BERT can also be built to write on. In the place of generation stands *gaps*: what the model says in each of two gaps, and at
the first and the last token, is the untouched model's own.

{encoder_counts}

| family | opens | stream | attention | MLP | norms | logits | gaps | others | compared | why not all |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
{encoder_rows}

## Encoder-decoders

Those that read a text and write another, with both stacks; a `model_type` may be in the table above, too, with its decoder alone. What is opened is the
decoder: *cross* counts its cross-attentions, which look at what the encoder made of the source. The encoder is run by its own code: the source's tokens and
its last state (`encoder.state`) are there, its blocks are not opened. Generation begins as `generate` does.

{pair_counts}

| family | opens | stream | attention | cross | MLP | norms | logits | generation | compared | why not all |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
{pair_rows}
"""
MASKED = "/masked"
PAIR = "/pair"
COLUMNS = ("stream", "attention", "mlp", "norms", "logits", "generation")
PAIR_COLUMNS = ("stream", "attention", "cross", "mlp", "norms", "logits", "generation")


def page() -> str:
    """The text of docs/families.md."""
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    families = [one for one in result["families"] if not one["family"].endswith((MASKED, PAIR))]
    encoders = [one for one in result["families"] if one["family"].endswith(MASKED)]
    pairs = [one for one in result["families"] if one["family"].endswith(PAIR)]
    return HEAD.format(
        version=result["transformers"],
        counts=_counted(families),
        rows="\n".join(map(_row, families)),
        encoder_counts=_counted(encoders),
        encoder_rows="\n".join(map(_row, encoders)),
        pair_counts=_counted(pairs),
        pair_rows="\n".join(map(_row, pairs)),
    )


def _counted(families: list[dict[str, Any]]) -> str:
    numbers = {state: sum(one["state"] == state for one in families) for state in STATES}
    told = ", ".join(f"{number} {state}" for state, number in numbers.items() if number or state in ("open", "partly"))
    return f"**{len(families)} families: {told}.**"


def _row(one: dict[str, Any]) -> str:
    pair = one["family"].endswith(PAIR)
    columns = PAIR_COLUMNS if pair else COLUMNS
    shown = one["state"] in ("open", "partly")
    cells = [one.get(name, "") if shown else "" for name in columns]
    if not pair:
        others = ", ".join(f"{number} {kind}" for kind, number in one.get("others", {}).items())
        cells.append(others if shown else "")
    compared = str(one["patterns"] or "") if shown else ""
    reason = one["reason"].replace("|", "\\|").replace("<", "&lt;")
    return (
        f"| `{one['family'].removesuffix(PAIR).removesuffix(MASKED)}` | {STATES[one['state']]} | "
        + " | ".join([*cells, compared, reason])
        + " |"
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
