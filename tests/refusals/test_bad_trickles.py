"""A body that comes in a trickle, and an account beyond its quota: their share is bounded, others get theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from guts_http.git import body
from guts_http.git.body import Body
from guts_http.problems import TooSlow
from tests.http import node_world
from tests.http.node_world import PARAMS, bearing
from tests.refusals.doors_world import MAIN, open_door, push_body, report


async def read_all(pieces: list[bytes], seconds_each: float) -> int:
    """What a body of these pieces comes to, each after a while."""
    left = list(pieces)

    async def receive() -> Any:
        await trio.sleep(seconds_each)
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    return sum([len(piece) async for piece in Body(receive, None, 1 << 30)])


async def test_bad_D02_a_trickle_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    """A byte a second passes every limit of silence and would hold a turn for ever."""
    with pytest.raises(TooSlow, match="less than 16384 bytes in 30 s"):
        await read_all([b"x"] * 1_000, 1.0)

    assert trio.current_time() < 2 * body.TRICKLE_SECONDS + 1


async def test_bad_D02_a_slow_line_is_served(autojump_clock: trio.testing.MockClock) -> None:
    """A kibibyte a second, for ten minutes."""
    assert await read_all([bytes(1024)] * 600, 1.0) == 600 * 1024


async def test_bad_K05_an_account_beyond_its_quota_waits_and_others_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Valid transactions in a flood: refused in words at the number, by the state machine, for this account alone."""
    from attrs import evolve

    monkeypatch.setattr(node_world, "PARAMS", evolve(PARAMS, quota_transactions=12))
    async with open_door(tmp_path) as door:
        made = [await door.node.create(door.token, f"flood-{number}") for number in range(20)]
        pushed = report(await door.push(push_body([MAIN])))
        bob = await door.node.token("bob")
        others = await door.node.create(bob, "mine")

        assert {201, 429} == {answer.status_code for answer in made}
        assert [answer.status_code for answer in made] == sorted(answer.status_code for answer in made)
        assert pushed[1].startswith("ng refs/heads/main")
        assert others.status_code == 201
        shown = await door.node.http.get("/api/v3/repos/alice/flood-19", headers=bearing(door.token))
        assert shown.status_code == 404
