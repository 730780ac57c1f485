"""The two stacks of an encoder-decoder: one reads a text, the other writes another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

from txpanel.errors import Unsupported
from txpanel.messages import _
from txpanel.models.adapters import core
from txpanel.models.encoder_inputs import probes
from txpanel.models.find_blocks import find_blocks

__all__ = ["Pair", "Read", "pair_of"]

TABLES = ("embed_positions", "position_embeddings", "wpe")
"""What encoders call their table of positions."""
PROBE = 19
"""Tokens of the source with which a model is verified: another number than of the text, so that one can't stand for the other."""


@dataclass(frozen=True)
class Read:
    """What an encoder made of a source.

    Attributes:
        outputs: as the encoder gave it, with ``last_hidden_state`` [1, S, D]. streams: [S, D] before each of its blocks and after the last; empty
            where they do not go through one after another. calls: of each block: module, arguments by place and by name. projected: the last state
            in the decoder's width, where the two stacks have different ones, [1, S, D].
    """

    outputs: Any
    streams: list[Tensor]
    calls: list[tuple[nn.Module, tuple[Any, ...], dict[str, Any]]]

    projected: Tensor | None = None

    @property
    def state(self) -> Tensor:
        """The last state, as the decoder's keys and values are made from it, float32 [S, D] on the CPU."""
        found: Tensor = self.outputs.last_hidden_state if self.projected is None else self.projected
        return found[0].detach().float().cpu()


class Pair:
    """The two stacks of an encoder-decoder.

    Attributes:
        encoder, decoder: the modules. blocks: of the encoder. start: ids with which the decoder begins: its start token, and one that must come first.
        reads: what its encoder is given: ``input_ids``, or the argument that is a sound or a picture.
    """

    def __init__(self, model: Any, encoder: nn.Module, decoder: nn.Module) -> None:
        self.model, self.encoder, self.decoder = model, encoder, decoder
        self.reads = str(getattr(model, "main_input_name", "input_ids"))
        if self.reads == "inputs":  # of composed models: whatever their encoder reads
            self.reads = str(getattr(encoder, "main_input_name", self.reads))
        self._probe: Read | None = None
        try:
            self.blocks = find_blocks(encoder, model.config, "")
        except Unsupported:
            self.blocks = []

    @property
    def start(self) -> list[int]:
        """The decoder's first ids, as in ``generate`` of transformers.

        Raises:
            Unsupported: the model does not say.
        """
        first = next((i for i in map(self._stated, ("decoder_start_token_id", "bos_token_id")) if i is not None), None)
        if first is None:
            raise Unsupported(
                _(
                    "The model does not say with which token its decoder begins (decoder_start_token_id). Set it in the "
                    "model's config, or give it: having_read(text, start=[id])."
                )
            )
        generating = getattr(self.model, "generation_config", self.model.config)
        forced = getattr(generating, "forced_bos_token_id", None)
        return [first] if forced is None else [first, forced]

    def _stated(self, name: str) -> int | None:
        """An id, as generating reads it: from its own configuration, else from the model's."""
        for config in (getattr(self.model, "generation_config", None), self.model.config):
            found = getattr(config, name, None)
            if isinstance(found, (list, tuple)) and found:
                found = found[0]
            if isinstance(found, int):
                return found
        return None

    @property
    def room(self) -> int | None:
        """Most tokens of a source; ``None``: the encoder has no table of positions that limits them."""
        owner = getattr(
            self.encoder, "embeddings", self.encoder
        )  # BERT's as an encoder keeps its tables in a module of their own
        table: Any = core(next((found for name in TABLES if (found := getattr(owner, name, None)) is not None), None))
        rows = getattr(getattr(table, "weight", None), "shape", (None,))[0]
        if rows is None:
            return None
        counted = (
            getattr(owner, "padding_idx", None) if owner is not self.encoder else None
        )  # RoBERTa's begin behind it
        return int(rows) - int(getattr(table, "offset", 0)) - (0 if counted is None else int(counted) + 1)

    @property
    def reads_text(self) -> bool:
        """Whether the source is a text."""
        return self.reads == "input_ids"

    def read(self, ids: Tensor) -> Read:
        """What the encoder makes of ids [1, S]."""
        return self._read({"input_ids": ids, "attention_mask": torch.ones_like(ids)})

    def read_inputs(self, named: dict[str, Any]) -> Read:
        """What the encoder makes of a sound or a picture (:mod:`txpanel.models.encoder_inputs`)."""
        return self._read(named)

    def _read(self, given: dict[str, Any]) -> Read:
        streams: list[Tensor] = []
        calls: list[tuple[nn.Module, tuple[Any, ...], dict[str, Any]]] = []

        def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            calls.append((module, args, kwargs))
            streams.append(args[0] if args else kwargs["hidden_states"])

        def after(_module: nn.Module, _args: Any, output: Any) -> None:
            streams.append(output[0] if isinstance(output, (tuple, list)) else output)

        hooks: list[Any] = [
            block.register_forward_pre_hook(before, with_kwargs=True, prepend=True) for block in self.blocks
        ]
        hooks += [block.register_forward_hook(after) for block in self.blocks[-1:]]
        try:
            outputs = self.encoder(**given, return_dict=True)
        finally:
            for hook in hooks:
                hook.remove()
        size, joins = outputs.last_hidden_state.shape[:2], self._joins()
        projected = None if joins is None else joins(outputs.last_hidden_state)
        if len(streams) != len(self.blocks) + 1 or any(stream.shape[:2] != size for stream in streams):
            return Read(outputs, [], [], projected)
        return Read(outputs, [stream[0].detach() for stream in streams], calls, projected)

    def _joins(self) -> Any:
        """The projection from the encoder's width to the decoder's, where transformers' composed models have and use one."""
        wide, own = (getattr(getattr(one, "config", None), "hidden_size", None) for one in (self.encoder, self.decoder))
        named = getattr(getattr(self.decoder, "config", None), "cross_attention_hidden_size", None)
        return getattr(self.model, "enc_to_dec_proj", None) if wide != own and named is None else None

    def forward(self, read: Read, ids: Tensor, **more: Any) -> Any:
        """One pass of the decoder over ids [1, T], after what the encoder made of the source."""
        for name in ("past_key_values", "cache"):
            if isinstance(more.get(name), DynamicCache):  # keys and values of the source are made anew: a few products
                more[name] = EncoderDecoderCache(more[name], DynamicCache())
        outputs = read.outputs
        if self.reads_text:  # of a sound the mask would count its steps, not the encoder's vectors: all of it is read
            more["attention_mask"] = torch.ones(
                outputs.last_hidden_state.shape[:2], dtype=torch.long, device=ids.device
            )
        return self.model(decoder_input_ids=ids, encoder_outputs=outputs, **more)

    def read_probe(self, vocab: int) -> Read:
        """What the encoder makes of the source with which a model is verified.

        Raises:
            Unsupported: it reads no text, and takes nothing of a shape that its configuration lets one expect.
        """
        like = next(one for one in self.encoder.parameters() if one.is_floating_point())
        if self.reads_text:
            return self.read(self.probe(vocab, like.device))
        if self._probe is not None:
            return self._probe
        for inputs in probes(self.reads, self.model.config, like):
            try:
                self._probe = self.read_inputs(inputs.named)
            except Exception:  # a shape that it does not take: whatever its own code may raise
                continue
            return self._probe
        words = _(
            "The encoder of '{family}' reads {name}, and nothing of a shape that its config states could be read, so the model cannot be verified."
        )
        raise Unsupported(words.format(family=self.model.config.model_type, name=self.reads))

    def forget_probe(self) -> None:
        """Drop the encoder's output for that source; call it when the model has changed."""
        self._probe = None

    def probe(self, vocab: int, device: torch.device) -> Tensor:
        """The source with which a model is verified: int64 [1, S]."""
        room = min(self.room or PROBE, PROBE)
        return torch.tensor([[3 + (i * 104729 + 7) % max(vocab - 3, 1) for i in range(room)]], device=device)


def pair_of(model: Any) -> Pair | None:
    """The stacks of an encoder-decoder; ``None``: the model is another one.

    Raises:
        Unsupported: it is one, and has no stacks that are found.
    """
    if not getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        return None
    family = str(getattr(model.config, "model_type", type(model).__name__))
    try:
        encoder, decoder = model.get_encoder(), model.get_decoder()
        head = model.get_output_embeddings()
    except (AttributeError, NotImplementedError):
        encoder = decoder = head = None
    if not isinstance(encoder, nn.Module) or not isinstance(decoder, nn.Module) or model in (encoder, decoder):
        words = _("'{family}' is an encoder-decoder whose two stacks were not found, so it cannot be opened.")
        raise Unsupported(words.format(family=family))
    if head is None:
        words = _(
            "'{family}' was loaded without the head that writes text. Load it with AutoModelForSeq2SeqLM and wrap that."
        )
        raise Unsupported(words.format(family=family))
    return Pair(model, encoder, decoder)
