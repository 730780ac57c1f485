"""What the page on a package index shows: the README, whose pictures and links lead into the repository from anywhere.

Hatchling calls it (``[tool.hatch.metadata.hooks.custom]``). The repository's address and the version come from ``pyproject.toml``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(?P<picture>!?)\[(?P<words>[^\]]*)\]\((?![a-z]+:|#)(?P<path>[^)\s]+)\)")


def for_anywhere(text: str, repository: str, version: str) -> str:
    """The README with addresses in place of paths: pictures as files, everything else as pages."""

    def lead(found: re.Match[str]) -> str:
        kind = "raw" if found["picture"] else "blob"
        return f"{found['picture']}[{found['words']}]({repository}/{kind}/v{version}/{found['path']})"

    return LINK.sub(lead, text)


class PackagePage(MetadataHookInterface):
    """The `readme` of the project's metadata."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Sets it."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        page = for_anywhere(text, metadata["urls"]["Repository"], metadata["version"])
        metadata["readme"] = {"content-type": "text/markdown", "text": page}
