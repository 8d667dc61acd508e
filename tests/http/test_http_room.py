"""What answers hold until their clients have taken them: each address has a share of it, and one answer at least."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

from guts_http import site
from guts_http.clients import Trusted
from guts_http.problems import TooManyAtOnce
from guts_http.room import Room
from guts_http.site import Settings
from guts_http.turns import Shares
from tests.http.http_world import PATIENCE_SECONDS
from tests.http.node_world import a_history, git, open_world

ONE, OTHER, THIRD = "192.0.2.1", "192.0.2.2", "192.0.2.3"
TARBALL = "/api/v3/repos/alice/hello/tarball"
MIB = 1 << 20


def test_each_address_has_a_share_and_one_answer_at_least() -> None:
    """A quarter of all; one answer that is longer is still given, and nothing beside it."""
    room = Room(100, Shares(25, Trusted()))
    with room.held(20, ONE), room.held(5, ONE):
        with pytest.raises(TooManyAtOnce, match="at most 25 bytes of answers for one address"), room.held(1, ONE):
            raise AssertionError
        with room.held(60, OTHER):
            with pytest.raises(TooManyAtOnce, match="for one address"), room.held(1, OTHER):
                raise AssertionError
            with pytest.raises(TooManyAtOnce, match="at most 100 bytes of answers for clients"), room.held(16, THIRD):
                raise AssertionError
            with room.held(15, THIRD):
                assert room.left == 0
    assert (room.left, room.held_by) == (100, {})


def test_who_speaks_for_many_has_no_share_of_room() -> None:
    """A Unix socket, and a trusted proxy that says nothing; an IPv6 network counts as one, loopback twice."""
    shares = Shares(25, Trusted(["10.0.0.0/8"]))
    for client in (None, "10.1.2.3"):
        room = Room(100, shares)
        with room.held(50, client), room.held(50, client):
            assert room.left == 0
    room = Room(100, shares)
    with (
        room.held(20, "2001:db8::1"),
        pytest.raises(TooManyAtOnce, match="one address"),
        room.held(20, "2001:db8::2"),
    ):
        raise AssertionError
    with room.held(20, "127.0.0.1"), room.held(30, "127.0.0.1"):
        assert room.left == 50


async def test_archives_of_one_address_leave_room_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that are not read take what one address may hold; it is told so, and another address has its archive."""
    monkeypatch.setattr(site, "ROOM_BYTES_MAX", 120 * MIB)
    settings = Settings(turns_percent_per_address=50, trusted_proxies=("127.0.0.1",))
    work = await a_history(tmp_path, commits=1, payload=os.urandom(24 * MIB))
    async with open_world(tmp_path, settings) as node, AsyncExitStack() as held:
        token = await node.token("alice")
        assert (await git(work, "push", "-q", node.remote("alice/hello", "alice", token), "main")).code == 0
        with trio.fail_after(PATIENCE_SECONDS):
            for _ in range(2):
                stream = node.http.stream("GET", TARBALL, headers={"x-forwarded-for": ONE})
                assert (await held.enter_async_context(stream)).status_code == 200
            refused = await node.http.get(TARBALL, headers={"x-forwarded-for": ONE})
            served = await node.http.get(TARBALL, headers={"x-forwarded-for": OTHER})

    assert (refused.status_code, refused.json()["code"]) == (503, "too-many-at-once")
    assert "bytes of answers for one address" in refused.text
    assert served.status_code == 200
