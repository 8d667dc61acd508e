"""
``python -m benchmarks.loaded_node WORLD INDEX PORT``: one validator of a benchmark's network, with clients of its own.

A line ``[rate, seconds, profiled]`` on standard input asks for so many transactions a second; "signed" answers. The
next line is the moment (monotonic) at which to begin: then each is handed in at its time, whether or not the ones
before are final (open loop), and a ``Taken`` as JSON answers. The clients are part of this process and go the way that
the HTTP doors go: a conversation of the port, over a pair of sockets, for each transaction.
"""

from __future__ import annotations

import cProfile
import json
import os
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import trio
from attrs import asdict, evolve, frozen

from guts_core.chain import compose
from guts_core.chain.genesis import chain_id
from guts_core.codec import to_bytes
from guts_core.forge.actions import Action, CreateRepository, SetDefaultBranch
from guts_core.forge.ids import repository_id
from guts_core.forge.records import ObjectFormat
from guts_core.identity import KeyPair
from guts_core.names import RefName, RepoId
from guts_core.node.port import REPLIES, Outcome, Phase, SubmitTransaction
from guts_net.collecting import collect_rarely
from guts_net.conversation import Conversation
from guts_net.handle import RunningNode
from guts_net.runtime import open_node
from guts_net.settings import KEY_FILES, NodeSettings

from .profiling import told

WAIT_MS = 30_000


@frozen
class Taken:
    """What became of an offer: each final one (seconds after the beginning, milliseconds it took), others counted."""

    final: list[tuple[float, float]]
    others: dict[str, int]
    profile: str  # what the main thread's time went to, where that was asked for


class Clients:
    """Clients of one node, all for its operator's account."""

    def __init__(self, node: RunningNode, directory: Path) -> None:
        self._node = node
        self._key = KeyPair(bytes.fromhex((directory / "keys" / KEY_FILES["operator"]).read_text().strip()))
        genesis = node.genesis
        self._chain = chain_id(genesis)
        self._account = next(a.id for a in genesis.accounts if a.key == self._key.public_key)
        salt = os.urandom(32)
        self._create = CreateRepository("load", salt, False, "refs/heads/main", ObjectFormat.SHA1, "all", None)
        self._repo: RepoId = repository_id(self._chain, self._account, salt)

    async def prepare(self) -> None:
        """A repository whose default branch is moved again and again."""
        outcome = await self._submit(self._signed(self._create))
        assert outcome.phase is Phase.FINAL, outcome
        assert outcome.error is None, outcome

    def sign(self, count: int) -> list[bytes]:
        """So many transactions."""
        return [self._signed(SetDefaultBranch(self._repo, RefName(f"refs/heads/b{at}"))) for at in range(count)]

    async def offer(self, signed: list[bytes], rate: float, begins: float) -> Taken:
        """Hand everything in at its time and wait for all of it."""
        final: list[tuple[float, float]] = []
        others: Counter[str] = Counter()

        async def one(at: int) -> None:
            due = begins + at / rate
            outcome = await self._submit(signed[at])
            now = time.monotonic()
            if outcome.phase is Phase.FINAL and outcome.error is None:
                final.append((now - begins, (now - due) * 1000))
            else:
                others[outcome.error or outcome.phase.name] += 1

        async with trio.open_nursery() as nursery:
            for at in range(len(signed)):
                await trio.sleep(max(0.0, begins + at / rate - time.monotonic()))
                nursery.start_soon(one, at)
        return Taken(final, dict(others), "")

    def _signed(self, action: Action) -> bytes:
        expires = int(time.time() * 1000) + compose.LIFETIME_MS
        body = compose.by_account(self._chain, self._account, (action,), expires, os.urandom(32))
        return to_bytes(compose.sign_with_account_key(body, self._key))

    async def _submit(self, signed: bytes) -> Outcome:
        async with await self._node.open() as stream:
            conversation = Conversation(stream)
            await conversation.say(SubmitTransaction(signed, (), WAIT_MS))
            outcome = await conversation.hear(REPLIES)
        if isinstance(outcome, Outcome):
            return outcome
        return Outcome(Phase.REFUSED, bytes(32), None, None, getattr(outcome, "code", "?"), None, 0)  # type: ignore[arg-type]  # no id


async def run(path: Path, index: int, port: int) -> None:
    """Until standard input ends."""
    directory, genesis = path / f"node{index}", path / "genesis.json"
    settings = NodeSettings(directory, genesis, p2p=f"127.0.0.1:{port}", log_path=path / f"node{index}.log")
    async with open_node(settings) as node:
        collect_rarely()  # as ``guts node run`` does
        clients = Clients(node, directory)
        await clients.prepare()
        print("ready", flush=True)
        while line := await _line():
            rate, seconds, profiled = json.loads(line)
            signed = clients.sign(round(rate * seconds))
            print("signed", flush=True)
            begins, profile = json.loads(await _line()), cProfile.Profile()
            if profiled:
                profile.enable()
            taken = await clients.offer(signed, rate, begins)
            profile.disable()
            await _tell(asdict(evolve(taken, profile=told(profile) if profiled else "")))


async def _tell(value: object) -> None:
    """Apart from the loop: more than a pipe holds waits for its reader, and the others wait for this node's votes."""
    await trio.to_thread.run_sync(partial(print, json.dumps(value), flush=True))


async def _line() -> str:
    return await trio.to_thread.run_sync(sys.stdin.readline)


if __name__ == "__main__":
    trio.run(run, Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
