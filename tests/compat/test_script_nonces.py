"""Every script of a page says the nonce of its answer."""

from __future__ import annotations

import inspect

from bokeh.embed import wrappers

from txpanel.compat.script_nonces import CURRENT, Nonce, marked


def test_bokeh_still_writes_scripts_without_a_nonce() -> None:
    """When this fails, Bokeh can write nonces by itself: use that, and drop `script_nonces`."""
    assert "nonce" not in inspect.getsource(wrappers)


def test_scripts_say_the_nonce_and_nothing_else_changes() -> None:
    page = '<script src="a.js"></script><script>x("<b>")</script><scripted></scripted>'
    assert marked(page) == page  # no answer of a server: a saved page, a test
    nonce = Nonce()
    token = CURRENT.set(nonce)
    try:
        said = marked(page)
    finally:
        CURRENT.reset(token)
    word = f'nonce="{nonce.word}"'
    assert said == f'<script {word} src="a.js"></script><script {word}>x("<b>")</script><scripted></scripted>'
    assert nonce.used
    assert nonce.word != Nonce().word
