"""`/metrics`: who may read it, and that what is read is what Prometheus reads."""

from __future__ import annotations

import logging
import os

import pytest
from prometheus_client.parser import text_string_to_metric_families

from txpanel.models import metrics
from txpanel.models.environment import environment
from txpanel.server import cli, launch, operator_pages
from txpanel.server.metrics import exposition, may_read

LOCAL = ("127.0.0.1", "localhost:5006", {})
IPV6 = ("::1", "[::1]:5006", {})
MAPPED = ("::ffff:127.0.0.1", "127.0.0.1:5006", {})
ELSEWHERE = ("10.1.2.3", "class.example.org", {})
PROXIED = ("127.0.0.1", "127.0.0.1:5006", {"X-Forwarded-For": "127.0.0.1"})
SCHEME_ONLY = ("127.0.0.1", "127.0.0.1:5006", {"X-Forwarded-Proto": "https"})
PLAIN_PROXY = ("127.0.0.1", "class.example.org", {})
REBOUND = ("127.0.0.1", "evil.example:5006", {})
SOCKET = ("", "localhost", {})


@pytest.mark.parametrize(
    ("allowed", "may", "may_not"),
    [
        ((), [LOCAL, IPV6, MAPPED], [ELSEWHERE, PROXIED, SCHEME_ONLY, PLAIN_PROXY, SOCKET]),
        (("local",), [LOCAL, IPV6], [ELSEWHERE, PROXIED, SCHEME_ONLY, PLAIN_PROXY, SOCKET]),
        (("127.0.0.1",), [LOCAL, MAPPED], [REBOUND, PROXIED]),
        (("10.0.0.0/8",), [ELSEWHERE], [LOCAL, PROXIED]),
        (("local", "10.1.2.3"), [LOCAL, ELSEWHERE], [PROXIED]),
        (("10.1.2.4", "nonsense"), [], [LOCAL, ELSEWHERE]),
        (("all",), [LOCAL, ELSEWHERE, PROXIED], []),
        (("none",), [], [LOCAL, ELSEWHERE]),
        (("all", "none"), [], [LOCAL]),
    ],
    ids=str,
)
def test_who_may_read(allowed: tuple[str, ...], may: list, may_not: list, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[type-arg]
    monkeypatch.delenv("TXPANEL_PUBLIC", raising=False)
    assert [who for who in may if not may_read(*who, allowed)] == []
    assert [who for who in may_not if may_read(*who, allowed)] == []


OPEN = "application/openmetrics-text;version="


@pytest.mark.parametrize("accept", ["", "*/*", OPEN + "1.0.0", OPEN + "x", "text/plain;version=é;q=b"])
def test_whatever_is_accepted_gets_the_metrics(accept: str) -> None:
    body, _kind = exposition(accept)
    assert b"txpanel_ready" in body


def test_where_strangers_come_in_local_programs_are_named_by_the_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TXPANEL_PUBLIC", "1")
    assert not may_read(*LOCAL, ())
    assert may_read(*LOCAL, ("local",))


def read() -> dict[str, dict[tuple[str, ...], float]]:
    """As Prometheus reads it: samples by name and labels."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(exposition()[0].decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_every_metric_is_there_under_its_name_and_with_its_sentence() -> None:
    text = exposition()[0].decode()
    for metric in metrics.ALL.values():
        assert f"# HELP txpanel_{metric.name}" in text
        assert metric.help in text


def test_what_was_counted_is_what_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics.QUEUE, "_readers", {})
    before = read()
    metrics.PASSES.add()
    metrics.TOKENS.add(7)
    metrics.REFUSALS.add(kind="beams")
    metrics.WAIT.seen(0.3, kind="look")
    metrics.QUEUE.of(lambda: 4, kind="look")
    after = read()

    def grown(name: str, *labels: str) -> float:
        return after[name][labels] - before.get(name, {}).get(labels, 0)

    assert grown("txpanel_passes_total") == 1
    assert grown("txpanel_tokens_total") == 7
    assert grown("txpanel_refusals_total", "beams") == 1
    assert grown("txpanel_queue_wait_seconds_count", "look") == 1
    assert grown("txpanel_queue_wait_seconds_bucket", "look", "0.25") == 0
    assert grown("txpanel_queue_wait_seconds_bucket", "look", "0.5") == 1
    assert grown("txpanel_queue_wait_seconds_bucket", "look", "+Inf") == 1
    assert after["txpanel_queue_length"]["look",] == 4
    assert after["process_resident_memory_bytes"][()] > 1e6


def test_a_run_of_the_model_is_counted_once(nano) -> None:  # type: ignore[no-untyped-def]
    before = read()
    ids = list(nano.encode("CBABBC="))
    nano.trace("CBABBC=")
    after = read()
    assert after["txpanel_passes_total"][()] - before["txpanel_passes_total"][()] == 1
    assert 1 <= after["txpanel_tokens_total"][()] - before["txpanel_tokens_total"][()] <= len(ids)


def test_errors_in_the_log_are_counted_by_library_and_never_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    operator_pages.watch_log()
    operator_pages.watch_log()
    try:
        before = read().get("txpanel_errors_total", {})
        logging.getLogger("txpanel.somewhere").error("My secret text")
        logging.getLogger("txpanel.somewhere").warning("not an error")
        logging.getLogger("panel.io").error("once, though Panel keeps its lines to itself")
        logging.getLogger("My secret text").error("")
        after = read()["txpanel_errors_total"]
        grown = {kind: after[kind] - before.get(kind, 0) for kind in after}
        assert {kind[0]: n for kind, n in grown.items() if n} == {"txpanel": 1, "panel": 1, "other": 1}
        assert b"secret" not in exposition()[0]
    finally:
        for name in ("", "panel", "bokeh"):
            logger = logging.getLogger(name)
            for handler in [one for one in logger.handlers if isinstance(one, operator_pages._Errors)]:
                logger.removeHandler(handler)


def test_prometheus_gets_the_format_it_asks_for() -> None:
    body, kind = exposition("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")
    assert kind.startswith("application/openmetrics-text")
    assert body.rstrip().endswith(b"# EOF")
    assert exposition()[1].startswith("text/plain")


@pytest.mark.parametrize("given", ["somebody", "local,10.0.0.0/99"])
def test_a_wrong_reader_is_a_sentence(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["serve", "--metrics", given])
    assert "is not local, all, none, or an address or network" in capsys.readouterr().err


def test_readers_on_the_command_line_are_those_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", dict(os.environ))
    monkeypatch.setattr(launch, "serve", lambda **_options: 0)
    assert cli.main(["serve", "--metrics", "local, 10.0.0.0/8"]) == 0
    assert environment().metrics == ("local", "10.0.0.0/8")
