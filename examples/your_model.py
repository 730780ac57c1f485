"""Open a model of your own: any causal language model from transformers, with its tokenizer.

python examples/your_model.py FOLDER_OR_HUB_ID [TEXT]
"""

from __future__ import annotations

import sys

from transformers import AutoModelForCausalLM, AutoTokenizer

import txpanel


def main(name: str, text: str = "Once upon a time") -> None:
    model = txpanel.LanguageModel.wrap(AutoModelForCausalLM.from_pretrained(name), AutoTokenizer.from_pretrained(name))
    print(model)
    trace = model.trace(text)
    best = trace.logits.values.argsort()[::-1][:5]
    print("next:", [model.tokens([int(token)]).strings[0] for token in best])
    for layer in range(model.anatomy.n_layers):
        check = trace.check(layer)
        print(f"block {layer}: replay {'exact' if check.exact else f'differs by {check.difference:.2g}: {check.note}'}")


if __name__ == "__main__":
    main(*sys.argv[1:])
