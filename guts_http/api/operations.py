"""What operators' tools ask (``/livez``, ``/startupz``, ``/readyz``, ``/metrics``), and the page at ``/``."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from quart import Response

from guts_core.errors import GutsError, Unavailable
from guts_core.node.port import AskFigures, Figures
from guts_http import pages
from guts_http.health import STARTING, UNREACHABLE, Reason, reasons
from guts_http.metrics import Metrics
from guts_http.port import ask
from guts_http.problems import RETRY_SECONDS
from guts_http.routing import Access, Asked, Reply, Routes

from .network import status_values

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


def routes_with(metrics: Metrics) -> Routes:
    """The routes over these metrics."""
    routes = Routes()

    @routes.serves("/livez", Access.PUBLIC)
    async def livez(_asked: Asked) -> Reply:
        """This process answers."""
        return Reply({"status": "alive"})

    @routes.serves("/startupz", Access.PUBLIC)
    async def startupz(asked: Asked) -> Reply:
        """
        The node has replayed its log and joined in.

        Catching up is not waited for: whoever restarts what is slow to start would only throw a node back.
        """
        try:
            status = await asked.site.status()
        except Unavailable:
            return _unfit("starting", [UNREACHABLE])
        return (
            Reply({"status": "started", "height": status.height}) if status.started else _unfit("starting", [STARTING])
        )

    @routes.serves("/readyz", Access.PUBLIC)
    async def readyz(asked: Asked) -> Reply:
        """The node behind this door is fit to be asked; if not, every reason."""
        try:
            status = await asked.site.status()
        except Unavailable:
            return _unfit("unready", [UNREACHABLE])
        found = reasons(status)
        standing = {"height": status.height, "peers": status.peers}
        if any(reason.grave for reason in found):
            return _unfit("unready", found, **standing)
        return Reply({"status": "degraded" if found else "ready", **standing, "reasons": _said(found)})

    @routes.serves("/metrics", Access.PUBLIC)
    async def show_metrics(asked: Asked) -> Response:
        """Figures; without the node its own ones stay as they were."""
        metrics.up = False
        with suppress(GutsError):
            status, figures = await asked.site.status(), await ask(asked.site.port, AskFigures())
            assert isinstance(figures, Figures)
            metrics.note(status, figures)
        return Response(metrics.text(), content_type=PROMETHEUS)

    @routes.serves("/", Access.PUBLIC)
    async def index(asked: Asked) -> Response:
        """The page for people."""
        return pages.index(await status_values(asked), asked.base_url)

    return routes


def _unfit(word: str, found: Iterable[Reason], **standing: Any) -> Reply:
    body = {"status": word, **standing, "reasons": _said(found)}
    return Reply(body, 503, {"Retry-After": str(RETRY_SECONDS)})


def _said(found: Iterable[Reason]) -> list[dict[str, str]]:
    return [{"code": reason.code, "message": reason.message} for reason in found]
