"""A local folder as a source: is everything there, whole and safe to open?"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from txpanel.errors import BadFile, ModelNotFound, Unsupported
from txpanel.messages import _

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
LONGEST_HEADER = 100_000_000  # bytes; the limit of the safetensors format


def check(folder: Path, *, kind: bool = True) -> None:
    """Raise a sentence unless `folder` holds a model that can be opened here.

    Args:
        folder: where the files are.
        kind: whether to ask transformers if it knows such models (importing it takes seconds).

    Raises:
        ModelNotFound: there is no such folder.
        BadFile: something is missing, damaged or cut short.
        Unsupported: the model is of another kind, or would have to run code of its own.
    """
    if not folder.is_dir():
        raise ModelNotFound(_("There is no folder {folder}.").format(folder=folder))
    content = config(folder)
    if kind:
        check_config(content, folder)
    for file in weights(folder):
        check_safetensors(file)
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise BadFile(
            _("{folder} has no tokenizer (tokenizer.json). Save it there with tokenizer.save_pretrained(...).").format(
                folder=folder
            )
        )


def config(folder: Path) -> dict[str, Any]:
    """The content of ``config.json``."""
    path = folder / "config.json"
    if not path.is_file():
        raise BadFile(_("{folder} has no config.json, so nothing says what kind of model it is.").format(folder=folder))
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadFile(_("{path} is damaged: it is not valid JSON.").format(path=path)) from error
    if not isinstance(content, dict):
        raise BadFile(_("{path} is damaged: it does not describe a model.").format(path=path))
    return content


def pair_loader(kind: str) -> str | None:
    """The class of transformers that loads an encoder-decoder of this type so that it writes text, whatever its encoder reads; ``None``: none does."""
    from transformers.models.auto import modeling_auto as auto  # late: transformers takes seconds

    loaders = {
        "AutoModelForSeq2SeqLM": auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
        "AutoModelForSpeechSeq2Seq": auto.MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES,
        "AutoModelForImageTextToText": auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    }
    return next((loader for loader, known in loaders.items() if kind in known), None)


def check_config(content: dict[str, Any], folder: Path) -> None:
    """Refuse, before anything heavy is loaded, what cannot be opened."""
    kind = content.get("model_type")
    if not isinstance(kind, str):
        raise BadFile(_("{folder}/config.json names no model type.").format(folder=folder))
    from transformers import CONFIG_MAPPING  # late: transformers takes seconds

    if content.get("is_encoder_decoder") and pair_loader(kind) is None:
        raise Unsupported(
            _(
                "{kind} models are encoder-decoders that do not write text, and txpanel opens only those that do."
            ).format(kind=kind)
        )
    if kind in CONFIG_MAPPING:
        return
    if content.get("auto_map"):
        raise Unsupported(
            _("{folder} needs code of its own to run, and txpanel never runs code that comes with a model.").format(
                folder=folder
            )
        )
    raise Unsupported(
        _("The installed transformers does not know models of type {kind}. A newer transformers may.").format(kind=kind)
    )


def weights(folder: Path) -> list[Path]:
    """The safetensors files of the model, all of them there.

    Raises:
        BadFile: there are none, or a part is missing. Pickles are refused, in words.
    """
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    if (folder / INDEX).is_file():
        return _parts(folder)
    if any(path.suffix in PICKLES for path in folder.iterdir()):
        raise Unsupported(
            _(
                "{folder} has its weights only in a format that can run code when it is opened (pickle), so it is "
                "refused. Load it where you trust it and save it again with model.save_pretrained(...): that writes "
                "safetensors."
            ).format(folder=folder)
        )
    raise BadFile(_("{folder} has no weights (model.safetensors).").format(folder=folder))


def _parts(folder: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise BadFile(_("{path} is damaged.").format(path=folder / INDEX)) from error
    for name in names:
        if not isinstance(name, str) or Path(name).name != name:
            raise BadFile(_("{path} names a file outside its folder.").format(path=folder / INDEX))
        if not (folder / name).is_file():
            raise BadFile(_("{folder} is incomplete: {name} is missing.").format(folder=folder, name=name))
    return [folder / name for name in names]


def check_safetensors(path: Path) -> None:
    """Compare a safetensors file's header with its length, without reading the numbers.

    Raises:
        BadFile: foreign, damaged or cut short.
    """
    table(path)


def table(path: Path) -> dict[str, dict[str, Any]]:
    """A safetensors file's header, compared with its length: type (``dtype``), ``shape`` and place of each tensor, by name.

    Raises:
        BadFile: foreign, damaged or cut short.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(LONGEST_HEADER, size - 8):
            raise BadFile(_("{path} is not a safetensors file, or it is incomplete.").format(path=path))
        head = file.read(length)
    try:
        tensors = {name: entry for name, entry in json.loads(head).items() if name != "__metadata__"}
        end = max((int(entry["data_offsets"][1]) for entry in tensors.values()), default=0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise BadFile(_("{path} is damaged: its table of contents cannot be read.").format(path=path)) from error
    if not tensors:
        raise BadFile(_("{path} holds no weights.").format(path=path))
    if size != 8 + length + end:
        raise BadFile(
            _(
                "{path} is incomplete or damaged: it should have {right} bytes and has {size}. Download it again."
            ).format(path=path, right=8 + length + end, size=size)
        )
    return tensors
