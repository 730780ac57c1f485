"""Starting the server: environment for the sessions, a port, the origins that may connect, and the model on its way."""

from __future__ import annotations

import errno
import gc
import logging
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from txpanel.errors import TxpanelError
from txpanel.messages import _
from txpanel.models.environment import environment, set_environment
from txpanel.page.top_bar.words import default_text
from txpanel.server import health, policy
from txpanel.server.panel_options import plain_origins
from txpanel.server.terminal import Bar
from txpanel.server.visitors import is_loopback

if TYPE_CHECKING:
    from txpanel.models.language_model import LanguageModel

log = logging.getLogger("txpanel.server")

APP = Path(__file__).parents[1]
FIRST_PORT, LAST_PORT, LAST_PRIVILEGED = 5006, 5025, 1023
WINDOWS = os.name == "nt"
EVERYWHERE = ("0.0.0.0", "::", "*")


def serve(
    *,
    model: str | None = None,
    models: Sequence[str] = (),
    device: str = "cpu",
    dtype: str | None = None,
    address: str = "localhost",
    port: int | None = None,
    origins: Sequence[str] = (),
    open_browser: bool = False,
    embed: Sequence[str] = (),
    classes: bool = False,
    public: bool | None = None,
    prefix: str = "",
    https: bool = False,
    more: Sequence[str] = (),
    limits: Mapping[str, int] | None = None,
) -> int:
    """Serve the page until Ctrl-C. The same as ``panel serve`` on the package's folder, with its options filled in.

    Args:
        model: name of the first model, as `txpanel.load` takes it; None: chosen by `txpanel.models.choice`.
        models: that visitors may choose among; empty: any model on localhost, else only the first one.
        device: where models run, such as ``"cuda"``.
        dtype: type of their weights, such as ``"bfloat16"``; None: float32.
        address: to listen on.
        port: 0 for a free one; None for 5006 or the next free one.
        origins: further names under which visitors reach the page.
        open_browser: whether to open the page.
        embed: sites that may show it in a frame.
        classes: whether visitors may lead others through a lesson.
        public: whether all visitors count as strangers; None: if the address or an origin lets strangers in (`txpanel.server.visitors`).
        prefix: path in front of the page's. https: whether there is a certificate.
        more: further arguments for ``panel serve`` (:mod:`txpanel.server.panel_options`).
        limits: those of `txpanel.models.limits.Limits` that are set, by name.

    Raises:
        TxpanelError: the port is taken or the address is not of this machine, in words.
        KeyboardInterrupt: Ctrl-C has stopped it.
    """
    chosen = find_port(address, port)
    origins = plain_origins(origins)
    if (
        public is None
        and environment().public is None
        and not all(map(is_loopback, [address or "localhost", *origins]))
    ):
        public = True
    _set_environment(model, models, device, dtype)
    set_environment(public=public, embed=embed, classes=classes)
    host = "localhost" if not address or is_loopback(address) or address in EVERYWHERE else address
    path = "/".join(filter(None, [prefix.strip("/"), APP.name]))
    page = f"{'https' if https else 'http'}://{host}:{chosen}/{path}"
    set_environment(limits=limits)
    print(_("txpanel is at {page} (Ctrl-C stops it)").format(page=page), flush=True)
    gc.disable()  # until txpanel.server.session_page has imported everything
    command = [
        "panel",
        "serve",
        str(APP),
        "--port",
        str(chosen),
        "--address",
        _bound(address),
        "--log-level",
        "warning",
    ]
    for origin in allowed_origins(address, chosen, origins):
        command += ["--allow-websocket-origin", origin]
    command += more
    if open_browser:
        command += ["--show"]
    from panel.command import main as panel  # late: seconds; the command says first where the page is

    from txpanel.compat import held_exits

    sys.argv = command  # panel reads this, whatever it is given
    held_exits.mend()
    panel(command)
    if held_exits.was_interrupted():  # Bokeh takes a Ctrl-C for an end like any other
        raise KeyboardInterrupt
    return 0


def find_port(address: str, port: int | None) -> int:
    """A port that is free now.

    Args:
        address: to listen on.
        port: the wanted one; 0 for any; None for the first free one from 5006.

    Raises:
        TxpanelError: it is taken, or there is no such address here.
    """
    wanted, taken = [port] if port is not None else range(FIRST_PORT, LAST_PORT + 1), OSError()
    for candidate in wanted:
        try:
            return _try_port(_bound(address), candidate)
        except PermissionError as error:
            if candidate > LAST_PRIVILEGED:  # Windows says so of a port that another program has for itself
                taken = error
                continue
            text = _("Port {port} needs rights that you do not have; use one above 1023.")
            raise TxpanelError(text.format(port=candidate)) from error
        except socket.gaierror as error:
            raise TxpanelError(_("{address} is not an address of this machine.").format(address=address)) from error
        except OSError as error:
            taken = error
    if taken.errno == errno.EADDRNOTAVAIL:
        raise TxpanelError(_("{address} is not an address of this machine.").format(address=address)) from taken
    text = _("Port {port} is taken by another program. Choose another with --port, or 0 for any free one.")
    raise TxpanelError(text.format(port=wanted[0])) from taken


def _try_port(address: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        # as the server does (tornado.netutil.bind_sockets): a port whose last connections still linger is free all the same.
        # Not on Windows, where the option would let a second program share the port of a first.
        if not WINDOWS:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, port))
        return int(probe.getsockname()[1])


def _bound(address: str) -> str:
    """The address to bind to: ``localhost`` as 127.0.0.1, since some machines resolve it to another address first."""
    return "127.0.0.1" if address in ("localhost", "") else "0.0.0.0" if address == "*" else address.strip("[]")


def asked_at(address: str) -> str:
    """Where this machine itself asks a server that listens on an address."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(_bound(address), _bound(address))


def allowed_origins(address: str, port: int, more: Sequence[str] = ()) -> list[str]:
    """Under which names pages may connect: those of this machine, and what the operator adds.

    Without this list any web page that a visitor has open could talk to the server in the visitor's name.
    """
    names = ["localhost", "127.0.0.1"]
    if address in EVERYWHERE:
        names += [socket.gethostname(), socket.getfqdn(), *_own_addresses()]
    elif address and not is_loopback(address):
        names += [address]
    # a browser leaves out the port that is usual for http or https; Bokeh takes a name without one for port 80
    ports = [port, 80] if port == 443 else [port]
    return list(dict.fromkeys([*(f"{name}:{one}" for name in names for one in ports), *more]))


def _own_addresses() -> list[str]:
    try:
        return [str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    except OSError:  # the machine cannot resolve its own name
        return []


def _set_environment(model: str | None, models: Sequence[str], device: str, dtype: str | None) -> None:
    """The options of the command line as environment variables, which every session reads."""
    first = model or (models[0] if models and not environment().model else None)
    offered = dict.fromkeys([*([first] if first else []), *models]) if models else ()
    set_environment(model=first, models=tuple(offered), device=device, dtype=dtype)


@health.state.attempt()
def bring_model(
    device: str = "cpu",
    dtype: str | None = None,
    then: Callable[[LanguageModel, str], object] | None = None,
) -> None:
    """Load the first model at start, with progress in the terminal; sessions that begin meanwhile show the same progress.

    Args:
        then: is called with the model and the text that its newcomers see.
    """
    from txpanel.models.choice import choose  # late: seconds; the command says first where the page is
    from txpanel.session.shared import shared_model

    bar = Bar()
    _tell_names()
    try:
        chosen = choose()
        policy.offer(chosen.name)
        print(_("Model: {name}. {reason}").format(name=chosen.name, reason=chosen.reason), flush=True)
        _tell_needs(chosen.name, dtype)
        model = shared_model(chosen.name, device=device, dtype=dtype, progress=bar)
        health.state.tell("ready")
        if then is not None:
            then(model, default_text(chosen.name))
    except TxpanelError as error:  # the page says so as well, and offers others
        bar.close()
        print(f"txpanel: {error}", file=sys.stderr)
    finally:
        bar.close()


def _tell_names() -> None:
    """Logs which of the offered models cannot be found, before visitors notice."""
    from txpanel.models.loading import problem  # late: torch

    for name in environment().models or ():
        said = problem(name)
        if said:
            log.warning("TXPANEL_MODELS: %s", said)


def _tell_needs(name: str, dtype: str | None) -> None:
    """Says how much memory the model will need, before it is loaded; nothing where that is not known yet."""
    from txpanel.models.doctor import memory_of  # late: seconds; the command says first where the page is

    try:
        print(_("Memory: {words}").format(words=memory_of(name, dtype)), flush=True)
    except TxpanelError:  # said when it is loaded
        return
