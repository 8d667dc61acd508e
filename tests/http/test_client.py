"""The client against a running node."""

from __future__ import annotations

from pathlib import Path

import trio

from guts_http.client import open_client, open_trio_client
from tests.http.node_world import open_world


async def test_both_clients_say_the_same(tmp_path: Path) -> None:
    """One description of requests, carried two ways."""
    async with open_world(tmp_path) as node:
        token = await node.token("alice")

        def plainly() -> tuple[object, ...]:
            with open_client(node.url, token) as client:
                made = client.create_repository("hello", description="words")
                return (made.full_name, client.account("alice"), list(client.my_repositories()), client.validators())

        plain = await trio.to_thread.run_sync(plainly)
        async with open_trio_client(node.url, token) as client:
            again = await client.repository("alice/hello")
            awaited = (
                again.full_name,
                await client.account("alice"),
                [one async for one in client.my_repositories()],
                await client.validators(),
            )
            status = await client.status()

    assert plain == awaited
    assert again.description == "words"
    assert status.chain_id == node.chain
    assert status.node == node.node_id
