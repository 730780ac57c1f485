"""A template for a new lesson."""

from __future__ import annotations

from pathlib import Path

from txpanel.errors import BadLesson
from txpanel.lessons.reading import ID, LANGUAGE
from txpanel.messages import _

__all__ = ["TEMPLATE", "begin"]

TEMPLATE = """---
title: A lesson of my own
order: 50
minutes: 3
---

What it is about, in a sentence or two.

(tokens)=
## How many tokens?

:::{look}
lit: prompt
hide: tokens
:::

The model reads tokens, not words.

:::{predict} number
ask: Into how many tokens is your text split?
answer: tokens.count
wrong:
  words:
    value: tokens.words
    says: That is how many words it has. A long or rare word is split into several tokens.
  other:
    says: Count again, and mind the signs.
hints:
  - Common words are one token each.
after: There are {value}`tokens.count`. The last one is “{value}`token(last)`”.
:::

(attention)=
## Who attends to whom

:::{look}
lit: attention
open: attention
query: last
only: attention, several-tokens
:::

In this head, “{value}`token(last)`” attends most to “{value}`token(strongest(last))`”.

:::{do}
ask: Choose another head.
reach: {head: changed}
:::
"""


def begin(folder: Path) -> Path:
    """Writes a small lesson to be changed.

    Args:
        folder: of the lesson; its name becomes the lesson's id. It may be there, if it is empty.

    Returns:
        The file.

    Raises:
        BadLesson: the name cannot be an id, or something lies there already.
    """
    if not ID.fullmatch(folder.name):
        said = _("“{name}” cannot be the name of a lesson: small letters, digits, hyphens.")
        raise BadLesson(said.format(name=folder.name[:60]))
    path = folder / f"{LANGUAGE}.md"
    if path.exists():
        raise BadLesson(_("{file} is there already. Choose another name.").format(file=path))
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(TEMPLATE, encoding="utf-8")
    return path
