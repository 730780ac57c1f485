"""B-01, B-02, B-03, B-11: recording, what it holds, a map when it is asked for, and the next run after an edit."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from transformers.cache_utils import DynamicCache

from benchmarks.measuring import Timing, held, interleave
from benchmarks.peers import Run, content, installed
from benchmarks.subject import Subject
from benchmarks.tables import Table
from txpanel.tracing import record
from txpanel.tracing.passes import with_cache

LAYER, HEAD = 5, 3


def first_map(subject: Subject, lengths: list[int], repeat: int) -> Table:
    """B-01."""
    table = Table(
        "B-01",
        "From token ids to the first head's map",
        "Milliseconds to run the model and have one head's pattern at hand; ratio to the plain forward pass (SDPA, all logits) of "
        "the same loop. txpanel asks the model for the last logits only, as a person looking at the next token does.",
        [("tokens and tool", ""), ("best", "ms"), ("median", "ms"), ("ratio", "times")],
        plot="ratio",
    )
    peers = {title: make(subject) for title, make in installed().items()}
    for tokens in lengths:
        ids = subject.ids(tokens)
        agree(subject, ids)
        with torch.inference_mode():
            for name, timing in interleave(recorders(subject, ids, peers), repeat).items():
                table.rows.append([f"{tokens}: {name}", timing.best, timing.median, timing.ratio])
    return table


def recorders(subject: Subject, ids: torch.Tensor, peers: dict[str, Run]) -> dict[str, Callable[[], Any]]:
    """Everybody's way to the same map."""
    row = ids[0].tolist()
    cases: dict[str, Callable[[], Any]] = {
        "transformers, plain forward": lambda: subject.plain(ids),
        "transformers, last logits only": lambda: subject.plain(ids, logits_to_keep=1),
        "transformers, eager with attentions": lambda: subject.eager(ids, output_attentions=True),
        "**txpanel: record**": lambda: record(subject.ours, row, reuse=False),
        "**txpanel: record and one map**": lambda: record(subject.ours, row, reuse=False).head_map(LAYER, HEAD),
    }
    return cases | {title: (lambda run=run: run(ids)) for title, run in peers.items()}


def agree(subject: Subject, ids: torch.Tensor) -> None:
    """No time is worth anything if the numbers differ."""
    with torch.inference_mode():
        expected = subject.plain(ids).logits[0, -1]
        pattern = subject.eager(ids, output_attentions=True).attentions[LAYER][0, HEAD]
    trace = record(subject.ours, ids[0].tolist(), reuse=False)
    assert np.abs(trace.logits.values - expected.numpy()).max() < 1e-4
    assert np.abs(trace.head_map(LAYER, HEAD) - pattern.numpy()).max() < 1e-6


def memory(subject: Subject, lengths: list[int]) -> Table:
    """B-02."""
    table = Table(
        "B-02",
        "Bytes held after recording",
        "Distinct tensor storages, in MB; the last column says how they grow when the text doubles. What each holds differs and is "
        "named: from txpanel's checkpoints every tensor of every block can be re-derived.",
        [("tool", ""), *((f"{tokens} tokens", "MB") for tokens in lengths), ("per doubling", "times")],
        plot=f"{lengths[-1]} tokens",
        log=True,
    )
    for title, bytes_held in _recordings(subject, lengths):
        table.rows.append([title, *bytes_held, bytes_held[-1] / bytes_held[-2]])
    return table


def _recordings(subject: Subject, lengths: list[int]) -> Iterator[tuple[str, list[int]]]:
    yield (
        "**txpanel: checkpoints of all blocks**",
        [record(subject.ours, subject.ids(tokens)[0].tolist(), reuse=False).nbytes for tokens in lengths],
    )
    with torch.inference_mode():
        eager = [_eager(subject, tokens) for tokens in lengths]
        yield "transformers, eager: attentions, hidden states, logits", eager
        for title, make in installed().items():
            run = make(subject)
            yield title, [held(content(run(subject.ids(tokens)))) for tokens in lengths]


def _eager(subject: Subject, tokens: int) -> int:
    out = subject.eager(subject.ids(tokens), output_attentions=True, output_hidden_states=True)
    return held(out.attentions, out.hidden_states, out.logits)


def head_change(subject: Subject, lengths: list[int], repeat: int) -> Table:
    """B-03, the server's part."""
    table = Table(
        "B-03",
        "Another head, another block",
        "Milliseconds of Python until the numbers are there. Another head of the open block: one map from its q and k. Another block: "
        "one block replayed, then the map. The browser's part: `python -m benchmarks.page`.",
        [
            ("tokens", "count"),
            ("another head, best", "ms"),
            ("another block, best", "ms"),
            ("plain forward, best", "ms"),
        ],
    )
    for tokens in lengths:
        times = changes(subject, subject.ids(tokens), repeat)
        table.rows.append([tokens, *(times[name].best for name in ("head", "block", "plain"))])
    return table


def changes(subject: Subject, ids: torch.Tensor, repeat: int) -> dict[str, Timing]:
    """Another head on one trace; another block on a trace that has replayed none; a forward pass beside them."""
    traces = [record(subject.ours, ids[0].tolist(), reuse=False) for _ in range(repeat + 2)]
    first = traces.pop()
    first.head_map(LAYER, HEAD)
    heads = itertools.cycle(range(subject.config.n_head))
    with torch.inference_mode():
        return interleave(
            {
                "plain": lambda: subject.plain(ids),
                "head": lambda: first.head_map(LAYER, next(heads)),
                "block": lambda: traces.pop().head_map(LAYER, HEAD),
            },
            repeat,
        )


def edit(subject: Subject, tokens: int, repeat: int) -> Table:
    """B-11."""
    table = Table(
        "B-11",
        f"After an edit of one token, {tokens} tokens",
        "Milliseconds until the new text is recorded; ratio to one decoding step of transformers with its cache of the other tokens. txpanel starts at "
        "the first changed token: keys and values before it are still there. After an edit in the middle half of the text is new.",
        [("what", ""), ("best", "ms"), ("median", "ms"), ("ratio", "times")],
        plot="ratio",
    )
    with torch.inference_mode():
        for name, timing in interleave(edits(subject, tokens), repeat).items():
            table.rows.append([name, timing.best, timing.median, timing.ratio])
    return table


def edits(subject: Subject, tokens: int) -> dict[str, Callable[[], Any]]:
    """Each case edits a text of its own, over and over, so that only its own edit lies between two runs."""
    ids = subject.ids(tokens)[0].tolist()
    turn = itertools.count()

    def edited(at: int) -> list[int]:
        new = list(ids)
        new[at] = 1 + (new[at] + next(turn)) % (subject.config.vocab_size - 2)
        return new

    def ours(at: int) -> Callable[[], Any]:
        model = copy.copy(subject.ours)  # the same weights, a cache of its own
        keep = [record(model, ids)]

        def again() -> None:
            keep[:] = [record(model, edited(at))]

        again()
        expected = subject.plain(torch.tensor([keep[0].tokens.ids.tolist()])).logits[0, -1]
        assert (keep[0].tensor("logits") - expected).abs().max() < 1e-3
        return again

    cache = DynamicCache()
    subject.plain(torch.tensor([ids[:-1]]), **with_cache(subject.plain, cache), logits_to_keep=1)

    def decode() -> None:
        subject.plain(torch.tensor([edited(-1)[-1:]]), **with_cache(subject.plain, cache), logits_to_keep=1)
        cache.crop(-1)

    return {
        "transformers, one decoding step": decode,
        "transformers, all again, last logits only": lambda: subject.plain(
            torch.tensor([edited(-1)]), logits_to_keep=1
        ),
        "transformers, all again": lambda: subject.plain(torch.tensor([edited(-1)])),
        "**txpanel: the last token changed**": ours(-1),
        "**txpanel: the token in the middle changed**": ours(tokens // 2),
    }
