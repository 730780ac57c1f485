"""``PANEL_BASIC_AUTH`` is the password, or the file of passwords, as it was written.

Versions: Panel 1.9.4 to 1.10.0.
Reason: Panel makes it lower case: “Secret” is refused and “secret” lets in, and a path with a capital is no file but a password for all.
Upstream: holoviz/panel, panel/config.py, `_config.basic_auth`: without `lower()`, and with its own value instead of the OAuth provider's behind it.
Test: tests/compat/test_password_variable.py::test_panel_still_makes_it_lower_case
"""

from __future__ import annotations

import os
from typing import Any

from panel.config import _config

__all__ = ["mend"]

VARIABLE = "PANEL_BASIC_AUTH"


def mend() -> None:
    """Applies the workaround; once per process, may be called again."""
    if isinstance(vars(_config).get("basic_auth"), property):
        _config.basic_auth = property(_as_it_is)


def _as_it_is(self: Any) -> Any:
    return os.environ.get(VARIABLE) or self._basic_auth
