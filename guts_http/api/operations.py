"""What operators' tools ask (``/livez``, ``/readyz``, ``/metrics``), and the page at ``/``."""

from __future__ import annotations

from contextlib import suppress

from quart import Response

from guts_core.errors import GutsError, Unavailable
from guts_http import pages
from guts_http.metrics import Metrics
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

    @routes.serves("/readyz", Access.PUBLIC)
    async def readyz(asked: Asked) -> Reply:
        """The node behind this door answers and has not stopped."""
        status = await asked.site.status()
        if status.halted is not None:
            raise Unavailable(f"agreement has stopped: {status.halted}")
        if status.damage is not None:
            raise Unavailable(status.damage)
        return Reply({"status": "ready", "height": status.height, "peers": status.peers})

    @routes.serves("/metrics", Access.PUBLIC)
    async def show_metrics(asked: Asked) -> Response:
        """Figures; without the node its own ones stay as they were."""
        with suppress(GutsError):
            metrics.note(await asked.site.status())
        return Response(metrics.text(), content_type=PROMETHEUS)

    @routes.serves("/", Access.PUBLIC)
    async def index(asked: Asked) -> Response:
        """The page for people."""
        return pages.index(await status_values(asked), asked.base_url)

    return routes
