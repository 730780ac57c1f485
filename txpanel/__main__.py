"""``python -m txpanel`` is ``txpanel``."""

from __future__ import annotations

import sys

from txpanel.server.cli import main

sys.exit(main())
