"""Settings from environment variables: each is named, documented and given its default here, and nowhere else.

They are read when they are asked for (:func:`environment`), not when the program starts: ``txpanel serve`` sets them from its
options, and tests change them. ``TXPANEL_LANGUAGE`` is read by :mod:`txpanel.messages`, which stands below every room.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["VARIABLES", "Environment", "environment", "set_environment"]

VARIABLES: dict[str, str] = {
    "TXPANEL_MODEL": "the model to start with, when there is no `--model`",
    "TXPANEL_MODELS": "the models that visitors may choose, joined by commas",
    "TXPANEL_CACHE": "where models are kept; by default `txpanel` in the user's cache folder",
    "TXPANEL_PLUGINS": "the views of other packages to load, joined by commas; `none`: only the built-in ones",
    "TXPANEL_PUBLIC": "`1`: people on other machines can reach this server, so they get only the models it offers",
    "TXPANEL_DEVICE": "where models run",
    "TXPANEL_DTYPE": "type of the weights",
    "TXPANEL_LANGUAGE": "language of the page, such as `de`",
    "TXPANEL_TRACE_MB": "how much runs shared by sessions may hold; 512",
    "TXPANEL_MODEL_MB": "how much loaded models may hold; 8000",
}
"""All of them, with the words of docs/reference.md."""


@dataclass(frozen=True, slots=True)
class Environment:
    """The variables as they are set at one moment.

    Attributes:
        model: to start with; empty: the program chooses.
        models: that visitors may choose, in order; ``None``: no list was given.
        cache: folder of models made ready for use; ``None``: in the user's cache folder.
        plugins: views of other packages to load; ``None``: all of them; empty: none.
        public: whether people on other machines can reach the server.
        device: a torch device name. dtype: name of a torch dtype; ``None``: float32.
        trace_bytes: limit of the runs that sessions share. model_bytes: limit of the loaded models.
    """

    model: str = ""
    models: tuple[str, ...] | None = None
    cache: Path | None = None
    plugins: tuple[str, ...] | None = None
    public: bool = False
    device: str = "cpu"
    dtype: str | None = None
    trace_bytes: int = 512_000_000
    model_bytes: int = 8_000_000_000


def environment(variables: Mapping[str, str] | None = None) -> Environment:
    """The settings as they are now; what is not set, or makes no sense, has its default.

    Args:
        variables: instead of those of the process.
    """
    given = os.environ if variables is None else variables
    usual = Environment()

    def text(name: str) -> str:
        return given.get(name, "").strip()

    def listed(name: str) -> tuple[str, ...]:
        return tuple(entry for entry in map(str.strip, given.get(name, "").split(",")) if entry)

    def megabytes(name: str, default: int) -> int:
        return int(given[name]) * 1_000_000 if given.get(name, "").isdecimal() else default

    return Environment(
        model=text("TXPANEL_MODEL"),
        models=listed("TXPANEL_MODELS") if text("TXPANEL_MODELS") else None,
        cache=Path(given["TXPANEL_CACHE"]).expanduser() if given.get("TXPANEL_CACHE") else None,
        plugins=None
        if text("TXPANEL_PLUGINS").lower() in ("", "all")
        else tuple(name for name in listed("TXPANEL_PLUGINS") if name != "none"),
        public=given.get("TXPANEL_PUBLIC", "") not in ("", "0"),
        device=text("TXPANEL_DEVICE") or usual.device,
        dtype=text("TXPANEL_DTYPE") or usual.dtype,
        trace_bytes=megabytes("TXPANEL_TRACE_MB", usual.trace_bytes),
        model_bytes=megabytes("TXPANEL_MODEL_MB", usual.model_bytes),
    )


def set_environment(
    *,
    model: str | None = None,
    models: Sequence[str] = (),
    device: str | None = None,
    dtype: str | None = None,
    public: bool = False,
) -> None:
    """Set variables for everything that this process does from now on; what is empty stays as it was."""
    wanted = {
        "TXPANEL_MODEL": model,
        "TXPANEL_MODELS": ",".join(models),
        "TXPANEL_DEVICE": device,
        "TXPANEL_DTYPE": dtype,
        "TXPANEL_PUBLIC": "1" if public else "",
    }
    os.environ.update({name: value for name, value in wanted.items() if value})
