"""Settings from environment variables: each is named, documented and given its default here, and nowhere else.

They are read when they are asked for (:func:`environment`), not when the program starts: ``txpanel serve`` sets them from its
options, and tests change them. ``TXPANEL_LANGUAGE`` is read by :mod:`txpanel.messages`, which stands below every room.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from txpanel.messages import _

__all__ = ["REPLACED", "VARIABLES", "Environment", "environment", "memory_said", "replaced", "set_environment", "wrong"]

VARIABLES: dict[str, str] = {
    "TXPANEL_MODEL": "the model to start with, when there is no `--model`",
    "TXPANEL_MODELS": "the models that visitors may choose, joined by commas",
    "TXPANEL_METRICS": "who may read `/metrics`: `local`, `all`, `none`, addresses, networks, joined by commas; `local`, and nobody where the server is public",
    "TXPANEL_CACHE": "where models are kept; by default `txpanel` in the user's cache folder",
    "TXPANEL_PLUGINS": "the views of other packages to load, joined by commas; `none`: only the built-in ones",
    "TXPANEL_PUBLIC": "`1`: visitors are strangers and get only the models that the server offers; `0`: all who can reach the server are trusted, "
    "except under a name that it was not told of; "
    "by default they are strangers wherever strangers can come in",
    "TXPANEL_EMBED": "the sites that may show the page in a frame or by its script, such as `https://school.example`, joined by commas; `*`: all",
    "TXPANEL_CLASSES": "`1`: visitors may lead others through a lesson as a class (`--classes`); by default nobody may",
    "TXPANEL_UNSAFE_EVAL": "`1`: the page may evaluate JavaScript, for plugins with `CustomJS` or `ReactiveHTML`",
    "TXPANEL_DEVICE": "where models run",
    "TXPANEL_DTYPE": "type of the weights",
    "TXPANEL_LANGUAGE": "language of notebooks, files and commands, such as `ja`, and of every page that does not name another in its address",
    "TXPANEL_MEMORY_MB": "how much may be kept besides the weights, in all: runs, replayed blocks, what runs begin with, explanations; "
    "an open session's page counts as 40, up to half of it in all; 1000, but at most a quarter of the machine's or the container's memory",
    "TXPANEL_TRACE_MB": "replaced by `TXPANEL_MEMORY_MB`, and read, with a warning, only where that is not set",
    "TXPANEL_MODEL_MB": "how much loaded models may hold; 8000",
    "TXPANEL_MAX_SESSIONS": "see [limits](#limits)",
    "TXPANEL_MAX_SESSIONS_PER_ADDRESS": "see [limits](#limits)",
    "TXPANEL_MAX_PAGES_PER_MINUTE": "see [limits](#limits)",
    "TXPANEL_MAX_MESSAGES_PER_SECOND": "see [limits](#limits)",
    "TXPANEL_MAX_MESSAGES_PER_SECOND_PER_ADDRESS": "see [limits](#limits)",
    "TXPANEL_MAX_MESSAGE_MB": "see [limits](#limits)",
    "TXPANEL_MAX_UPLOAD_MB": "see [limits](#limits)",
    "TXPANEL_MAX_TOKENS": "see [limits](#limits)",
    "TXPANEL_MAX_NEW_TOKENS": "see [limits](#limits)",
    "TXPANEL_MAX_BRANCHES": "see [limits](#limits)",
    "TXPANEL_MAX_TREE_TOKENS": "see [limits](#limits)",
    "TXPANEL_MAX_BEAMS": "see [limits](#limits)",
    "TXPANEL_MAX_SECONDS": "see [limits](#limits)",
}
"""All of them, with the words of docs/reference.md."""

LIMIT = "TXPANEL_" + "MAX_"
"""Prefix of the variables of limits."""

REPLACED = {"TXPANEL_TRACE_MB": "TXPANEL_MEMORY_MB"}
"""Variables of earlier versions, and what has taken their place."""


@dataclass(frozen=True, slots=True)
class Environment:
    """The variables as they are set at one moment.

    Attributes:
        model: to start with; empty: the program chooses.
        models: that visitors may choose, in order; ``None``: no list was given.
        metrics: who may read the metrics, as given; empty: not said.
        cache: folder of models made ready for use; ``None``: in the user's cache folder.
        plugins: views of other packages to load; ``None``: all of them; empty: none.
        public: whether visitors are strangers; ``None``: not set (`txpanel.server.visitors` decides).
        embed: sites that may show the page. unsafe_eval: whether the page may evaluate JavaScript.
        device: a torch device name. dtype: name of a torch dtype; ``None``: float32.
        memory_bytes: limit of all that is kept besides the weights; ``None``: what is usual here. model_bytes: limit of the loaded models.
        limits: those of `txpanel.models.limits` that are set, by name.
    """

    model: str = ""
    models: tuple[str, ...] | None = None
    cache: Path | None = None
    plugins: tuple[str, ...] | None = None
    public: bool | None = None
    device: str = "cpu"
    dtype: str | None = None
    memory_bytes: int | None = None
    model_bytes: int = 8_000_000_000
    metrics: tuple[str, ...] = ()
    embed: tuple[str, ...] = ()
    unsafe_eval: bool = False
    classes: bool = False
    limits: Mapping[str, int] = field(default_factory=dict)


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

    def switch(name: str) -> bool | None:
        return text(name).lower() not in ("0", "no", "off", "false") if text(name) else None

    def megabytes(name: str) -> int | None:
        return int(given[name]) * 1_000_000 if given.get(name, "").isdecimal() else None

    kept = megabytes("TXPANEL_MEMORY_MB")
    weights = megabytes("TXPANEL_MODEL_MB")
    return Environment(
        model=text("TXPANEL_MODEL"),
        models=listed("TXPANEL_MODELS") if text("TXPANEL_MODELS") else None,
        metrics=tuple(entry.lower() for entry in listed("TXPANEL_METRICS")),
        cache=Path(given["TXPANEL_CACHE"]).expanduser() if given.get("TXPANEL_CACHE") else None,
        plugins=None
        if text("TXPANEL_PLUGINS").lower() in ("", "all")
        else tuple(name for name in listed("TXPANEL_PLUGINS") if name != "none"),
        public=switch("TXPANEL_PUBLIC"),
        embed=listed("TXPANEL_EMBED"),
        unsafe_eval=bool(switch("TXPANEL_UNSAFE_EVAL")),
        classes=bool(switch("TXPANEL_CLASSES")),
        device=text("TXPANEL_DEVICE") or usual.device,
        dtype=text("TXPANEL_DTYPE") or usual.dtype,
        memory_bytes=kept if kept is not None else megabytes("TXPANEL_TRACE_MB"),
        model_bytes=weights if weights is not None else usual.model_bytes,
        limits={
            name.removeprefix("TXPANEL_").lower(): int(text(name))
            for name in VARIABLES
            if name.startswith(LIMIT) and text(name).isdecimal() and text(name).isascii() and len(text(name)) < 10
        },
    )


def memory_said() -> int | None:
    """`Environment.memory_bytes` alone; quick, since it is read for each tensor that is kept."""
    return _memory(*(os.environ.get(name, "") for name in ("TXPANEL_MEMORY_MB", "TXPANEL_TRACE_MB")))


@cache
def _memory(memory: str, trace: str) -> int | None:
    return environment({"TXPANEL_MEMORY_MB": memory, "TXPANEL_TRACE_MB": trace}).memory_bytes


def replaced(variables: Mapping[str, str] | None = None) -> list[str]:
    """A sentence for each variable that is set, though another one has taken its place.

    Args:
        variables: instead of those of the process.
    """
    given = os.environ if variables is None else variables
    said = []
    for old, new in REPLACED.items():
        if given.get(old):
            text = (
                _("{old} is replaced by {new}, which is set too. {old} is ignored; remove it.")
                if given.get(new)
                else _(
                    "{old} is replaced by {new}, one cap for everything that is kept besides the weights. Until you set it, "
                    "the old value ({value}) is used."
                )
            )
            said.append(text.format(old=old, new=new, value=given[old]))
    return said


def wrong(variables: Mapping[str, str] | None = None) -> list[str]:
    """A sentence for each variable that begins with ``TXPANEL_`` and is unknown, or whose number is not one: it counts as not set.

    Args:
        variables: instead of those of the process.
    """
    given = os.environ if variables is None else variables
    understood = environment(given).limits
    said = []
    for name in sorted(name for name in given if name.startswith("TXPANEL_")):
        value = given[name].strip()
        if name not in VARIABLES:
            close = difflib.get_close_matches(name, VARIABLES, 1, cutoff=0.85)
            text = (
                _("There is no variable {name}. Did you mean {close}?") if close else _("There is no variable {name}.")
            )
            said.append(text.format(name=name, close=close[0] if close else ""))
            continue
        limit = name.startswith(LIMIT) and name.removeprefix("TXPANEL_").lower() not in understood
        size = name.endswith("_MB") and not name.startswith(LIMIT) and not given[name].isdecimal()
        if value and (limit or size):
            text = _("{name} is not a whole number of 0 or more ({value}) and is ignored.")
            said.append(text.format(name=name, value=value[:40]))
    return said


def set_environment(
    *,
    model: str | None = None,
    models: Sequence[str] = (),
    metrics: str = "",
    device: str | None = None,
    dtype: str | None = None,
    public: bool | None = None,
    embed: Sequence[str] = (),
    classes: bool = False,
    limits: Mapping[str, int] | None = None,
) -> None:
    """Set variables for everything that this process does from now on; what is empty, or ``None``, stays as it was."""
    wanted = {
        "TXPANEL_MODEL": model,
        "TXPANEL_MODELS": ",".join(models),
        "TXPANEL_METRICS": metrics,
        "TXPANEL_DEVICE": device,
        "TXPANEL_DTYPE": dtype,
        "TXPANEL_PUBLIC": "" if public is None else str(int(public)),
        "TXPANEL_EMBED": ",".join(embed),
        "TXPANEL_CLASSES": "1" if classes else "",
        **{f"TXPANEL_{name.upper()}": str(number) for name, number in (limits or {}).items()},
    }
    os.environ.update({name: value for name, value in wanted.items() if value})
