"""An address is read as text: no number in it, no second question mark and no odd host can leave the page blank.

Panel reads every value of the address as a number, a list or a dict, for whoever synchronises parameters with it, also when nobody
does. ``text=²`` is a digit to ``str.isdigit`` and none to ``int`` (Panel 1.10 asks otherwise); a number of 4,301 digits is more than
``int`` takes; a ``?`` in a value or an IPv6 host cannot be unpacked. Each of them ends the building of the page, and of what listens when
the page writes its address.

Versions: Panel 1.9.4 to 1.10.0.
Reason: correctness; a text of one character leaves the page blank, and typed on the page it neither runs nor says why.
Upstream: holoviz/panel, panel/util/__init__.py, `parse_query`, and panel/io/location.py, `_get_location_params`, `Location._update_synced`.
Test: tests/compat/test_plain_query.py::test_panel_still_stumbles
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

from panel.io import location

from txpanel.compat.replacing import replace

__all__ = ["mend"]


def mend() -> None:
    """Applies the workaround; once per process, may be called again."""
    replace(location, "parse_query", _each_by_itself, needs=("int(v)", "query_dict"))
    replace(location, "_get_location_params", _split_once, needs=("uri.split('?')", "host.split(':')"))
    replace(location.Location, "_update_synced", _only_for_somebody, needs=("self._synced", "self.query_params"))


def _each_by_itself(own: Callable[[str], dict[str, Any]]) -> Callable[[str], dict[str, Any]]:
    def one(name: str, value: str) -> Any:
        try:
            return own("?" + urlencode({name: value})).get(name, value)
        except (ValueError, RecursionError, MemoryError, OverflowError):
            return value

    def parse(query: str) -> dict[str, Any]:
        """The parameters of an address; what cannot be read as what it looks like stays a text."""
        try:
            pairs = parse_qsl(query[1:])
        except ValueError:
            return {}
        return {name: one(name, value) for name, value in pairs}

    return parse


def _split_once(own: Callable[..., dict[str, str]]) -> Callable[..., dict[str, str]]:
    def params(protocol: str | None, host: str | None, uri: str | None) -> dict[str, str]:
        """The parts of an address; a ``?`` or ``#`` after the first one belongs to the text that it stands in."""
        path, mark, search = (uri or "").partition("?")
        search, hash_mark, fragment = search.partition("#")
        if mark:
            uri = f"{path}?{search.replace('?', '%3F')}" + (f"#{fragment.replace('#', '%23')}" if hash_mark else "")
        if not host or host.count(":") < 2 or host == "::1" or host.startswith("::ffff:"):
            return own(protocol, host, uri)
        name, port = host, ""
        if host.startswith("["):  # an IPv6 address, perhaps with a port
            name, _bracket, port = host.partition("]")
            name, port = f"{name}]", port.removeprefix(":")
        found = own(protocol, None, uri)
        href = f"{found.get('protocol', '')}//{host}{uri or ''}"
        return {**found, "hostname": name, "href": href} | ({"port": port} if port else {})

    return params


def _only_for_somebody(own: Callable[..., None]) -> Callable[..., None]:
    def update(self: Any, event: Any = None) -> None:
        """Does nothing where no parameter follows the address: no text is parsed, and none comes into the log."""
        if self._synced:
            own(self, event)

    return update
