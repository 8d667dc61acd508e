"""Work for a client lasts as long as the client: nothing is read, walked or waited for on behalf of nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from guts_core.errors import GutsError

from .middleware import Receive


@asynccontextmanager
async def while_there(receive: Receive) -> AsyncIterator[None]:
    """The block ends early with the client, whose request has been read; errors of ours come out as they are."""

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        nursery.cancel_scope.cancel()

    failed: GutsError | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        try:
            yield
        except GutsError as error:
            failed = error
        nursery.cancel_scope.cancel()
    if failed is not None:
        raise failed
