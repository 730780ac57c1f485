"""The address of a component's file names a class that is here already; nothing is imported because an address says so.

Panel's server gives out files of components at ``/components/<module>/<class>/<attribute>/<path>`` and imports the module of the address
before it looks whether the class is a component. One anonymous request, an ``<img>`` on another site will do, runs any module of the
machine: ``unittest.__main__`` ends the server, ``antigravity`` opens a browser, ``this`` prints a poem into the log.

As a report to Panel: *ComponentResourceHandler.parse_url_path imports what the URL names.* To see it: ``panel serve app.py``, then
``curl localhost:5006/components/unittest.__main__/x/_js/y``: the process ends, without a login and without a session. Expected: 404. A page
only ever links to components of classes in the process, so ``sys.modules.get(mod)`` is enough instead of ``importlib.import_module(mod)``, and
``vars(module).get(cls)`` instead of ``getattr`` (a module's ``__getattr__`` may import, too); then ``issubclass(component, ReactiveCustomBase |
BaseTemplate | ...)`` before any of its attributes is looked at.

Versions: Panel 1.9.4 to 1.10.0.
Reason: one anonymous GET runs any module of the machine, and ends the server.
Upstream: holoviz/panel, panel/io/server.py, ComponentResourceHandler.parse_url_path: to be reported with the text above.
Test: tests/compat/test_component_files.py::test_panel_still_imports_what_an_address_names
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from panel.io.server import ComponentResourceHandler
from panel.reactive import ReactiveCustomBase
from panel.template.base import BaseTemplate
from panel.theme.base import Design, Theme
from panel.viewable import Viewable
from tornado.web import HTTPError

from txpanel.compat.replacing import replace

__all__ = ["component", "mend"]

KINDS: tuple[type, ...] = (Viewable, ReactiveCustomBase, BaseTemplate, Design, Theme)
"""Classes whose files Panel links to."""


def mend() -> None:
    """Serves files of such classes only; once per process, may be called again.

    Raises:
        RuntimeError: Panel's handler has changed, so that the check would not work.
    """
    if not replace(ComponentResourceHandler, "parse_url_path", _guarded):
        raise RuntimeError("Panel's handler of component files is not what it was: it may import what an address names")


def component(address: str) -> type | None:
    """The class that an address names, if it is a component that this process has; imports nothing.

    Args:
        address: ``<module>/<class>/...``.
    """
    module, _, rest = address.partition("/")
    name = rest.partition("/")[0]
    found = vars(sys.modules[module]).get(name) if module in sys.modules else None
    if not (isinstance(found, type) and issubclass(found, KINDS)):
        return None
    return found if (found.__module__, found.__name__) == (module, name) else None


def _guarded(own: Callable[[Any, str], str]) -> Callable[[Any, str], str]:
    def parse_url_path(self: Any, path: str) -> str:
        if component(path) is None:
            raise HTTPError(404)
        try:
            return own(self, path)
        except (TypeError, ValueError, AttributeError, KeyError) as error:  # an attribute without files
            raise HTTPError(404) from error

    return parse_url_path
