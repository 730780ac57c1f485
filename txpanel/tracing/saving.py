"""A trace in one safetensors file: everything the views need, so that it opens without the model.

Stored: residual streams, logits, surprisals, and of every block what was recorded or computed with weights. Attention maps are not
stored: they follow from q, k and the mask. Anatomy, tokens and provenance are JSON in the file's metadata. No pickle anywhere.
"""

from __future__ import annotations

import json
import os
import stat
import threading
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from txpanel.errors import BadFile, Unsupported
from txpanel.messages import _
from txpanel.models import disk
from txpanel.models.anatomy import Anatomy
from txpanel.models.encoder_decoder import Source
from txpanel.models.tokens import Place, Tokens
from txpanel.tracing.graph.build import Graph
from txpanel.tracing.names import SOURCE_STATE, of_source, split_name
from txpanel.tracing.operations import (
    Add,
    Bias,
    Difference,
    HeadOutput,
    Mask,
    Mean,
    RowMax,
    RowSum,
    Scale,
    Scores,
    SoftCap,
    Softmax,
    Times,
    Variance,
    WeightedSum,
)
from txpanel.tracing.recording import Recording
from txpanel.tracing.trace import Trace

FORMAT = "txpanel-trace-1"
FOLLOWS = (
    Scores,
    SoftCap,
    Bias,
    Mask,
    RowMax,
    RowSum,
    Softmax,
    Mean,
    Variance,
    Scale,
    WeightedSum,
    Times,
    Add,
    Difference,
)
"""Operations that need no weights: their outputs are derived again, not stored."""
RESULT_LIMIT = 64 * 1024**2
"""Per-head outputs ([H, T, D] in every block) are stored if they are smaller than this altogether."""


def save(trace: Trace, path: Path) -> Path:
    """Write ``trace`` to ``path`` (a temporary file beside it first, so that a full disk leaves no half file).

    Raises:
        BadFile: in words, if the file can't be written.
    """
    tensors = {"logits": trace.tensor("logits")}
    with suppress(Unsupported):  # of a model that fills gaps, or whose logits are known after the last token alone
        tensors["surprisal"] = torch.from_numpy(np.array(trace.surprisal()))
    tensors["streams"] = torch.stack([stream.float().cpu() for stream in trace.recording.streams])
    for name in trace.names():
        if _is_stored(trace, name):
            tensors[name] = trace.tensor(name)
    for name in trace.graph.dims:
        if name.endswith((".mask", ".alibi", ".sinks", ".rotary_cos", ".rotary_sin")):
            tensors[name] = trace.tensor(name)
    if trace.anatomy.token_types and bool(trace.tensor("token_types").any()):
        tensors["token_types"] = trace.tensor("token_types")
    facts: dict[str, Any] = {
        "anatomy": trace.anatomy.as_dict(),
        "provenance": trace.provenance,
        "tokens": _tokens_as_facts(trace.tokens),
    }
    facts["answer"] = {"at": trace.answer, "gaps": list(trace.gaps)}
    if trace.source is not None:
        tensors[SOURCE_STATE] = trace.source.state
        facts["source"] = _tokens_as_facts(trace.source.tokens)
    metadata = {"format": FORMAT, **{name: json.dumps(value) for name, value in facts.items()}}
    _write({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, metadata, path)
    return path


def _tokens_as_facts(t: Tokens) -> dict[str, Any]:
    pieces = [piece.hex() for piece in t.pieces]
    return {
        "ids": t.ids.tolist(),
        "strings": t.strings,
        "pieces": pieces,
        "exact": t.exact,
        "places": [asdict(p) for p in t.places],
    }


def _tokens_of(given: dict[str, Any]) -> Tokens:
    """The inverse of `_tokens_as_facts`.

    Raises:
        ValueError: they contradict themselves.
    """
    tokens = Tokens(
        np.asarray(given["ids"], np.int64),
        [str(s) for s in given["strings"]],
        [bytes.fromhex(p) for p in given["pieces"]],
        bool(given["exact"]),
        tuple(Place(**place) for place in given.get("places", ())),
    )
    if not len(tokens) == len(tokens.strings) == len(tokens.pieces) > 0 or not bool(
        ((tokens.ids >= 0) & (tokens.ids < 2**31)).all()
    ):
        raise ValueError("the tokens")
    return tokens


def _is_stored(trace: Trace, name: str) -> bool:
    operation = trace.graph.operations[name]
    if isinstance(operation, FOLLOWS) or name in ("logits", "probs"):
        return False
    if name.endswith((".resid_pre", ".resid_post")) and not name.startswith("encoder."):  # the streams have them
        return False
    if isinstance(operation, HeadOutput):
        heads = sum(block.n_heads for block in trace.anatomy.blocks)
        return heads * len(trace.tokens) * trace.anatomy.width * 4 <= RESULT_LIMIT
    return trace.model is not None or name in trace.recording.stored


def _write(tensors: dict[str, Tensor], metadata: dict[str, str], path: Path) -> None:
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.new")
        new.touch()
        temporary = new
        mode = (path if path.exists() else new).stat().st_mode
        save_file(tensors, temporary, metadata=metadata)
        temporary.chmod(
            stat.S_IMODE(mode)
        )  # safetensors makes files for their owner alone: here it is the user's own mode
        disk.move(temporary, path)
    except (OSError, SafetensorError) as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        words = _(
            "The trace could not be written to '{path}': {reason}. Choose another folder or free some space. "
            "The trace itself is still open."
        )
        raise BadFile(words.format(path=path, reason=_reason(error))) from error


def open_trace(path: str | Path) -> Trace:
    """Open a saved trace. It shows everything that was recorded, without model or GPU; what needs weights says so.

    Raises:
        BadFile: in words, for files that are missing, damaged, foreign, or contradict themselves.
    """
    path = Path(path)
    if not path.is_file():
        words = _("There is no file '{path}'. Check the path; trace.save(path) writes traces.")
        raise BadFile(words.format(path=path))
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                words = _(
                    "'{name}' is a safetensors file, but not a txpanel trace. Open a file that trace.save(path) wrote."
                )
                raise BadFile(words.format(name=path.name))
            # copies: reading memory that is mapped from a file which was cut short since would end the process
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a dict
    except SafetensorError as error:
        words = _(
            "'{name}' cannot be opened: it is damaged, incomplete or not a safetensors file ({reason}). Save the trace again."
        )
        raise BadFile(words.format(name=path.name, reason=_reason(error))) from error
    except OSError as error:
        words = _("'{name}' cannot be read: {reason}.")
        raise BadFile(words.format(name=path.name, reason=_reason(error))) from error
    try:
        return _assemble(metadata, tensors)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        words = _("'{name}' is inconsistent ({reason}), so nothing of it is shown. Save the trace again.")
        raise BadFile(words.format(name=path.name, reason=_reason(error))) from error


def _assemble(metadata: dict[str, str], tensors: dict[str, Tensor]) -> Trace:
    anatomy = Anatomy.from_dict(_object(metadata["anatomy"]))
    given, provenance = _object(metadata["tokens"]), _object(metadata["provenance"])
    tokens = _tokens_of(given)
    streams, logits, length = tensors.pop("streams"), tensors.pop("logits"), len(tokens)
    if not 0 < anatomy.n_layers <= 10_000 or anatomy.n_layers != len(anatomy.blocks):
        raise ValueError("the number of blocks")
    if not isinstance(anatomy.parameters, int):
        raise ValueError("the number of parameters")
    if tuple(streams.shape) != (anatomy.n_layers + 1, length, anatomy.width) or tuple(logits.shape) != (anatomy.vocab,):
        raise ValueError("the shapes of the streams or logits")
    if not all(0 <= place.start < place.stop <= length for place in tokens.places):
        raise ValueError("the places of images")
    source = _source(metadata, tensors, anatomy)
    _check_shapes(anatomy, tensors, length, 0 if source is None else len(source.tokens))
    at = _object(
        metadata.get("answer", "{}")
    )  # files that were written before there was any have it after the last token
    answer, gaps = int(at.get("at", length - 1)), tuple(int(place) for place in at.get("gaps", ()))
    if not all(0 <= place < length for place in (answer, *gaps)):
        raise ValueError("the place of its answer")
    recording = Recording(list(streams), [], logits, stored=tensors, answer=answer, gaps=gaps)
    recording.reads(source)
    text = b"".join(tokens.pieces).decode("utf-8", "replace")
    return Trace(
        recording,
        anatomy=anatomy,
        tokens=tokens,
        text=text,
        model=None,
        provenance={str(k): str(v) for k, v in provenance.items()},
    )


def _source(metadata: dict[str, str], tensors: dict[str, Tensor], anatomy: Anatomy) -> Source | None:
    """What an encoder had read; its state is taken out of the tensors."""
    if anatomy.encoder is None:
        return None
    tokens, state = _tokens_of(_object(metadata["source"])), tensors.pop(SOURCE_STATE)
    if state.dim() != 2 or len(state) != len(tokens):
        raise ValueError("the shape of the encoder's state")
    blocks = len(anatomy.encoder.blocks)
    streams = [tensors[f"encoder.blocks.{layer}.resid_post"] for layer in range(blocks)]
    return Source(tokens, state, [tensors["encoder.blocks.0.resid_pre"], *streams] if blocks else [])


def _check_shapes(anatomy: Anatomy, tensors: dict[str, Tensor], length: int, read: int) -> None:
    """Every stored tensor has a known name, and the sizes that anatomy and text fix for it; `read`: tokens of the source."""
    dims = Graph(anatomy, None).dims
    here = {"token": length, "query": length, "key": length}
    for name, tensor in tensors.items():
        if name == "surprisal":
            expected: tuple[int | None, ...] = (length,)
        elif name in dims:
            block = anatomy.blocks[int(name.split(".")[1])] if name.startswith("blocks.") else None
            cross = block.cross if block and split_name(name)[1].startswith("cross_") else None
            owner = cross or block
            heads = {"head": owner.n_heads, "kv_head": owner.n_kv_heads} if owner else {}
            fixed = {dim: read if of_source(name, dim) else size for dim, size in here.items()}
            expected = tuple({**fixed, **heads}.get(dim) for dim in dims[name])
        else:
            raise ValueError(f"an unknown tensor '{name[:80]}'")
        loose = name.endswith((".alibi", ".k_rope"))
        if tensor.dim() != len(expected) or (
            not loose and any(want not in (None, got) for want, got in zip(expected, tensor.shape, strict=True))
        ):
            raise ValueError(f"the shape of '{name[:80]}'")


def _object(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("its facts are no object")
    return value


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
