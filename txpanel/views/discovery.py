"""Finding views: every installed package may offer some, and none can stop the others.

A view is an entry point of the group ``txpanel.views``. The built-in ones are registered in the same way, so there is
no private door. What cannot be loaded is a `Record` with a sentence, not an exception.
"""

from __future__ import annotations

import importlib.metadata
import logging
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from txpanel.compat.held_exits import is_held
from txpanel.errors import NotUsed, Unsupported
from txpanel.messages import _
from txpanel.models.environment import environment

if TYPE_CHECKING:
    from txpanel.views.base import View

GROUP = "txpanel.views"
OWN = "txpanel"
RESERVED = {"why": OWN}
"""Ids that no view may have: the page's own parts."""
ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")

Status = Literal["ok", "broken", "incompatible", "shadowed", "disabled", "off"]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Record:
    """One registered view.

    Attributes:
        name: of its entry point. dist: package that registers it. version: of that package.
        status: ``"ok"``; ``"broken"`` (cannot be imported, or is no view); ``"incompatible"`` (written for another
            version of the interface); ``"shadowed"`` (the name, or the class's id, is that of a view that came first: built-in
            ones always do); ``"disabled"`` (left out by ``TXPANEL_PLUGINS``); ``"off"`` (it held the server up: `switch_off`).
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
            NotUsed: in words, if the record must not be loaded. Whatever the package raises at import.
        """
        if self.entry is None or self.status in ("shadowed", "disabled", "off"):
            raise self.not_used()
        found = self.entry.load()
        problem = _problem(found, self.entry, {})
        if problem:
            raise NotUsed(problem[1])
        return found

    def not_used(self) -> NotUsed:
        """Why it is not used, as an error for its frame."""
        return NotUsed(self.error or _("This view cannot be loaded."), off=self.status == "off")

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
    found = installed() if entries is None else entries
    wanted, taken, records = _wanted(), dict(RESERVED), list[Record]()
    for entry in sorted(
        _distinct(found), key=lambda e: (not built_in(e), _package(e)[0] != OWN, _package(e)[0], e.name)
    ):
        record = _record(entry, wanted, taken)
        records.append(record)
        if record.status not in ("disabled", "shadowed"):
            taken.setdefault(entry.name, record.dist)
        if record.view_class is not None:
            taken.setdefault(record.view_class.id, record.dist)
    return records


def installed() -> list[importlib.metadata.EntryPoint]:
    """The entry points of all installed packages.

    Of several packages of one name only the first counts, as everywhere in Python, except for ours: another one that calls itself
    txpanel hides no built-in view. What an older installation of ours lists and this one does not have is left out.
    """
    found, seen = list[importlib.metadata.EntryPoint](), set[str]()
    for dist in importlib.metadata.distributions():
        name = str(dist.name).lower()
        entries = [entry for entry in dist.entry_points if entry.group == GROUP]
        found += [entry for entry in entries if name not in seen or (built_in(entry) and _has_code(entry))]
        seen.add(name)
    return found


def built_in(entry: importlib.metadata.EntryPoint) -> bool:
    """Whether a view is ours: of a package of our name, and in our own code. A package may call itself what it likes."""
    return _package(entry)[0] == OWN and entry.module.startswith(f"{OWN}.views.")


def _has_code(entry: importlib.metadata.EntryPoint) -> bool:
    inside = Path(__file__).parents[1].joinpath(*entry.module.split(".")[1:])
    return inside.is_dir() or inside.with_suffix(".py").is_file()


def switch_off(view: type, error: str) -> bool:
    """Switches a view off for new sessions, until the server is restarted. Built-in views stay: only the caller's log names them.

    Args:
        view: its class. error: a sentence why.

    Returns:
        Whether it is off now: it is a view of another package that was found here.
    """
    key = _keys.get(view)
    if key is not None and key not in _off:
        _off[key] = error
        for tell in when_off:
            tell(key, error)
    return key is not None


def keep_off(key: Key, error: str) -> None:
    """Switches a view off before it is loaded.

    Args:
        key: package and name of its entry point. error: a sentence why.
    """
    _off[key] = error


def view_of(module: str) -> type | None:
    """A view of another package, found here, to whose package a module belongs; None where there is none."""
    package = module.partition(".")[0]
    return next((view for view in list(_keys) if view.__module__.partition(".")[0] == package), None)


Key = tuple[str, str]  # package and name of the entry point
_off: dict[Key, str] = {}
when_off: list[Callable[[Key, str], object]] = []
"""Hear of each view that is switched off."""
_keys: dict[type, Key] = {}


def _record(entry: importlib.metadata.EntryPoint, wanted: set[str] | None, taken: dict[str, str]) -> Record:
    dist, version = _package(entry)

    def without(status: Status, error: str) -> Record:
        return Record(entry.name, dist, version, status, None, error, entry)

    if wanted is not None and dist != OWN and not {entry.name, dist} & wanted:
        return without("disabled", _("Left out by the setting TXPANEL_PLUGINS."))
    if entry.name in taken:
        text = _("The name “{name}” is already used by a view of the package {first}. Choose another name.")
        said = text.format(name=entry.name[:60], first=taken[entry.name])
        _log_once(entry.name, dist, Unsupported(said))
        return without("shadowed", said)
    if (dist, entry.name) in _off:
        return without("off", _off[dist, entry.name])
    try:
        loaded = entry.load()
        problem = _problem(loaded, entry, taken)
    except BaseException as error:  # a plugin may do anything while it is imported
        if not is_held(error):
            raise
        _log_once(entry.name, dist, error)
        text = _("It could not be imported ({kind}: {error}). Ask its authors, or fix it and try again.")
        return without("broken", text.format(kind=type(error).__name__, error=error))
    if problem:
        _log_once(entry.name, dist, Unsupported(problem[1]))
        return without(*problem)
    if not built_in(entry):
        _keys[loaded] = (dist, entry.name)
    return Record(entry.name, dist, version, "ok", loaded, None, entry)


_logged: set[str] = set()  # discovery runs for every session, the log needs to hear of a failure once


def _log_once(name: str, dist: str, error: BaseException) -> None:
    line = f"the view {name} of {dist or 'an unknown package'} could not be loaded: {error!r}"
    if line not in _logged:
        _logged.add(line)
        logger.warning(line, exc_info=None if isinstance(error, Unsupported) else error)


def _problem(loaded: Any, entry: importlib.metadata.EntryPoint, taken: dict[str, str]) -> tuple[Status, str] | None:
    """What keeps a loaded object from being used as a view."""
    from txpanel.views.base import API_VERSION, View  # late: views need Panel, finding them does not

    if not (isinstance(loaded, type) and issubclass(loaded, View)):
        return "broken", _("The entry point does not lead to a class derived from txpanel.View.")
    if not loaded.id or not loaded.title:
        return "broken", _("The view has no id or no title. Both are class attributes that it must set.")
    if wrong := _wrong_attribute(loaded):
        text = _("The class attribute {name} has a wrong value; see docs/plugins.md.")
        return "broken", text.format(name=wrong)
    if loaded.id != entry.name and loaded.id in taken:
        text = _("The id “{id}” is already used by a view of the package {first}. Choose another id.")
        return "shadowed", text.format(id=loaded.id, first=taken[loaded.id])
    if loaded.api_version != API_VERSION:
        advice = _("Update the package.") if loaded.api_version < API_VERSION else _("Update txpanel.")
        text = _("The view is written for version {theirs} of the interface, this is version {ours}. {advice}")
        return "incompatible", text.format(theirs=loaded.api_version, ours=API_VERSION, advice=advice)
    return None


def _wrong_attribute(view: type[View]) -> str:
    """The first class attribute of a view that the page could not go by; empty: they are all right."""
    checks = {
        "id": isinstance(view.id, str) and ID.fullmatch(view.id) is not None,
        "title": isinstance(view.title, str),
        "order": isinstance(view.order, int | float) and math.isfinite(view.order),
        "shows": isinstance(view.shows, Iterable) and all(isinstance(name, str) for name in view.shows),
        "api_version": isinstance(view.api_version, int),
    }
    return next((name for name, right in checks.items() if not right), "")


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
