"""A ``.gguf`` file of the user as a source: converted once into the cache, under the hash of its content."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from txpanel.errors import BadFile, DownloadFailed, ModelNotFound
from txpanel.messages import _
from txpanel.models import cache
from txpanel.models.progress import Reporter
from txpanel.models.provenance import Provenance
from txpanel.models.sources import process
from txpanel.models.sources.convert import check_gguf
from txpanel.models.sources.gguf_content import PART
from txpanel.models.sources.process import os_error_text

CHUNK = 1 << 22


def prepare(path: Path, reporter: Reporter) -> cache.Entry:
    """The converted model of a GGUF file, from the cache or converted now.

    Raises:
        ModelNotFound, BadFile, Unsupported, DownloadFailed: in words.
        Cancelled: nothing is left behind.
    """
    if not path.is_file():
        raise ModelNotFound(_("There is no file {path}.").format(path=path))
    try:
        check_gguf(path)
        digest = _digest(path, reporter)
        name = f"{re.sub(r'[^A-Za-z0-9._-]+', '-', path.stem)[:60]}-{digest[:12]}"
        return cache.find(name) or _convert(path, name, digest, reporter)
    except OSError as error:
        raise DownloadFailed(os_error_text(error)) from error


def _convert(path: Path, name: str, digest: str, reporter: Reporter) -> cache.Entry:
    with cache.making(name, reporter) as folder:
        done = cache.find(name)
        if done is not None:
            return done
        ready = folder / "ready"
        process.run("txpanel.models.sources.convert", [str(path.resolve()), str(ready)], reporter)
        note = _("Weights of a GGUF file, unpacked to float32")
        return cache.finish(name, ready, Provenance("gguf", str(path), digest, note))


def _digest(path: Path, reporter: Reporter) -> str:
    """SHA-256 of the file; of several parts, that of their SHA-256s."""
    match = PART.fullmatch(path.name)
    beside = (
        (
            path.with_name(f"{match['stem']}-{no:05d}-of-{match['count']}.gguf")
            for no in range(1, int(match["count"]) + 1)
        )
        if match
        else ()
    )
    found = [part for part in beside if part.is_file()]
    if len(found) < 2:
        return _hash(path, reporter)
    return hashlib.sha256("".join(_hash(part, reporter) for part in found).encode()).hexdigest()


def _hash(path: Path, reporter: Reporter) -> str:
    digest, done, total = hashlib.sha256(), 0, path.stat().st_size
    reporter.start("verify", _("Reading {file}").format(file=path.name), total)
    with path.open("rb") as file:
        while block := file.read(CHUNK):
            digest.update(block)
            done += len(block)
            reporter.update(done)
    if done != total:
        raise BadFile(_("{path} changed while it was read.").format(path=path))
    return digest.hexdigest()
