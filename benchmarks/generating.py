"""B-07: tokens per second while every step is recorded."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch

import txpanel
from benchmarks.measuring import interleave
from benchmarks.peers import transformer_lens
from benchmarks.subject import Subject
from benchmarks.tables import Table
from txpanel.tracing.record import prefixes

NEW = 32


def speed(subject: Subject, lengths: list[int], repeat: int) -> Table:
    """Greedy, `NEW` tokens, from prompts of some lengths."""
    table = Table(
        "B-07",
        f"Generation, {NEW} new tokens, greedy",
        "Tokens per second, best of the interleaved runs; speed as a share of transformers' plain `generate`. txpanel's steps are all "
        "recorded: any number of any step can be asked for afterwards. All write the same tokens, which is checked first.",
        [("prompt and tool", ""), ("tokens/s", "per s"), ("speed", "times")],
        plot="speed",
    )
    for tokens in lengths:
        ids = subject.ids(tokens)
        with torch.inference_mode():
            found = cases(subject, ids)
            written = {name: write() for name, write in found.items()}
            assert all(tokens == next(iter(written.values())) for tokens in written.values()), written

            def forget() -> None:
                prefixes(subject.ours).clear()  # the prompt of the last round: transformers starts from nothing too

            for name, timing in interleave(found, repeat, forget).items():
                table.rows.append([f"{tokens}: {name}", NEW / timing.best, 1 / timing.ratio])
    return table


def cases(subject: Subject, ids: torch.Tensor) -> dict[str, Callable[[], list[int]]]:
    """Everybody's way to the same tokens; each gives them back."""
    greedy = {"max_new_tokens": NEW, "min_new_tokens": NEW, "do_sample": False, "pad_token_id": 0}
    attentions = {"output_attentions": True, "output_hidden_states": True, "return_dict_in_generate": True}
    start, prompt = ids.shape[1], ids[0].tolist()
    found: dict[str, Callable[[], list[int]]] = {
        "transformers, plain": lambda: subject.plain.generate(ids, **greedy)[0, start:].tolist(),
        "**txpanel, every step recorded**": lambda: [
            step.token for step in list(txpanel.generate(subject.ours, prompt, NEW, temperature=0))
        ],
        "transformers, eager, attentions and hidden states": lambda: (
            subject.eager.generate(ids, **greedy, **attentions).sequences[0, start:].tolist()
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
        found["TransformerLens, plain"] = lambda: _tokens(bridge.generate(ids, **settings), start)
        found["TransformerLens, with its cache"] = lambda: _tokens(
            bridge.generate(ids, return_cache=True, **settings), start
        )
    return found


def _tokens(answer: Any, start: int) -> list[int]:
    """What a peer wrote: [1, T] ids, alone or with a cache beside them."""
    ids = answer[0] if isinstance(answer, tuple) else answer
    return [int(token) for token in ids[0, start:]]
