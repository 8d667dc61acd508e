"""
Figures for Prometheus, in a registry of their own: one process may hold several nodes (tests do).

What the doors count stands here, what the node says of itself is shown as it said it last. ``FAMILIES``
is all of it but what the operating system says of the process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any

from attrs import frozen
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from guts_core.discovery import Outlook
from guts_core.forge.rules import KNOWN_RULES
from guts_core.node.figures import FIGURES, Known, Shape
from guts_core.node.port import Figure, Figures, Status
from guts_core.version import VERSION

from .middleware import Access

# From a cached page to a push that waits out its 30 s.
_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_US = 1_000_000
_MS = 1_000
# All that this build can execute; which of them hold the status says.
_RULES = ",".join(map(str, KNOWN_RULES))


@frozen
class Family:
    """A metric by its name in Prometheus: counters end in ``_total``, units are seconds and bytes."""

    name: str
    type: str
    words: str
    labels: tuple[str, ...] = ()


Values = Iterable[tuple[tuple[str, ...], float]]


@frozen
class _OfStatus:
    family: Family
    read: Callable[[Status], Values]


def _gauge(name: str, words: str, read: Callable[[Status], float]) -> _OfStatus:
    return _OfStatus(Family(name, "gauge", words), lambda status: [((), read(status))])


def _peers(name: str, words: str, read: Callable[[Status, Any], float | None]) -> _OfStatus:
    def values(status: Status) -> Values:
        found = ((peer.name, read(status, peer)) for peer in status.peer_statuses)
        return [((label,), value) for label, value in found if value is not None]

    return _OfStatus(Family(name, "gauge", words, ("validator",)), values)


def _slots(status: Status) -> Values:
    counted = [(peer.name, peer.led, peer.missed) for peer in status.peer_statuses]
    if status.validator_index is not None:
        counted.append(("self", status.led, status.missed))
    for name, led, missed in counted:
        yield (name, "led"), led
        yield (name, "missed"), missed


_STATUS = (
    _OfStatus(Family("guts_build_info", "gauge", "1", ("version", "rules")), lambda _: [((VERSION, _RULES), 1)]),
    _gauge("guts_node_height", "Last finalized and executed block", lambda s: s.height),
    _gauge("guts_node_view", "Current view of agreement", lambda s: s.view),
    _gauge("guts_node_validators", "Validators of the network", lambda s: s.validators),
    _gauge("guts_node_quorum", "How many of them agreement takes", lambda s: s.quorum),
    _gauge("guts_node_peers", "Connected validators other than this one", lambda s: s.peers),
    _gauge("guts_node_behind_blocks", "Blocks that this node lacks, at most", lambda s: s.behind),
    _gauge("guts_node_final_age_seconds", "Since a newer final block was learned of", lambda s: s.final_age_ms / _MS),
    _gauge("guts_node_missing_packs", "Admitted packs this node does not hold yet", lambda s: s.missing_packs),
    _gauge("guts_node_missing_texts", "Texts it is to hold and does not hold yet", lambda s: s.missing_texts),
    _gauge("guts_node_mempool", "Transactions that wait for a block", lambda s: s.mempool),
    _gauge("guts_node_halted", "1 when agreement has stopped", lambda s: s.halted is not None),
    _gauge("guts_node_damaged", "1 when its disk lost what it cannot mend by itself", lambda s: s.damage is not None),
    _gauge("guts_node_cut_off", "1 when it sees too little of the network", lambda s: s.outlook is not Outlook.CLEAR),
    _gauge("guts_node_disk_free_bytes", "Free on the disk of its directory", lambda s: s.disk_free),
    _gauge("guts_node_disk_reserve_bytes", "With less free, writes of clients are refused", lambda s: s.disk_reserve),
    _gauge("guts_node_uptime_seconds", "Since its start", lambda s: s.uptime_ms / _MS),
    _OfStatus(
        Family(
            "guts_node_leader_slots_total",
            "counter",
            "Turns to lead that became blocks, or were passed over; `self` is this node",
            ("validator", "outcome"),
        ),
        _slots,
    ),
    _peers("guts_peer_connected", "1 while connected", lambda _, p: p.connected),
    _peers(
        "guts_peer_round_trip_seconds",
        "There and back",
        lambda _, p: None if p.round_trip_us is None else p.round_trip_us / _US,
    ),
    _peers(
        "guts_peer_clock_offset_seconds",
        "Its clock less this machine's",
        lambda s, p: None if p.clock is None else (p.clock - s.clock) / _MS,
    ),
)  # fmt: skip
_UP = Family("guts_node_up", "gauge", "1 while the node behind this door answers")
_HTTP = (
    Family("guts_http_requests_total", "counter", "Answered requests", ("door", "method", "status")),
    Family("guts_http_sent_bytes_total", "counter", "Bytes of answers", ("door",)),
    Family("guts_http_request_seconds", "histogram", "Time to answer", ("door",)),
)


def _family(known: tuple[Known, ...]) -> Family:
    first = known[0]
    name = first.metric + "_total" * (first.shape is Shape.COUNTER)
    labels = () if first.label is None else (first.label[0],)
    return Family(name, first.shape.value, first.words, labels)


_COUNTED = tuple(tuple(same) for _, same in groupby(FIGURES, key=lambda known: known.metric))
FAMILIES: tuple[Family, ...] = (
    _UP,
    *(one.family for one in _STATUS),
    *map(_family, _COUNTED),
    *_HTTP,
)


class Metrics:
    """What the doors count, and what the node said last."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._node = _NodeCollector()
        self._registry.register(self._node)
        ProcessCollector(registry=self._registry)
        requests, sent, seconds = _HTTP
        self._requests = Counter(requests.name, requests.words, requests.labels, registry=self._registry)
        self._bytes = Counter(sent.name, sent.words, sent.labels, registry=self._registry)
        self._seconds = Histogram(
            seconds.name, seconds.words, seconds.labels, buckets=_BUCKETS, registry=self._registry
        )

    @property
    def up(self) -> bool:
        """Whether the node answered when it was asked last."""
        return self._node.up

    @up.setter
    def up(self, up: bool) -> None:
        self._node.up = up

    def count(self, access: Access) -> None:
        """Count one request."""
        door = _door(access.path)
        # Methods are the client's words: unknown ones would make a series each.
        method = access.method if access.method in _METHODS else "other"
        self._requests.labels(door, method, str(access.status or "gone")).inc()
        self._bytes.labels(door).inc(access.bytes_sent)
        self._seconds.labels(door).observe(access.seconds)

    def note(self, status: Status, figures: Figures) -> None:
        """Keep what the node says of itself."""
        self._node.status, self._node.figures, self._node.up = status, figures, True

    def text(self) -> bytes:
        """All of it in Prometheus's text format."""
        return generate_latest(self._registry)


class _NodeCollector(Collector):
    """The node's own words as families."""

    def __init__(self) -> None:
        self.status: Status | None = None
        self.figures: Figures | None = None
        self.up = False

    def collect(self) -> Iterator[Metric]:
        """All that is known; nothing before the node was asked."""
        yield GaugeMetricFamily(_UP.name, _UP.words, self.up)
        if self.status is not None:
            for one in _STATUS:
                yield _filled(one.family, one.read(self.status))
        if self.figures is not None:
            said = {figure.key: figure for figure in self.figures.figures}
            for known in _COUNTED:
                yield _of_figures(known, said)


def _filled(family: Family, values: Values) -> Metric:
    kind = CounterMetricFamily if family.type == "counter" else GaugeMetricFamily
    filled = kind(family.name, family.words, labels=family.labels)
    for labels, value in values:
        filled.add_metric(labels, value)
    return filled


def _of_figures(known: tuple[Known, ...], said: dict[str, Figure]) -> Metric:
    family = _family(known)
    present = [(one, said[one.key]) for one in known if one.key in said]
    if known[0].shape is Shape.SUMMARY:
        summary = SummaryMetricFamily(family.name, family.words)
        for _, figure in present:
            summary.add_metric((), figure.count or 0, figure.value / _US)
        return summary
    unit = _US if family.name.endswith("_seconds") else 1
    return _filled(family, [((one.label[1],) if one.label else (), figure.value / unit) for one, figure in present])


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _door(path: str) -> str:
    if path.startswith("/api/"):
        return "api"
    if path.endswith(("/info/refs", "/git-upload-pack", "/git-receive-pack")):
        return "git"
    return "page"
