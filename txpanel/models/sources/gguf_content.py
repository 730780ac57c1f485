"""What a GGUF file holds: its settings and its tensors, joined from all its parts and checked before they are used."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from txpanel.errors import BadFile, Unsupported
from txpanel.messages import _

PART = re.compile(r"(?P<stem>.*)-(?P<no>\d{5})-of-(?P<count>\d{5})\.gguf", re.IGNORECASE)
TYPES = (
    "F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K",
    "IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_NL", "IQ4_XS",
)  # fmt: skip
"""Types of tensors that the tests compare with a second source."""


class Content:
    """Settings and tensors of a model, from one file or several.

    Settings that a model is made from are taken (`take`); those of the architecture that are left at the end were not understood.

    Attributes:
        path: the first file. architecture: what the file calls it. tensors: the reader's tensors, by name.
    """

    def __init__(self, readers: list[Any], path: Path) -> None:
        self.path = path
        self._fields = {key: field for key, field in readers[0].fields.items() if not key.startswith("GGUF.")}
        self.tensors: dict[str, Any] = {}
        for tensor in (tensor for reader in readers for tensor in reader.tensors):
            if tensor.name in self.tensors:
                raise BadFile(
                    _("{path} is damaged: it has two tensors named {name}.").format(path=path, name=tensor.name)
                )
            self.tensors[tensor.name] = tensor
        wanted = self.get("split.tensors.count")
        if wanted is not None and int(wanted) != len(self.tensors):
            text = _("{path} is incomplete: it has {n} of {all} tensors.")
            raise BadFile(text.format(path=path, n=len(self.tensors), all=int(wanted)))
        if self.get("general.type", "model") != "model":
            text = _("{path} holds not a model but what it calls “{kind}”.")
            raise Unsupported(text.format(path=path, kind=self.get("general.type")))
        self.architecture = str(self.get("general.architecture", ""))
        self._left = {key for key in self._fields if key.startswith(f"{self.architecture}.")}

    def get(self, key: str, usual: Any = None) -> Any:
        """A setting by its whole key."""
        field = self._fields.get(key)
        return usual if field is None else _plain(field.contents())

    def take(self, key: str, usual: Any = None) -> Any:
        """A setting of the architecture; it counts as understood. A list of equal numbers (one for each block) is that number.

        Raises:
            Unsupported: blocks differ in it.
        """
        key = f"{self.architecture}.{key}"
        self._left.discard(key)
        value = self.get(key, usual)
        if isinstance(value, list):
            if len(set(value)) != 1:
                raise Unsupported(
                    _("{path}: its blocks differ in {key}, which txpanel does not support.").format(
                        path=self.path, key=key
                    )
                )
            return value[0]
        return value

    def need(self, key: str) -> Any:
        """As `take`, for one that has to be there."""
        value = self.take(key)
        if value is None:
            key = f"{self.architecture}.{key}"
            raise BadFile(_("{path} is damaged or incomplete: {key} is missing.").format(path=self.path, key=key))
        return value

    def number(self, key: str, usual: float | None = None, *, least: float | None = None) -> float:
        """As `take`, for a number of which a computation can be made; without `usual` it has to be there.

        Args:
            least: the smallest that makes sense; None: anything above 0.

        Raises:
            BadFile: it is no number, not finite, or too small.
        """
        value = self.need(key) if usual is None else self.take(key, usual)
        plain = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not plain or (value <= 0 if least is None else value < least):
            key = f"{self.architecture}.{key}"
            text = _("{path} is damaged: its setting {key} is {value}. Download or convert it again.")
            raise BadFile(text.format(path=self.path, key=key, value=repr(value)[:60]))
        return float(value)

    def count(self, key: str, usual: int | None = None, *, least: int = 1) -> int:
        """As `number`, rounded down to a whole one."""
        return int(self.number(key, usual, least=least))

    def refuse_left(self, neutral: dict[str, tuple[Any, ...] | None]) -> None:
        """Refuse settings that were not understood: their effect would be missing from the numbers.

        Args:
            neutral: settings that may stand there with these values; None: with any.
        """
        for key in sorted(self._left):
            allowed, value = neutral.get(key.removeprefix(f"{self.architecture}."), ()), self.get(key)
            if allowed is not None and value not in allowed:
                text = _(
                    "{path}: txpanel does not know its setting {key} ({value}), so its numbers could be wrong. It is not "
                    "opened."
                )
                raise Unsupported(text.format(path=self.path, key=key, value=str(value)[:60]))


def _plain(value: Any) -> Any:
    """float32 settings as the decimals they were written with: 1e-05, not 9.999999747378752e-06."""
    if isinstance(value, float) and float(np.float32(value)) == value:
        return float(str(np.float32(value)))
    if isinstance(value, list) and value and isinstance(value[0], float):
        return [_plain(one) for one in value]
    return value


def parts(path: Path, count: int) -> list[Path]:
    """All files of a model that is spread over `count` of them, of which `path` is one.

    Raises:
        BadFile: one is missing; it is named.
    """
    if count <= 1:
        return [path]
    match = PART.fullmatch(path.name)
    if match is None or int(match["count"]) != count:
        text = _(
            "{path} is one of {n} parts of a model, and its name does not say which. Parts are named like model-00001-of-{last}.gguf."
        )
        raise BadFile(text.format(path=path, n=count, last=f"{count:05d}"))
    found = [path.with_name(f"{match['stem']}-{no:05d}-of-{count:05d}.gguf") for no in range(1, count + 1)]
    missing = [part.name for part in found if not part.is_file()]
    if missing:
        text = _("{path} is one of {n} parts of a model, and {name} is not beside it. Put all parts into one folder.")
        raise BadFile(text.format(path=path, n=count, name=missing[0]))
    return found


def check_types(tensors: Iterable[Any]) -> None:
    """Refuse types of tensors that were never tested.

    Raises:
        Unsupported: it names the type.
    """
    for tensor in tensors:
        if tensor.tensor_type.name not in TYPES:
            text = _("The tensor {name} is stored as {type}, which txpanel cannot read. It reads: {types}.")
            raise Unsupported(text.format(name=tensor.name, type=tensor.tensor_type.name, types=", ".join(TYPES)))
