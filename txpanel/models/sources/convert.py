"""GGUF to safetensors, once: ``python -m txpanel.models.sources.convert FILE FOLDER``.

Runs in a process of its own (see `txpanel.models.sources.process`): dequantising is Python-heavy and would make the
page stutter, and what it needs of memory goes back when it ends. The weights become float32, which holds every
quantised value exactly; the tokenizer becomes ``tokenizer.json``.
"""

from __future__ import annotations

import errno
import json
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from txpanel.errors import BadFile, DownloadFailed, TxpanelError, Unsupported
from txpanel.messages import _
from txpanel.models.cache import check_space
from txpanel.models.sources.gguf_content import Content, check_types, parts
from txpanel.models.sources.gguf_rules import settings
from txpanel.models.sources.gguf_tensors import weights
from txpanel.models.sources.gguf_tokenizer import tokenizer
from txpanel.models.sources.process import emit, main, os_error_text

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

MAGIC = b"GGUF"


def check_gguf(path: Path) -> None:
    """Raise `BadFile` unless `path` begins like a GGUF file of a version that is read here."""
    with path.open("rb") as file:
        head = file.read(24)
    if len(head) < 24 or head[:4] != MAGIC:
        raise BadFile(_("{path} is not a GGUF file: it does not begin with the GGUF mark.").format(path=path))
    version = struct.unpack("<I", head[4:8])[0]
    if version not in (2, 3):
        raise BadFile(
            _("{path} is GGUF version {version}; versions 2 and 3 can be read.").format(path=path, version=version)
        )


def convert(source: Path, target: Path) -> None:
    """Write `source` (a GGUF file, or one of several parts) as config, safetensors (float32) and tokenizer files into the folder `target`.

    Every setting and every tensor of the file is understood, or the file is refused; every weight comes from the file.
    """
    content = read(source)
    needed = sum(int(tensor.n_elements) for tensor in content.tensors.values()) * 4
    check_space(target, needed * 21 // 20)
    emit(stage="convert", done=0, total=needed, message=_("Reading the vocabulary"))
    rules, made = settings(content)
    made_of = tokenizer(content)
    if len(made_of) > made["vocab_size"]:
        text = _("{path} is damaged: its vocabulary has {n} tokens, and its embedding matrix {rows} rows.")
        raise BadFile(text.format(path=source, n=len(made_of), rows=made["vocab_size"]))
    model = _empty(content, made)
    found = weights(
        content,
        rules,
        model,
        lambda done: emit(stage="convert", done=done * 3, total=needed, message=_("Unpacking the weights to float32")),
    )
    emit(stage="convert", done=needed * 3 // 4, total=needed, message=_("Writing the weights as safetensors"))
    _write(target, model, found)
    made_of.save_pretrained(target)
    emit(stage="convert", done=needed, total=needed, message=_("Converted"))


def read(source: Path) -> Content:
    """The settings and tensors of a GGUF file with all its parts.

    Raises:
        BadFile: a part is missing, damaged or cut short. Unsupported: a type of tensors that was not tried.
    """
    check_gguf(source)
    first = _reader(source)
    found = parts(source, split_count(first))
    readers = []
    for number, part in enumerate(found):
        if part != source:
            check_gguf(part)
        reader = first if part == source else _reader(part)
        if len(found) > 1 and (split_count(reader) != len(found) or _number(reader, "split.no") != number):
            raise BadFile(_("{path} is not the part of the model that its name says.").format(path=part))
        readers.append(reader)
    content = Content(readers, found[0])
    check_types(content.tensors.values())
    return content


def split_count(reader: Any) -> int:
    """Of how many parts the model is."""
    return _number(reader, "split.count") or 1


def _number(reader: Any, key: str) -> int:
    field = reader.fields.get(key)
    return int(field.contents()) if field is not None else 0


def _reader(source: Path) -> Any:
    """The file's reader.

    Raises:
        BadFile: it is damaged.
    """
    from txpanel.compat.gguf_reader import opened  # late: only the process that converts needs it

    try:
        return opened(source)
    except Exception as error:  # anything may come of a damaged file
        raise BadFile(
            _("{path} is damaged or incomplete: {reason}. Download it again.").format(path=source, reason=error)
        ) from error


def _empty(content: Content, made: dict[str, Any]) -> PreTrainedModel:
    """The model without weights, which says what they are called and how large they are."""
    import torch  # late: only the process that converts needs it
    from transformers import AutoConfig, AutoModelForCausalLM

    opener: Any = AutoModelForCausalLM
    try:
        config = AutoConfig.for_model(**made)
        with torch.device("meta"):
            model = opener.from_config(config, trust_remote_code=False)
    except Exception as error:  # a configuration that makes no sense may raise anything
        reason = " ".join(str(error).split())[:300]
        raise Unsupported(_("{path} cannot be opened: {reason}").format(path=content.path, reason=reason)) from error
    config.architectures, config.dtype = [type(model).__name__], torch.float32
    return cast("PreTrainedModel", model)


def _write(target: Path, model: PreTrainedModel, found: dict[str, Tensor]) -> None:
    from safetensors.torch import save_file  # late: only the process that converts needs it

    model.config.save_pretrained(target)
    if model.generation_config is not None:
        model.generation_config.save_pretrained(target)
    save_file(found, target / "model.safetensors", {"format": "pt"})


def _run(arguments: list[str]) -> None:
    source, target = (Path(argument) for argument in arguments)
    target.mkdir(parents=True, exist_ok=True)
    try:
        convert(source, target)
    except (TxpanelError, OSError):
        raise
    except Exception as error:  # safetensors wraps what the system says about the disk in an error of its own
        if "No space left" in str(error):
            raise DownloadFailed(os_error_text(OSError(errno.ENOSPC, "", str(target)))) from error
        raise BadFile(
            _("{path} could not be converted: {reason}").format(path=source, reason=str(error).split("\n")[0])
        ) from error
    json.loads((target / "config.json").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main(_run, sys.argv[1:])
