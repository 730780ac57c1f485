"""Finding views: every installed package may offer some, and none can stop the others.

A view is an entry point of the group ``txpanel.views``. The built-in ones are registered in the same way, so there is
no private door. What cannot be loaded is a `Record` with a sentence, not an exception.
"""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from txpanel.errors import Unsupported
from txpanel.messages import _
from txpanel.models.environment import environment

if TYPE_CHECKING:
    from txpanel.views.base import View

GROUP = "txpanel.views"
OWN = "txpanel"

Status = Literal["ok", "broken", "incompatible", "shadowed", "disabled"]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Record:
    """One registered view.

    Attributes:
        name: of its entry point. dist: package that registers it. version: of that package.
        status: ``"ok"``; ``"broken"`` (cannot be imported, or is no view); ``"incompatible"`` (written for another
            version of the interface); ``"shadowed"`` (another package registered the name first); ``"disabled"``
            (left out by ``TXPANEL_PLUGINS``).
        view_class: the class where the status is ok, else None.
        error: a sentence where it is not ok, else None.
    """

    name: str
    dist: str
    version: str
    status: Status
    view_class: type[View] | None = None
    error: str | None = None
    entry: importlib.metadata.EntryPoint | None = field(default=None, repr=False, compare=False)

    def load(self) -> type[View]:
        """Try (again) to import the class; it may have been mended since.

        Raises:
            Unsupported: in words, if the record must not be loaded. Whatever the package raises at import.
        """
        if self.entry is None or self.status in ("shadowed", "disabled"):
            raise Unsupported(self.error or _("This view cannot be loaded."))
        found = self.entry.load()
        problem = _problem(found)
        if problem:
            raise Unsupported(problem[1])
        return found

    def as_dict(self) -> dict[str, Any]:
        """For ``txpanel plugins --json``."""
        view = self.view_class
        return {
            "name": self.name,
            "package": self.dist,
            "version": self.version,
            "status": self.status,
            "title": view.title if view else None,
            "class": f"{view.__module__}:{view.__qualname__}" if view else None,
            "error": self.error,
        }


def discover(entries: Iterable[importlib.metadata.EntryPoint] | None = None) -> list[Record]:
    """Find all registered views and load those that can be loaded.

    ``TXPANEL_PLUGINS`` limits the views of other packages: ``none``, or names (of views or packages) joined by commas.
    Built-in views are always there.

    Args:
        entries: entry points to look at; None: those of the installed packages.

    Returns:
        A record for each, built-in ones first, then by package and name. Nothing is raised.
    """
    found = importlib.metadata.entry_points(group=GROUP) if entries is None else entries
    wanted, taken, records = _wanted(), dict[str, str](), list[Record]()
    for entry in sorted(_distinct(found), key=lambda e: (_package(e)[0] != OWN, _package(e)[0], e.name)):
        record = _record(entry, wanted, taken)
        records.append(record)
        if record.status != "disabled":
            taken.setdefault(entry.name, record.dist)
    return records


def _record(entry: importlib.metadata.EntryPoint, wanted: set[str] | None, taken: dict[str, str]) -> Record:
    dist, version = _package(entry)

    def without(status: Status, error: str) -> Record:
        return Record(entry.name, dist, version, status, None, error, entry)

    if wanted is not None and dist != OWN and not {entry.name, dist} & wanted:
        return without("disabled", _("Left out by the setting TXPANEL_PLUGINS."))
    if entry.name in taken:
        first = taken[entry.name]
        return without(
            "shadowed", _("The package {first} has a view of this name, too, and came first.").format(first=first)
        )
    try:
        loaded = entry.load()
    except (Exception, SystemExit) as error:  # a plugin may do anything while it is imported
        _log_once(entry.name, dist, error)
        text = _("It could not be imported ({kind}: {error}). Ask its authors, or mend it and try again.")
        return without("broken", text.format(kind=type(error).__name__, error=error))
    problem = _problem(loaded)
    return without(*problem) if problem else Record(entry.name, dist, version, "ok", loaded, None, entry)


_logged: set[str] = set()  # discovery runs for every session, the log needs to hear of a failure once


def _log_once(name: str, dist: str, error: BaseException) -> None:
    line = f"the view {name} of {dist or 'an unknown package'} could not be loaded: {error!r}"
    if line not in _logged:
        _logged.add(line)
        logger.warning(line, exc_info=error)


def _problem(loaded: Any) -> tuple[Status, str] | None:
    """What keeps a loaded object from being used as a view."""
    from txpanel.views.base import API_VERSION, View  # late: views need Panel, finding them does not

    if not (isinstance(loaded, type) and issubclass(loaded, View)):
        return "broken", _("The entry point does not lead to a class derived from txpanel.View.")
    if not loaded.id or not loaded.title:
        return "broken", _("The view has no id or no title; both are class attributes that it must set.")
    if loaded.api_version != API_VERSION:
        advice = _("Update the package.") if loaded.api_version < API_VERSION else _("Update txpanel.")
        text = _("The view is written for version {theirs} of the interface, this is version {ours}. {advice}")
        return "incompatible", text.format(theirs=loaded.api_version, ours=API_VERSION, advice=advice)
    return None


def _wanted() -> set[str] | None:
    """Names that ``TXPANEL_PLUGINS`` lets in; None: all of them."""
    plugins = environment().plugins
    return None if plugins is None else set(plugins)


def _package(entry: importlib.metadata.EntryPoint) -> tuple[str, str]:
    dist = entry.dist
    return (dist.name, dist.version) if dist is not None else ("", "")


def _distinct(entries: Iterable[importlib.metadata.EntryPoint]) -> list[importlib.metadata.EntryPoint]:
    """A package that is found twice on the path (a checkout and its installation) registers its views once."""
    return list({(_package(entry)[0], entry.name, entry.value): entry for entry in entries}.values())
