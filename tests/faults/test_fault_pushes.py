"""F43, F44: pushes that are cancelled anywhere, and pushes that meet on one ref."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from guts_core.forge import queries
from guts_core.names import Oid, RepoId
from guts_core.node.port import (
    PACK_DATA_BYTES_MAX,
    REPLIES,
    OpenFetch,
    OpenPush,
    PackData,
    PackEnd,
    PortError,
    Projection,
    PushReport,
)
from guts_core.node.push_parts import PushCommand
from guts_net.conversation import Conversation
from guts_net.handle import RunningNode
from guts_net.port_server import LATE_PACK_LOOKS
from tests.net.world import WAIT_MS, Packed, World, a_commit, ask, found, push, wait_until

PIECE_BYTES = 64 * 1024
CLIENTS = 50


async def test_fault_F43_a_push_cancelled_after_any_piece_leaves_nothing(tmp_path: Path) -> None:
    """At each 64 KiB: the quarantine is gone within a second, the node's files are those from before."""
    world = found(tmp_path, 1)
    packed = a_commit(tmp_path / "work", 10 * PIECE_BYTES)
    directory = world.seats[0].directory
    async with world.running() as nodes:
        assert (await world.give_credential(nodes[0])).error is None
        before = listing(directory)
        for sent in range(0, len(packed.pack) + PIECE_BYTES, PIECE_BYTES):
            await cancelled(nodes[0], world, packed.pack[:sent])

            await wait_until(lambda: not any((directory / "quarantine").iterdir()), seconds=10)
            assert listing(directory) == before
        report = await push(nodes[0], world, "hello", packed)
        assert [ref.error for ref in report.refs] == [None]


def listing(directory: Path) -> set[Path]:
    """Every pack, repository and upload of a node."""
    return {path for place in ("packs", "repos", "quarantine") for path in (directory / place).rglob("*")}


async def cancelled(node: RunningNode, world: World, pack: bytes) -> None:
    """The beginning of a push whose client goes away; what it sent is at the node before it does."""
    command = PushCommand("refs/heads/main", None, Oid(bytes(range(20))))
    quarantine = world.seats[0].directory / "quarantine"
    async with await node.open() as stream:
        conversation = Conversation(stream)
        await conversation.say(OpenPush(world.credential.seed, None, "hello", False, False, (command,), WAIT_MS))
        for at in range(0, len(pack), PIECE_BYTES):
            await conversation.say(PackData(pack[at : at + PIECE_BYTES]))
        if pack:
            await wait_until(lambda: any(quarantine.iterdir()))


async def changes(work: Path, count: int) -> list[Packed]:
    """Different commits with the same parent, each in a pack of its own."""
    made = []
    for number in range(count):
        where = ["git", "-C", str(work), "-c", "user.name=a", "-c", "user.email=a@example.test"]
        tree = (
            (await trio.run_process([*where, "rev-parse", "HEAD^{tree}"], capture_stdout=True)).stdout.decode().strip()
        )
        commit = [*where, "commit-tree", tree, "-p", "HEAD", "-m", f"change {number}"]
        oid = (await trio.run_process(commit, capture_stdout=True)).stdout.strip()
        pack = [*where, "pack-objects", "-q", "--stdout"]
        packed = (await trio.run_process(pack, stdin=oid + b"\n", capture_stdout=True)).stdout
        made.append(Packed(bytes.fromhex(oid.decode()), packed))
    return made


async def push_over(
    node: RunningNode, world: World, repo: RepoId, commands: tuple[PushCommand, ...], pack: bytes, *, atomic: bool
) -> PushReport:
    """Move refs, all or each by itself."""
    async with await node.open() as stream:
        conversation = Conversation(stream)
        await conversation.say(OpenPush(world.credential.seed, repo, "hello", False, atomic, commands, WAIT_MS))
        for at in range(0, len(pack), PACK_DATA_BYTES_MAX):
            await conversation.say(PackData(pack[at : at + PACK_DATA_BYTES_MAX]))
        await conversation.say(PackEnd())
        while not isinstance(reply := await conversation.hear(REPLIES), PushReport):
            pass
        return reply


@pytest.mark.parametrize("atomic", [False, True], ids=["each ref", "atomic"])
async def test_fault_F44_of_pushes_to_one_ref_one_wins_and_the_others_are_told(tmp_path: Path, *, atomic: bool) -> None:
    """Fifty clients at four gateways, all from the same commit. With ``atomic`` a second ref goes with it, or not."""
    world = found(tmp_path, 4)
    first = a_commit(tmp_path / "work")
    rivals = await changes(tmp_path / "work", CLIENTS if not atomic else CLIENTS // 5)
    reports: dict[bytes, PushReport] = {}
    async with world.running() as nodes:
        assert (await world.give_credential(nodes[0])).error is None
        assert [ref.error for ref in (await push(nodes[0], world, "hello", first)).refs] == [None]
        goal = nodes[0]._node.ledger.head.height
        await wait_until(lambda: all(node._server._status().height >= goal for node in nodes))
        await wait_until(lambda: not any(node._server._status().missing_packs for node in nodes))
        found_repo = nodes[0].read(lambda view: queries.repository_of(view, world.alice_id, "hello"))
        assert found_repo is not None
        repo = RepoId(found_repo.id)

        async def rival(number: int, packed: Packed) -> None:
            commands = [PushCommand("refs/heads/main", Oid(first.oid), Oid(packed.oid))]
            if atomic:
                commands.append(PushCommand(f"refs/heads/side{number}", None, Oid(packed.oid)))
            reports[packed.oid] = await push_over(
                nodes[number % 4], world, repo, tuple(commands), packed.pack, atomic=atomic
            )

        async with trio.open_nursery() as nursery:
            for number, packed in enumerate(rivals):
                nursery.start_soon(rival, number, packed)

        winners = [oid for oid, report in reports.items() if all(ref.error is None for ref in report.refs)]
        assert len(winners) == 1
        for oid, report in reports.items():
            if oid not in winners:
                assert all(ref.error and ("stale" in ref.error or "fetch" in ref.error) for ref in report.refs), report
        goal = max(node._node.ledger.head.height for node in nodes)
        await wait_until(lambda: all(node._server._status().height >= goal for node in nodes))
        for node in nodes:
            refs = node.read(lambda view: {ref.name: ref.oid for ref in queries.refs(view, repo)})
            assert refs["refs/heads/main"] == winners[0]
            assert len(refs) == (2 if atomic else 1)
            assert set(refs.values()) == {winners[0]}


async def test_who_asks_a_moment_before_a_pack_is_here_waits_for_it(tmp_path: Path) -> None:
    """A quorum may agree before this node's own copy has come: nobody is sent away for those milliseconds."""
    world = found(tmp_path, 1)
    first, second = a_commit(tmp_path / "one"), a_commit(tmp_path / "two")
    answers: dict[str, object] = {}
    async with world.running() as (node,):
        assert (await world.give_credential(node)).error is None
        assert [ref.error for ref in (await push(node, world, "hello", first)).refs] == [None]
        (listed,) = node._database.listed_packs(0)
        node._database.add_missing(listed)

        async def fetch() -> None:
            answers["fetch"] = await ask(node, OpenFetch(listed.repo))

        async def push_more() -> None:
            answers["push"] = await push(node, world, "hello", second, listed.repo, branch="other")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(fetch)
            nursery.start_soon(push_more)
            await trio.sleep(5 * LATE_PACK_LOOKS[0])
            node._database.remove_missing(listed.repo, listed.digest)

    assert isinstance(answers["fetch"], Projection)
    assert isinstance(answers["push"], PushReport)
    assert [ref.error for ref in answers["push"].refs] == [None]


async def test_a_node_that_lacks_a_pack_says_so_to_whoever_pushes(tmp_path: Path) -> None:
    """It is no fault of the client, and no missing object: the next push is taken when the pack is here."""
    world = found(tmp_path, 4)
    first, second = a_commit(tmp_path / "one"), a_commit(tmp_path / "two")
    async with world.running() as nodes:
        assert (await world.give_credential(nodes[0])).error is None
        assert [ref.error for ref in (await push(nodes[0], world, "hello", first)).refs] == [None]
        node, database = nodes[1], nodes[1]._database
        await wait_until(lambda: database.height() >= nodes[0]._node.ledger.head.height)
        repo = node.read(lambda view: queries.repository_of(view, world.alice_id, "hello"))
        assert repo is not None
        (listed,) = [pack for pack in database.listed_packs(0) if pack.repo == repo.id]
        database.add_missing(listed)

        command = PushCommand("refs/heads/other", None, Oid(second.oid))
        answer = await ask(
            node, OpenPush(world.credential.seed, RepoId(repo.id), "hello", False, False, (command,), WAIT_MS)
        )
        assert isinstance(answer, PortError)
        assert "still fetching packs of this repository" in answer.message
        database.remove_missing(listed.repo, listed.digest)
        report = await push(node, world, "hello", second, RepoId(repo.id), branch="other")

    assert [ref.error for ref in report.refs] == [None]
