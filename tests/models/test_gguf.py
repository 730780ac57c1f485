"""GGUF files: converted numbers are the file's numbers, exactly; damaged ones are refused; half ones heal."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import gguf
import pytest
import torch
from transformers import AutoTokenizer

import txpanel
from tests.models import tinygguf
from tests.models.conftest import Seen
from txpanel.errors import BadFile, Cancelled, DownloadFailed, ModelNotFound
from txpanel.models import cache, from_pretrained
from txpanel.models.sources import gguf_file, process

pytestmark = pytest.mark.slow  # each conversion is a process that imports transformers


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tiny model.gguf"
    tinygguf.write(path, tinygguf.model(), gguf.GGMLQuantizationType.F32)
    return path


def test_numbers_come_through_bit_for_bit(cache_root: Path, path: Path, seen: Seen) -> None:
    original = tinygguf.model()
    loaded = txpanel.load(str(path), progress=seen.reports.append)
    ids = torch.tensor([[5, 100, 257, 3, 3]])
    with torch.inference_mode():
        assert torch.equal(loaded.model(ids).logits, original(ids).logits)
    assert loaded.source.kind == "gguf"
    assert loaded.source.where == str(path)
    assert loaded.model.config.rms_norm_eps == 1e-5  # not 9.999999747378752e-06
    assert not hasattr(loaded.model.config, "quantization_config")
    stages = [report.stage for report in seen.reports]
    assert list(dict.fromkeys(stages)) == ["verify", "convert", "load", "done"]

    made = cache.contents()
    assert len(made) == 1
    seen.reports.clear()
    again = txpanel.load(str(path), progress=seen.reports.append)  # nothing is converted a second time
    assert "convert" not in [report.stage for report in seen.reports]
    assert again.source.revision == loaded.source.revision

    (made[0].folder / "model.safetensors").write_bytes(b"x")  # damaged in the cache: made anew, not an error
    assert torch.equal(txpanel.load(str(path)).model(ids).logits, original(ids).logits)


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> cache.Entry:
    """One conversion (Q8_0) that several tests read."""
    base = tmp_path_factory.mktemp("converted")
    path = base / "q8.gguf"
    tinygguf.write(path, tinygguf.model(), gguf.GGMLQuantizationType.Q8_0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TXPANEL_CACHE", str(base / "cache"))
        return gguf_file.prepare(path, Seen())


def test_quantised_weights_are_what_the_blocks_say(converted: cache.Entry) -> None:
    original = tinygguf.model()
    model, _tokenizer = from_pretrained.open_folder(converted.folder)
    weight = original.model.layers[1].mlp.up_proj.weight.detach().numpy()
    blocks = gguf.quants.quantize(weight, gguf.GGMLQuantizationType.Q8_0)
    expected = torch.from_numpy(gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType.Q8_0))
    assert torch.equal(model.model.layers[1].mlp.up_proj.weight, expected)
    assert 0 < float((expected - torch.from_numpy(weight)).abs().max()) < 0.02


def test_smollm_splits_digits_and_any_text_comes_back(converted: cache.Entry) -> None:
    tokenizer = AutoTokenizer.from_pretrained(converted.folder)
    parts = tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str("a 2024")
    assert [part for part, _span in parts] == ["a", "Ġ", "2", "0", "2", "4"]
    for text in ("abab", "héllo €", "👩‍👩‍👧", "שלום", "a\u200bb\x00c", "\r\n\t  x  ", "<|end|>", "\ufeff"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert tokenizer("abc")["input_ids"] == [256, ord("c")]
    assert tokenizer("<|end|>")["input_ids"] == [257]


@pytest.mark.sweep
def test_cancel_leaves_nothing_and_the_next_start_is_clean(cache_root: Path, path: Path, seen: Seen) -> None:
    cancel = threading.Event()
    stopping = Seen(cancel)
    stopping._callback = lambda report: cancel.set() if report.stage == "convert" else None
    with pytest.raises(Cancelled):
        gguf_file.prepare(path, stopping)
    assert cache.contents() == []
    assert not any((cache_root / "partial").iterdir())
    assert gguf_file.prepare(path, seen).folder.is_dir()


@pytest.mark.sweep
def test_two_at_once_convert_once(cache_root: Path, path: Path) -> None:
    made: list[cache.Entry] = []
    stages: list[set[str]] = []

    def work() -> None:
        seen = Seen()
        made.append(gguf_file.prepare(path, seen))
        stages.append({report.stage for report in seen.reports})

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(made) == 2
    assert made[0] == made[1]
    assert sorted("convert" in one for one in stages) == [False, True]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("empty", "not a GGUF file"),
        ("foreign", "not a GGUF file"),
        ("version", "version 9"),
        ("cut in the table", "damaged or incomplete"),
        ("cut in the weights", "damaged or incomplete"),
        ("hostile count", "damaged or incomplete"),
    ],
)
def test_damage_is_a_sentence(cache_root: Path, path: Path, seen: Seen, kind: str, words: str) -> None:
    content = path.read_bytes()
    path.write_bytes(
        {
            "empty": b"",
            "foreign": b"PK\x03\x04" + content[4:],
            "version": content[:4] + b"\x09\0\0\0" + content[8:],
            "cut in the table": content[:2000],
            "cut in the weights": content[:-5000],
            "hostile count": content[:8] + b"\xff" * 8 + content[16:],
        }[kind]
    )
    with pytest.raises(BadFile, match=words):
        gguf_file.prepare(path, seen)
    assert cache.contents() == []


def test_no_such_file(cache_root: Path, seen: Seen) -> None:
    with pytest.raises(ModelNotFound, match="There is no file"):
        gguf_file.prepare(Path("nowhere.gguf"), seen)


def test_no_space_is_told_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(DownloadFailed, match=r"too full: 1\.0 MB are needed.*1\.0 kB are free"):
        cache.check_space(tmp_path, 10**6)


def test_the_manifest_says_where_it_came_from(converted: cache.Entry) -> None:
    manifest = json.loads((converted.folder / cache.MANIFEST).read_text(encoding="utf-8"))
    assert manifest["provenance"]["kind"] == "gguf"
    assert len(manifest["provenance"]["revision"]) == 64


@pytest.mark.sweep
def test_a_disk_that_is_full_while_the_model_is_written_is_said(path: Path, tmp_path: Path, seen: Seen) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "config.json").symlink_to("/dev/full")
    with pytest.raises(DownloadFailed, match="The disk is full"):
        process.run("txpanel.models.sources.convert", [str(path), str(target)], seen)
