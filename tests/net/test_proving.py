"""Proofs of a running network, asked for over the port while blocks go on: each one holds."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import trio

from guts_core.chain import schema
from guts_core.chain.genesis import Genesis
from guts_core.chain.transaction import transaction_id
from guts_core.errors import NotFound
from guts_core.names import RepoId, TxId
from guts_core.node.port import REPLIES, AskProof, PortError, ProofAnswer
from guts_core.proof import (
    HeaderQuestion,
    HeadersQuestion,
    ProvenHeaders,
    ProvenRef,
    ProvenRefs,
    ProvenTransaction,
    Question,
    RefQuestion,
    RefsQuestion,
    TransactionQuestion,
    Verified,
    verify,
)
from guts_net.conversation import Conversation
from guts_net.handle import RunningNode
from guts_net.proving import WAITING_MAX
from tests.net.world import World, a_commit, found, push, status, wait_until

MAIN = "refs/heads/main"


async def ask_proof(node: RunningNode, question: Question, repo: RepoId | None = None) -> bytes | PortError:
    """A proof file, or why there is none."""
    stream = await node.open()
    async with stream:
        conversation = Conversation(stream)
        await conversation.say(AskProof(question, repo))
        data = b""
        while True:
            reply = await conversation.hear(REPLIES)
            if isinstance(reply, PortError):
                return reply
            assert isinstance(reply, ProofAnswer)
            data += reply.data
            if len(data) == reply.size:
                return data


async def proven(node: RunningNode, genesis: Genesis, question: Question) -> Verified:
    """What a node shows."""
    data = await ask_proof(node, question)
    assert isinstance(data, bytes), data
    return verify(data, genesis, question)


async def pushed(world: World, node: RunningNode, path: Path, branch: str) -> tuple[bytes, TxId, int]:
    """A new repository with one branch: its oid, transaction and height."""
    packed = a_commit(path)
    report = await push(node, world, path.name, packed, branch=branch)
    assert report.unpack_error is None, report
    assert report.tx_id is not None
    assert report.height is not None
    return packed.oid, TxId(report.tx_id), report.height


async def wait_for_height(node: RunningNode, height: int) -> None:
    """Until a node knows that a block is final; asked for a proof, it waits for its disk by itself."""
    await wait_until(lambda: node._node.ledger.head.height >= height)


async def test_every_proof_holds_while_pushes_go_on(tmp_path: Path) -> None:
    """A proof is one snapshot: header, certificate, walks and refs belong together however fast blocks come."""
    world = found(tmp_path, 4)
    seen: list[int] = []
    async with world.running() as nodes:
        await world.give_credential(nodes[0])
        oids = {}
        oid, tx_id, height = await pushed(world, nodes[0], tmp_path / "repo0", "main")
        oids["repo0"] = oid
        done = trio.Event()

        async def keep_asking(node: RunningNode) -> None:
            while not done.is_set():
                for question in (RefQuestion("alice", "repo0", MAIN), RefQuestion("alice", "repo0", "refs/heads/none")):
                    shown = await proven(node, world.genesis, question)
                    assert isinstance(shown.answer, ProvenRef)
                    assert shown.answer.oid == (oid if question.ref == MAIN else None)
                    seen.append(shown.height)
                listed = await proven(node, world.genesis, RefsQuestion("alice", "repo0"))
                assert isinstance(listed.answer, ProvenRefs)
                assert [(ref.name, ref.oid) for ref in listed.answer.refs] == [(MAIN, oid)]
                signed = await proven(node, world.genesis, TransactionQuestion(tx_id))
                assert isinstance(signed.answer, ProvenTransaction)
                assert transaction_id(signed.answer.signed.body) == tx_id

        async def keep_pushing() -> None:
            for turn in range(1, 6):
                name = f"repo{turn}"
                oids[name], _, last = await pushed(world, nodes[turn % 4], tmp_path / name, "main")
            await wait_for_height(nodes[1], last)
            done.set()

        await wait_for_height(nodes[3], height)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keep_asking, nodes[0])
            nursery.start_soon(keep_asking, nodes[3])
            nursery.start_soon(keep_pushing)
        heights = {seen[0], seen[-1]}
        for name, pushed_oid in oids.items():
            shown = (await proven(nodes[1], world.genesis, RefQuestion("alice", name, MAIN))).answer
            assert isinstance(shown, ProvenRef)
            assert shown.oid == pushed_oid

    assert len(heights) == 2
    assert len(seen) > 20


async def test_old_headers_stand_under_the_newest(tmp_path: Path) -> None:
    """Every header of the chain, by parents and through the history, from one node."""
    world = found(tmp_path, 1)
    async with world.running() as nodes:
        await world.give_credential(nodes[0])
        for turn in range(3):
            await pushed(world, nodes[0], tmp_path / f"repo{turn}", "main")
        top = (await status(nodes[0])).height
        run = await proven(nodes[0], world.genesis, HeadersQuestion(1, top))
        one_by_one = [await proven(nodes[0], world.genesis, HeaderQuestion(height)) for height in range(1, top + 1)]
        missing = await ask_proof(nodes[0], HeaderQuestion(top + 1000))

    assert isinstance(run.answer, ProvenHeaders)
    assert [header.height for header in run.answer.headers] == list(range(1, top + 1))
    found_headers = [shown.answer.headers[0] for shown in one_by_one if isinstance(shown.answer, ProvenHeaders)]
    assert tuple(found_headers) == run.answer.headers
    assert one_by_one[0].final.certified_height >= top
    assert isinstance(missing, PortError)
    assert missing.code == NotFound.code


async def test_whoever_would_wait_too_long_is_sent_elsewhere(tmp_path: Path) -> None:
    """Proofs are made one at a time, and no more than so many wait for their turn."""
    world = found(tmp_path, 1)
    answers: list[bytes | PortError] = []
    async with world.running() as nodes:
        await world.give_credential(nodes[0])
        prover = nodes[0]._server._prover

        async def keep_asking() -> None:
            answers.append(await ask_proof(nodes[0], HeaderQuestion(1)))

        async with prover._turn, trio.open_nursery() as nursery:
            for _ in range(WAITING_MAX):
                nursery.start_soon(keep_asking)
            await wait_until(lambda: prover._turn.statistics().tasks_waiting == WAITING_MAX)
            refused = await ask_proof(nodes[0], HeaderQuestion(1))
            prover._turn.release()
            await wait_until(lambda: len(answers) == WAITING_MAX)
            await prover._turn.acquire()

    assert isinstance(refused, PortError)
    assert refused.code == "unavailable"
    assert [type(answer) for answer in answers] == [bytes] * WAITING_MAX


async def test_what_is_not_there_is_not_proven(tmp_path: Path) -> None:
    """Names that lead nowhere are refused with words, and a repository that is another one by now too."""
    world = found(tmp_path, 1)
    async with world.running() as nodes:
        early = await ask_proof(nodes[0], RefQuestion("alice", "hello", MAIN))
        await world.give_credential(nodes[0])
        await pushed(world, nodes[0], tmp_path / "hello", "main")
        absent = await ask_proof(nodes[0], RefQuestion("alice", "other", MAIN))
        other = await ask_proof(nodes[0], RefQuestion("alice", "hello", MAIN), RepoId(bytes(32)))
        odd = await ask_proof(nodes[0], RefQuestion("alice", "Hello", MAIN))
        unknown = await ask_proof(nodes[0], TransactionQuestion(TxId(bytes(32))))

    assert isinstance(early, PortError)
    assert early.code == "unavailable"
    assert isinstance(absent, PortError)
    assert absent.code == "not-found"
    assert isinstance(other, PortError)
    assert other.code == "conflict"
    assert isinstance(odd, PortError)
    assert odd.code == "invalid"
    assert isinstance(unknown, PortError)
    assert unknown.code == "not-found"


def test_the_certificate_above_a_block_is_looked_up_and_not_searched_for() -> None:
    """A node that caught up has one certificate over as many blocks as it lacked."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(schema.TABLES)
        for height in range(1, 10):
            certificate = b"c" if height in (5, 9) else None
            row = (height, bytes((height,)), 3 * height, b"p", b"b", certificate)
            connection.execute("INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?)", row)

        found = [connection.execute(schema.GET_CERTIFIED_FROM, (height,)).fetchone() for height in (1, 5, 6, 9, 10)]
        plan = connection.execute(f"EXPLAIN QUERY PLAN {schema.GET_CERTIFIED_FROM}", (1,)).fetchall()

    assert [row and row[0] for row in found] == [5, 5, 9, 9, None]
    assert "USING INDEX certified" in str(plan)
