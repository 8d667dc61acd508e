"""Figures for Prometheus, in a registry of their own: one process may hold several nodes (tests do)."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from guts_core.node.port import Status

from .middleware import Access

# From a cached page to a push that waits out its 30 s.
_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """What the doors count, and what the node said last."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        labels = ["door", "method", "status"]
        self._requests = Counter("guts_http_requests", "Answered requests", labels, registry=self._registry)
        self._bytes = Counter("guts_http_sent_bytes", "Bytes of answers", ["door"], registry=self._registry)
        self._seconds = Histogram(
            "guts_http_request_seconds", "Time to answer", ["door"], buckets=_BUCKETS, registry=self._registry
        )
        self._node = {
            name: Gauge(f"guts_node_{name}", words, registry=self._registry)
            for name, words in (
                ("height", "Last finalized and executed block"),
                ("view", "Current view of agreement"),
                ("peers", "Connected validators other than this one"),
                ("missing_packs", "Admitted packs this node does not hold yet"),
                ("missing_texts", "Texts this node is to hold and does not hold yet"),
                ("mempool", "Transactions that wait for a block"),
            )
        }
        self._final_age = Gauge(
            "guts_node_final_age_seconds", "Since a newer final block was learned of", registry=self._registry
        )

    def count(self, access: Access) -> None:
        """Count one request."""
        door = _door(access.path)
        # Methods are the client's words: unknown ones would make a series each.
        method = access.method if access.method in _METHODS else "other"
        self._requests.labels(door, method, str(access.status or "gone")).inc()
        self._bytes.labels(door).inc(access.bytes_sent)
        self._seconds.labels(door).observe(access.seconds)

    def note(self, status: Status) -> None:
        """Keep what the node says of itself."""
        for name, gauge in self._node.items():
            gauge.set(getattr(status, name))
        self._final_age.set(status.final_age_ms / 1000)

    def text(self) -> bytes:
        """All of it in Prometheus's text format."""
        return generate_latest(self._registry)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _door(path: str) -> str:
    if path.startswith("/api/"):
        return "api"
    if path.endswith(("/info/refs", "/git-upload-pack", "/git-receive-pack")):
        return "git"
    return "page"
