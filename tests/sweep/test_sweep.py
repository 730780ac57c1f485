"""Every family of the installed transformers, opened and held against the untouched model; a minute or two, so apart from the rest of the suite."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import transformers

from tests.sweep import run
from tests.sweep.configs import ENCODERS, FAMILIES, PAIRS

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.sweep
def test_every_family_opens_as_the_file_says() -> None:
    """If more opens now: ``python -m tests.sweep.run && python scripts/families.py``. Of another version the file says nothing."""
    if transformers.__version__ != run.kept()["transformers"]:
        return
    ended = subprocess.run(
        [sys.executable, "-m", "tests.sweep.run", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_file_has_every_family() -> None:
    if transformers.__version__ == run.kept()["transformers"]:
        assert [one["family"] for one in run.kept()["families"]] == sorted([*FAMILIES, *ENCODERS, *PAIRS])
