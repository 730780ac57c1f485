"""Writes docs/families.md: which families of the installed transformers can be opened, and how. Run again after an update of it."""

from __future__ import annotations

import importlib.util
import textwrap
from collections.abc import Iterator
from pathlib import Path

import transformers
from transformers.models.auto.configuration_auto import model_type_to_module_name
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from txpanel.models.quirks import PROVEN

PAGE = Path(__file__).parents[1] / "docs" / "families.md"
HEAD = """# Families of models

Written by `python scripts/families.py` from transformers {version}; a test fails when it is out of date.

**Proven** families are compared with the untouched model in the tests: every operation, every head. **Any other** one is compared
at its first run, on the spot; if one operation gives another number than the model, it is refused in words. txpanel reads the
attention of a family from transformers' registry of attention functions where the family uses it, else by watching its matrix
products and its softmax.

## Proven ({proven})

{proven_list}

## Tried at their first run: attention from the registry ({registry})

{registry_list}

## Tried at their first run: attention watched ({watched})

Among them are families without attention (Mamba, RWKV) and parts of encoder-decoders, which are refused.

{watched_list}
"""


def families() -> Iterator[tuple[str, bool]]:
    """Every text-generation family by its ``model_type``, and whether its code uses the registry; nothing of it is imported."""
    spec = importlib.util.find_spec("transformers.models")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    root = Path(next(iter(spec.submodule_search_locations)))
    for family in sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES):
        files = (root / model_type_to_module_name(family)).glob("modeling_*.py")
        yield family, any("ALL_ATTENTION_FUNCTIONS" in file.read_text(encoding="utf-8") for file in files)


def page() -> str:
    """The text of docs/families.md."""
    found = dict(families())
    others = {family: registry for family, registry in found.items() if family not in PROVEN}
    lists = {
        "proven": sorted(PROVEN),
        "registry": [family for family, registry in others.items() if registry],
        "watched": [family for family, registry in others.items() if not registry],
    }
    words = {name: len(names) for name, names in lists.items()} | {
        f"{name}_list": textwrap.fill(", ".join(f"`{family}`" for family in names), 130, break_on_hyphens=False)
        for name, names in lists.items()
    }
    return HEAD.format(version=transformers.__version__, **words)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
