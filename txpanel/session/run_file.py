"""A run in a small file: prompt, tokens, branches, settings. Its numbers are worked out again by the model.

A safetensors file whose metadata hold a `TreeRecord`; no code, no pickle. Whole traces (``trace.save``) open here too, to be
looked at without their model.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from txpanel.decoding import Settings
from txpanel.errors import BadFile
from txpanel.messages import _
from txpanel.models.language_model import LanguageModel
from txpanel.session.token_tree import TokenTree
from txpanel.session.tree_codec import NewerVersion, TreeRecord, by_name, from_names, pack, record, unpack
from txpanel.tracing.saving import open_trace
from txpanel.tracing.trace import Trace

FORMAT = "txpanel run 2"
FORMATS = ("txpanel run 1", FORMAT)
"""All that can be read: version 1 wrote out every setting, version 2 those that are not off."""


@dataclass(frozen=True)
class SavedRun:
    """What a run's file holds: the tree without its numbers, the model's name, and the settings at its end."""

    record: TreeRecord
    model: str
    settings: Settings


def to_bytes(tree: TokenTree, model: LanguageModel, name: str, settings: Settings) -> bytes:
    """The file of a tree.

    Args:
        name: under which the model was asked for. settings: of the next draw.
    """
    ids = torch.tensor(tree.start or tuple(tree.root.encoded(model)), dtype=torch.int64)
    facts = {"text": tree.root.text, "chat": tree.root.chat, "model": name, "settings": by_name(settings)}
    return save({"prompt": ids}, {"format": FORMAT, "facts": json.dumps(facts), "film": pack(record(tree))})


def read(path: Path, name: str) -> SavedRun | Trace:
    """Open a run or a whole trace.

    Args:
        name: what people call the file.

    Raises:
        BadFile: in words, for files that are damaged, foreign, contradict themselves, or need a newer txpanel.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        text = _("“{name}” cannot be opened: it is damaged, incomplete or not a safetensors file.")
        raise BadFile(text.format(name=name[:80])) from error
    stated = str(metadata.get("format"))
    if not stated.startswith("txpanel run "):
        return open_trace(path)
    if stated not in FORMATS:
        text = _("“{name}” was saved by a newer version of txpanel. Update txpanel to open it.")
        raise BadFile(text.format(name=name[:80]))
    try:
        facts = json.loads(metadata["facts"])
        found = unpack(metadata["film"], str(facts["text"]), bool(facts["chat"]))
        return SavedRun(found, str(facts["model"]), from_names(facts["settings"]))
    except NewerVersion as error:
        raise BadFile(f"“{name[:80]}”: {error}") from error
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        text = _("“{name}” is inconsistent, so nothing of it is shown. Save the run again.")
        raise BadFile(text.format(name=name[:80])) from error
