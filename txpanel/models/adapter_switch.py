"""Which adapters are on: read before a run, kept with it, and set again for as long as something of that run is computed.

So a trace with an adapter and one without it can be shown side by side, whichever adapters are on now. What was set is restored
when the thread releases the model's lock (:mod:`txpanel.models.turns`); nothing else of the model is touched.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from txpanel.errors import Unsupported
from txpanel.messages import _
from txpanel.models import adapters
from txpanel.models.turns import Rank, Turns


@dataclass(frozen=True)
class AdapterState:
    """Which adapters are on, layer by layer.

    Attributes:
        layers: for each layer of peft: the module, names of the adapters that take part (in order), of those merged into its weights,
            and the scales of the former.
        names: of all adapters of the model.
    """

    layers: tuple[tuple[nn.Module, tuple[str, ...], tuple[str, ...], tuple[float, ...]], ...] = ()
    names: tuple[str, ...] = field(default=(), compare=False)

    @property
    def on(self) -> tuple[str, ...]:
        """Adapters that take part anywhere, in order."""
        return tuple(dict.fromkeys(name for _module, on, *_rest in self.layers for name in on))

    @property
    def merged(self) -> tuple[str, ...]:
        """Adapters that are merged into the weights."""
        return tuple(dict.fromkeys(name for _module, _on, merged, _scales in self.layers for name in merged))

    def words(self) -> dict[str, str]:
        """For a run's provenance: ``adapters`` (those that are on, or ``none``), ``adapters_off``, ``adapters_merged``."""
        if not self.names:
            return {}
        off = [name for name in self.names if name not in (*self.on, *self.merged)]
        said = {"adapters": ", ".join(self.on) or "none", "adapters_off": ", ".join(off)}
        return {key: value for key, value in {**said, "adapters_merged": ", ".join(self.merged)}.items() if value}


def state_of(model: nn.Module) -> AdapterState:
    """Which adapters are on now.

    Raises:
        Unsupported: adapters are merged and turned off at once: the next pass would take them out of the weights.
    """
    found, names = [], set()
    for layer in adapters.layers(model):
        if layer.disable_adapters and layer.merged_adapters:
            raise Unsupported(
                _(
                    "The adapter “{name}” is merged into the weights and turned off at the same time, so the next run would "
                    "remove it from them. Unmerge it, or turn it on again."
                ).format(name=layer.merged_adapters[0])
            )
        on = adapters.active(layer)
        found.append((layer, on, tuple(layer.merged_adapters), _scales(layer, on)))
        names |= adapters.known(layer)
    return AdapterState(tuple(found), tuple(sorted(names)))


def state_with(now: AdapterState, names: tuple[str, ...]) -> AdapterState:
    """The state in which these adapters are on, in this order, wherever a layer has them, and no others.

    Raises:
        Unsupported: an adapter is merged into the weights, so it can't be off.
    """
    if now.merged:
        words = _("The adapter “{name}” is merged into the weights and cannot be switched. Unmerge it first.")
        raise Unsupported(words.format(name=now.merged[0]))
    found = []
    for layer, *_was in now.layers:
        on = adapters.would_be_on(layer, names)
        found.append((layer, on, (), _scales(layer, on)))
    return AdapterState(tuple(found), now.names)


def _scales(layer: Any, names: tuple[str, ...]) -> tuple[float, ...]:
    """Factors that stand outside the parameters (LoRA's); 1 for kinds without."""
    scales = getattr(layer, "scaling", None)
    return tuple(float(scales.get(name, 1.0)) for name in names) if isinstance(scales, dict) else (1.0,) * len(names)


class Switch:
    """Turns adapters of one model on and off for the thread that holds its lock, and restores them when the last such thread leaves."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self._wanted: defaultdict[int, list[AdapterState]] = defaultdict(
            list
        )  # of each thread that is inside, innermost last
        self._set: list[tuple[Any, tuple[bool, Any], tuple[bool, Any]]] = []  # layer, as it was, as it was set

    def enter(self, state: AdapterState) -> None:
        """Set a state; call with the model's lock held.

        Raises:
            Unsupported: the model's adapters have changed, so the state cannot be set.
        """
        self.put(state)
        self._wanted[threading.get_ident()].append(state)

    def leave(self) -> None:
        """Undo the last `enter` of this thread."""
        mine = self._wanted[threading.get_ident()]
        mine.pop()
        if mine:
            self.put(mine[-1])
            return
        del self._wanted[threading.get_ident()]
        if not self._wanted:
            for layer, was, made in reversed(self._set):
                if (layer._disable_adapters, layer._active_adapter) == made:  # else the user has switched: that stays
                    layer._disable_adapters, layer._active_adapter = was
            self._set.clear()

    def again(self) -> None:
        """Set this thread's state again, after other threads had the lock."""
        mine = self._wanted.get(threading.get_ident())
        if mine:
            self.put(mine[-1])

    def put(self, state: AdapterState) -> None:
        """Set a state, and remember what it replaces.

        Raises:
            Unsupported: an adapter was merged, removed or rescaled since the state was read.
        """
        for layer, names, merged, scales in state.layers:
            now: Any = layer
            if tuple(now.merged_adapters) != merged:
                changed = _("An adapter was merged into the weights, or unmerged, since this text was run.")
            elif not set(names) <= adapters.known(now):
                changed = _("An adapter with which this text was run is no longer in the model.")
            elif _scales(now, names) != scales:
                changed = _("The scale of an adapter was changed since this text was run.")
            else:
                self._activate(now, names)
                continue
            raise Unsupported(changed + " " + _("Run the text again."))

    def _activate(self, layer: Any, names: tuple[str, ...]) -> None:
        if adapters.active(layer) == names:
            return
        was = (layer._disable_adapters, layer._active_adapter)
        layer._disable_adapters = not names
        if names:
            layer._active_adapter = list(names)
        self._set.append((layer, was, (layer._disable_adapters, layer._active_adapter)))


class SwitchedTurns(Turns):
    """The lock of a model that also sets the adapters of a run while it is held."""

    def __init__(self, turns: Turns, switch: Switch, state: AdapterState) -> None:
        self._turns, self._switch, self.state = turns, switch, state

    @property
    def waiting(self) -> int:
        """As of the model's own turns."""
        return self._turns.waiting

    def acquire(self, rank: Rank = Rank.LOOK, timeout: float | None = None) -> bool:
        """As of the model's own turns."""
        if not self._turns.acquire(rank, timeout):
            return False
        try:
            self._switch.enter(self.state)
        except BaseException:
            self._turns.release()
            raise
        return True

    def release(self) -> None:
        """As of the model's own turns."""
        self._switch.leave()
        self._turns.release()

    def offer(self) -> None:
        """As of the model's own turns."""
        try:
            self._turns.offer()
        finally:
            self._switch.again()
