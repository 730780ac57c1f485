"""The pure modules of the browser side, each against what Python says or against itself (``tests/js``)."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.browser_modules import ROOT, node, run
from tests.decoding.test_stages import some_settings
from txpanel import sampling
from txpanel.decoding.stages import for_browser
from txpanel.errors import NoTokenLeft
from txpanel.toolkit import bundle, palette
from txpanel.toolkit.format import number, percent

JS = Path(__file__).parent / "js"


def test_the_bundle_is_what_the_modules_make(tmp_path: Path) -> None:
    assert (ROOT / "node_modules" / "esbuild").is_dir(), "scripts/browser brings it"
    run(ROOT / "scripts" / "bundle.mjs", str(tmp_path / "txpanel.js"))
    assert (tmp_path / "txpanel.js").read_text(encoding="utf-8") == bundle.source(), "run scripts/bundle"


@pytest.mark.parametrize("name", sorted(path.name for path in JS.glob("*.test.js")))
def test_the_unit_tests_of_the_browser_modules_pass(name: str) -> None:
    done = subprocess.run(
        [node(), "--test", str(JS / name)], capture_output=True, text=True, encoding="utf-8", timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.findall(r"pass (\d+)", done.stdout)[-1]) > 0


def test_elements_are_made_in_one_place() -> None:
    """By h, s and m, which make text of text, and by patch; compat, which imports nothing of ours, loads what a page left out."""
    makers = re.compile(r"createElement|createTextNode|innerHTML|outerHTML|insertAdjacentHTML|document\.write")
    found = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "txpanel").rglob("*.js")
        if "served" not in path.parts and makers.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"txpanel/toolkit/elements.js", "txpanel/toolkit/patch.js", "txpanel/compat/late_resources.js"}


def test_numbers_are_written_as_python_writes_them() -> None:
    chance = np.random.default_rng(1)
    values = [0.0, 1.0, -23252.0, 1234567.5, 999999.0, 1e15, 0.001, 0.00099, 99.95, 1e-40]
    values += (chance.normal(size=300) * 10.0 ** chance.integers(-12, 9, size=300)).tolist()
    values += chance.integers(-(10**7), 10**7, size=50).astype(float).tolist()
    shares = [0.0, 1.0, 0.9995, 0.99951, 0.9999999999, 1e-5, 9.99e-6, 0.01, 1.92, *chance.random(300).tolist()]
    shares += (10.0 ** -(chance.random(100) * 12)).tolist() + (1 - 10.0 ** -(chance.random(100) * 12)).tolist()
    found = json.loads(run(JS / "numbers.js", given={"values": values, "shares": shares}))
    for digits in ("2", "4"):
        assert found["numbers"][digits] == [number(value, int(digits)) for value in values]
    assert found["percents"] == [percent(share) for share in shares]


def test_colour_maps_are_pythons() -> None:
    found = json.loads(run(JS / "colours.js"))
    for kind in palette.RAMPS:
        for dark in (False, True):
            assert found[kind][int(dark)] == list(palette.ramp(kind, dark))
    scale = palette.Scale("signed", -3.0, 2.0)
    assert found["indices"] == [int(scale.index(value)) for value in found["values"]]


def test_the_stages_of_sampling_are_pythons() -> None:
    """Hundreds of random settings of all declared stages: counts, who removed what, probabilities, draw.

    Both sides make probabilities in doubles from float32 logits, so they agree to 1e-12. Which tokens stay is decided
    by transformers in float32: where that is within a rounding of a threshold, the server's answer corrects the browser.
    """
    chance = np.random.default_rng(5)
    cases: list[dict[str, Any]] = []
    samples = []
    for n in range(250):
        size = int(chance.choice([12, 300, 2000]))
        row = (chance.normal(size=size) * chance.choice([0.5, 2, 4])).astype(np.float32)
        ids = chance.integers(0, min(size, int(chance.choice([6, 2000]))), size=int(chance.integers(1, 30))).tolist()
        settings = some_settings(n) | ({"temperature": 0.0} if n % 20 == 0 else {})
        settings |= {"no_repeat_ngram_size": 1} if n % 15 == 0 else {}
        try:
            sample = sampling.pipeline(row, **settings, seed=n, ids=ids)
        except NoTokenLeft:
            continue
        given = {name: getattr(sample.settings, name) for name in sampling.FIELDS}
        cases.append({"logits": row.tolist(), "ids": ids, "settings": {**given, "uniform": sample.draw.uniform}})
        samples.append(sample)
    found = json.loads(run(JS / "sampling.js", given={"declared": for_browser(), "cases": cases}))
    for sample, got in zip(samples, found, strict=True):
        assert got["kept"] == [stage.kept for stage in sample.stages], sample.settings
        assert (got["token"], got["rank"]) == (sample.token, sample.draw.rank)
        np.testing.assert_allclose([got["low"], got["high"]], [sample.draw.low, sample.draw.high], atol=1e-11)
        np.testing.assert_allclose(got["bits"], [stage.entropy for stage in sample.stages], atol=1e-9)
        reference = np.array([stage.probabilities[got["ids"][:40]] for stage in sample.stages]).T
        np.testing.assert_allclose(got["p"], reference, rtol=1e-9, atol=1e-12)
        assert got["gone"] == [sample.removed_by(token) for token in got["ids"]]
    assert len(found) > 200
