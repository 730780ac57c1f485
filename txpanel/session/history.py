"""Entries with a current one, to go back and forward in: used for undo and for the trail of questions."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class History(Generic[T]):
    """A list of entries with a current one. Adding an entry drops those after the current one.

    Args:
        limit: entries kept; older ones are forgotten.
    """

    def __init__(self, limit: int = 200) -> None:
        self.limit = limit
        self.entries: list[T] = []
        self.place = -1

    @property
    def current(self) -> T | None:
        """The current entry; None while there is none."""
        return self.entries[self.place] if self.entries else None

    @property
    def can_go_back(self) -> bool:
        """Whether there is an entry before."""
        return self.place > 0

    @property
    def can_go_forward(self) -> bool:
        """Whether there is an entry after."""
        return self.place + 1 < len(self.entries)

    def add(self, entry: T) -> None:
        """Add an entry and make it the current one; one that equals the current entry is not added."""
        if self.entries and self.current == entry:
            return
        self.entries = [*self.entries[: self.place + 1], entry][-self.limit :]
        self.place = len(self.entries) - 1

    def replace(self, entry: T) -> None:
        """Put another entry in the place of the current one."""
        if self.entries:
            self.entries[self.place] = entry
        else:
            self.add(entry)

    def back(self) -> T | None:
        """Go one back and return that entry; None where there is none."""
        if not self.can_go_back:
            return None
        self.place -= 1
        return self.current

    def forward(self) -> T | None:
        """Go one forward and return that entry; None where there is none."""
        if not self.can_go_forward:
            return None
        self.place += 1
        return self.current

    def clear(self) -> None:
        """Forget everything."""
        self.entries, self.place = [], -1
