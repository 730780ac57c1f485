"""How the next token is drawn, as one value that refuses what is impossible. Its fields are the declared stages and the seed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, make_dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from txpanel.decoding.stage_spec import is_whole
from txpanel.decoding.stages import SPECS
from txpanel.messages import _

__all__ = ["FIELDS", "OFF", "SURPRISE", "USUAL", "Settings", "with_settings"]

OFF: dict[str, float] = {"seed": 0} | {spec.key: spec.off for spec in SPECS}
"""What each setting is if nothing is said: the model's own probabilities, and seed 0."""

USUAL: dict[str, float] = OFF | {"temperature": 0.7, "top_p": 0.9}
"""What a page begins with: less of the long unlikely end than the model's own probabilities have."""

SURPRISE: dict[str, float] = OFF | {"temperature": 1.2, "top_p": 0.95, "min_p": 0.05}
"""Flatter than the model's own, without what is far less likely than the likeliest."""

POSITIONAL = (
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "seed",
    "typical_p",
    "repetition_penalty",
    "no_repeat_ngram_size",
)
"""The settings of version 0.1 in their order: these can be given by position, later ones by name only."""

FIELDS = (*(name for name in POSITIONAL if name in OFF), *(spec.key for spec in SPECS if spec.key not in POSITIONAL))
"""Names of all settings, those of `pipeline`, `generate` and `ModelState`."""


class _Checked:
    """What the settings refuse, and what follows from them."""

    __slots__ = ()

    def __post_init__(self) -> None:
        for spec in SPECS:
            spec.check(getattr(self, spec.key))
        seed: Any = getattr(self, "seed")  # noqa: B009 (the fields come with the subclass)
        if not is_whole(seed) or seed < 0:
            raise ValueError(_("seed is {value}, but it must be a whole number, 0 or more.").format(value=seed))

    @property
    def looks_back(self) -> bool:
        """Whether a stage needs the token ids so far."""
        return any(spec.looks_back and getattr(self, spec.key) != spec.off for spec in SPECS)


if TYPE_CHECKING:

    @dataclass(frozen=True)
    class Settings(_Checked):
        """The names of the fields are known when the program runs: to a type checker each is some number."""

        seed: int = 0
        left_out: tuple[str, ...] = ()

        def __init__(self, *values: float, **named: Any) -> None: ...

        def __getattr__(self, name: str) -> Any: ...

else:
    DOCS = {"seed": "Of the uniform number."} | {spec.key: spec.doc for spec in SPECS}
    LEFT_OUT = "Sentences: what the configuration that these settings were read from also says, and no stage here does."
    TEXT = "How the next token is drawn; refuses impossible values in words. The defaults leave the model as it is."
    Settings = make_dataclass(
        "Settings",
        [
            *((name, type(OFF[name]), field(default=OFF[name], kw_only=name not in POSITIONAL)) for name in FIELDS),
            ("left_out", tuple, field(default=(), kw_only=True, compare=False)),
        ],
        bases=(_Checked,),
        namespace={
            "__module__": __name__,
            "__doc__": "\n".join(
                [
                    TEXT,
                    "",
                    "Attributes:",
                    *(f"    {name}: {DOCS[name]}" for name in FIELDS),
                    f"    left_out: {LEFT_OUT}",
                ]
            ),
        },
        frozen=True,
        slots=True,
    )

F = TypeVar("F", bound=Callable[..., Any])


def with_settings(function: F) -> F:
    """Shows the settings by name where a function takes ``*values`` and ``**settings``: in `help` and to editors."""
    shown = inspect.signature(function)
    own = list(shown.parameters.values())
    kinds = {parameter.kind for parameter in own}
    named = inspect.Parameter.KEYWORD_ONLY
    free = inspect.Parameter.POSITIONAL_OR_KEYWORD if inspect.Parameter.VAR_POSITIONAL in kinds else named
    settings = [
        inspect.Parameter(
            name, free if name in POSITIONAL else named, default=OFF[name], annotation=type(OFF[name]).__name__
        )
        for name in FIELDS
    ]
    own = [parameter for parameter in own if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)]
    function.__signature__ = shown.replace(parameters=sorted([*own, *settings], key=lambda each: each.kind))  # type: ignore[attr-defined]
    return function
