"""The frames of all views that are installed, in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from txpanel.messages import again
from txpanel.views.frame import ViewFrame

if TYPE_CHECKING:
    from txpanel.session.state import ModelState
    from txpanel.views.discovery import Record

__all__ = ["Part", "openable", "parts"]

LAST = 10_000


@dataclass(frozen=True)
class Part:
    """One view's place on the page: what its class says about it (`named`: its title, for a run), and its frame.

    The id is unique: that of its class, which discovery has checked; where there is none, package and name of the entry point.
    """

    id: str
    named: Callable[[Any], str]
    order: int
    frame: ViewFrame
    on_top: bool = False
    shows: frozenset[str] = frozenset()


def parts(state: ModelState, records: Iterable[Record] | None = None) -> list[Part]:
    """A frame for each view that was found, also for those that could not be loaded, which come last.

    Args:
        state: what they follow.
        records: from `txpanel.views.discovery`; None: whatever is installed.
    """
    from txpanel.views import discovery  # late: torch; the page is painted before it is imported

    found = discovery.discover() if records is None else records
    return sorted(
        (_part(state, record) for record in found if record.status != "disabled"),
        key=lambda part: (part.order, part.id),
    )


def openable(found: Iterable[Part]) -> dict[str, str]:
    """Tensor name without block prefix -> id of the view to open for it: the first one, in the page's order, that shows it.

    Views on top of the page are always open and left out.
    """
    targets: dict[str, str] = {}
    for part in found:
        if not part.on_top:
            targets |= dict.fromkeys(part.shows - targets.keys(), part.id)
    return targets


def _part(state: ModelState, record: Record) -> Part:
    view = record.view_class
    origin = " ".join(piece for piece in (record.dist, record.version) if piece and record.dist != "txpanel")
    frame = ViewFrame(state, record.load, name=again(view.title) if view else record.name, origin=origin)
    if view is None:
        frame.fail(record.not_used())
        title = f"{record.name} ({record.dist})" if record.status == "shadowed" else record.name
        return Part(f"{record.dist or 'unknown'}--{record.name}", lambda _trace: title, LAST, frame)
    return Part(view.id, view.named, view.order, frame, view.on_top, frozenset(view.shows))
