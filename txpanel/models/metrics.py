"""The metrics of a server for its operator, in one registry that every package can reach; ``/metrics`` shows it (:mod:`txpanel.server.metrics`).

Numbers and nothing else: what a label may say is declared here or in code, and a word that does not look like one of ours becomes
"other". So nothing that a visitor has typed can get into a metric, and no visitor can make the list of metrics grow.

All metrics are declared in this file; other modules only count: ``metrics.PASSES.add()``, ``metrics.REFUSALS.add(kind="sessions")``,
``metrics.WAIT.seen(0.3, kind="look")``, ``metrics.QUEUE.of(lambda: len(queue))``. Counting takes a microsecond and never raises.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

__all__ = ["ALL", "Counter", "Gauge", "Metric", "Times"]

ALL: dict[str, Metric] = {}
"""Every metric by its name; the name in ``/metrics`` has ``txpanel_`` before it."""

OTHER, MOST = "other", 40
_WORD = re.compile(r"[a-z][a-z0-9_-]{0,30}")


@dataclass(eq=False)
class Metric:
    """One metric, or a family of them by a label.

    Attributes:
        name: in snake case, with its unit at the end.
        help: one sentence for the operator.
        label: what its values are told apart by; empty: it is a single value.
    """

    name: str
    help: str
    label: str = ""
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        ALL[self.name] = self

    def _key(self, kind: str, known: Mapping[str, object]) -> str:
        """The label's value: a word from code, never a visitor's text; beyond `MOST` different words it is ``other``."""
        if not self.label:
            return ""
        word = str(kind)
        return word if _WORD.fullmatch(word) and (word in known or len(known) < MOST) else OTHER


@dataclass(eq=False)
class Counter(Metric):
    """A number that only grows."""

    _values: dict[str, float] = field(default_factory=dict)

    def add(self, more: float = 1, *, kind: str = "") -> None:
        """Count ``more`` events of a kind."""
        with self._guard:
            key = self._key(kind, self._values)
            self._values[key] = self._values.get(key, 0) + max(0, more)

    def values(self) -> dict[str, float]:
        """The counts by kind; a counter without label has one value, under the empty word, from the beginning."""
        with self._guard:
            return dict(self._values) if self.label else {"": 0, **self._values}


@dataclass(eq=False)
class Gauge(Metric):
    """A number that is read when the metrics are asked for: a length, a number of bytes."""

    _readers: dict[str, Callable[[], float]] = field(default_factory=dict)
    _all: Callable[[], Mapping[str, float]] | None = None

    def of(self, read: Callable[[], float], *, kind: str = "") -> None:
        """Register a function that returns the value; a newer one for the same kind replaces it. It must be quick and take no lock for long."""
        with self._guard:
            self._readers[self._key(kind, self._readers)] = read

    def each(self, read: Callable[[], Mapping[str, float]]) -> None:
        """Register a function that returns the values of all kinds at once."""
        self._all = read

    def values(self) -> dict[str, float]:
        """The values by kind, read now. One whose function raises is left out."""
        with self._guard:
            readers = dict(self._readers)
        found: dict[str, float] = {}
        if self._all is not None:
            with contextlib.suppress(Exception):
                found = {self._key(kind, {}): float(value) for kind, value in self._all().items()}
        for kind, read in readers.items():
            try:
                found[kind] = float(read())
            except Exception:  # metrics must stay readable when one part of the server fails
                continue
        return found


@dataclass(eq=False)
class Times(Metric):
    """How long something took, as a histogram over seconds."""

    bounds: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
    _counts: dict[str, list[int]] = field(default_factory=dict)
    _sums: dict[str, float] = field(default_factory=dict)

    def seen(self, seconds: float, *, kind: str = "") -> None:
        """Count one event that took this many seconds."""
        place = sum(seconds > bound for bound in self.bounds)
        with self._guard:
            key = self._key(kind, self._counts)
            self._counts.setdefault(key, [0] * (len(self.bounds) + 1))[place] += 1
            self._sums[key] = self._sums.get(key, 0.0) + max(0.0, seconds)

    def values(self) -> Iterator[tuple[str, list[int], float]]:
        """Kind, how many in each range between two bounds (the last one is open), their sum in seconds."""
        with self._guard:
            found = [(kind, list(counts), self._sums[kind]) for kind, counts in self._counts.items()]
        yield from found


SESSIONS = Gauge("sessions", "Open pages, those whose connection was lost but that are still kept included.")
OPENED = Counter("sessions_opened", "Pages that were opened since the start.")
WAITING = Gauge("visitors_waiting", "People who wait for a place because the server is full.")
QUEUE = Gauge("queue_length", "Pieces of work that wait for the model, by kind.", "kind")
WAIT = Times("queue_wait_seconds", "How long work waited for the model, by kind.", "kind")
PASSES = Counter("passes", "Runs of the model: texts and generated tokens that nobody had run before.")
PASS_SECONDS = Times("pass_seconds", "How long the model took for one run.")
TOKENS = Counter("tokens", "Tokens that went through the model; those of a known beginning are not run again.")
HELD = Gauge("held_bytes", "Bytes that are kept besides the weights, by what they are.", "kind")
WEIGHTS = Gauge("model_bytes", "Bytes of the loaded models' weights.")
ERRORS = Counter(
    "errors", "Lines of the log at the level of an error or above, by the library that wrote them.", "source"
)
REFUSALS = Counter("refusals", "What was refused, by the limit or the rule that refused it.", "kind")
READY = Gauge("ready", "1 when /health says ready, else 0.")
