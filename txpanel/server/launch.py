"""Starting the server: environment for the sessions, a port, the origins that may connect, and the model on its way."""

from __future__ import annotations

import errno
import gc
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from txpanel.errors import TxpanelError
from txpanel.messages import _
from txpanel.models.environment import environment, set_environment
from txpanel.server import policy
from txpanel.server.policy import LOCAL
from txpanel.server.terminal import Bar

APP = Path(__file__).parents[1]
FIRST_PORT, LAST_PORT = 5006, 5025
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
) -> int:
    """Serve the page until Ctrl-C. The same as ``panel serve`` on the package's folder, with its options filled in.

    Args:
        model: to start with; None chooses.
        models: that visitors may choose among; empty: any model on localhost, else only the first one.
        device: where models run.
        dtype: type of their weights.
        address: to listen on.
        port: 0 for a free one; None for 5006 or the next free one.
        origins: further names under which visitors reach the page.
        open_browser: whether to open the page.

    Raises:
        TxpanelError: the port is taken or the address is not of this machine, in words.
    """
    chosen = find_port(address, port)
    _set_environment(model, models, device, dtype, address not in LOCAL)
    host = "localhost" if address in (*LOCAL, *EVERYWHERE) else address
    page = f"http://{host}:{chosen}/{APP.name}"
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
    if open_browser:
        command += ["--show"]
    from panel.command import main as panel  # late: seconds; the command says first where the page is

    sys.argv = command  # panel reads this, whatever it is given
    panel(command)
    return 0


def find_port(address: str, port: int | None) -> int:
    """A port that is free now.

    Args:
        address: to listen on.
        port: the wanted one; 0 for any; None for the first free one from 5006.

    Raises:
        TxpanelError: it is taken, or there is no such address here.
    """
    wanted = [port] if port is not None else range(FIRST_PORT, LAST_PORT + 1)
    for candidate in wanted:
        try:
            return _try_port(_bound(address), candidate)
        except PermissionError as error:
            text = _("Port {port} needs rights that you do not have; use one above 1023.")
            raise TxpanelError(text.format(port=candidate)) from error
        except socket.gaierror as error:
            raise TxpanelError(_("{address} is no address of this machine.").format(address=address)) from error
        except OSError as error:
            taken = error
    if taken.errno == errno.EADDRNOTAVAIL:
        raise TxpanelError(_("{address} is no address of this machine.").format(address=address)) from taken
    text = _("Port {port} is taken by another program. Choose another with --port, or 0 for any free one.")
    raise TxpanelError(text.format(port=wanted[0])) from taken


def _try_port(address: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        # as the server does (tornado.netutil.bind_sockets): a port whose last connections still linger is free all the same.
        # Not on Windows, where the option would let a second program share the port of a first.
        if os.name != "nt":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, port))
        return int(probe.getsockname()[1])


def _bound(address: str) -> str:
    """The address to bind to: ``localhost`` as 127.0.0.1, since some machines resolve it to another address first."""
    return "127.0.0.1" if address in ("localhost", "") else "0.0.0.0" if address == "*" else address.strip("[]")


def allowed_origins(address: str, port: int, more: Sequence[str] = ()) -> list[str]:
    """Under which names pages may connect: those of this machine, and what the operator adds.

    Without this list any web page that a visitor has open could talk to the server in the visitor's name.
    """
    names = ["localhost", "127.0.0.1"]
    if address in EVERYWHERE:
        names += [socket.gethostname(), socket.getfqdn(), *_own_addresses()]
    elif address not in LOCAL:
        names += [address]
    return list(dict.fromkeys([*(f"{name}:{port}" for name in names), *more]))


def _own_addresses() -> list[str]:
    try:
        return [str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    except OSError:  # the machine cannot resolve its own name
        return []


def _set_environment(model: str | None, models: Sequence[str], device: str, dtype: str | None, public: bool) -> None:
    """The options of the command line as environment variables, which every session reads."""
    first = model or (models[0] if models and not environment().model else None)
    offered = dict.fromkeys([*([first] if first else []), *models]) if models else ()
    set_environment(model=first, models=tuple(offered), device=device, dtype=dtype, public=public)


def bring_model(device: str = "cpu", dtype: str | None = None) -> None:
    """Load the first model at start, with progress in the terminal; sessions that begin meanwhile show the same progress."""
    from txpanel.models.choice import choose  # late: seconds; the command says first where the page is
    from txpanel.session.shared import shared_model

    bar = Bar()
    try:
        chosen = choose()
        policy.offer(chosen.name)
        print(_("Model: {name}. {reason}").format(name=chosen.name, reason=chosen.reason), flush=True)
        shared_model(chosen.name, device=device, dtype=dtype, progress=bar)
    except TxpanelError as error:  # the page says so as well, and offers others
        bar.close()
        print(f"txpanel: {error}", file=sys.stderr)
    finally:
        bar.close()
