"""Our pages for logging in and out ask nobody else for anything, and show no text as markup."""

from __future__ import annotations

import re

import panel.auth
import pytest
from panel.io import resources

from txpanel.compat import login_pages as compat_login
from txpanel.server import login_pages

ELSEWHERE = re.compile(r"https?://|//[a-z]|\bPANEL_CDN\b|<script", re.IGNORECASE)
EVIL = "<img src=x onerror=alert(1)>"


def test_pages_of_panel_still_ask_elsewhere() -> None:
    """When this fails, Panel's own pages need no other machine any more: look whether `login_pages` can go."""
    for template in (resources.BASIC_LOGIN_TEMPLATE, resources.LOGOUT_TEMPLATE):
        assert resources.CDN_DIST in template.render(PANEL_CDN=resources.CDN_DIST)
    assert "fonts.googleapis.com" in resources.ERROR_TEMPLATE.render()


@pytest.mark.parametrize("name", ["login", "logout", "error"])
def test_ours_do_not(name: str) -> None:
    page = login_pages.template(name).render(
        PANEL_CDN="https://elsewhere.example/",
        login_endpoint="/login",
        LOGIN_ENDPOINT="/login",
        errormessage=EVIL,
        error_msg=f"Access denied! {EVIL} &#x27;x&#x27;",
        oauth_logout_link=None,
    )
    assert not ELSEWHERE.search(page)
    assert "<img" not in page
    assert page.startswith("<!DOCTYPE html>")


def test_they_take_the_place_of_panels() -> None:
    compat_login.mend(login_pages.template, lambda: False)
    provider = panel.auth.BasicAuthProvider()
    assert provider._login_template is login_pages.template("login")
    assert provider._logout_template is login_pages.template("logout")
    page = provider._login_template.render(login_endpoint="/enter", next_url="/txpanel?text=%22a")
    assert 'action="?" method="post"' in page
    assert 'name="next" value="/txpanel?text=%22a"' in page
