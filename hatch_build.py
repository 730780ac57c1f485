"""What the page on a package index shows: the README, whose pictures and links lead into the repository from anywhere, and its addresses.

Hatchling calls it. Where the repository is stands in ``pyproject.toml``, ``[tool.hatch.metadata.hooks.custom]``. While nothing stands there, no
address is made up: the page has the README's words without what would lead into the repository, and names no addresses.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(?P<picture>!?)\[(?P<words>[^\]]*)\]\((?![a-z]+:|#)(?P<path>[^)\s]+)\)")


def for_anywhere(text: str, repository: str, version: str) -> str:
    """The README with addresses in place of paths: pictures as files, everything else as pages; without a repository, their words."""

    def lead(found: re.Match[str]) -> str:
        if not repository:
            return found["words"]
        kind = "raw" if found["picture"] else "blob"
        return f"{found['picture']}[{found['words']}]({repository}/{kind}/v{version}/{found['path']})"

    return LINK.sub(lead, text)


def addresses(repository: str, version: str) -> dict[str, str]:
    """What the package's page links to, by its label."""
    if not repository:
        return {}
    pages = f"{repository}/blob/v{version}"
    return {
        "Repository": repository,
        "Documentation": f"{pages}/docs/reference.md",
        "Changelog": f"{pages}/CHANGELOG.md",
        "Issues": f"{repository}/issues",
    }


class PackagePage(MetadataHookInterface):
    """The `readme` and the `urls` of the project's metadata."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Sets both."""
        repository, version = str(self.config["repository"]).rstrip("/"), metadata["version"]
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": for_anywhere(text, repository, version)}
        metadata["urls"] = addresses(repository, version)
