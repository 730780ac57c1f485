"""A run in a small file: prompt, tokens, branches, settings. Its numbers are worked out again by the model.

A safetensors file whose metadata hold an outline; no code, no pickle. Whole traces (``trace.save``) open here too, to be
looked at without their model.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from txpanel.decoding import FIELDS, Settings
from txpanel.errors import BadFile
from txpanel.messages import _
from txpanel.models.language_model import LanguageModel
from txpanel.session.token_tree import TokenTree
from txpanel.session.tree_codec import TreeRecord, pack, record, unpack
from txpanel.tracing.saving import open_trace
from txpanel.tracing.trace import Trace

FORMAT = "txpanel run 1"


@dataclass(frozen=True)
class SavedRun:
    """What a run's file holds: the tree's outline, the model's name, and the settings at its end."""

    record: TreeRecord
    model: str
    settings: Settings


def to_bytes(tree: TokenTree, model: LanguageModel, name: str, settings: Settings) -> bytes:
    """The file of a tree.

    Args:
        name: under which the model was asked for. settings: of the next draw.
    """
    ids = torch.tensor(tree.start or tuple(tree.root.encoded(model)), dtype=torch.int64)
    knobs = {field: getattr(settings, field) for field in FIELDS}
    facts = {"text": tree.root.text, "chat": tree.root.chat, "model": name, "settings": knobs}
    return save({"prompt": ids}, {"format": FORMAT, "facts": json.dumps(facts), "film": pack(record(tree))})


def read(path: Path, name: str) -> SavedRun | Trace:
    """Open a run or a whole trace.

    Args:
        name: what people call the file.

    Raises:
        BadFile: in words, for files that are damaged, foreign, or contradict themselves.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        text = _("“{name}” can't be opened: it is damaged, cut short, or no safetensors file.")
        raise BadFile(text.format(name=name[:80])) from error
    if metadata.get("format") != FORMAT:
        return open_trace(path)
    try:
        facts = json.loads(metadata["facts"])
        found = unpack(metadata["film"], str(facts["text"]), bool(facts["chat"]))
        return SavedRun(found, str(facts["model"]), Settings(**facts["settings"]))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        text = _("“{name}” contradicts itself, so nothing of it is shown. Save the run again.")
        raise BadFile(text.format(name=name[:80])) from error
