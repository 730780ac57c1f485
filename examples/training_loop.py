"""Watch a model while it learns: a trace every 100 steps of an ordinary training loop, which goes on as if nobody had looked.

python examples/training_loop.py [STEPS] [FOLDER]

The task has a right answer: three letters, an equals sign, the same letters in order (CAB=ABC). Each trace says how surprised the model was by
every letter of the answer, in bits; with a folder it is saved there, to be opened later with txpanel.open_trace or on the page.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel

import txpanel

EVERY = 100
TEXT = "CAB=ABC"


def batch(rows: int, generator: torch.Generator) -> torch.Tensor:
    """Lines of the task as bytes, [rows, 7]."""
    letters = torch.randint(65, 70, (rows, 3), generator=generator)
    return torch.cat([letters, torch.full((rows, 1), ord("=")), letters.sort(1).values], 1)


def right(model: txpanel.LanguageModel, text: str) -> bool:
    """Whether the model gives the answer to the question in a text."""
    question, answer = text.split("=")
    steps = txpanel.generate(model, question + "=", len(answer), temperature=0)
    return "".join(step.string for step in steps) == answer


def main(steps: int = 600, folder: str = "") -> GPT2LMHeadModel:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    config = GPT2Config(
        vocab_size=256, n_positions=16, n_embd=48, n_layer=2, n_head=3, resid_pdrop=0.05, embd_pdrop=0.05, attn_pdrop=0.05,
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    net = GPT2LMHeadModel(config).train()
    model = txpanel.LanguageModel.wrap(net, txpanel.load("nano").tokenizer)  # one token a byte; net stays in training
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3)
    for step in range(1, steps + 1):
        ids = batch(64, generator)
        logits = net(input_ids=ids).logits[:, 3:-1]  # only the answer can be known
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 4:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % EVERY == 0:
            trace = model.trace(TEXT)
            bits = trace.surprisal()[4:]
            said = ", ".join(f"{letter} {bit:.2f}" for letter, bit in zip(TEXT[4:], bits, strict=True))
            print(
                f"step {step}: loss {loss.item():.3f}; bits: {said}; {'right' if right(model, TEXT) else 'not right yet'}"
            )
            if folder:
                trace.save(Path(folder) / f"step-{step}.safetensors")
    return net


if __name__ == "__main__":
    main(*[int(argument) if argument.isdigit() else argument for argument in sys.argv[1:]])
