"""B-07: tokens per second while every step is recorded."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch

import txpanel
from benchmarks.measuring import Table, interleave
from benchmarks.peers import transformer_lens
from benchmarks.subject import Subject

NEW = 32


def speed(subject: Subject, lengths: list[int], repeat: int) -> Table:
    """Greedy, `NEW` tokens, from prompts of some lengths."""
    table = Table(
        "B-07",
        f"Generation, {NEW} new tokens, greedy",
        "Tokens per second, best of the interleaved runs; ratio of time to transformers' plain `generate`. txpanel's steps are all "
        "recorded: any number of any step can be asked for afterwards.",
        ("prompt and tool", "tokens/s", "time ratio"),
    )
    for tokens in lengths:
        ids = subject.ids(tokens)
        with torch.inference_mode():
            for name, timing in interleave(cases(subject, ids), repeat).items():
                table.rows.append((f"{tokens}: {name}", f"{NEW / timing.best:.1f}", f"{timing.ratio:.2f}"))
    return table


def cases(subject: Subject, ids: torch.Tensor) -> dict[str, Callable[[], Any]]:
    """Each writes the same tokens, or the comparison is void."""
    greedy = {"max_new_tokens": NEW, "min_new_tokens": NEW, "do_sample": False, "pad_token_id": 0}
    plain = subject.plain.generate(ids, **greedy)[0, ids.shape[1] :].tolist()

    def ours() -> None:
        subject.ours.prefixes = None  # the last round's keys and values: plain transformers starts from nothing too
        steps = list(txpanel.generate(subject.ours, ids[0].tolist(), NEW, temperature=0))
        assert [step.token for step in steps] == plain[: len(steps)]

    attentions = {"output_attentions": True, "output_hidden_states": True, "return_dict_in_generate": True}
    found: dict[str, Callable[[], Any]] = {
        "transformers, plain": lambda: subject.plain.generate(ids, **greedy),
        "**txpanel, every step recorded**": ours,
        "transformers, eager, attentions and hidden states": lambda: subject.eager.generate(
            ids, **greedy, **attentions
        ),
    }
    if find_spec("transformer_lens"):
        bridge = transformer_lens(subject)
        settings = {
            "max_new_tokens": NEW,
            "do_sample": False,
            "return_type": "tokens",
            "verbose": False,
            "stop_at_eos": False,
        }
        found["TransformerLens, plain"] = lambda: bridge.generate(ids, **settings)
        found["TransformerLens, with its cache"] = lambda: bridge.generate(ids, return_cache=True, **settings)
    return found
