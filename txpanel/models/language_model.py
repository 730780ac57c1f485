"""A running model with its tokenizer, its anatomy, and where its weights came from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from txpanel.errors import BadText, TxpanelError, Unsupported
from txpanel.messages import _
from txpanel.models.adapter_switch import Switch, state_of
from txpanel.models.adapters import inner_model
from txpanel.models.allowance import allowance
from txpanel.models.anatomy import Anatomy
from txpanel.models.as_in_use import as_in_use, own_positions
from txpanel.models.changed import State, Watch
from txpanel.models.given_inputs import Inputs
from txpanel.models.inspect_model import inspect_model
from txpanel.models.number_tokens import NumberTokens, rows, text_reader
from txpanel.models.openness import Report, Seen, report
from txpanel.models.pair import pair_of
from txpanel.models.parts import ModelParts
from txpanel.models.provenance import Provenance
from txpanel.models.quantised import is_plain, plain_parts, plain_values
from txpanel.models.reads_source import ReadsSource
from txpanel.models.tokens import Tokens, read_tokens, token_ids, with_places
from txpanel.models.torch_modes import without_autocast
from txpanel.models.turns import Turns
from txpanel.models.variants import AdapterVariants, InputVariants, next_key

if TYPE_CHECKING:
    from txpanel.tracing.trace import Trace


class LanguageModel(ReadsSource):
    """A language model, one that writes on or one that fills gaps, with all that is needed to explain its runs.

    Attributes:
        name: short name ("smollm2-135m"). title: name for people. model: the Hugging Face model; looking leaves it as it is.
        tokenizer: its tokenizer, or `NumberTokens` where it has none. anatomy: its shape. parts: its modules and weights. source: where the weights came from.
        given: the module that was handed over: `model`, or peft's around it; its names are those of parameters.
        adapters: which adapters of peft are on in the runs of this object (:meth:`now`). watch: notices when the module changes (:meth:`state`).
        seen: the result of comparing it with its own untouched run (:meth:`report`).
        lock: held while the model runs (:class:`~txpanel.models.turns.Turns`).
        key: identifies this object in caches; no two objects have the same.
        inputs: an image or a sound that its runs begin with (:meth:`with_inputs`); ``None``: text alone. base: the model without it.
    """

    inputs: Inputs | None = None
    base: LanguageModel

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Any,
        *,
        name: str,
        title: str,
        source: Provenance,
        compare: Callable[[LanguageModel], None] | None = None,
    ) -> None:
        """See `wrap`. ``compare``: what to do instead of comparing it with its own run (:mod:`txpanel.models.remembered`)."""
        self.given: Any = model
        self.model: Any = inner_model(model)
        self.pair = pair_of(self.model)
        self.tokenizer = tokenizer
        self.name, self.title, self.source = name, title, source
        self.anatomy: Anatomy
        self.parts: ModelParts
        self.adapters = state_of(model)
        self._inspect()
        self.watch = Watch(self.model)
        self._changes = 0
        self.lock, self._input_variants = Turns(), InputVariants()
        self.key = next_key(name)
        self._adapter_variants = AdapterVariants(Switch(model))
        self._sources = None
        (compare or LanguageModel.compare_now)(self)
        self.watch.begin()

    @classmethod
    def wrap(
        cls,
        model: nn.Module,
        tokenizer: Any = None,
        *,
        token_text: Callable[[int], str] | None = None,
        name: str | None = None,
        title: str | None = None,
        source: Provenance | None = None,
    ) -> LanguageModel:
        """Open the user's own model and tokenizer.

        Args:
            model: a causal or masked language model from transformers. Nothing of it is changed, neither weights nor mode nor ``requires_grad``.
            tokenizer: the tokenizer that belongs to it, of transformers or of ``tokenizers``; None: its text is token ids, typed as numbers.
            token_text: for a model without tokenizer: what to show for an id, such as ``lambda id: names[id]``.

        Returns:
            The opened model, compared with its own run.

        Raises:
            Unsupported: in words, if not even its residual stream and its logits can be followed (no list of blocks).
        """
        if not isinstance(model, nn.Module):
            raise Unsupported(
                _("LanguageModel.wrap needs a PyTorch model from transformers and its tokenizer, in this order.")
            )
        tokenizer = text_reader(model, tokenizer, token_text)
        label = name or str(getattr(getattr(model, "config", None), "_name_or_path", "") or type(model).__name__)
        return cls(model, tokenizer, name=label, title=title or label, source=source or Provenance("wrapped", label))

    def _inspect(self) -> None:
        """Read the model's anatomy and parts, with its adapters as they are set."""
        with without_autocast():
            self.anatomy, self.parts = inspect_model(self.model, self.given)
        maps = [
            found for part in [part.maps for part in self.parts.blocks] + [self.parts.maps] for found in part.values()
        ]
        self.seen = Seen()
        self._placing = [module for module in self.model.modules() if "rope_deltas" in module.__dict__]
        self._packed = {found.name: found.packed for found in maps if found.packed is not None}

    def __repr__(self) -> str:
        facts = self.anatomy
        return f"<LanguageModel {self.name}: {facts.family}, {facts.n_layers} blocks, {facts.parameters / 1e6:.1f} M parameters>"

    def now(self) -> LanguageModel:
        """The model as its adapters are set at this moment: another object with its own anatomy and runs, or this one if there are no adapters.

        Raises:
            Unsupported: in words, if one of those that are on can't be read.
        """
        if self.inputs is not None:
            base = self.base.now()
            return self if base is self.base else base.with_inputs(self.inputs)
        return self._adapter_variants.as_set_now(self)

    def with_adapters(self, *names: str) -> LanguageModel:
        """The same model, in whose runs these adapters are on and all others off, whatever is set in the module itself.

        Raises:
            ModelNotFound: it has no adapter of that name. Unsupported: in words, if one of them can't be read.
        """
        if self.inputs is not None:
            return self.base.with_adapters(*names).with_inputs(self.inputs)
        return self._adapter_variants.with_these(self, names)

    def with_inputs(self, inputs: Any) -> LanguageModel:
        """The same model, whose runs begin with a text in which there is an image or a sound. It is compared with the untouched run of it first.

        Args:
            inputs: what the model's processor makes, of one text.

        Raises:
            BadText, Unsupported: in words.
        """
        if self.inputs is not None:
            return self.base.with_inputs(inputs)
        return self._input_variants.of(self, inputs)

    def reading(self, ids: list[int]) -> LanguageModel:
        """The model that reads these tokens: this one, or the one without its image where they do not begin with those around it."""
        return self if self.inputs is None or self.inputs.begin(ids) else self.base

    def arguments(self, ids: Any, start: int = 0) -> dict[str, Any]:
        """What a pass over token ids is given beside them: nothing, but for an image or a sound among them.

        Args:
            ids: all of the text. start: position of the first token of the pass; what comes before is in its cache.
        """
        if self.inputs is None or start or not self.inputs.begin(ids):
            return {}
        return self.inputs.extended(self.model, len(ids))

    def weight(self, name: str) -> Tensor | None:
        """A parameter by its name in the module that was handed over, detached; of a quantised one the unpacked matrix, float32.

        ``None`` if there is none of that name, or only packed numbers are there.
        """
        packed = self._packed.get(name)
        if packed is not None:
            return packed.dense()
        for get in (self.given.get_parameter, self.given.get_buffer):
            try:
                return plain_values(get(name))
            except AttributeError:
                continue
        return None

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights: of the largest matrix of the first block, since embedding or norms may be of another."""
        blocks = self.parts.blocks if "parts" in vars(self) else []
        largest = max(
            (one for block in blocks[:1] for one in block.block.parameters() if is_plain(one)),
            key=Tensor.numel,
            default=None,
        )
        if largest is not None:
            return largest.dtype
        return next((one.dtype for one in self.model.parameters() if is_plain(one)), torch.float32)

    @property
    def max_tokens(self) -> int:
        """Longest text, in tokens, that the model was built for."""
        return self.anatomy.max_tokens

    @property
    def nbytes(self) -> int:
        """Bytes of the weights, shared ones counted once."""
        held = [one for parameter in self.model.parameters() for one in plain_parts(parameter)]
        storages = {p.untyped_storage().data_ptr(): p.untyped_storage().nbytes() for p in held}
        return sum(storages.values())

    def state(self, *, thorough: bool = False, briefly: bool = False) -> State:
        """The model as it is now. Where it has changed, its anatomy is read and verified again; what was kept of it before holds no more.

        While another thread runs the model: as it was at the last look.

        Args:
            thorough: read all bits of the weights. briefly: a visitor waits for a single token, so read few bytes (:mod:`txpanel.models.changed`).

        Raises:
            Unsupported: it has changed into something that can't be opened.
        """
        if not self.lock.acquire(timeout=0.0):
            return self.watch.state
        try:
            found = self.watch.look(thorough=thorough, briefly=briefly)
            if found.seen != self._changes:
                self._inspect()
                self.compare_now()
                self._changes = found.seen
            return found
        finally:
            self.lock.release()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Inside, this thread may call the model or parts of it: no gradients, no dropout, and afterwards all is as it was."""
        deltas = self.inputs.deltas if self.inputs is not None else None
        with torch.inference_mode(), as_in_use(self.model, self.watch.modules), own_positions(self._placing, deltas):
            yield

    @contextmanager
    def letting_others_in(self) -> Iterator[None]:
        """Inside, a pass of this thread gives the lock, before each block, to waiting threads that go first (:mod:`txpanel.models.turns`).

        Where it has taken longer than one request may, it ends there (:mod:`txpanel.models.allowance`).
        """
        me = threading.get_ident()

        def offer(*_call: Any) -> None:
            if threading.get_ident() == me:
                allowance().check()
                self.lock.offer()

        hooks = [block.register_forward_pre_hook(offer) for block in self.parts.block_modules]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def compare_now(self) -> None:
        """Compare it with its own untouched run, and close what does not agree."""
        from txpanel.tracing.verify import (
            verify,  # late: against the direction of imports; nothing is shown that was not compared
        )

        if self.inputs is not None:
            self.inputs.deltas.clear()
        if self.pair is not None:
            self.pair.forget_probe()
        verify(self)
        if self.inputs is not None:
            self.verify_inputs()

    def verify_inputs(self) -> None:
        """The same with the image or sound that its runs begin with."""
        from txpanel.tracing.verify_inputs import verify_inputs  # late: as above

        verify_inputs(self)

    def report(self) -> Report:
        """What of this model is open and what is not, part by part; one a line where it is printed.

        Every part was compared with the model's own untouched run (:mod:`txpanel.tracing.verify`); one that did not agree is not explained.
        """
        return report(self.anatomy, self.seen)

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, with the special tokens that this model's tokenizer adds by itself.

        Raises:
            BadText: the tokenizer does not take it, or makes ids of it that the model has no row for. In words.
        """
        try:
            ids = [int(token) for token in self.tokenizer(text)["input_ids"]]
        except TxpanelError:
            raise
        except Exception as error:  # tokenizers raise anything, such as for half of a surrogate pair
            words = _("The tokenizer of {model} does not accept this text: {reason}")
            raise BadText(words.format(model=self.title, reason=str(error)[:200])) from error
        return self.ids(ids)

    def ids(self, source: str | Iterable[int]) -> list[int]:
        """Token ids of a text, or given ones after a look whether the model has a row for each.

        Args:
            source: a text; or whole numbers, as a list, an array [T] or a tensor [T] or [1, T].

        Raises:
            BadText: one is no id of this model, in words.
        """
        if isinstance(source, str):
            return self.encode(source)
        ids = token_ids(source)
        rows = self.rows
        wrong = next((token for token in ids if not 0 <= token < rows), None)
        if wrong is not None:
            known = 0 <= wrong < len(self.tokenizer) and not isinstance(self.tokenizer, NumberTokens)
            name = self.tokenizer.convert_ids_to_tokens(wrong) if known else None
            words = (
                _(
                    "The tokenizer has a token that the model does not know: “{name}” has the id {id}, and the embedding "
                    "matrix has {rows:,} rows."
                )
                if name is not None
                else _("{id} is not the id of a token of {model}: its ids go from 0 to {last}.")
            )
            raise BadText(words.format(name=name, id=wrong, model=self.title, rows=rows, last=rows - 1))
        return ids

    @property
    def rows(self) -> int:
        """How many token ids the model can read: the rows of its table; of an encoder-decoder those of its encoder's."""
        return (0 if self.pair is None else rows(self.pair.encoder)) or rows(self.model) or self.anatomy.vocab

    def tokens(self, ids: list[int], text: str | None = None, *, begins: bool = False) -> Tokens:
        """Token ids with their exact bytes and strings to show.

        Args:
            text: what they were made from, if that is known. begins: whether a text begins with them (`read_tokens`).
        """
        if isinstance(self.tokenizer, NumberTokens):
            found = self.tokenizer.read(ids, text, begins=begins)
        else:
            found = read_tokens(self.tokenizer, ids, text, begins=begins)
        return with_places(found, self.inputs.places) if self.inputs is not None and self.inputs.begin(ids) else found

    def trace(self, text: str | Sequence[int] | None = None, *, inputs: Any = None) -> Trace:
        """Run the model on a text (or token ids) and keep what is needed to explain every number of the run.

        Args:
            text: a text or token ids.
            inputs: instead, for models that also read images or sound: what the model's processor makes of one text with them, such as
                ``processor(text=..., images=..., return_tensors="pt")``; for an encoder-decoder that reads sound (Whisper), of a sound alone.

        Returns:
            The recorded run.

        Raises:
            EmptyText, TooLong, BadText: in words. Unsupported: the inputs have something that the model does not take.
        """
        from txpanel.tracing.record import record  # late: a convenience for notebooks, against the direction of imports

        if (text is None) == (inputs is None):
            raise BadText(_("trace needs either a text or inputs."))
        if inputs is not None:
            return record(*self.begin_with(inputs))
        return record(self, cast(Any, text))


def opened(given: Any) -> LanguageModel:
    """The model, where it is one that txpanel has opened.

    Raises:
        Unsupported: it is something else, such as a module of transformers; it says how that is opened.
    """
    if isinstance(given, LanguageModel):
        return given
    text = _(
        "This is a {kind}, not a model that txpanel has opened. LanguageModel.wrap(model, tokenizer) opens one of yours, "
        "txpanel.load(name) one by its name."
    )
    raise Unsupported(text.format(kind=type(given).__name__))
