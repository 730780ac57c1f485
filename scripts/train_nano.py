#!/usr/bin/env python3
"""Train the nano model that ships inside txpanel: a GPT-2 that sorts letters. About ten minutes on one core.

    python scripts/train_nano.py            # writes txpanel/models/nano/
    python scripts/train_nano.py --check    # measures the shipped one over every input

The task, one per line: up to six letters from A to E, an equals sign, the same letters in order.

    CBABBC=ABBBCC
    EDA=ADE

Every byte is a token, so that any text can be typed; bytes other than ``A`` to ``E``, ``=`` and the line feed were
never seen in training. Same seed, same torch, one thread: same weights.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from pathlib import Path

import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

FOLDER = Path(__file__).resolve().parent.parent / "txpanel" / "models" / "nano"
LETTERS = "ABCDE"
LONGEST = 6  # letters in a line
POSITIONS = 64
SEED = 0
IGNORE = -100


def config() -> GPT2Config:
    """Three blocks of three heads, width 48: about a hundred thousand parameters."""
    return GPT2Config(
        vocab_size=256, n_positions=POSITIONS, n_embd=48, n_layer=3, n_head=3,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip


def tokenizer_json() -> str:
    """One token per byte: the byte-level alphabet, no merges. Ids are the byte values."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    tokenizer = Tokenizer(models.BPE(vocab={letter: byte for byte, letter in bytes_to_unicode().items()}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer.to_str(pretty=True)


def batch(rows: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """`rows` texts of lines, and the weight of each next byte.

    Returns:
        bytes [rows, POSITIONS + 1] and weights [rows, POSITIONS]: answers count fully, the random letters a little
        (nobody can know them, but the model should say so: all equally likely).
    """
    texts = torch.empty(rows, POSITIONS + 1, dtype=torch.long)
    weights = torch.empty(rows, POSITIONS)
    for row in range(rows):
        line: list[int] = []
        weight: list[float] = []
        while len(line) <= POSITIONS:
            # half the lines have full length: there are far more of those
            length = LONGEST if torch.rand((), generator=generator) < 0.5 else None
            count = length or int(torch.randint(1, LONGEST + 1, (), generator=generator))
            letters = torch.randint(65, 65 + len(LETTERS), (count,), generator=generator)
            answer = letters.sort().values.tolist()
            line += [*letters.tolist(), ord("="), *answer, ord("\n")]
            weight += [0.05] * (count + 1) + [1.0] * (count + 1)
        texts[row] = torch.tensor(line[: POSITIONS + 1])
        weights[row] = torch.tensor(weight[1 : POSITIONS + 1])
    return texts, weights


def train(steps: int, rows: int) -> GPT2LMHeadModel:
    """Train from scratch; prints the loss as it goes."""
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    generator = torch.Generator().manual_seed(SEED)
    model = GPT2LMHeadModel(config()).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps, pct_start=0.1)
    begun = time.time()
    for step in range(steps):
        texts, weights = batch(rows, generator)
        logits = model(input_ids=texts[:, :-1]).logits  # [B, T, V]
        losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), texts[:, 1:].flatten(), reduction="none")
        loss = (losses * weights.flatten()).sum() / weights.sum()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % 250 == 249:
            right, total = accuracy(model, 4000)
            print(
                f"step {step + 1}: loss {loss.item():.4f}, right {right}/{total}, {time.time() - begun:.0f} s",
                flush=True,
            )
    return model.eval()


def every_input() -> list[str]:
    """All 19,530 inputs of the task."""
    return ["".join(p) for n in range(1, LONGEST + 1) for p in itertools.product(LETTERS, repeat=n)]


@torch.inference_mode()
def accuracy(model: torch.nn.Module, most: int | None = None, before: str = "") -> tuple[int, int]:
    """How many inputs are sorted without one wrong token, line feed included, when the likeliest token is taken.

    Args:
        model: a causal language model over bytes.
        most: that many inputs, spread evenly, instead of all.
        before: lines that stand before the question.

    Returns:
        (right, asked).
    """
    inputs = every_input()
    inputs = inputs[:: max(1, len(inputs) // most)] if most else inputs
    right = 0
    for length, group in itertools.groupby(inputs, len):
        for chunk in _chunks(list(group), 2048):
            lines = [f"{before}{letters}={''.join(sorted(letters))}\n" for letters in chunk]
            ids = torch.tensor([list(line.encode()) for line in lines])
            # feeding the right answer and asking for each next token finds a first mistake exactly where taking the
            # likeliest token step by step would make it
            guesses = model(input_ids=ids[:, :-1]).logits[:, -(length + 1) :].argmax(-1)
            right += int((guesses == ids[:, -(length + 1) :]).all(-1).sum())
    return right, len(inputs)


def _chunks(items: list[str], size: int) -> list[list[str]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def save(model: GPT2LMHeadModel) -> None:
    """Write config, weights and tokenizer into the package."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(FOLDER)
    (FOLDER / "model.safetensors").chmod(0o644)
    (FOLDER / "generation_config.json").unlink(missing_ok=True)
    (FOLDER / "tokenizer.json").write_text(tokenizer_json() + "\n", encoding="utf-8")
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": POSITIONS}
    (FOLDER / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Train and save, or measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="measure the shipped model over every input")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--rows", type=int, default=64, help="texts per step")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # with more, sums change their order and the weights their last digits
    if arguments.check:
        model = GPT2LMHeadModel.from_pretrained(FOLDER)
    else:
        model = train(arguments.steps, arguments.rows)
        save(model)
    for before in ("", "DEED=DDEE\n", "BA=AB\nCCADEB=ABCCDE\n"):
        right, total = accuracy(model, before=before)
        print(f"after {before!r}: {right} of {total} inputs sorted, {100 * right / total:.3f} %")


if __name__ == "__main__":
    main()
