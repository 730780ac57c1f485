"""``/metrics``: the metrics of :mod:`txpanel.models.metrics` and of the process, in the format of Prometheus.

Who may read them (`may_read`): programs on this machine, unless the operator says otherwise (``TXPANEL_METRICS``). They hold numbers
only; but how many people are here, and when, is nobody else's business.
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Iterator, Mapping
from typing import Any, cast

from txpanel.messages import _
from txpanel.models import metrics
from txpanel.models.environment import environment
from txpanel.server import health, upkeep, visitors
from txpanel.server.health import Handler

__all__ = ["MetricsHandler", "exposition", "may_read"]


def may_read(ip: str, host: str, headers: Mapping[str, str], allowed: tuple[str, ...]) -> bool:
    """Whether the sender of a request may read the metrics.

    A proxy on this machine that says nothing of those behind it looks like a program on this machine. So where strangers can reach
    the server, even this machine's own programs are refused until the operator names them.

    Args:
        ip: of the connection. host: the request's ``Host``. headers: of the request.
        allowed: ``TXPANEL_METRICS``: ``local``, ``all``, ``none``, addresses and networks; empty: ``local`` unless the server is public.
    """
    if "none" in allowed or "all" in allowed:
        return "none" not in allowed
    if any(name in headers for name in visitors.FORWARDED):
        return False
    address = _address(ip)
    if address is None:
        return False
    if not allowed and visitors.is_public(host):
        return False
    if address.is_loopback and not visitors.is_loopback(host):
        return False  # a page of another site under a name of its own, or those behind a proxy that says nothing
    if (not allowed or "local" in allowed) and address.is_loopback:
        return True
    return any(address in network for network in map(_network, allowed) if network is not None)


def _address(text: str) -> Any:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:  # a socket in the file system has no address
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _network(text: str) -> Any:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


class MetricsHandler(Handler):
    """Answers ``/metrics``."""

    def get(self) -> None:
        """The metrics, or a sentence for those who may not read them."""
        request = self.request
        if not may_read(request.remote_ip or "", request.host or "", request.headers, environment().metrics):
            self.set_status(403)
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(
                _("These figures are not public. The operator of the server can open them with --metrics.") + "\n"
            )
            return
        body, kind = exposition(request.headers.get("Accept", ""))
        self.set_header("Content-Type", kind)
        self.finish(body)


def exposition(accept: str = "") -> tuple[bytes, str]:
    """All metrics as text, and the type of that text.

    Args:
        accept: the request's header: Prometheus asks for the formats that it can read.
    """
    # late: 50 ms that a start without Prometheus need not pay
    from prometheus_client import CollectorRegistry, ProcessCollector
    from prometheus_client.exposition import choose_encoder

    registry = CollectorRegistry(auto_describe=False)
    registry.register(cast(Any, _Metrics()))
    ProcessCollector(registry=registry)
    metrics.SESSIONS.of(upkeep.open_sessions)
    metrics.READY.of(lambda: health.state.status == "ready")
    metrics.WEIGHTS.of(_weights)
    try:
        encode, kind = choose_encoder(accept)
    except (TypeError, ValueError):  # it names a version that is none
        encode, kind = choose_encoder("")
    return encode(registry), kind


def _weights() -> float:
    shared = sys.modules.get("txpanel.session.shared")  # not imported here: it imports torch
    return shared.models.nbytes if shared is not None else 0


class _Metrics:
    """A collector in the sense of prometheus_client: our metrics as its families."""

    def collect(self) -> Iterator[Any]:
        for metric in list(metrics.ALL.values()):
            yield _family(metric)


def _family(metric: metrics.Metric) -> Any:
    # late: as above
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    labels = [metric.label] if metric.label else []
    family: Any
    if isinstance(metric, metrics.Times):
        family = HistogramMetricFamily(f"txpanel_{metric.name}", metric.help, labels=labels)
        edges = [*map(str, metric.bounds), "+Inf"]
        for kind, counts, total in metric.values():
            upto = [sum(counts[: place + 1]) for place in range(len(counts))]
            family.add_metric([kind] if labels else [], list(zip(edges, upto, strict=True)), total)
        return family
    kinds = CounterMetricFamily if isinstance(metric, metrics.Counter) else GaugeMetricFamily
    family = kinds(f"txpanel_{metric.name}", metric.help, labels=labels)
    assert isinstance(metric, metrics.Counter | metrics.Gauge)
    for kind, value in metric.values().items():
        family.add_metric([kind] if labels else [], value)
    return family
