"""What `txpanel serve` passes on to Panel, and what it refuses in words before anything is started."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from panel.command.serve import Serve

from txpanel.errors import TxpanelError
from txpanel.server import cli, panel_options


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {name: value for name, value in os.environ.items() if not name.startswith(("PANEL_", "BOKEH_", "TXPANEL_"))}
    monkeypatch.setattr(os, "environ", known)


def given(*arguments: str) -> object:
    return cli.parser().parse_args(["serve", *arguments])


def test_every_option_is_one_of_panels() -> None:
    known = {name for name, _argument in Serve.args}
    assert {option.name for option in panel_options.options()} <= known
    assert "--basic-auth" in known


def test_what_was_given_is_passed_on() -> None:
    options = given("--prefix", "/class", "--use-xheaders", "--basic-auth=-x y", "--unused-session-lifetime", "60000")
    more = ["--oauth-guest-endpoints", "/a", "/b"]
    assert panel_options.taken(options) == [  # type: ignore[arg-type]
        "--prefix=/class",
        "--use-xheaders",
        "--basic-auth=-x y",
        "--unused-session-lifetime=60000",
    ]
    assert panel_options.taken(given(*more)) == more  # type: ignore[arg-type]
    assert panel_options.taken(given()) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--ssl-certfile", "no.pem"], "there is no file no.pem"),
        (["--ssl-keyfile", "here.json"], "needs --ssl-certfile"),
        (["--ssl-certfile", "here.json"], "cannot be used together"),
        (["--basic-auth", "people.json"], "there is no file people.json"),
        (["--basic-auth", "/etc/txpanel/people"], "there is no file"),
        (["--basic-auth", "here.json"], "must hold names with their passwords"),
        (["--basic-auth", "broken.json"], "is not valid JSON"),
        (["--basic-auth", "x", "--oauth-provider", "github"], "Choose one"),
        (["--oauth-provider", "github"], "--oauth-key"),
        (["--oauth-provider", "github", "--oauth-key", "k"], "PANEL_OAUTH_SECRET"),
        (["--unused-session-lifetime", "soon"], "not a number above 0"),
        (["--embed-in", "https://school.example/page"], "is not a site"),
        (["--embed-in", "x; script-src *"], "is not a site"),
        (["--embed-in", "https://school.example\n"], "is not a site"),
        (["--prefix", "a b"], "'a b' is not a path"),
        (["--prefix", "a\r\nX: 1"], "is not a path"),
        (["--prefix", "//evil.example"], "is not a path"),
        (["--prefix", "(.*)"], "is not a path"),
        (["--login-endpoint", "/in?x"], "is not a path"),
        (["--oauth-guest-endpoints", "/a", "/b c"], "is not a path"),
        (["--keep-alive", "0"], "not a number above 0"),
        (["--basic-login-template", "no.html"], "there is no file no.html"),
    ],
    ids=str,
)
def test_what_cannot_work_is_a_sentence(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.json").write_text(json.dumps({"ada": 1}), encoding="utf-8")
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    with pytest.raises(TxpanelError, match=said):
        panel_options.check(given(*arguments))  # type: ignore[arg-type]


def test_a_password_file_named_by_the_variable_has_to_be_there(tmp_path: Path) -> None:
    """For Panel a file that is missing is a password: its name would let everybody in."""
    os.environ["PANEL_BASIC_AUTH"] = str(tmp_path / "People.json")
    with pytest.raises(TxpanelError, match=r"PANEL_BASIC_AUTH: there is no file .*People\.json"):
        panel_options.check(given())  # type: ignore[arg-type]
    (tmp_path / "People.json").write_text(json.dumps({"ada": "secret"}), encoding="utf-8")
    panel_options.check(given())  # type: ignore[arg-type]
    os.environ["PANEL_BASIC_AUTH"] = "Secret"
    panel_options.check(given())  # type: ignore[arg-type]


def test_what_can_work_is_let_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.json").write_text(json.dumps({"ada": "secret"}), encoding="utf-8")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 1 -subj /CN=localhost"
    subprocess.run(command.split(), check=True, capture_output=True)
    for arguments in (
        ["--basic-auth", "people.json"],
        ["--basic-auth", "a password"],
        ["--ssl-certfile", "cert.pem", "--ssl-keyfile", "key.pem"],
        ["--oauth-provider", "github", "--oauth-key", "k", "--oauth-secret", "s"],
    ):
        panel_options.check(given(*arguments))  # type: ignore[arg-type]


def test_secrets_are_made_where_nobody_has_named_them() -> None:
    panel_options.prepare_secrets(given())  # type: ignore[arg-type]
    assert len(os.environ["BOKEH_SECRET_KEY"]) > 30
    assert os.environ["BOKEH_SIGN_SESSIONS"] == "yes"
    assert "PANEL_COOKIE_SECRET" not in os.environ
    panel_options.prepare_secrets(given("--basic-auth", "x", "--cookie-secret", "own"))  # type: ignore[arg-type]
    assert "PANEL_COOKIE_SECRET" not in os.environ
    key = os.environ["BOKEH_SECRET_KEY"]
    panel_options.prepare_secrets(given("--basic-auth", "x"))  # type: ignore[arg-type]
    assert len(os.environ["PANEL_COOKIE_SECRET"]) > 30
    assert os.environ["BOKEH_SECRET_KEY"] == key


def test_origins_may_be_written_as_addresses() -> None:
    assert panel_options.plain_origins(["https://class.example.org/x", "a.example:8443", "b.example/"]) == [
        "class.example.org",
        "a.example:8443",
        "b.example",
    ]
