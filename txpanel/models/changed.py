"""Whether a model is still the one that a run was recorded with.

What is kept of earlier runs (keys and values of a prefix, replayed blocks, what was verified) is valid only as long as the model stays as it
was, and no event tells when it changes. So `Watch.look` is called before anything kept is used. Each time it compares

* everything but the numbers (:mod:`txpanel.models.structure`): modules, hooks, settings, adapters, code, configuration;
* of every tensor its address, torch's count of writes, and a few samples, which any change of the whole tensor changes;
* all bits of a small model; of a large one as many as can be read in `SHARE` of the time that has passed: all of them after a pause of
  a few seconds, in a loop without pauses a part each time.

What this misses (a single number of a large model that was changed a moment ago through ``.data`` or a NumPy view) is noticed where
it matters: when a prefix is continued, its last token is computed again and compared (:mod:`txpanel.tracing.prefix`).
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from txpanel.models.fingerprint import Samples, TableRows, digest, mark
from txpanel.models.structure import Structure

SMALL = 16 * 1024**2
"""Bytes of weights up to which all bits are read each time: two milliseconds."""
SHARE = 0.015
"""Share of the elapsed time that may be spent on reading a large model's bits; the same share again on computing last tokens again."""
SLICE = 8 * 1024**2
"""Most bytes that are read while a visitor waits for a keystroke or for one generated token."""


OVERHEAD = 256 * 1024
"""The fixed cost of reading one tensor, as the bytes that could be read in that time."""


@dataclass(frozen=True)
class State:
    """A model as it was at some time.

    Attributes:
        key: equal where all numbers, modules, settings and hooks are equal. foreign: why nothing of earlier runs may be used, such as a user's
            hook at ``model.layers.0``; empty: it may. seen: goes up with each change; modules and weights that were looked up before are to be
            looked up again, and what was verified is to be verified again.
    """

    key: str
    foreign: str
    seen: int


class Watch:
    """Notices changes of one model. Call its methods with the model's lock held."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._passing: frozenset[tuple[str, str]] = frozenset()
        self._structure = Structure(model)
        self._set_tensors()
        self._marks = [mark(tensor) for tensor in self._tensors]
        self._digests: dict[int, tuple[Any, bytes]] = {}
        self._tables: dict[int, tuple[Tensor, TableRows]] = {}
        self._objects: dict[int, tuple[Any, int]] = {}
        self._keys: dict[str, int] = {}
        self._last = self._computed = time.monotonic()
        self._speed = 5e9
        self._seen = 0
        self.state = State("", self._structure.foreign, 0)
        self._guard = threading.Lock()

    @property
    def modules(self) -> list[nn.Module]:
        """All modules of the model, as they were at the last look."""
        return self._structure.modules

    def begin(self) -> None:
        """Take the model as it is now as the verified one: whatever differs later is a change."""
        self.settle()
        self.look()

    def look(self, *, thorough: bool = False, briefly: bool = False) -> State:
        """The model's state now.

        Args:
            thorough: read all bits. briefly: a visitor waits for one token, so read at most `SLICE` bytes.
        """
        with self._guard:
            first = not self.state.key
            changed = not self._structure.same()
            if changed:
                self._read_structure()
            moved = self._moved()
            if moved:
                now = {i: mark(self._tensors[i]) for i in moved}
                changed = changed or any(_place(now[i]) != _place(self._marks[i]) for i in moved)
                for i in moved:
                    self._marks[i] = now[i]
            if first or thorough or self._samples is None or (not moved and not self._samples.same()):
                due = list(range(len(self._tensors)))
            else:
                due = sorted({*moved, *self._due(briefly)})
            new = self._read(due)
            if moved or self._samples is None or new:
                self._samples = Samples(self._tensors)
            if first or changed or new:
                self._update_state(renewed=(changed or new) and not first)
            return self.state

    def digests(self, words: Callable[[Any], str]) -> tuple[str, str]:
        """Digests (hex) of all numbers as they were read last, and of everything else; call `look` first.

        Args:
            words: a text for an object whose content cannot be read. If it is the same in every process, so are the digests.
        """
        with self._guard:
            numbers, other = hashlib.blake2b(digest_size=32), hashlib.blake2b(digest_size=32)
            for name, tensor in self._structure.tensors.items():
                numbers.update(f"{name} ".encode() + self._digests[id(tensor)][1])
            for line in sorted(self._structure.lines(words)):  # of code they come in the order of a set
                other.update(f"{line}\n".encode())
            return numbers.hexdigest(), other.hexdigest()

    def settle(self) -> None:
        """Call after a pass of txpanel: what the pass itself has changed, such as a growing table of positions, is not a change of the model."""
        with self._guard:
            for _ in range(len(self._structure.names)):
                found = self._structure.all_changed()  # at once: reading anew forgets the others
                if not found:
                    break
                self._passing = self._passing | found
                self._read_structure()
            written = {i for i, tensor in enumerate(self._tensors) if mark(tensor) != self._marks[i]}
            if written:
                names = [name.rpartition(".") for i, name in enumerate(self._structure.tensors) if i in written]
                self._passing = self._passing | {(module, key) for module, _, key in names}
                self._read_structure()
            elif not found and not self._passing:
                return
            if self.state.key and (found or written):
                self._update_state(renewed=False)

    def rows_same(self, ids: list[int]) -> bool:
        """Whether the rows of the tables of tokens and positions that a text uses are what they were when they were used first."""
        used = torch.tensor(sorted({*ids, *range(len(ids) + 2)}))
        same = True
        for module in self._embeddings:
            table = module._parameters.get("weight")
            if (
                table is not None
                and table.dim() == 2
                and table.device.type != "meta"
                and not hasattr(table, "__tensor_flatten__")
            ):
                kept = self._tables.get(id(table))
                if kept is None or kept[0] is not table:
                    kept = self._tables[id(table)] = (table, TableRows(table))
                same = kept[1].same(table, used) and same
        return same

    def may_compute(self, seconds: float) -> bool:
        """Whether it is time to compute a token again, which takes about so many seconds: after a pause, and now and then in a loop."""
        now = time.monotonic()
        if (now - self._computed) * SHARE < seconds:
            return False
        self._computed = now
        return True

    # -- inside ---------------------------------------------------------------------------------------------------

    def _moved(self) -> list[int]:
        """Tensors that torch has written to, or whose numbers are in another place now."""
        quick = [(tensor.data_ptr(), tensor._version) for tensor in self._counted]
        if quick == self._quick:
            return []
        self._quick = quick
        return [i for i, tensor in enumerate(self._tensors) if mark(tensor) != self._marks[i]]

    _samples: Samples | None
    _quick: list[tuple[int, int]]

    def _set_tensors(self) -> None:
        self._tensors = list(self._structure.tensors.values())
        self.small = sum(tensor.nbytes for tensor in self._tensors) <= SMALL
        self._counted = [tensor for tensor in self._tensors if mark(tensor)[2] is not None]
        self._quick = [(tensor.data_ptr(), tensor._version) for tensor in self._counted]
        self._samples, self._next = None, 0
        self._embeddings = [module for module in self._structure.modules if isinstance(module, nn.Embedding)]

    def _read_structure(self) -> None:
        known = dict(zip(map(id, self._tensors), self._marks, strict=True))
        before = self._tensors  # kept alive: no new tensor gets the place in memory of one of these meanwhile
        self._structure = Structure(self._model, self._passing)
        self._set_tensors()
        self._marks = [known.get(id(tensor)) or mark(tensor) for tensor in self._tensors]
        self._quick = []  # compare the marks of those that stayed
        del before

    def _due(self, briefly: bool) -> list[int]:
        """Which tensors to read now: all of a small model, of a large one the next ones in order, as many as there is time for."""
        if self.small:
            return list(range(len(self._tensors)))
        now = time.monotonic()
        left = (now - self._last) * SHARE * self._speed
        left = min(left, SLICE) if briefly else left
        found = list[int]()
        for _ in self._tensors:
            nbytes = self._tensors[self._next % len(self._tensors)].nbytes
            if nbytes > left and (
                nbytes <= SLICE or left < SLICE
            ):  # a table larger than a slice is read in one go all the same
                break
            left -= nbytes + OVERHEAD
            found.append(self._next % len(self._tensors))
            self._next += 1
        if found:
            self._last = now
        return found

    def _read(self, due: list[int]) -> bool:
        """Read the bits of some tensors; whether any are new."""
        begin, nbytes, new = time.perf_counter(), 0, False
        for i in due:
            tensor = self._tensors[i]
            made, nbytes = digest(tensor), nbytes + tensor.nbytes
            kept = self._digests.get(id(tensor))
            if kept is None or kept[0] is not tensor or kept[1] != made:
                self._digests[id(tensor)], new = (tensor, made), True
        if nbytes > SLICE:
            self._speed = nbytes / max(1e-6, time.perf_counter() - begin)
        return new

    def _update_state(self, *, renewed: bool) -> None:
        made = hashlib.blake2b(digest_size=16)
        for line in self._structure.lines(self._serial):
            made.update(line.encode())
        missing = [i for i, t in enumerate(self._tensors) if self._digests.get(id(t), (None,))[0] is not t]
        self._read(missing)
        for name, tensor in self._structure.tensors.items():
            made.update(name.encode() + self._digests[id(tensor)][1])
        self._seen += renewed
        self._digests = {id(tensor): self._digests[id(tensor)] for tensor in self._tensors}
        self.state = State(made.hexdigest(), self._structure.foreign, self._seen)

    def _serial(self, thing: Any) -> int:
        return self._objects.setdefault(id(thing), (thing, len(self._objects)))[1]


def _place(marked: tuple[Any, ...]) -> tuple[Any, ...]:
    """A mark (see `txpanel.models.fingerprint.mark`) without the count of writes."""
    return (*marked[:2], *marked[3:])
