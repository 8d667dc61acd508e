"""Histories, files and archives are judged again when they are read, before the first byte: work takes a while."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
import trio

from guts_core.errors import NotFound, Unauthenticated
from guts_core.forge import queries
from guts_core.forge.permissions import ANONYMOUS
from guts_http.asker import Asker
from guts_http.git.in_process import opened
from guts_http.git.reading import reading
from guts_http.reader import Reader
from guts_http.site import Settings, Site
from tests.http.http_world import PATIENCE_SECONDS
from tests.http.node_world import Node, a_history, bearing, git, open_world

Read: TypeAlias = Callable[[Asker], AbstractAsyncContextManager[object]]


@asynccontextmanager
async def a_stranger(tmp_path: Path) -> AsyncIterator[tuple[Asker, Node, str]]:
    """Somebody without an account who reads a public repository, and its owner's token."""
    work = await a_history(tmp_path, commits=2)
    async with open_world(tmp_path) as node:
        token = await node.token("alice")
        assert (await git(work, "push", "-q", node.remote("alice/hello", "alice", token), "main")).code == 0
        reader = Reader(node.database, node.genesis)
        with reader.snapshot() as snapshot:
            found = queries.repository_by_name(snapshot, "alice", "hello")
        assert found is not None
        with trio.fail_after(PATIENCE_SECONDS):
            yield Asker(Site(node.port, reader, Settings()), ANONYMOUS, found.id, None), node, token
        reader.close()


async def hide(node: Node, token: str) -> None:
    """The repository becomes private."""
    path = "/api/v3/repos/alice/hello"
    assert (await node.http.patch(path, json={"private": True}, headers=bearing(token))).status_code == 200


async def hide_and_miss(node: Node, token: str) -> None:
    """And what is read is not there."""
    await hide(node, token)
    raise NotFound("there is no such object")


@pytest.mark.parametrize("read", [reading, opened])
async def test_what_was_read_does_not_outlive_a_permission(tmp_path: Path, read: Read) -> None:
    """The repository becomes private while it is read for a stranger: nothing of it is told."""
    async with a_stranger(tmp_path) as (asker, node, token):
        async with read(asker):
            pass
        with pytest.raises(Unauthenticated, match="sign in"):
            async with read(asker):
                await hide(node, token)


@pytest.mark.parametrize("read", [reading, opened])
async def test_what_was_not_found_does_not_outlive_a_permission(tmp_path: Path, read: Read) -> None:
    """That an object is not there is told of the repository as well."""
    async with a_stranger(tmp_path) as (asker, node, token):
        with pytest.raises(NotFound, match="no such object"):
            async with read(asker):
                raise NotFound("there is no such object")
        with pytest.raises(Unauthenticated, match="sign in"):
            async with read(asker):
                await hide_and_miss(node, token)
