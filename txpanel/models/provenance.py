"""Where a model's weights came from: shown beside every figure and stored in saved traces."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

Kind = Literal["nano", "cache", "hub", "package index", "folder", "gguf", "wrapped"]


@dataclass(frozen=True, slots=True)
class Provenance:
    """The origin of a model's weights.

    Attributes:
        kind: which sort of source.
        where: hub id, folder, file or package (with its version) that was read.
        revision: commit of the hub, or SHA-256 of the file; ``None`` where there is none.
        note: one or two sentences for the page: what was converted, which licence.
    """

    kind: Kind
    where: str
    revision: str | None = None
    note: str = ""

    def as_dict(self) -> dict[str, str]:
        """Strings only, for metadata of saved files."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {key: "" if value is None else str(value) for key, value in values.items()}
