"""What a child process says while a file is converted is in the language of the page that asked for it."""

from __future__ import annotations

import sys

import pytest

from txpanel.messages import _, speaking
from txpanel.models.sources import process

SAYS = "from txpanel.messages import _; print(_('Reading the vocabulary'))"


@pytest.mark.parametrize("code", ["en", "ja"])
def test_a_child_speaks_the_language_of_who_asked(code: str) -> None:
    with speaking(code), process.started([sys.executable, "-c", SAYS]) as child:
        assert child.stdout is not None
        said = child.stdout.read().strip()
        assert said == _("Reading the vocabulary")
    assert (said == "Reading the vocabulary") == (code == "en")
