"""YAML as plain data: texts, lists and mappings, nothing else. What a lesson brings may have been written by anybody."""

from __future__ import annotations

from typing import Any

import yaml

from txpanel.errors import BadLesson
from txpanel.messages import _

__all__ = ["plain"]

DEEPEST = 12


class _Loader(yaml.BaseLoader):  # makes texts, lists and mappings only: no numbers that were meant as words, no objects
    """Refuses aliases, which could expand without end, and keys that occur twice, of which one would silently be lost."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise BadLesson(_("Anchors and aliases of YAML are not used in lessons."))
        self.depth += 1
        if self.depth > DEEPEST:
            raise BadLesson(_("This is nested too deeply."))
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _value in node.value if isinstance(key, yaml.ScalarNode)]
        if len(keys) != len(node.value):
            raise BadLesson(_("A key must be a text."))
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise BadLesson(_("The key “{key}” occurs twice.").format(key=twice[0][:60]))
        return super().construct_mapping(node, deep)


def plain(text: str) -> dict[str, Any]:
    """A mapping from YAML; an empty text is an empty one.

    Raises:
        BadLesson: it is not YAML, or not a mapping.
    """
    loader = None
    try:
        loader = _Loader(text)  # refuses control characters
        found = loader.get_single_data()
    except BadLesson:
        raise
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = _(" in line {line} of it").format(line=mark.line + 1) if mark is not None else ""
        problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)[:120]
        said = _("The YAML cannot be read{where}: {problem}. Put a text with a colon or braces in quotation marks.")
        raise BadLesson(said.format(where=where, problem=problem)) from error
    finally:
        if loader is not None:
            loader.dispose()
    if found in (None, ""):
        return {}
    if not isinstance(found, dict):
        raise BadLesson(_("There must be names and values, such as “lit: embedding”."))
    return found
