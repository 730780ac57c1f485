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
from typing import TYPE_CHECKING, Any

from txpanel.errors import BadFile, DownloadFailed, TxpanelError, Unsupported
from txpanel.messages import _
from txpanel.models.cache import check_space
from txpanel.models.sources.process import emit, main, os_error_text

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

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
    """Write `source` (a GGUF file) as config, safetensors (float32) and tokenizer files into the folder `target`."""
    check_gguf(source)
    reader = _read_once(source)
    needed = sum(int(tensor.n_elements) for tensor in reader.tensors) * 4
    check_space(target, needed * 21 // 20)
    emit(stage="convert", done=0, total=needed, message=_("Reading the vocabulary"))
    tokenizer = _tokenizer(source, reader)
    emit(stage="convert", done=0, total=needed, message=_("Unpacking the weights to float32"))
    model = _model(source)
    emit(stage="convert", done=needed * 3 // 4, total=needed, message=_("Writing the weights as safetensors"))
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    emit(stage="convert", done=needed, total=needed, message=_("Converted"))


def _read_once(source: Path) -> Any:
    """The file's reader, which transformers uses too.

    Raises:
        BadFile: it is damaged.
    """
    from txpanel.compat.gguf_reader import open_once  # late: only the process that converts needs it

    try:
        return open_once(source)
    except Exception as error:  # anything may come of a damaged file
        raise BadFile(
            _("{path} is damaged or cut short: {reason}. Download it again.").format(path=source, reason=error)
        ) from error


def _tokenizer(source: Path, reader: Any) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer  # late: only the process that converts needs it

    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name, local_files_only=True)
    split = _text(reader, "tokenizer.ggml.pre")
    if split in ("smollm", "starcoder", "refact", "command-r", "codeshell"):
        # transformers rebuilds these with GPT-2's splitting; they were trained with each digit on its own
        from tokenizers import pre_tokenizers  # late: only the process that converts needs it

        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    return tokenizer


def _text(reader: Any, key: str) -> str:
    field = reader.fields.get(key)
    return str(field.contents()) if field is not None else ""


def _model(source: Path) -> PreTrainedModel:
    import torch  # late: only the process that converts needs it
    from transformers import AutoModelForCausalLM

    try:
        model = AutoModelForCausalLM.from_pretrained(
            source.parent, gguf_file=source.name, dtype=torch.float32, local_files_only=True, trust_remote_code=False
        )
    except (ValueError, NotImplementedError) as error:
        raise Unsupported(
            _("{path} cannot be opened: {reason}").format(path=source, reason=str(error).split("\n")[0])
        ) from error
    if hasattr(model, "hf_quantizer"):
        del model.hf_quantizer  # the weights are dense now: an ordinary model that may be saved
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    _shorten_floats(model.config)
    return model


def _shorten_floats(config: Any) -> None:
    """Give float32 settings back the decimals they were written with: 1e-05, not 9.999999747378752e-06."""
    import numpy as np  # late: only the process that converts needs it

    for key, value in vars(config).items():
        if isinstance(value, float) and float(np.float32(value)) == value:
            setattr(config, key, float(str(np.float32(value))))


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
