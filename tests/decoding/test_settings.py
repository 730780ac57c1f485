"""The settings follow from the declared stages: names, order, what is refused, what functions take."""

from __future__ import annotations

import inspect
import math
import pickle
import subprocess
import sys
from dataclasses import fields, replace

import pytest

import txpanel
from txpanel import sampling
from txpanel.decoding.ranges import RANGES, within
from txpanel.decoding.settings import OFF, POSITIONAL
from txpanel.decoding.stage_spec import StageSpec
from txpanel.decoding.stages import SPECS, for_browser, stage_label
from txpanel.sampling import FIELDS, Settings

VERSION_0_1 = (
    "temperature", "top_k", "top_p", "min_p", "seed", "typical_p", "repetition_penalty", "no_repeat_ngram_size",
)  # fmt: skip


def test_the_names_of_the_first_version_keep_their_positions() -> None:
    assert FIELDS[:8] == POSITIONAL == VERSION_0_1
    assert {*FIELDS} == {"seed", *(spec.key for spec in SPECS)}
    given = Settings(0.6, 20, 0.95, 0.05, 7, 0.9, 1.1, 3)
    assert [getattr(given, name) for name in VERSION_0_1] == [0.6, 20, 0.95, 0.05, 7, 0.9, 1.1, 3]
    assert sampling.pipeline([0.0, 1.0], 0.6, 20, 0.95, 0.05, 7, 0.9, 1.1, 3, ids=[0]).settings == given
    with pytest.raises(TypeError):
        Settings(*([1] * 9))


def test_the_order_of_the_chain_is_that_of_generate() -> None:
    chain = [spec.key for spec in SPECS if spec.key in VERSION_0_1]
    assert chain == [
        "repetition_penalty", "no_repeat_ngram_size", "temperature", "top_k", "top_p", "min_p", "typical_p",
    ]  # fmt: skip
    assert ("logits", *(spec.key for spec in SPECS), "renormalise") == sampling.STAGES


def test_a_value_like_any_other() -> None:
    given = Settings(temperature=0.8)
    assert given == Settings(0.8) != Settings()
    assert hash(given) == hash(Settings(0.8))
    assert pickle.loads(pickle.dumps(given)) == given
    assert replace(given, seed=4) == Settings(temperature=0.8, seed=4)
    assert repr(given).startswith("Settings(temperature=0.8, top_k=0, ")
    with pytest.raises(AttributeError):
        given.temperature = 2.0
    assert [field.name for field in fields(Settings)] == [*FIELDS, "left_out"]


@pytest.mark.parametrize("function", [sampling.pipeline, txpanel.generate])
def test_functions_show_every_setting_by_name(function: object) -> None:
    shown = inspect.signature(function).parameters  # type: ignore[arg-type]
    assert {name: shown[name].default for name in FIELDS} == OFF
    assert not {"settings", "values"} & set(shown)
    with pytest.raises(TypeError, match="warmth"):
        function(None, "", warmth=2.0) if function is txpanel.generate else function([1.0], warmth=2.0)  # type: ignore[operator]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.key)
def test_each_stage_is_declared_in_full(spec: StageSpec) -> None:
    """Its ends are possible, what lies beyond them is refused in words that name it, and the page has all its texts."""
    for value in (spec.off, spec.least, spec.most, *spec.slider[:2]):
        Settings(**{spec.key: spec.kind(value)})
    impossible = [
        -1,
        math.nan,
        math.inf,
        "x",
        None,
        True,
        *([0] if spec.positive else []),
        *([1.5] if spec.at_most == 1 else []),
    ]
    for value in impossible:
        with pytest.raises(ValueError, match=spec.key) as refusal:
            Settings(**{spec.key: value})
        assert str(value) in str(refusal.value)
        assert str(refusal.value).endswith(".")
    assert type(OFF[spec.key]) is spec.kind
    assert RANGES[spec.key] == (spec.kind, spec.least, spec.most)
    assert within(spec.key, 1e12) == spec.most
    words = spec.words()
    assert words.label == stage_label(spec.key)
    assert words.off
    assert words.on
    assert words.path
    assert spec.in_bar or words.hint
    assert spec.key in str(Settings.__doc__)
    assert [one["words"]["label"] for one in for_browser() if one["key"] == spec.key] == [words.label]


def test_settings_and_their_texts_need_no_torch() -> None:
    code = (
        "import sys, txpanel.decoding.ranges, txpanel.page.address; from txpanel.decoding import Settings\n"
        "from txpanel.decoding.stages import for_browser; for_browser(); Settings(top_p=.5)\n"
        "print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
