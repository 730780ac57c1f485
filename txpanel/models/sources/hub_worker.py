"""The download from the hub, in a process of its own: ``python -m txpanel.models.sources.hub_worker REPO FOLDER``.

huggingface_hub finds the files and signs the requests; the bytes are received here, because since its version 2 it discards an
interrupted download, and half a gigabyte over a slow network must not start again from zero.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import sys
import time
from pathlib import Path

from txpanel.errors import DownloadFailed, ModelNotFound, TxpanelError, Unsupported
from txpanel.messages import _
from txpanel.models import disk
from txpanel.models.cache import check_space
from txpanel.models.sources.process import emit, main, os_error_text

TIMEOUT = 8.0  # seconds for the first answer
TRIES = 5  # times in a row without one more byte
PAUSE = 1.0  # seconds before another try
BLOCK = 1 << 16
WANTED = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model", "vocab.txt", "chat_template.jinja",
)  # fmt: skip
SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"


class Counter:
    """Counts the bytes of all files and reports them to the parent process about ten times a second."""

    def __init__(self, message: str, total: int) -> None:
        self.message, self.total, self.done, self.last = message, total, 0, 0.0

    def add(self, count: int) -> None:
        """`count` more bytes are there (or fewer, when a file has to start again)."""
        self.done += count
        now = time.monotonic()
        if now - self.last > 0.1 or self.done == self.total:
            self.last = now
            emit(stage="download", done=self.done, total=self.total, message=self.message)


def choose(files: dict[str, int]) -> list[str]:
    """The files to fetch out of all in a repository (name to bytes): small ones first.

    Raises:
        Unsupported: there are no safetensors.
    """
    weights = [SINGLE] if SINGLE in files else fnmatch.filter(files, "model-*-of-*.safetensors")
    if not weights:
        raise Unsupported(
            _(
                "It has no safetensors weights. Other formats (pickles) can run code when they are opened, so they are refused."
            )
        )
    index = [INDEX] if INDEX in files and SINGLE not in files else []
    return [name for name in WANTED if name in files] + index + sorted(weights)


def download(repo: str, folder: Path) -> str:
    """Bring the files of `repo` into `folder`; what an earlier attempt left there is continued. Returns the commit."""
    from huggingface_hub import HfApi  # late: huggingface_hub takes half a second

    info = HfApi().model_info(repo, files_metadata=True, timeout=TIMEOUT)
    sizes = {item.rfilename: int(item.size or 0) for item in info.siblings or []}
    files = choose(sizes)
    counter = Counter(_("Downloading {repo} from the hub").format(repo=repo), sum(sizes[name] for name in files))
    counter.add(0)
    check_space(folder, counter.total - sum(path.stat().st_size for path in folder.iterdir()))
    for name in files:
        _file(repo, name, str(info.sha), folder, counter)
    return str(info.sha)


def _file(repo: str, name: str, commit: str, folder: Path, counter: Counter) -> None:
    """One file, over as many connections as it takes; its content is compared with the hub's hash where there is one."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url  # late: huggingface_hub takes half a second

    url = hf_hub_url(repo, name, revision=commit)
    facts = get_hf_file_metadata(url, timeout=TIMEOUT)
    etag, size = str(facts.etag), int(facts.size or 0)
    if (folder / name).is_file():
        counter.add(size)
        return
    part = folder / f"{name}.{hashlib.sha256(etag.encode()).hexdigest()[:16]}.part"
    counter.add(part.stat().st_size if part.exists() else 0)
    tries, reached = 0, -1
    while True:
        before = part.stat().st_size if part.exists() else 0
        tries, reached = (0, before) if before > reached else (tries + 1, reached)
        try:
            _receive(url, part, before, counter)
            break
        except Exception as error:
            if not _worth_another_try(error) or tries >= TRIES:
                raise
            time.sleep(PAUSE)
    _verify(part, name, etag, size)
    disk.move(part, folder / name)


def _worth_another_try(error: Exception) -> bool:
    """Whether the connection broke; False where the hub refused."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    return bool(kinds & {"TransportError", "RemoteProtocolError", "ReadError"}) and "ConnectTimeout" not in kinds


def _receive(url: str, part: Path, start: int, counter: Counter) -> None:
    """Append to `part` what follows byte `start`."""
    # late: huggingface_hub takes half a second
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status  # type: ignore[attr-defined]

    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    timeout = float(os.environ.get("HF_HUB_DOWNLOAD_TIMEOUT", "10"))
    with get_session().stream("GET", url, headers=headers, timeout=timeout, follow_redirects=True) as reply:
        if reply.status_code == 416:  # all of it is here already
            return
        hf_raise_for_status(reply)
        with part.open("ab") as file:
            if start and reply.status_code == 200:  # the server does not support ranges: from the beginning
                file.truncate(0)
                counter.add(-start)
            for block in reply.iter_bytes(BLOCK):
                file.write(block)
                file.flush()
                counter.add(len(block))


def _verify(part: Path, name: str, etag: str, size: int) -> None:
    whole = part.stat().st_size == size
    if whole and len(etag) == 64:  # the hub names large files by their SHA-256
        with part.open("rb") as file:
            whole = hashlib.file_digest(file, "sha256").hexdigest() == etag
    if not whole:
        part.unlink()
        raise DownloadFailed(_("{name} arrived damaged and was deleted. Try again.").format(name=name))


def explain(error: Exception, repo: str) -> TxpanelError:
    """The sentence for whatever huggingface_hub raised."""
    from huggingface_hub import errors  # late: huggingface_hub takes half a second

    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError) or status == 403:
        return DownloadFailed(
            _(
                "{repo} asks for an account and agreement to its licence. Agree on its page on the hub, then run "
                "`hf auth login` and try again."
            ).format(repo=repo)
        )
    if status == 401 or isinstance(error, errors.RepositoryNotFoundError):
        return ModelNotFound(
            _("The hub has no model {repo}, or it is private (then run `hf auth login`). Check the spelling.").format(
                repo=repo
            )
        )
    if isinstance(error, errors.HFValidationError):
        return ModelNotFound(_("“{repo}” cannot be the name of a model. Check the spelling.").format(repo=repo))
    if status is not None:
        return DownloadFailed(
            _("The hub answered {status} for {repo}. Try again later.").format(status=status, repo=repo)
        )
    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        return explain(error.__cause__, repo)
    if isinstance(error, OSError) and error.errno:
        return DownloadFailed(os_error_text(error))
    return DownloadFailed(_network(error, repo))


def _network(error: Exception, repo: str) -> str:
    kind = type(error).__name__
    if "Timeout" in kind:
        return _("The hub did not answer in time for {repo}. Check the network, or try again later.").format(repo=repo)
    if "Connect" in kind or "Protocol" in kind or "Read" in kind:
        return _(
            "The connection to the hub failed during the download of {repo}. What has arrived is kept; try again."
        ).format(repo=repo)
    return _("{repo} could not be downloaded from the hub: {reason}").format(
        repo=repo, reason=str(error).split("\n")[0][:200]
    )


def _run(arguments: list[str]) -> str:
    repo, folder = arguments[0], Path(arguments[1])
    try:
        return download(repo, folder)
    except TxpanelError:
        raise
    except Exception as error:
        raise explain(error, repo) from error


if __name__ == "__main__":
    main(_run, sys.argv[1:])
