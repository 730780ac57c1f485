"""A model of the catalogue that agreed with its own run is not compared again, and whatever is not the same makes it compared again."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.families import tiny_hf, tiny_tokenizer
from tests.partly_open import ODD, partly_open_hf
from txpanel.errors import Unsupported
from txpanel.models import cache, comparison_facts, doctor, loading, remembered
from txpanel.models.fingerprint import digest
from txpanel.models.language_model import LanguageModel
from txpanel.models.provenance import Provenance
from txpanel.page.top_bar.controller import Bar
from txpanel.session.state import ModelState
from txpanel.tracing import verify as verifying

pytestmark = pytest.mark.usefixtures("cache_root")
TODAY = datetime.date.today()


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by a name with each comparison of a model with its own run."""
    names, real = list[str](), verifying.verify

    def counted(model: LanguageModel) -> None:
        names.append(model.name)
        real(model)

    monkeypatch.setattr(verifying, "verify", counted)
    return names


def opened(family: str = "llama", change: Callable[[Any], None] = lambda model: None, **more: Any) -> LanguageModel:
    """A tiny model, the same one each time, as `load` opens one of the catalogue."""
    hf = tiny_hf(family)
    change(hf)
    source = Provenance("hub", "tests/tiny")
    return LanguageModel(
        hf, tiny_tokenizer(), name="tiny", title="Tiny", source=source, compare=remembered.compare, **more
    )


def file() -> Path:
    return remembered.place("tiny", "torch.float32", "cpu")


COUNTING = """
import json, sys
from txpanel.models import loading
from txpanel.tracing import verify as verifying
count, real = [], verifying.verify
verifying.verify = lambda model: (count.append(1), real(model))
model = loading.load("nano", offline=True)
day = model.report().remembered
trace = model.trace("one and one")
parts = [[part.name, part.state, part.difference] for part in model.report()]
print(json.dumps([len(count), day and day.isoformat(), parts, trace.check(0).exact, model.parts.tuple_output, model.parts.hands_on]))
"""


def process() -> Any:
    done = subprocess.run([sys.executable, "-c", COUNTING], capture_output=True, text=True, check=True, timeout=300)
    return json.loads(done.stdout)


@pytest.mark.sweep
def test_a_second_process_does_not_compare_again_and_says_the_same(cache_root: Path) -> None:
    first, second = process(), process()
    assert (first[0], first[1]) == (1, None)
    assert (second[0], second[1]) == (0, TODAY.isoformat())
    assert second[2:] == first[2:]
    assert [path.name for path in (cache_root / "verified").iterdir()] == ["nano@float32@cpu.json"]


def test_what_a_model_is_given_from_the_file_is_what_the_comparison_gave(compared: list[str]) -> None:
    first, second = opened(), opened()
    assert compared == ["tiny"]
    assert second.seen.differences == first.seen.differences
    assert second.anatomy == first.anatomy
    parts = [(m.parts.tuple_output, m.parts.hands_on, m.parts.continues) for m in (first, second)]
    assert parts[0] == parts[1]
    assert str(second.report()).startswith(str(first.report()))
    assert f"Compared on {TODAY}, and remembered" in str(second.report())
    assert second.trace("hello abc").check(1).exact


def test_a_later_change_of_a_remembered_model_is_compared(compared: list[str]) -> None:
    opened()
    model = opened()
    assert compared == ["tiny"]
    with torch.no_grad():
        next(model.model.parameters()).mul_(1.5)
    model.state(thorough=True)
    assert compared == ["tiny", "tiny"]
    assert model.report().remembered is None


def test_the_runs_of_a_comparison_are_no_change(compared: list[str]) -> None:
    for family in ("llama", "gpt2", "gpt_neox", "qwen3"):
        compared.clear()
        model = opened(family)
        model.trace("hello abc")
        model.state(thorough=True)
        assert compared == ["tiny"], family


@pytest.mark.parametrize("anew", ["gpt2", "gpt_neox", "qwen3", "qwen2", "opt"])
def test_families_of_the_catalogue_are_remembered(compared: list[str], anew: str) -> None:
    opened(anew)
    assert opened(anew).report().remembered == TODAY
    assert len(compared) == 1


# -- what makes it compared again ----------------------------------------------------------------------------------


def one_bit(hf: Any) -> None:
    """The last bit of one number, through a view that torch does not see."""
    bits = hf.get_output_embeddings().weight.data.view(torch.int32)
    bits[-1, -1] ^= 1


def two_numbers(hf: Any) -> None:
    """Two numbers of a matrix in each other's place: the same numbers, another matrix."""
    weight = hf.get_output_embeddings().weight.data
    a, b = weight[1, 1].clone(), weight[2, 3].clone()
    assert a != b
    weight[1, 1], weight[2, 3] = b, a


def buffer(hf: Any) -> None:
    next(hf.buffers()).mul_(1.0001)


def setting(hf: Any) -> None:
    hf.config.rms_norm_eps *= 2


def of_a_module(hf: Any) -> None:
    next(module for module in hf.modules() if hasattr(module, "variance_epsilon")).variance_epsilon *= 1.5


def eager(hf: Any) -> None:
    hf.set_attn_implementation("eager")


def half(hf: Any) -> None:
    hf.to(torch.bfloat16)


@pytest.mark.parametrize("change", [one_bit, two_numbers, buffer, setting, of_a_module, eager, half])
def test_another_model_is_compared_again(compared: list[str], change: Callable[[Any], None]) -> None:
    opened()
    model = opened(change=change)
    assert len(compared) == 2
    assert model.report().remembered is None


def test_every_single_bit_of_a_number_counts() -> None:
    hf, digests = tiny_hf("llama"), set()
    for place in range(32):
        changed = hf.get_output_embeddings().weight.detach().clone().view(torch.int32)
        changed[0, 0] ^= torch.tensor(1 << place if place < 31 else -(1 << 31), dtype=torch.int32)
        digests.add(digest(changed.view(torch.float32)))
    assert len(digests) == 32


@pytest.mark.parametrize("package", comparison_facts.PACKAGES)
def test_another_version_is_compared_again(compared: list[str], monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    opened()
    found = comparison_facts.metadata.version
    monkeypatch.setattr(comparison_facts.metadata, "version", lambda name: "0.1" if name == package else found(name))
    opened()
    assert len(compared) == 2


@pytest.mark.parametrize("fact", ["_processor", "_arithmetic", "_tokenizer", "_device"])
def test_another_processor_setting_or_tokenizer_is_compared_again(
    compared: list[str], monkeypatch: pytest.MonkeyPatch, fact: str
) -> None:
    opened()
    monkeypatch.setattr(comparison_facts, fact, lambda *given: "another")
    opened()
    assert len(compared) == 2


def test_torchs_settings_count() -> None:
    before, precision = comparison_facts._arithmetic(), torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        assert comparison_facts._arithmetic() != before
    finally:
        torch.set_float32_matmul_precision(precision)
    assert comparison_facts._arithmetic() == before


def code_in(folder: Path) -> Path:
    for name in ("errors.py", *(f"{room}/part.py" for room in comparison_facts.OWN)):
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text("x = 1\n", encoding="utf-8")
        os.utime(folder / name, (1e9, 1e9))
    return folder


def test_our_own_code_counts_wherever_it_decides(compared: list[str], tmp_path: Path) -> None:
    digests = {
        comparison_facts.own_code(code_in(tmp_path / "same")),
        comparison_facts.own_code(code_in(tmp_path / "so")),
    }
    assert len(digests) == 1
    for room in comparison_facts.OWN:
        root = code_in(tmp_path / f"other {room}")
        (root / room / "part.py").write_text("x = 2\n", encoding="utf-8")
        os.utime(root / room / "part.py", (1e9, 1e9))
        digests.add(comparison_facts.own_code(root))
    assert len(digests) == 1 + len(comparison_facts.OWN)
    assert None not in digests


def test_code_that_was_written_to_since_the_process_began_is_not_known(compared: list[str], tmp_path: Path) -> None:
    root = code_in(tmp_path / "new")
    (root / "models" / "part.py").write_text("x = 1\n", encoding="utf-8")
    assert comparison_facts.own_code(root) is None


def test_nothing_is_believed_or_kept_where_our_code_is_not_known(
    compared: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened()
    monkeypatch.setattr(comparison_facts, "own_code", lambda: None)
    before = file().read_bytes()
    opened()
    assert len(compared) == 2
    assert file().read_bytes() == before


def test_a_function_that_somebody_replaced_is_compared_again(
    compared: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.models.llama import modeling_llama

    opened()
    real = modeling_llama.apply_rotary_pos_emb

    def other(q: Any, k: Any, cos: Any, sin: Any, *more: Any, **named: Any) -> Any:
        return real(q, k, cos, sin, *more, **named)

    other.__qualname__, other.__module__ = real.__qualname__, real.__module__
    monkeypatch.setattr(modeling_llama, "apply_rotary_pos_emb", other)
    opened()
    assert len(compared) == 2


def test_a_model_with_somebodys_hook_is_compared_and_not_kept(compared: list[str]) -> None:
    def hooked(hf: Any) -> None:
        hf.model.layers[0].register_forward_hook(lambda *given: None)

    opened(change=hooked)
    opened(change=hooked)
    assert len(compared) == 2
    assert not file().exists()


def test_models_of_ones_own_are_compared_each_time(compared: list[str], whole: Path) -> None:
    for _ in range(2):
        loading.load(str(whole))
        LanguageModel.wrap(tiny_hf("llama"), tiny_tokenizer())
    assert len(compared) == 4
    assert remembered.contents() == []


def test_load_compares_anew_when_it_is_asked_to(compared: list[str]) -> None:
    loading.load("nano")
    assert loading.load("nano").report().remembered == TODAY
    assert loading.load("nano", anew=True).report().remembered is None
    assert len(compared) == 2


# -- the file ------------------------------------------------------------------------------------------------------


def signed(given: dict[str, Any]) -> str:
    """As a forger who has read the code would write it."""
    given["checksum"] = hashlib.sha256(json.dumps(given["kept"], sort_keys=True).encode()).hexdigest()
    return json.dumps(given)


def forged(**kept: Any) -> Callable[[str], str]:
    def change(text: str) -> str:
        given = json.loads(text)
        given["kept"] |= kept
        return signed(given)

    return change


CONTENTS: dict[str, Callable[[str], str]] = {
    "a number without its checksum": lambda text: text.replace('"embed": 0.0', '"embed": 0.5'),
    "truncated": lambda text: text[:-40],
    "empty": lambda text: "",
    "no json": lambda text: "\x80\x04pickle",
    "a list": lambda text: "[]",
    "deep": lambda text: "[" * 100_000,
    "too large": lambda text: text + " " * remembered.LARGEST,
    "another format": lambda text: text.replace('"format": 1', '"format": 2'),
    "no day": forged(day="some day"),
    "no number": forged(differences={"embed": "0"}),
    "below zero": forged(differences={"embed": -1.0}),
    "facts of another kind": forged(facts=[]),
    "facts of another model": forged(facts={"weights": "0"}),
    "a count that is none": forged(tuple_output=True),
    "not a number": lambda text: text.replace('"tuple_output": ', '"tuple_output": NaN, "x": '),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_a_file_that_is_not_as_it_was_written_is_not_believed(compared: list[str], name: str) -> None:
    opened()
    before = file().read_text(encoding="utf-8")
    after = CONTENTS[name](before)
    assert after != before
    file().write_text(after, encoding="utf-8")
    assert opened().report().remembered is None
    assert opened().report().remembered == TODAY  # it was written anew
    assert len(compared) == 2


def for_all(path: Path) -> None:
    path.chmod(0o666)


def for_the_group(path: Path) -> None:
    path.chmod(0o664)


def folder_for_all(path: Path) -> None:
    path.parent.chmod(0o777)


def of_somebody_else(path: Path) -> None:
    os.chown(path, 12345, 12345)


def folder_of_somebody_else(path: Path) -> None:
    os.chown(path.parent, 12345, 12345)


def a_link(path: Path) -> None:
    path.rename(path.with_suffix(".real"))
    path.symlink_to(path.with_suffix(".real"))


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    "change", [for_all, for_the_group, folder_for_all, of_somebody_else, folder_of_somebody_else, a_link, a_pipe]
)
def test_a_file_that_others_may_write_is_not_believed(
    compared: list[str], change: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened()
    assert remembered.read(file()) is not None
    me = os.geteuid()
    if (
        "somebody_else" in change.__name__ and me
    ):  # only the system's user can give files away: then we are somebody else
        monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    else:
        change(file())
    assert remembered.read(file()) is None
    assert opened().report().remembered is None
    assert len(compared) == 2


def test_a_file_is_readable_for_others_and_writable_for_its_owner_alone() -> None:
    opened()
    assert file().stat().st_mode & 0o777 == 0o644
    assert file().parent.stat().st_mode & 0o022 == 0
    assert [path.name for path in file().parent.iterdir()] == [file().name]


@pytest.mark.parametrize("kept", [False, True])
def test_a_cache_that_may_not_be_written_to(
    compared: list[str], cache_root: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    """Without the system's user, who may write everywhere: every way to write fails, as on a disk that is mounted to be read."""
    if kept:
        opened()

    def refuse(*given: Any, **more: Any) -> Any:
        raise OSError(30, "Read-only file system")

    for name in ("mkdir", "replace", "unlink", "chmod"):
        monkeypatch.setattr(Path, name, refuse)
    monkeypatch.setattr(remembered.tempfile, "mkstemp", refuse)
    assert opened().report().remembered == (TODAY if kept else None)
    opened()
    assert len(compared) == (1 if kept else 2)


# -- what did not agree --------------------------------------------------------------------------------------------


def test_a_model_that_is_not_opened_as_a_whole_is_compared_each_time(compared: list[str]) -> None:
    for _ in range(2):
        hf = partly_open_hf(ODD)
        model = LanguageModel(
            hf, tiny_tokenizer(), name="tiny", title="", source=Provenance("hub", ""), compare=remembered.compare
        )
        assert model.report().opaque
    assert len(compared) == 2
    assert not file().exists()


def test_what_was_closed_is_not_kept_and_what_was_kept_before_goes(
    compared: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from txpanel.tracing import verify_block

    opened()
    assert file().exists()
    real = verifying.compare_block

    def differs(model: LanguageModel, layer: int, probe: Any, *, thorough: bool) -> Any:
        if layer == 1 and "mlp" not in model.anatomy.blocks[1].opaque:
            return {"mlp": ("it is off", 0.5)}
        return real(model, layer, probe, thorough=thorough)

    monkeypatch.setattr(verifying, "compare_block", differs)
    assert verify_block.compare_block is real
    for count in (2, 3):
        file().write_text(file().read_text(encoding="utf-8") + " ", encoding="utf-8") if file().exists() else None
        hf = tiny_hf("llama")
        one_bit(hf)
        model = LanguageModel(
            hf, tiny_tokenizer(), name="tiny", title="", source=Provenance("hub", ""), compare=remembered.compare
        )
        assert [part.name for part in model.report().opaque] == ["blocks.1.mlp"]
        assert model.report().remembered is None
        assert len(compared) == count
        assert not file().exists()


def test_a_reading_that_is_not_the_first_one_is_not_kept(compared: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    real = verifying.verify

    def other(model: LanguageModel) -> None:
        real(model)
        verifying.change(model, 0, softcap=1e9)

    monkeypatch.setattr(verifying, "verify", other)
    opened()
    assert not file().exists()


def test_a_model_that_is_refused_is_refused_each_time(compared: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(model: LanguageModel, ids: Any) -> Any:
        raise Unsupported("not this one")

    monkeypatch.setattr("txpanel.tracing.probe.probed_on", lambda *given, **more: refused(*given))
    for _ in range(2):
        with pytest.raises(Unsupported, match="not this one"):
            opened()
    assert len(compared) == 2
    assert not file().exists()


# -- saying so -----------------------------------------------------------------------------------------------------


def test_about_this_model_says_of_which_day_it_is() -> None:
    loading.load("nano")
    facts = []
    for anew in (True, False):
        bar, state = Bar(on_theme=lambda _system: None), ModelState(model=loading.load("nano", anew=anew), text="one")
        bar.attach(state)
        facts.append(dict(bar.component.info["about"]["facts"]))
        groups = bar.component.info["about"]["groups"]
        facts[-1]["groups"] = groups
        bar.close()
    assert TODAY.isoformat() in facts[1].pop("compared")
    assert facts[0] == facts[1]


def test_doctor_compares_anew_what_is_remembered(compared: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    loading.load("nano")
    path = remembered.place("nano", "float32", "cpu")
    old = json.loads(path.read_text(encoding="utf-8"))
    old["kept"]["day"] = "2020-01-01"
    path.write_text(signed(old), encoding="utf-8")
    assert loading.load("nano").report().remembered == datetime.date(2020, 1, 1)
    found = {check.title: check for check in doctor._compared()}
    assert found["nano in float32 on cpu"].status == "ok"
    assert len(compared) == 2
    assert loading.load("nano").report().remembered == TODAY


def test_doctor_says_what_does_not_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    loading.load("nano")

    def closed(model: LanguageModel) -> None:
        from txpanel.models.closing import close_end

        model.anatomy = close_end(model.anatomy, model.parts, "output", "it is off")

    monkeypatch.setattr(verifying, "verify", closed)
    found = doctor._compared()[0]
    assert found.status == "error"
    assert "output: it is off" in found.detail
    assert doctor._compared() == []  # and it is remembered no more


def test_nothing_is_created_by_asking(cache_root: Path) -> None:
    assert remembered.contents() == []
    assert remembered.read(file()) is None
    assert not cache.root().exists()
