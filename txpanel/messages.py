"""Every sentence on screen goes through ``_``, so that a translation is data and never code.

``_("Pick a head of block {layer}").format(layer=3)``: always a literal, never an f-string, or the extractor
(``scripts/messages``) cannot see it. The language is ``TXPANEL_LANGUAGE`` where it is set, else that of the
environment (``LANGUAGE``, ``LC_ALL``, ``LC_MESSAGES``, ``LANG``); without a catalogue for it the English text stands.
"""

from __future__ import annotations

import gettext
import os
from pathlib import Path

DOMAIN = "txpanel"
LOCALES = Path(__file__).parent / "locales"

_catalogue: gettext.NullTranslations = gettext.NullTranslations()


def use_language(language: str | None = None, *, folder: Path = LOCALES) -> bool:
    """Choose the language of all further messages.

    Args:
        language: a code such as ``"de"`` or ``"pt_BR"``; several may be joined with ``:``. None asks the environment.
        folder: where ``<code>/LC_MESSAGES/txpanel.mo`` lies.

    Returns:
        Whether a catalogue was found. If not, messages are in English.
    """
    global _catalogue
    wanted = language or os.environ.get("TXPANEL_LANGUAGE", "")
    codes = wanted.split(":") if wanted else None
    _catalogue = gettext.translation(DOMAIN, localedir=folder, languages=codes, fallback=True)
    return type(_catalogue) is not gettext.NullTranslations


def _(message: str) -> str:
    """The message in the language in use. An empty text stays empty (gettext would answer with its header)."""
    return _catalogue.gettext(message) if message else ""


def plural(one: str, many: str, n: int) -> str:
    """The form of a message that fits ``n``: ``plural("{n} token", "{n} tokens", n).format(n=n)``."""
    return _catalogue.ngettext(one, many, n)


use_language()
