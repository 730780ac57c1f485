"""Every sentence on screen goes through ``_``, so that a translation is data and never code.

``_("Pick a head of block {layer}").format(layer=3)``: always a literal, never an f-string, or the extractor
(``scripts/messages``) cannot see it.

The language is that of whoever reads: of a block of code (`speaking`), else of the page that is worked on (`asked_by_page`), else of the
request that is answered (`answer_in`), else of the process (`use_language`: ``TXPANEL_LANGUAGE``, or the environment's ``LANGUAGE``,
``LC_ALL``, ``LC_MESSAGES``, ``LANG``). A message without a translation stands in English. What is kept for several readers, such as
why a part of a model is closed, is said again for each (`again`).
"""

from __future__ import annotations

import gettext
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
DOMAIN = "txpanel"
LOCALES = Path(__file__).parent / "locales"
ENGLISH = "en"

Catalogue = gettext.NullTranslations

_usual: tuple[str, Catalogue] = (ENGLISH, gettext.NullTranslations())
_folders: dict[str, Path] = {DOMAIN: LOCALES}
_speaking: ContextVar[str | None] = ContextVar("txpanel_language", default=None)
_answering: ContextVar[str | None] = ContextVar("txpanel_answering", default=None)


def _no_page() -> str | None:
    return None


_of_page: Callable[[], str | None] = _no_page


class Said(str):
    """A translated message that keeps its original and its values, so that `again` can translate it into another language."""

    __slots__ = ("_values", "_what")

    _what: tuple[Any, ...]
    _values: tuple[tuple[Any, ...], dict[str, Any]] | None

    def format(self, *given: object, **values: object) -> Said:
        """As `str.format`; values that are messages themselves are translated by `again` as well."""
        return _said(str.format(self, *given, **values), self._what, (given, values))

    def __reduce__(self) -> Any:
        return str, (str(self),)  # in another process it is a text


def _said(text: str, what: tuple[Any, ...], values: Any = None) -> Said:
    made = str.__new__(Said, text)
    made._what, made._values = what, values
    return made


def again(text: Any) -> Any:
    """A message in the language in use now; everything else as it is."""
    if not isinstance(text, Said):
        return text
    domain, *words = text._what
    now = translated(domain, *words)
    if text._values is None:
        return now
    given, values = text._values
    return now.format(*map(again, given), **{name: again(value) for name, value in values.items()})


def of_kept(text: str) -> str:
    """A message that was kept as plain text, such as in a file: in the language in use, if it is a message of ours; else as it is."""
    return again(text) if isinstance(text, Said) else translated(DOMAIN, text)


def use_language(language: str | None = None, *, folder: Path = LOCALES) -> bool:
    """Choose the language of the process: of notebooks, files and commands, and of pages that ask for none.

    Args:
        language: a code such as ``"ja"`` or ``"pt_BR"``; several may be joined with ``:``. None asks the environment.
        folder: where ``<code>/LC_MESSAGES/txpanel.mo`` lies.

    Returns:
        Whether a catalogue was found. If not, messages are in English.
    """
    global _usual
    wanted = language or os.environ.get("TXPANEL_LANGUAGE", "")
    codes = wanted.split(":") if wanted else None
    path = gettext.find(DOMAIN, folder, codes)
    _folders[DOMAIN] = folder
    _catalogue.cache_clear()
    _usual = (Path(path).parts[-3], _catalogue(DOMAIN, Path(path).parts[-3])) if path else (ENGLISH, Catalogue())
    return path is not None


def languages() -> list[str]:
    """Codes of all languages that there are: English, and each with a catalogue."""
    return [ENGLISH, *sorted(path.parts[-3] for path in _folders[DOMAIN].glob(f"*/LC_MESSAGES/{DOMAIN}.mo"))]


def language() -> str:
    """Code of the language in use here: ``"en"`` or that of a catalogue."""
    return _speaking.get() or _of_page() or _answering.get() or _usual[0]


def for_child() -> dict[str, str]:
    """What a child process needs in its environment to speak the language in use here."""
    return {"TXPANEL_LANGUAGE": language()}


def usual() -> str:
    """Code of the language of the process."""
    return _usual[0]


def decided() -> str | None:
    """The language that ``TXPANEL_LANGUAGE`` asks for, where it is set: then it counts before that of a browser."""
    return _usual[0] if os.environ.get("TXPANEL_LANGUAGE") else None


@contextmanager
def speaking(code: str | None) -> Iterator[None]:
    """Inside, messages are in this language; None: as outside."""
    token = _speaking.set(code or _speaking.get())
    try:
        yield
    finally:
        _speaking.reset(token)


def same_language(function: Callable[P, R]) -> Callable[P, R]:
    """Wraps a function for another thread: its messages are in the language that is in use here now."""
    code = language()

    @wraps(function)
    def bound(*given: P.args, **named: P.kwargs) -> R:
        with speaking(code):
            return function(*given, **named)

    return bound


def answer_in(code: str) -> None:
    """What is said in this task from now on, an answer to a request, is in this language, unless it belongs to a page."""
    _answering.set(code)


def asked_by_page(find: Callable[[], str | None]) -> None:
    """Has `language` ask whose page is worked on (`txpanel.page.language`)."""
    global _of_page
    _of_page = find


@cache
def _catalogue(domain: str, code: str) -> Catalogue:
    return gettext.translation(domain, _folders[domain], [code], fallback=True)


def translated(domain: str, one: str, many: str = "", n: int = 0) -> Said:
    """A message of a catalogue, in the language in use; with `many`, the form that fits `n`."""
    code = language()
    found = _usual[1] if domain == DOMAIN and code == _usual[0] else _catalogue(domain, code)
    if many:
        return _said(found.ngettext(one, many, n), (domain, one, many, n))
    return _said(found.gettext(one) if one else "", (domain, one))  # gettext would answer "" with its header


def _(message: str) -> str:
    """The message in the language in use. An empty text stays empty."""
    return translated(DOMAIN, message)


def plural(one: str, many: str, n: int) -> str:
    """The form of a message that fits ``n``: ``plural("{n} token", "{n} tokens", n).format(n=n)``."""
    return translated(DOMAIN, one, many, n)


def of_package(package: str, folder: Path) -> Callable[[str], str]:
    """``_`` for another package, whose catalogues lie in ``<folder>/<code>/LC_MESSAGES/<package>.mo``.

    Example:
        >>> _ = of_package("my_package", Path(__file__).parent / "locales")
    """
    _folders[package] = folder
    _catalogue.cache_clear()
    return lambda message: translated(package, message)


use_language()
