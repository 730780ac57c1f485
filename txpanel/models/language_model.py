"""A running model with its tokenizer, its anatomy, and where its weights came from."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from txpanel.errors import Unsupported
from txpanel.models.anatomy import Anatomy
from txpanel.models.inspect_model import inspect_model
from txpanel.models.parts import ModelParts
from txpanel.models.provenance import Provenance
from txpanel.models.tokens import Tokens, read_tokens

if TYPE_CHECKING:
    from txpanel.tracing.trace import Trace

_counter = itertools.count(1)


class LanguageModel:
    """A causal language model with all that is needed to explain its runs.

    Attributes:
        name: short name ("smollm2-135m"). title: name for people. model: the Hugging Face model, in eval mode.
        tokenizer: its fast tokenizer. anatomy: its shape. parts: its modules and weights. source: where the weights came from.
        lock: held while the model runs; runs of several sessions take turns.
        key: identifies this object in caches; no two objects have the same.
    """

    def __init__(self, model: nn.Module, tokenizer: Any, *, name: str, title: str, source: Provenance) -> None:
        model.eval()
        model.requires_grad_(False)
        self.model: Any = model
        self.tokenizer = tokenizer
        self.name, self.title, self.source = name, title, source
        self.anatomy: Anatomy
        self.parts: ModelParts
        self.anatomy, self.parts = inspect_model(model)
        self.lock = threading.RLock()
        self.key = f"{name}#{next(_counter)}"

    @classmethod
    def wrap(
        cls,
        model: nn.Module,
        tokenizer: Any,
        *,
        name: str | None = None,
        title: str | None = None,
        source: Provenance | None = None,
    ) -> LanguageModel:
        """Open the user's own model and tokenizer.

        Args:
            model: a causal language model from transformers. It is put into eval mode, its weights are not changed.
            tokenizer: the tokenizer that belongs to it.

        Raises:
            Unsupported: in words, if the model can't be opened (no attention, encoder-decoder, unknown structure).
        """
        if not isinstance(model, nn.Module) or not callable(tokenizer):
            raise Unsupported(
                "LanguageModel.wrap needs a PyTorch model from transformers and its tokenizer, in this order."
            )
        label = name or str(getattr(getattr(model, "config", None), "_name_or_path", "") or type(model).__name__)
        return cls(model, tokenizer, name=label, title=title or label, source=source or Provenance("wrapped", label))

    def __repr__(self) -> str:
        facts = self.anatomy
        return f"<LanguageModel {self.name}: {facts.family}, {facts.n_layers} blocks, {facts.parameters / 1e6:.1f} M parameters>"

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return next(self.model.parameters()).dtype

    @property
    def max_tokens(self) -> int:
        """Longest text, in tokens, that the model was built for."""
        return self.anatomy.max_tokens

    @property
    def nbytes(self) -> int:
        """Bytes of the weights, shared ones counted once."""
        storages = {p.untyped_storage().data_ptr(): p.untyped_storage().nbytes() for p in self.model.parameters()}
        return sum(storages.values())

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, with the special tokens that this model's tokenizer adds by itself."""
        return [int(token) for token in self.tokenizer(text)["input_ids"]]

    def tokens(self, ids: list[int], text: str | None = None) -> Tokens:
        """Token ids with their exact bytes and strings to show; ``text``: what they were made from, if that is known."""
        return read_tokens(self.tokenizer, ids, text)

    def trace(self, text: str) -> Trace:
        """Run the model on a text and keep what is needed to explain every number of the run.

        Raises:
            EmptyText, TooLong: in words.
        """
        from txpanel.tracing.record import record  # late: a convenience for notebooks, against the direction of imports

        return record(self, text)
