"""Conversations of the port: cut at every stage, malformed, too many, and answered in definite words."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from guts_core.chain import compose
from guts_core.chain.genesis import chain_id
from guts_core.codec import to_bytes
from guts_core.node.port import (
    REPLIES,
    AskStatus,
    OpenFetch,
    OpenPush,
    Outcome,
    PackData,
    PackEnd,
    Phase,
    PortError,
    Projection,
    SubmitTransaction,
)
from guts_core.node.push_parts import PushCommand
from guts_net import port_server, waiting
from guts_net.conversation import Conversation
from guts_net.packs import PackStore
from tests.core.chain.chain_world import creation

from .world import HOUR_MS, WAIT_MS, World, a_commit, ask, found, push, status, wait_until


def a_wish(world: World, name: str, lifetime_ms: int = HOUR_MS // 6) -> bytes:
    """A transaction that alice signed with her account key."""
    ends = int(time.time() * 1000) + lifetime_ms
    body = compose.by_account(chain_id(world.genesis), world.alice_id, (creation(name),), ends, os.urandom(32))
    return to_bytes(compose.sign_with_account_key(body, world.alice))


async def test_a_fetch_while_a_commit_is_on_its_way_shows_the_generation_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Final and not yet on disk is no reason to turn a reader away: the packs of what is committed are here."""
    world = found(tmp_path, 1)
    async with world.running() as (node,):
        assert (await world.give_credential(node)).error is None
        first = await push(node, world, "hello", a_commit(tmp_path / "one"))
        repo = next(iter(node._server._database.listed_packs(0))).repo
        monkeypatch.setattr(PackStore, "link", held_back(gate := trio.Event(), PackStore.link))
        with trio.fail_after(180):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(push, node, world, "hello", a_commit(tmp_path / "two"), repo, "other")
                await wait_until(lambda: node._node.ledger.head.height > (first.height or 0))
                projection = await ask(node, OpenFetch(repo))
                assert isinstance(projection, Projection), projection
                gate.set()


def held_back(gate: trio.Event, link: Callable[..., Awaitable[bool]]) -> Callable[..., Awaitable[bool]]:
    """A link that waits until the gate opens, and with it the commit behind it."""

    async def wait(*arguments: object) -> bool:
        await gate.wait()
        return await link(*arguments)

    return wait


@pytest.mark.parametrize("stage", ["opened", "half a frame", "half a pack", "all but the end", "while it waits"])
async def test_fault_F43_a_push_that_is_cut_leaves_nothing_behind(tmp_path: Path, stage: str) -> None:
    """No quarantine, no ref, no waiter; and the next push goes through."""
    world = found(tmp_path, 1)
    packed = a_commit(tmp_path / "work")
    quarantine = world.seats[0].directory / "quarantine"
    async with world.running() as (node,):
        assert (await world.give_credential(node)).error is None
        stream = await node.open()
        conversation = Conversation(stream)
        command = PushCommand("refs/heads/main", None, packed.oid)  # type: ignore[arg-type]  # an Oid by content
        if stage == "half a frame":
            await stream.send_all(b"\x00\x00\x10\x00half")
        else:
            await conversation.say(OpenPush(world.credential.seed, None, "hello", False, False, (command,), WAIT_MS))
        if stage == "half a pack":
            await conversation.say(PackData(packed.pack[:500]))
            await wait_until(lambda: any(quarantine.iterdir()))
        elif stage in {"all but the end", "while it waits"}:
            await conversation.say(PackData(packed.pack))
        if stage == "while it waits":
            await conversation.say(PackEnd())
        await stream.aclose()

        await wait_until(lambda: not any(quarantine.iterdir()) and node._server._open == 0)
        report = await push(node, world, "another", packed)
        assert [ref.error for ref in report.refs] == [None]
        assert (await status(node)).mempool == 0


async def test_a_frame_that_is_none_is_refused_with_words(tmp_path: Path) -> None:
    """And the node goes on."""
    world = found(tmp_path, 1)
    async with world.running() as (node,):
        for data in (b"\xff\xff\xff\xff", b"\x00\x00\x00\x03abc", b"\x00\x00\x00\x00"):
            stream = await node.open()
            async with stream:
                await stream.send_all(data)
                reply = await Conversation(stream).hear(REPLIES)
            assert isinstance(reply, PortError)
            assert reply.code == "malformed"
        assert isinstance(await ask(node, PackEnd()), PortError)
        assert (await status(node)).validators == 1


async def test_one_conversation_too_many_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words, not a closed stream; and when one ends there is room again."""
    monkeypatch.setattr(port_server, "CONVERSATIONS_MAX", 1)
    world = found(tmp_path, 1)
    async with world.running() as (node,):
        first = await node.open()
        await wait_until(lambda: node._server._open == 1)

        reply = await ask(node, AskStatus())
        assert isinstance(reply, PortError)
        assert "too many requests" in reply.message

        await first.aclose()
        await wait_until(lambda: node._server._open == 0)
        assert (await status(node)).validators == 1


async def test_one_waiter_too_many_is_told_so_and_nothing_was_submitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Definite: the transaction is not in the mempool."""
    monkeypatch.setattr(waiting, "WAITERS_MAX", 0)
    world = found(tmp_path, 1)
    async with world.running() as (node,):
        reply = await ask(node, SubmitTransaction(a_wish(world, "hello"), (), WAIT_MS))
        assert isinstance(reply, PortError)
        assert reply.code == "unavailable"
        assert (await status(node)).mempool == 0


async def test_the_same_transaction_twice_at_once_has_one_answer(tmp_path: Path) -> None:
    """Whoever comes second while the block is on its way to disk is told of the same place."""
    world = found(tmp_path, 1)
    outcomes: list[object] = []
    async with world.running() as (node,):
        signed = a_wish(world, "hello")

        async def submit() -> None:
            outcomes.append(await ask(node, SubmitTransaction(signed, (), WAIT_MS)))

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(submit)
        outcomes.append(await ask(node, SubmitTransaction(signed, (), WAIT_MS)))

    places = {(o.phase, o.height, o.index, o.error) for o in outcomes if isinstance(o, Outcome)}
    assert len(outcomes) == 11
    assert places == {(Phase.FINAL, 1, 0, None)}


async def test_a_push_without_a_quorum_may_still_happen_and_waiters_are_released(tmp_path: Path) -> None:
    """One of four is alone: PENDING is said when the time is over, no earlier and not as a refusal."""
    world = found(tmp_path, 4)
    async with world.running(first=3) as (node,):
        outcome = await ask(node, SubmitTransaction(a_wish(world, "hello"), (), 50))
        assert isinstance(outcome, Outcome)
        assert (outcome.phase, outcome.missing_validators) == (Phase.PENDING, 2)
        assert (await status(node)).mempool == 1
        assert node._server._submissions._waiters._by_id == {}


async def test_an_expired_transaction_is_refused_for_good(tmp_path: Path) -> None:
    """Not "pending": no block can hold it."""
    world = found(tmp_path, 1)
    async with world.running() as (node,):
        outcome = await ask(node, SubmitTransaction(a_wish(world, "hello", -60_000), (), WAIT_MS))
        assert isinstance(outcome, Outcome)
        assert outcome.phase is Phase.REFUSED
        assert outcome.message is not None
        assert "expired" in outcome.message
