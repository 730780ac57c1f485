"""pip, for as long as its parent lives: ``python -m txpanel.models.sources.bound_pip ARGUMENTS``.

A plain pip would continue when its parent is killed; this one ends, because its standard input closes then.
"""

from __future__ import annotations

import runpy
import sys

from txpanel.models.sources.process import end_with_parent

if __name__ == "__main__":
    end_with_parent()
    sys.argv[0] = "pip"
    runpy.run_module("pip", run_name="__main__", alter_sys=True)
