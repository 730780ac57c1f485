"""What ``txpanel serve`` passes on to ``panel serve`` for operators: login, TLS, a prefix, what a proxy says, how long sessions last.

The names are Panel's. What would fail late, or let everybody in (a password file that is not there is a password for Panel), is said before the start.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from txpanel.errors import TxpanelError
from txpanel.messages import _

__all__ = ["SITE", "Option", "add_options", "check", "options", "plain_origins", "prepare_secrets", "taken"]


SITE = re.compile(r"(https?://)?(\*\.)?[a-z0-9.-]+(:\d{1,5})?|\*", re.IGNORECASE)
"""A site as a Content-Security-Policy names it."""

ADDRESS = re.compile(r"(?!.*//)[A-Za-z0-9/._~-]+")
"""A path without characters that mean something else in an address or a header."""


@dataclass(frozen=True)
class Option:
    """One option of ``panel serve``.

    Attributes:
        name: with its dashes. metavar: what stands for its value; empty: it has none. help: for ``--help``. many: whether it takes several values.
    """

    name: str
    metavar: str
    help: str
    many: bool = False

    @property
    def key(self) -> str:
        """Its name in what argparse gives."""
        return self.name.removeprefix("--").replace("-", "_")


def options() -> tuple[Option, ...]:
    """All of them, in the order of the help."""
    return (
        Option("--prefix", "PATH", _("path under which a proxy shows the page, such as /class")),
        Option("--root-path", "PATH", _("path that a proxy removes before it forwards a request")),
        Option("--use-xheaders", "", _("trust a proxy about addresses and https (X-Forwarded-For, X-Forwarded-Proto)")),
        Option("--ssl-certfile", "FILE", _("certificate (PEM): the page is served by https")),
        Option("--ssl-keyfile", "FILE", _("its private key, if that is a file of its own")),
        Option("--basic-auth", "PASSWORD", _("a password for all, or a JSON file with names and passwords")),
        Option(
            "--cookie-secret",
            "SECRET",
            _("secret that signs logins; without it, people log in again after a restart"),
        ),
        Option("--cookie-path", "PATH", _("path for which login cookies are valid")),
        Option(
            "--oauth-provider", "NAME", _("log in with an OAuth provider, as Panel knows it, such as github or azure")
        ),
        Option("--oauth-key", "KEY", _("the provider's key for this server")),
        Option("--oauth-secret", "SECRET", _("the provider's secret for this server")),
        Option("--oauth-redirect-uri", "URL", _("address to which the provider sends people back")),
        Option("--oauth-extra-params", "DICT", _("more settings for the provider, such as \"{'tenant': '...'}\"")),
        Option("--oauth-jwt-user", "KEY", _("the field that names a person in the provider's answer")),
        Option("--oauth-encryption-key", "KEY", _("key that encrypts what the provider says about a person")),
        Option("--oauth-expiry-days", "DAYS", _("days until people log in again")),
        Option("--oauth-refresh-tokens", "", _("renew the provider's tokens")),
        Option("--oauth-guest-endpoints", "PATH", _("pages that need no login"), many=True),
        Option("--oauth-optional", "", _("login is optional")),
        Option("--oauth-error-template", "FILE", _("page for a login that failed")),
        Option("--login-endpoint", "PATH", _("address of the login page")),
        Option("--logout-endpoint", "PATH", _("address that logs out")),
        Option("--basic-login-template", "FILE", _("a login page of your own")),
        Option("--logout-template", "FILE", _("a page of your own after logging out")),
        Option("--auth-template", "FILE", _("a page of your own for people who may not come in")),
        Option("--unused-session-lifetime", "MS", _("milliseconds for which a session is kept without its page")),
        Option("--check-unused-sessions", "MS", _("milliseconds between two checks for such sessions")),
        Option("--session-token-expiration", "SECONDS", _("seconds that a page has for its first connection")),
        Option("--keep-alive", "MS", _("milliseconds between two pings of a connection")),
        Option("--websocket-max-message-size", "BYTES", _("the largest message of a page")),
    )


def add_options(serve: Any) -> None:
    """Adds them to the command, as a group of their own."""
    group = serve.add_argument_group(_("for operators"), _("passed on to Panel's server"))
    for option in options():
        if option.metavar:
            more: dict[str, Any] = {"nargs": "+"} if option.many else {}
            group.add_argument(option.name, metavar=option.metavar, help=option.help, **more)
        else:
            group.add_argument(option.name, action="store_true", help=option.help)


def taken(given: argparse.Namespace) -> list[str]:
    """Those that were given, as arguments for ``panel serve``."""
    found: list[str] = []
    for option in options():
        value = getattr(given, option.key, None)
        if value in (None, False, []):
            continue
        if option.many:
            found += [option.name, *value]
        else:  # with "=": a password may begin with a dash
            found += [option.name if value is True else f"{option.name}={value}"]
    return found


def check(given: argparse.Namespace) -> None:
    """Says what cannot work before anything is started.

    Raises:
        TxpanelError: a file is missing or is no certificate, a number is none, a login is only half described; in words.
    """
    for option in options():
        value = getattr(given, option.key, None)
        if value and option.metavar == "FILE" and not Path(value).is_file():
            raise TxpanelError(_("{option}: there is no file {path}.").format(option=option.name, path=value))
        if value and option.metavar in ("MS", "SECONDS", "BYTES") and not (value.isdecimal() and int(value) > 0):
            raise TxpanelError(_("{option}: {value} is not a number above 0.").format(option=option.name, value=value))
        if value and option.metavar == "PATH" and not all(map(ADDRESS.fullmatch, value if option.many else [value])):
            text = _(
                "{option}: {value} is not a path of an address; write it as /class, with letters, digits and - . _ ~ / "
                "only."
            )
            raise TxpanelError(text.format(option=option.name, value=value if option.many else repr(value)))
    for site in given.embed_in:
        if not SITE.fullmatch(site):
            text = _("--embed-in: {site} is not a site; write it as https://school.example.")
            raise TxpanelError(text.format(site=site))
    _check_certificate(given.ssl_certfile, given.ssl_keyfile)
    _check_passwords("--basic-auth", given.basic_auth)
    _check_passwords("PANEL_BASIC_AUTH", os.environ.get("PANEL_BASIC_AUTH"))
    if given.basic_auth and given.oauth_provider:
        raise TxpanelError(_("Choose one of --basic-auth and --oauth-provider."))
    if given.oauth_provider and given.oauth_provider != "pam":
        for key in ("oauth_key", "oauth_secret"):
            if not (getattr(given, key) or os.environ.get(f"PANEL_{key.upper()}")):
                text = _("--oauth-provider needs {option}, or the variable {variable}.")
                raise TxpanelError(text.format(option=f"--{key.replace('_', '-')}", variable=f"PANEL_{key.upper()}"))


def _check_certificate(certificate: str | None, key: str | None) -> None:
    if key and not certificate:
        raise TxpanelError(_("--ssl-keyfile needs --ssl-certfile."))
    if not certificate:
        return
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key, password=_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        text = _("--ssl-certfile: the certificate and its key cannot be used together: {error}.")
        raise TxpanelError(text.format(error=error)) from error


def _password() -> str:
    return os.environ.get("BOKEH_SSL_PASSWORD", "")  # empty: else Python asks on the terminal


def _check_passwords(where: str, given: str | None) -> None:
    if not given or not (given.endswith(".json") or os.sep in given or Path(given).is_file()):
        return
    if not Path(given).is_file():
        text = _("{option}: there is no file {path} (a password that looks like a path is refused).")
        raise TxpanelError(text.format(option=where, path=given))
    try:
        people = json.loads(Path(given).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        text = _("{option}: {path} is not valid JSON: {error}.")
        raise TxpanelError(text.format(option=where, path=given, error=error)) from error
    if not isinstance(people, dict) or not people or not all(isinstance(one, str) and one for one in people.values()):
        text = _("{option}: {path} must hold names with their passwords, such as {example}.")
        raise TxpanelError(text.format(option=where, path=given, example='{"ada": "secret"}'))


def prepare_secrets(given: argparse.Namespace) -> None:
    """Sets the secrets that sign sessions and, where there is a login, its cookies, unless the operator has set them.

    In the environment, not on the command line, where every user of the machine could read it.
    """
    if not os.environ.get("BOKEH_SECRET_KEY"):
        os.environ["BOKEH_SECRET_KEY"] = secrets.token_urlsafe(32)
        os.environ.setdefault("BOKEH_SIGN_SESSIONS", "yes")
    logs_in = (
        given.basic_auth
        or given.oauth_provider
        or os.environ.get("PANEL_BASIC_AUTH")
        or os.environ.get("PANEL_OAUTH_PROVIDER")
    )
    known = given.cookie_secret or os.environ.get("PANEL_COOKIE_SECRET") or os.environ.get("BOKEH_COOKIE_SECRET")
    if logs_in and not known:
        os.environ["PANEL_COOKIE_SECRET"] = secrets.token_urlsafe(32)


def plain_origins(origins: Sequence[str]) -> list[str]:
    """Origins as the server wants them, without ``https://`` and path."""
    return [
        origin.partition("://")[2].partition("/")[0] if "://" in origin else origin.rstrip("/") for origin in origins
    ]
