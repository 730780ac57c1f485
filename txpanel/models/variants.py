"""Variants of a model: the same module with certain adapters on, or with an image or a sound in its runs. They share module, tokenizer and lock."""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from copy import copy
from typing import Any

from txpanel.errors import ModelNotFound
from txpanel.messages import _
from txpanel.models.adapter_switch import AdapterState, Switch, SwitchedTurns, state_of, state_with
from txpanel.models.changed import Watch
from txpanel.models.given_inputs import Inputs, read_inputs
from txpanel.models.openness import Seen

LanguageModel = Any  # its module imports this one
VARIANTS = 8
"""Sets of adapters of one model that are remembered."""
INPUT_VARIANTS = 4
"""Images or sounds that are remembered, with the result of comparing the model with its run of them."""
_counter = itertools.count(1)


def next_key(name: str) -> str:
    """A key for an object in caches; no two objects have the same."""
    return f"{name}#{next(_counter)}"


class AdapterVariants:
    """A model's variants by adapters: one for each set of adapters that was on in one of its runs.

    Args:
        switch: turns its adapters on and off.
    """

    def __init__(self, switch: Switch) -> None:
        self._switch = switch
        self._first: LanguageModel | None = (
            None  # the model as it was wrapped; kept, since its variants are copies of it
        )
        self._variants: OrderedDict[AdapterState, LanguageModel] = OrderedDict()
        self._guard = threading.Lock()  # guards these two; never held while a thread waits for the model's lock

    def as_set_now(self, model: LanguageModel) -> LanguageModel:
        """See :meth:`LanguageModel.now`."""
        if isinstance(model.lock, SwitchedTurns):
            return model
        state = state_of(model.given)
        return self._variant(model, state) if state.layers else model

    def with_these(self, model: LanguageModel, names: tuple[str, ...]) -> LanguageModel:
        """See :meth:`LanguageModel.with_adapters`."""
        now = state_of(model.given)
        unknown = [name for name in names if name not in now.names]
        if unknown:
            words = _("This model has no adapter “{name}”. It has: {names}.")
            raise ModelNotFound(words.format(name=unknown[0], names=", ".join(now.names) or _("none")))
        return self._variant(model, state_with(now, names)) if now.layers else model

    def _variant(self, model: LanguageModel, state: AdapterState) -> LanguageModel:
        with self._guard:
            first = self._first = self._first or model
        found = self._known(state)
        if found is not None:
            return found
        turns = SwitchedTurns(first.lock, self._switch, state)
        with turns:  # of several threads that want the same variant, one makes it
            return self._known(state) or self._keep(state, self._made(first, turns, state))

    def _known(self, state: AdapterState) -> LanguageModel | None:
        with self._guard:
            if state in self._variants:
                self._variants.move_to_end(state)
            return self._variants.get(state)

    def _keep(self, state: AdapterState, variant: LanguageModel) -> LanguageModel:
        with self._guard:
            self._variants[state] = variant
            if len(self._variants) > VARIANTS:
                self._variants.popitem(last=False)
        return variant

    def _made(self, first: LanguageModel, turns: SwitchedTurns, state: AdapterState) -> LanguageModel:
        """A new variant; called with the model's lock held."""
        if state == first.adapters:
            first.state()  # what was read of it may no longer hold
        variant = copy(first)
        variant.adapters, variant.lock, variant._sources = state, turns, None
        variant.key = next_key(first.name)
        variant.watch, variant._changes = Watch(variant.model), 0
        if state != first.adapters:
            variant._inspect()
            variant.compare_now()
        variant.watch.begin()
        return variant


class InputVariants:
    """A model's variants with an image or a sound, found by a digest of its content."""

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[str, str], LanguageModel] = OrderedDict()

    def of(self, model: LanguageModel, inputs: Any) -> LanguageModel:
        """See :meth:`LanguageModel.with_inputs`."""
        given = inputs if isinstance(inputs, Inputs) else read_inputs(model.model, inputs, model.device)
        if not given.named:
            return model
        model.state()
        with model.lock:
            key = (model.key, given.key)
            found = self._found.get(key)
            if found is None:
                found = copy(model)
                found.base, found.key = model, next_key(model.name)
                found.inputs = Inputs(given.ids, given.named, given.key, given.kinds)
                found.parts = model.parts.copied()
                found.seen = Seen(dict(model.seen.differences), dict(model.seen.closed), model.seen.remembered)
                found.verify_inputs()
                self._found[key] = found
                if len(self._found) > INPUT_VARIANTS:
                    self._found.popitem(last=False)
            self._found.move_to_end(key)
            return found
