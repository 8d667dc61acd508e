"""A network in this process, its first node with HTTP doors on loopback, three accounts, and stock git."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import trio
from attrs import define, evolve, field, frozen

from guts_core.chain import compose
from guts_core.chain.genesis import Genesis, InitialAccount, chain_id
from guts_core.chain.genesis_json import GenesisFile, to_json
from guts_core.chain.transaction import SignedTransaction
from guts_core.codec import to_bytes
from guts_core.forge.actions import Action
from guts_core.forge.params import Params
from guts_core.forge.records import Scope, ValidatorEntry
from guts_core.git.pack_limits import OF_VALIDATORS, PackLimits
from guts_core.identity import KeyPair, token_of
from guts_core.names import AccountId, ChainId, NodeId, RepoId
from guts_core.simplex.quorum import FaultModel
from guts_http.app import create_app
from guts_http.middleware import Access
from guts_http.port import Port
from guts_http.serving import ServeSettings
from guts_http.site import Settings
from guts_net.disk import LocalDisk
from guts_net.runtime import open_node
from guts_net.settings import KEY_FILES, NodeSettings
from tests.http.http_world import PATIENCE_SECONDS, open_server
from tests.net.world import NO_LAG_SECONDS
from tests.ports import free_ports

HOUR_MS = 3_600_000
PARAMS = Params(delta_ms=200, retry_ms=400, heartbeat_ms=60_000)
SALT = bytes(32)
PEOPLE = ("alice", "bob", "carol")
# What ends git when a door is stuck.
GIT_SECONDS = 180


@frozen
class Person:
    """An account of genesis and its key."""

    name: str
    key: KeyPair

    @property
    def id(self) -> AccountId:
        """As genesis makes it."""
        return InitialAccount(self.name, self.key.public_key, SALT, is_operator=False).id


@frozen
class Other:
    """Another validator of the network."""

    told: trio.Event = field(factory=trio.Event)
    gone: trio.Event = field(factory=trio.Event)

    async def stop(self) -> None:
        """Return when it has ended, and agrees to nothing any more."""
        self.told.set()
        with trio.fail_after(PATIENCE_SECONDS):
            await self.gone.wait()


@define
class Node:
    """A running node as its users see it."""

    url: str
    http: httpx.AsyncClient
    genesis: Genesis
    node_id: NodeId
    people: dict[str, Person]
    port: Port
    database: Path
    accesses: list[Access]
    others: list[Other]

    @property
    def chain(self) -> ChainId:
        """The network's id."""
        return chain_id(self.genesis)

    def signed(self, person: str, *actions: Action) -> SignedTransaction:
        """A transaction signed with an account key."""
        expires = time.time_ns() // 1_000_000 + 5 * 60_000
        body = compose.by_account(self.chain, self.people[person].id, actions, expires, os.urandom(32))
        return compose.sign_with_account_key(body, self.people[person].key)

    async def submit(self, signed: SignedTransaction) -> httpx.Response:
        """Post a signed transaction."""
        headers = {"content-type": "application/cbor"}
        return await self.http.post("/api/guts/v1/transactions", content=to_bytes(signed), headers=headers)

    async def token(
        self,
        person: str,
        scope: Scope = Scope.REPO,
        gateways: Sequence[NodeId] | None = None,
        repos: Sequence[RepoId] | None = None,
    ) -> str:
        """A new token, made as the CLI makes one: the key here, the credential by transaction."""
        key = KeyPair(os.urandom(32))
        listed = (self.node_id,) if gateways is None else gateways
        expires = time.time_ns() // 1_000_000 + HOUR_MS
        action = compose.create_credential(
            self.chain, self.people[person].id, key, (scope,), expires, listed, repos=repos
        )
        response = await self.submit(self.signed(person, action))
        assert response.status_code == 201, response.text
        return token_of(key.seed)

    async def create(self, token: str, name: str, **fields: object) -> httpx.Response:
        """Post a new repository."""
        return await self.http.post("/api/v3/user/repos", json={"name": name, **fields}, headers=bearing(token))

    def remote(self, path: str, user: str | None = None, token: str | None = None) -> str:
        """A git URL; tests alone may put a token there."""
        if token is None:
            return f"{self.url}/{path}"
        return self.url.replace("http://", f"http://{user}:{token}@") + f"/{path}"


def bearing(token: str) -> dict[str, str]:
    return {"authorization": f"token {token}"}


@asynccontextmanager
async def open_world(
    path: Path,
    settings: Settings | None = None,
    *,
    validators: int = 1,
    private_read_grace_seconds: float = 600,
    disk: LocalDisk | None = None,
    pack_limits: PackLimits = OF_VALIDATORS,
    serving: ServeSettings | None = None,
) -> AsyncIterator[Node]:
    """Found a network under ``path`` and run it; the first node has its doors open."""
    genesis, people = found(path, validators)
    accesses: list[Access] = []
    async with trio.open_nursery() as nursery:
        others = [await nursery.start(_run_node, path, index) for index in range(1, validators)]
        first = evolve(_settings(path, 0, private_read_grace_seconds), pack_limits=pack_limits)
        async with open_node(first, disk) as running:
            app = create_app(running, path / "node0" / "chain.db", genesis, settings, tell=accesses.append)
            async with (
                open_server(app, serving, finish=False) as server,
                httpx.AsyncClient(base_url=server.url, timeout=180) as http,
            ):
                node_id = NodeId(genesis.validators[0].node_key)
                yield Node(
                    server.url, http, genesis, node_id, people, running, first.directory / "chain.db", accesses, others
                )
        for other in others:
            other.told.set()


async def _run_node(path: Path, index: int, task_status: trio.TaskStatus[Other]) -> None:
    other = Other()
    async with open_node(_settings(path, index)):
        task_status.started(other)
        await other.told.wait()
    other.gone.set()


def _settings(path: Path, index: int, grace: float = 600) -> NodeSettings:
    directory = path / f"node{index}"
    port = int((directory / "port").read_text())
    return NodeSettings(
        directory,
        path / "genesis.json",
        p2p=f"127.0.0.1:{port}",
        log_path=path / f"node{index}.log",
        private_read_grace_seconds=grace,
        write_lag_seconds=NO_LAG_SECONDS,
    )


def found(path: Path, validators: int) -> tuple[Genesis, dict[str, Person]]:
    """Write keys and a genesis for this many validators."""
    people = {name: Person(name, KeyPair(os.urandom(32))) for name in PEOPLE}
    accounts = [InitialAccount(one.name, one.key.public_key, SALT, is_operator=False) for one in people.values()]
    seats, addresses = [], {}
    for index in range(validators):
        keys, port = _write_node(path / f"node{index}")
        operator = InitialAccount(f"operator{index}", keys["operator"].public_key, SALT, is_operator=True)
        node_id = NodeId(keys["node"].public_key)
        accounts.append(operator)
        seats.append(ValidatorEntry(index, keys["vote"].public_key, node_id, operator.id, f"node{index}"))
        addresses[node_id.hex()] = f"127.0.0.1:{port}"
    now = time.time_ns() // 1_000_000
    genesis = Genesis("test-net", now, FaultModel.BYZANTINE, PARAMS, tuple(seats), tuple(accounts), ())
    (path / "genesis.json").write_text(to_json(GenesisFile(genesis, addresses)))
    return genesis, people


def _write_node(directory: Path) -> tuple[dict[str, KeyPair], int]:
    keys = {role: KeyPair(os.urandom(32)) for role in KEY_FILES}
    (directory / "keys").mkdir(parents=True)
    for role, key in keys.items():
        (directory / "keys" / KEY_FILES[role]).write_text(key.seed.hex())
    (port,) = free_ports(1)
    (directory / "port").write_text(str(port))
    return keys, port


@frozen
class Ran:
    """What a git command came to."""

    code: int
    out: str
    err: str


async def git(directory: Path, *arguments: str, seconds: float = GIT_SECONDS) -> Ran:
    """Stock git with nobody's configuration."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": "A",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "A",
        "GIT_COMMITTER_EMAIL": "a@example.org",
    }
    with trio.fail_after(seconds):
        done = await trio.run_process(
            ["git", *arguments],
            cwd=directory,
            env=environment,
            check=False,
            capture_stdout=True,
            capture_stderr=True,
            stdin=subprocess.DEVNULL,
        )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


async def a_history(directory: Path, commits: int = 2, payload: bytes = b"hello\n") -> Path:
    """A work tree on ``main`` with a few commits."""
    work = directory / "work"
    work.mkdir(parents=True)
    await git(work, "init", "-q", "-b", "main")
    for number in range(commits):
        (work / f"file{number}").write_bytes(payload + str(number).encode())
        await git(work, "add", ".")
        await git(work, "commit", "-qm", f"commit {number}")
    return work
