"""The lessons that come with txpanel: a folder each, with a file for each language."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
