"""The command line: ``txpanel serve | models | plugins | lessons | doctor | export``, also as ``python -m txpanel``.

Nothing heavy is imported before a command needs it. What goes wrong is one sentence on standard error: exit code 1 for
a failure, 2 for a wrong command line, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import txpanel
from txpanel.errors import Cancelled, TxpanelError
from txpanel.messages import _
from txpanel.models.limits import GENEROUS, STRICT, option, words
from txpanel.server import panel_options
from txpanel.server.lessons_command import add_lessons
from txpanel.server.loading import load_chosen
from txpanel.server.terminal import table, write_anything

OK, FAILED, INTERRUPTED = 0, 1, 130


class Parser(argparse.ArgumentParser):
    """argparse, but an error is one sentence and not the whole usage."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where to read more; exit with 2."""
        advice = _("Try `{program} --help`.").format(program=self.prog)
        self.exit(2, f"{self.prog}: {message}. {advice}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: without the program's name; None takes those of the process.

    Returns:
        The exit code.
    """
    write_anything()
    given = parser().parse_args(arguments)
    given.arguments = sys.argv[1:] if arguments is None else list(arguments)
    run: Callable[[argparse.Namespace], int] = given.run
    try:
        return run(given)
    except (Cancelled, KeyboardInterrupt):
        print(_("Stopped."), file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
        sys.stderr.close()
        return OK
    except (TxpanelError, ValueError, OSError) as error:
        print(f"txpanel: {error}", file=sys.stderr)
        return FAILED


def parser() -> Parser:
    """All commands and options."""
    top = Parser(prog="txpanel", description=_("See how a language model gets to its next token."))
    top.add_argument("--version", action="version", version=f"txpanel {txpanel.__version__}")
    commands = top.add_subparsers(title=_("commands"), required=True, metavar="COMMAND", parser_class=Parser)
    for add in (_add_serve, _add_models, _add_plugins, add_lessons, _add_doctor, _add_export):
        add(commands)
    return top


Commands = Any  # argparse has no public name for what add_subparsers gives


def _add_serve(commands: Commands) -> None:
    serve = commands.add_parser(
        "serve", help=_("open the page"), description=_("Serve the page and print its address.")
    )
    _add_model_options(serve)
    serve.add_argument("--models", metavar="A,B,C", help=_("the models that visitors may choose; no others"))
    serve.add_argument(
        "--metrics",
        type=_readers,
        default="",
        metavar="WHO",
        help=_("who may read /metrics: local, all, none, or addresses and networks, joined by commas"),
    )
    serve.add_argument("--port", type=_port, help=_("port; 0 takes a free one (default: 5006, or the next free one)"))
    serve.add_argument(
        "--address", default="localhost", help=_("address to listen on; 0.0.0.0 means all (default: localhost)")
    )
    serve.add_argument(
        "--allow-websocket-origin",
        action="append",
        default=[],
        metavar="HOST[:PORT]",
        help=_("another host name under which visitors reach the page, such as that of a proxy; may be repeated"),
    )
    who = serve.add_mutually_exclusive_group()
    who.add_argument(
        "--public",
        action="store_true",
        help=_("visitors are not trusted: they get only the models that the server offers"),
    )
    who.add_argument(
        "--trusted", action="store_true", help=_("everyone who can reach the server may load any model and folder")
    )
    serve.add_argument(
        "--embed-in",
        action="append",
        default=[],
        metavar="ORIGIN",
        help=_("a site that may show the page in a frame, such as https://school.example; may be repeated"),
    )
    serve.add_argument(
        "--classes", action="store_true", help=_("visitors may lead others through a lesson: a class, without accounts")
    )
    panel_options.add_options(serve)
    for name, what in words().items():
        most = _("default: {generous} on this machine, {strict} for others; 0: no limit").format(
            generous=getattr(GENEROUS, name), strict=getattr(STRICT, name)
        )
        serve.add_argument(option(name), type=_count, metavar="N", help=f"{what} ({most})")
    serve.add_argument("--open", action="store_true", help=_("open the page in the browser"))
    serve.add_argument(
        "--supervise",
        action="store_true",
        help=_("restart the server when it has died or has not answered /health for 10 seconds"),
    )
    serve.set_defaults(run=_serve)


def _add_models(commands: Commands) -> None:
    models = commands.add_parser("models", help=_("list the models"), description=_("List the models known by name."))
    models.add_argument("--json", action="store_true", help=_("output as JSON"))
    models.set_defaults(run=_models)


def _add_plugins(commands: Commands) -> None:
    plugins = commands.add_parser(
        "plugins", help=_("list the views"), description=_("List all views and their status.")
    )
    plugins.add_argument("--json", action="store_true", help=_("output as JSON"))
    plugins.add_argument("--strict", action="store_true", help=_("exit with code 1 if one cannot be used"))
    plugins.set_defaults(run=_plugins)


def _add_doctor(commands: Commands) -> None:
    doctor = commands.add_parser(
        "doctor", help=_("check for problems"), description=_("Check everything that txpanel needs.")
    )
    doctor.add_argument(
        "--model", metavar="NAME", help=_("the model whose memory needs are shown, before it is loaded")
    )
    doctor.add_argument("--json", action="store_true", help=_("output as JSON"))
    doctor.add_argument(
        "--deep",
        action="store_true",
        help=_("check all bytes of the downloaded models, delete damaged ones, and compare models again"),
    )
    doctor.set_defaults(run=_doctor)


def _add_export(commands: Commands) -> None:
    export = commands.add_parser(
        "export", help=_("save a run"), description=_("Run a model on a text and save the run.")
    )
    export.add_argument("text", help=_("the text; - reads it from standard input"))
    export.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("run.safetensors"),
        metavar="FILE",
        help=_(".safetensors keeps the whole run, .html the page (default: run.safetensors)"),
    )
    _add_model_options(export)
    export.set_defaults(run=_export)


def _add_model_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", metavar="NAME", help=_("name from `txpanel models`, hub id, folder or .gguf file"))
    command.add_argument("--device", default="cpu", help=_("cpu, cuda, cuda:1, mps (default: cpu)"))
    command.add_argument("--dtype", help=_("type of the weights, such as bfloat16 (default: float32)"))


def _readers(text: str) -> str:
    import ipaddress  # late: each command imports what it needs

    for who in filter(None, map(str.strip, text.split(","))):
        if who.lower() not in ("local", "all", "none"):
            try:
                ipaddress.ip_network(who, strict=False)
            except ValueError:
                said = _("{who} is not local, all, none, or an address or network such as 10.0.0.0/8")
                raise argparse.ArgumentTypeError(said.format(who=who)) from None
    return text


def _port(text: str) -> int:
    if not (text.isdecimal() and int(text) < 65536):
        raise argparse.ArgumentTypeError(
            _("{text} is not a port; it must be a number from 0 to 65535").format(text=text)
        )
    return int(text)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise argparse.ArgumentTypeError(_("{text} is not a number of 0 or more").format(text=text))
    return int(text)


def _serve(given: argparse.Namespace) -> int:
    from txpanel.models.environment import set_environment  # late: each command imports what it needs
    from txpanel.server.launch import serve

    if given.supervise:
        return _supervise(given)
    set_environment(metrics=given.metrics)
    models = [name.strip() for name in (given.models or "").split(",") if name.strip()]
    limits = {name: getattr(given, name) for name in words() if getattr(given, name) is not None}
    panel_options.check(given)
    panel_options.prepare_secrets(given)
    return serve(
        model=given.model, models=models, device=given.device, dtype=given.dtype, address=given.address,
        port=given.port, origins=given.allow_websocket_origin, open_browser=given.open, embed=given.embed_in, classes=given.classes,
        public=True if given.public else False if given.trusted else None,
        prefix=given.prefix or "", https=bool(given.ssl_certfile), more=panel_options.taken(given), limits=limits,
    )  # fmt: skip


def _supervise(given: argparse.Namespace) -> int:
    from txpanel.server.launch import asked_at, find_port  # late: each command imports what it needs
    from txpanel.server.supervise import supervise

    port = find_port(given.address, given.port)
    panel_options.check(given)
    panel_options.prepare_secrets(given)  # of all servers that follow: people stay logged in when one is started anew
    tls = bool(given.ssl_certfile)
    return supervise(given.arguments, asked_at(given.address), port, prefix=given.prefix or "", tls=tls)


def _models(given: argparse.Namespace) -> int:
    from txpanel.models import doctor  # late: each command imports what it needs
    from txpanel.models.progress import size_text

    rows = doctor.models()
    if given.json:
        _print_json([asdict(row) for row in rows])
        return OK
    head = (_("name"), _("model"), _("parameters"), _("bytes"), _("licence"), _("here"), _("sources"))
    cells = [
        (
            row.name,
            row.title,
            f"{row.parameters / 1e6:,.1f} M" if row.parameters else "",
            size_text(row.nbytes) if row.nbytes else "",
            row.licence,
            _("yes") if row.cached else "",
            ", ".join(row.sources),
        )
        for row in rows
    ]
    print(table(head, cells))
    return OK


def _plugins(given: argparse.Namespace) -> int:
    from txpanel.views.discovery import discover  # late: each command imports what it needs

    records = discover()
    if given.json:
        _print_json([record.as_dict() for record in records])
    else:
        head = (_("view"), _("package"), _("version"), _("status"), _("title, or the problem"))
        told = [r.error or (r.view_class.title if r.view_class else "") for r in records]
        print(table(head, [(r.name, r.dist, r.version, r.status, t) for r, t in zip(records, told, strict=True)]))
    bad = [record for record in records if record.status not in ("ok", "disabled")]
    return FAILED if given.strict and bad else OK


def _doctor(given: argparse.Namespace) -> int:
    from txpanel.models import doctor  # late: each command imports what it needs

    checks = [*doctor.doctor(given.model, deep=given.deep), _check_views()]
    if given.json:
        _print_json([asdict(check) for check in checks])
    else:
        signs = {"ok": "✓", "warning": "!", "error": "✗"}
        for check in checks:
            advice = f" {check.advice}" if check.advice else ""
            print(f"{signs[check.status]} {check.title}: {check.detail}.{advice}")
    return FAILED if any(check.status == "error" for check in checks) else OK


def _check_views() -> Any:
    from txpanel.models.doctor import Check  # late: each command imports what it needs
    from txpanel.views.discovery import discover

    records = discover()
    bad = [record.name for record in records if record.status not in ("ok", "disabled")]
    if not records:
        return Check(_("views"), "error", _("none registered"), _("Install txpanel: pip install ."))
    detail = _("{n} registered").format(n=len(records))
    if bad:
        advice = _("`txpanel plugins` says what is wrong with {names}.").format(names=", ".join(bad))
        return Check(_("views"), "warning", detail, advice)
    return Check(_("views"), "ok", detail)


def _export(given: argparse.Namespace) -> int:
    suffix = given.output.suffix.lower()
    if suffix not in (".safetensors", ".html"):
        raise ValueError(_("{file} must end in .safetensors or .html.").format(file=given.output))
    if not given.output.parent.is_dir():
        raise ValueError(_("There is no folder {folder}.").format(folder=given.output.parent))
    text = sys.stdin.read() if given.text == "-" else given.text
    model, chosen = load_chosen(given.model, device=given.device, dtype=given.dtype)
    if suffix == ".html":
        txpanel.explain(text, model=model).save(given.output)
    else:
        model.trace(text).save(given.output)
    print(
        _("Saved {file}, made by {model}. {reason}").format(file=given.output, model=model.title, reason=chosen.reason)
    )
    return OK


def _print_json(value: Any) -> None:
    readable = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
    print(json.dumps(value, indent=2, ensure_ascii=not readable))
