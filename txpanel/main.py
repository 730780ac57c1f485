"""What ``panel serve txpanel`` runs, once per session. Everything is in the package: names in here are wiped at its end."""

from __future__ import annotations

from txpanel.server.session_page import serve

serve()
