"""Whether a model is still the one that a run was recorded with.

What is kept of earlier runs (keys and values of a prefix, replayed blocks, what was verified) holds only as long as the model stays as it
was, and nobody says when it changes. `Watch.look` is asked before anything kept is used. Each time it compares

* everything but the numbers (:mod:`txpanel.models.structure`): modules, hooks, settings, adapters, code, configuration;
* of every tensor its place and torch's count of writes, and a few samples, which no change of a whole tensor leaves as they are;
* all bits of a small model; of a large one as much as takes `SHARE` of the time that has passed: all of it after a pause of a few
  seconds, and in a loop without pauses bit by bit.

What slips through all of this, a single number of a large model changed through ``.data`` or a NumPy view a moment ago, is noticed where
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
"""Of the time that passes, how much may go into reading a large model's bits, and as much again into computing last tokens anew."""
SLICE = 8 * 1024**2
"""Bytes that a visitor's keystroke or one generated token waits for at most."""


OVERHEAD = 256 * 1024
"""Bytes that are read in the time that it takes to begin with a tensor."""


@dataclass(frozen=True)
class State:
    """A model as it was at some time.

    Attributes:
        key: equal where all numbers, modules, settings and hooks are equal. foreign: why nothing of earlier runs may be used, such as somebody's
            hook at ``model.layers.0``; empty: it may. seen: goes up with each change; modules and weights that were looked up before are to be
            looked up again, and what was verified is to be verified again.
    """

    key: str
    foreign: str
    seen: int


class Watch:
    """Looks after one model. To be asked with the model's turn."""

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
        """Take the model as it is for what was verified: whatever is another one from here on has changed."""
        self.settle()
        self.look()

    def look(self, *, thorough: bool = False, briefly: bool = False) -> State:
        """The model's state now.

        Args:
            thorough: read all bits. briefly: somebody waits for one token, so never more than `SLICE` bytes.
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
                self._name(renewed=(changed or new) and not first)
            return self.state

    def told(self, words: Callable[[Any], str]) -> tuple[str, str]:
        """Digests of all numbers, as they were read last, and of everything else; after a look.

        Args:
            words: tells an object whose content can't be seen; with the same words in every process, the digests are the same in every process.
        """
        with self._guard:
            numbers, other = hashlib.blake2b(digest_size=32), hashlib.blake2b(digest_size=32)
            for name, tensor in self._structure.tensors.items():
                numbers.update(f"{name} ".encode() + self._digests[id(tensor)][1])
            for line in sorted(self._structure.lines(words)):  # of code they come in the order of a set
                other.update(f"{line}\n".encode())
            return numbers.hexdigest(), other.hexdigest()

    def settle(self) -> None:
        """After a pass of our own: what it has changed itself, such as a table of positions that grows, is no change of the model."""
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
                self._name(renewed=False)

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
        """Whether computing a token again, which takes about so long, is due: after a pause, and now and then in a loop."""
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
        """Which tensors are to be read now: all of a small model, of others those whose turn it is."""
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

    def _name(self, *, renewed: bool) -> None:
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
    """A mark without the count of writes."""
    return (*marked[:2], *marked[3:])
