"""What of a model is open and what is not: the parts of `LanguageModel.report()`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from txpanel.messages import _
from txpanel.models.anatomy import Anatomy
from txpanel.models.closing import parts_of


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a model.

    Attributes:
        name: ``encoder``, ``embed``, ``blocks.3.mixer`` (attention or what stands in its place), ``blocks.3.mlp``, a norm that is closed
            (``blocks.3.ln1``), ``blocks.3.block`` (the block as a whole), ``output``.
        state: ``open``: every number in it can be asked for its terms; ``opaque``: its module is run as a whole.
        reason: why it is opaque; "" where it is open.
        difference: the largest difference between what txpanel computes for it and what the model does, relative to the largest number of its
            row (a token's vector). Of an opaque part: why it was closed, if that was seen by comparing; ``None``: it was not compared.
    """

    name: str
    state: Literal["open", "opaque"]
    reason: str
    difference: float | None

    def __str__(self) -> str:
        gap = "" if self.difference is None else f"  difference {self.difference:.1e}"
        return f"{self.name}: {self.state}{gap}{'  ' if self.reason else ''}{self.reason}"


class Report(list[Part]):
    """The parts of a model, in order; printed one a line.

    Attributes:
        remembered: the day on which it was compared, where what that has shown is remembered; ``None``: it was compared when it was opened.
    """

    remembered: date | None = None

    def __str__(self) -> str:
        lines = [str(part) for part in self]
        return "\n".join([*lines, remembered_since(self.remembered)] if self.remembered else lines)

    __repr__ = __str__

    @property
    def opaque(self) -> list[Part]:
        """Those that are not open."""
        return [part for part in self if part.state == "opaque"]


def remembered_since(day: date) -> str:
    """The sentence about a remembered comparison."""
    words = _("Compared on {day}, and remembered: weights, programs and processor are the same as on that day.")
    return words.format(day=day.isoformat())


@dataclass
class Seen:
    """The result of comparing a model with its own untouched run.

    Attributes:
        differences: of the parts that are open. closed: of those that were closed because they differed.
        remembered: the day on which this was seen, where it is remembered (:mod:`txpanel.models.remembered`).
    """

    differences: dict[str, float] = field(default_factory=dict)
    closed: dict[str, float] = field(default_factory=dict)
    remembered: date | None = None

    def saw(self, part: str, difference: float) -> None:
        """Keep the largest difference of a part."""
        self.differences[part] = max(difference, self.differences.get(part, 0.0))


def report(anatomy: Anatomy, seen: Seen) -> Report:
    """All parts of a model."""
    found = Report()
    found.remembered = seen.remembered

    def add(name: str, reason: str | None) -> None:
        if reason is None:
            found.append(Part(name, "open", "", seen.differences.get(name)))
        else:
            found.append(Part(name, "opaque", reason, seen.closed.get(name)))

    if anatomy.encoder is not None:
        add("encoder", _("its blocks are run as a whole; only the decoder is opened"))
    add("embed", anatomy.opaque.get("embed"))
    for block in anatomy.blocks:
        for part in parts_of(block):
            add(f"blocks.{block.index}.{part}", block.opaque.get(part))
    add("output", anatomy.opaque.get("output"))
    return found
