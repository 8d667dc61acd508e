"""Whole nodes in one process, over real sockets and real files: for tests that watch them from inside."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import trio
from attrs import define, frozen

from guts_core.chain import compose
from guts_core.chain.genesis import Genesis, InitialAccount, chain_id
from guts_core.chain.genesis_json import GenesisFile, to_json
from guts_core.codec import to_bytes
from guts_core.forge.params import Params
from guts_core.forge.records import Scope, ValidatorEntry
from guts_core.identity import KeyPair
from guts_core.names import AccountId, NodeId, RepoId
from guts_core.node.port import (
    PACK_DATA_BYTES_MAX,
    REPLIES,
    AskStatus,
    OpenPush,
    Outcome,
    PackData,
    PackEnd,
    PushReport,
    Status,
    SubmitTransaction,
)
from guts_core.node.push_parts import PushCommand
from guts_core.simplex.quorum import FaultModel
from guts_net.conversation import Conversation
from guts_net.disk import LocalDisk
from guts_net.handle import RunningNode
from guts_net.runtime import open_node
from guts_net.settings import KEY_FILES, NodeSettings
from tests.ports import free_ports

HOUR_MS = 3_600_000
# Enough for a loaded machine; a test that needs more has found something.
WAIT_MS = 30_000
# Networks of tests stand still on purpose, or because the machine is busy.
NO_LAG_SECONDS = 3_600.0
PARAMS = Params(delta_ms=200, retry_ms=400, heartbeat_ms=1_000)


@frozen
class Seat:
    """One validator's directory and keys."""

    directory: Path
    keys: dict[str, KeyPair]
    port: int


@define
class World:
    """A founded network on disk, of which any number of nodes may be running."""

    path: Path
    genesis: Genesis
    seats: tuple[Seat, ...]
    alice: KeyPair
    alice_id: AccountId
    credential: KeyPair

    def settings(self, index: int) -> NodeSettings:
        """What node ``index`` is started with."""
        seat = self.seats[index]
        return NodeSettings(
            seat.directory,
            self.path / "genesis.json",
            p2p=f"127.0.0.1:{seat.port}",
            log_path=self.path / f"node{index}.log",
            write_lag_seconds=NO_LAG_SECONDS,
        )

    @asynccontextmanager
    async def running(
        self, disks: Sequence[LocalDisk | None] | None = None, first: int = 0
    ) -> AsyncIterator[list[RunningNode]]:
        """All nodes from ``first`` on."""
        chosen = range(first, len(self.seats))
        async with AsyncExitStack() as stack:
            disks = disks or [None] * len(self.seats)
            yield [await stack.enter_async_context(open_node(self.settings(i), disks[i])) for i in chosen]

    async def give_credential(self, node: RunningNode) -> Outcome:
        """Alice's credential, by a transaction signed with her account key."""
        now = int(time.time() * 1000)
        chain = chain_id(self.genesis)
        gateways = [NodeId(entry.node_key) for entry in self.genesis.validators]
        action = compose.create_credential(
            chain, self.alice_id, self.credential, (Scope.REPO,), now + HOUR_MS, gateways, "test"
        )
        body = compose.by_account(chain, self.alice_id, (action,), now + compose.LIFETIME_MS, os.urandom(32))
        signed = compose.sign_with_account_key(body, self.alice)
        outcome = await ask(node, SubmitTransaction(to_bytes(signed), (), WAIT_MS))
        assert isinstance(outcome, Outcome)
        return outcome


def found(
    path: Path, validators: int, fault_model: FaultModel = FaultModel.BYZANTINE, params: Params = PARAMS
) -> World:
    """Write keys and a genesis for this many validators, and an account alice."""
    ports = free_ports(validators)
    seats, accounts, entries = [], [], []
    for index in range(validators):
        keys = {role: KeyPair(os.urandom(32)) for role in KEY_FILES}
        directory = path / f"node{index}"
        (directory / "keys").mkdir(parents=True)
        for role, key in keys.items():
            (directory / "keys" / KEY_FILES[role]).write_text(key.seed.hex())
        operator = InitialAccount(f"operator{index}", keys["operator"].public_key, os.urandom(32), is_operator=True)
        accounts.append(operator)
        entries.append(
            ValidatorEntry(index, keys["vote"].public_key, NodeId(keys["node"].public_key), operator.id, f"node{index}")
        )
        seats.append(Seat(directory, keys, ports[index]))
    alice = KeyPair(os.urandom(32))
    account = InitialAccount("alice", alice.public_key, os.urandom(32), is_operator=False)
    genesis = Genesis("test", int(time.time() * 1000), fault_model, params, tuple(entries), (*accounts, account), ())
    addresses = {entry.node_key.hex(): f"127.0.0.1:{port}" for entry, port in zip(entries, ports, strict=True)}
    (path / "genesis.json").write_text(to_json(GenesisFile(genesis=genesis, addresses=addresses, entries=())))
    return World(path, genesis, tuple(seats), alice, account.id, KeyPair(os.urandom(32)))


async def ask(node: RunningNode, request: object) -> object:
    """One request, one reply."""
    stream = await node.open()
    async with stream:
        conversation = Conversation(stream)
        await conversation.say(request)
        return await conversation.hear(REPLIES)


async def status(node: RunningNode) -> Status:
    """The node's status."""
    found_status = await ask(node, AskStatus())
    assert isinstance(found_status, Status)
    return found_status


async def wait_until(true: Callable[[], bool], seconds: float = 120.0) -> None:
    """Poll the inside of nodes until it is so."""
    with trio.fail_after(seconds):
        while not true():  # noqa: ASYNC110  # the inside of a node has no event for a test
            await trio.sleep(0.01)


@frozen
class Packed:
    """One commit and a pack that holds it."""

    oid: bytes
    pack: bytes


def a_commit(path: Path, size: int = 1000) -> Packed:
    """A new repository's first commit with one incompressible file of this size."""
    path.mkdir()
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.test"]

    def git(*arguments: str, stdin: bytes = b"") -> bytes:
        command = ["git", "-C", str(path), *identity, *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, check=True).stdout

    git("init", "-q", "-b", "main")
    (path / "data").write_bytes(os.urandom(size))
    git("add", ".")
    git("commit", "-q", "-m", "one")
    oid = git("rev-parse", "HEAD").strip()
    return Packed(bytes.fromhex(oid.decode()), git("pack-objects", "-q", "--stdout", "--revs", stdin=oid + b"\n"))


async def push(
    node: RunningNode, world: World, name: str, packed: Packed, repo: RepoId | None = None, branch: str = "main"
) -> PushReport:
    """Push to create, or a new branch to a repository, over the port as the HTTP door does."""
    stream = await node.open()
    async with stream:
        conversation = Conversation(stream)
        command = PushCommand(f"refs/heads/{branch}", None, packed.oid)  # type: ignore[arg-type]  # an Oid by content
        await conversation.say(OpenPush(world.credential.seed, repo, name, False, False, (command,), WAIT_MS))
        for at in range(0, len(packed.pack), PACK_DATA_BYTES_MAX):
            await conversation.say(PackData(packed.pack[at : at + PACK_DATA_BYTES_MAX]))
        await conversation.say(PackEnd())
        while not isinstance(reply := await conversation.hear(REPLIES), PushReport):
            pass
        return reply
