"""The download from the hub, in a process of its own: ``python -m txpanel.models.sources.hub_worker REPO CACHE``."""

from __future__ import annotations

import fnmatch
import sys
from pathlib import Path
from typing import Any

from txpanel.errors import DownloadFailed, ModelNotFound, TxpanelError, Unsupported
from txpanel.messages import _
from txpanel.models.sources.process import emit, main, os_error_text

TIMEOUT = 8.0  # seconds for the first answer
WANTED = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model", "vocab.txt", "chat_template.jinja",
)  # fmt: skip
SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"


class Counter:
    """Bytes of all files together; looks enough like a tqdm bar for huggingface_hub."""

    total, done, message, last = 0, 0, "", -1

    def __init__(self, *_args: Any, initial: int = 0, **_kwargs: Any) -> None:
        self.counted = 0
        self.update(initial)

    def update(self, count: float | None = 1) -> None:
        """`count` more bytes of this file."""
        self.counted += int(count or 0)
        Counter.done += int(count or 0)
        if Counter.done // 200_000 != Counter.last:
            Counter.last = Counter.done // 200_000
            Counter.tell()

    @staticmethod
    def tell() -> None:
        """Report to the parent."""
        emit(stage="download", done=Counter.done, total=Counter.total, message=Counter.message)

    def __enter__(self) -> Counter:
        return self

    def __exit__(self, *_args: object) -> None: ...

    def close(self) -> None:
        """Nothing is open."""

    def set_description(self, *_args: object, **_kwargs: object) -> None:
        """There is one description for all files."""

    def refresh(self, *_args: object, **_kwargs: object) -> None:
        """Nothing is drawn."""


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
    """Fetch what is missing of `repo` into the hub cache `folder`; returns the snapshot's path."""
    from huggingface_hub import HfApi, hf_hub_download

    info = HfApi().model_info(repo, files_metadata=True, timeout=TIMEOUT)
    sizes = {item.rfilename: int(item.size or 0) for item in info.siblings or []}
    files = choose(sizes)
    Counter.total = sum(sizes[name] for name in files)
    Counter.message = _("Downloading {repo} from the hub").format(repo=repo)
    Counter.tell()
    path = ""
    for name in files:
        begun = Counter.done
        path = hf_hub_download(
            repo, name, revision=info.sha, cache_dir=folder, etag_timeout=TIMEOUT, tqdm_class=Counter
        )
        Counter.done = begun + sizes[name]  # also what was there already
        Counter.tell()
    return str(Path(path).parent)


def explain(error: Exception, repo: str) -> TxpanelError:
    """The sentence for whatever huggingface_hub raised."""
    from huggingface_hub import errors

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
        return ModelNotFound(_("“{repo}” is not a name a model can have. Check the spelling.").format(repo=repo))
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
        return _("The connection to the hub failed while fetching {repo}. What has arrived is kept; try again.").format(
            repo=repo
        )
    return _("{repo} could not be fetched from the hub: {reason}").format(
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
