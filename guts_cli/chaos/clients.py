"""
People who go on working meanwhile: with stock git, and over the API.

Each knows only what it was told. After an answer that is none it looks at the ref again and makes a new
commit on what it finds; the old one may still arrive, and then its next push is refused as anybody's.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from random import Random

import trio
from attrs import field, frozen

from guts_core.errors import GutsError, Refused, Unavailable
from guts_http.client import TrioClient, open_trio_client

from .nodes import Nodes
from .record import ACKNOWLEDGED, REFUSED, TRIED, UNKNOWN, Push, Record

# A node promises an answer within 30 s; one that was paused gives none.
PUSH_SECONDS = 45.0
READ_SECONDS = 10.0
CALL_SECONDS = 35.0
BETWEEN_SECONDS = (0.05, 0.6)
REPOSITORIES = ("one", "two", "three")
SHARED_REF = "refs/heads/main"  # all push to it
# Most commits are small; every fifth has a pack that other nodes must fetch.
LARGE_CHANCE = 0.2
LARGE_BYTES = 256 << 10
SMALL_BYTES = 200


@frozen
class Worker:
    """One person with a clone of each repository."""

    name: str
    nodes: Nodes
    record: Record
    dice: Random
    directory: Path
    _tips: dict[tuple[str, str], str] = field(factory=dict, init=False)

    async def push_on(self) -> None:
        """Push until cancelled."""
        for repo in REPOSITORIES:
            await self._git(repo, "init", "-q", "--bare", ".")
        while True:
            repo = self.dice.choice(REPOSITORIES)
            ref = SHARED_REF if self.dice.random() < 0.5 else f"refs/heads/{self.name}"
            await self._push_once(repo, ref, self.dice.randrange(self.nodes.count))
            await trio.sleep(self.dice.uniform(*BETWEEN_SECONDS))

    async def read_on(self) -> None:
        """Look at refs until cancelled."""
        while True:
            node = self.dice.randrange(self.nodes.count)
            done = await self._git_within(
                READ_SECONDS, "one", "ls-remote", self._url(node, self.dice.choice(REPOSITORIES))
            )
            self.record.reads[ACKNOWLEDGED if done and not done.returncode else REFUSED] += 1
            await trio.sleep(self.dice.uniform(*BETWEEN_SECONDS))

    async def _push_once(self, repo: str, ref: str, node: int) -> None:
        url = self._url(node, repo)
        if (repo, ref) not in self._tips and not await self._look(repo, ref, url):
            return
        old = self._tips.pop((repo, ref), "") or None
        new = await self._commit(repo, old)
        number = self.record.asks_push(self.name, node, repo, ref, old, new)
        done = await self._git_within(PUSH_SECONDS, repo, "push", url, f"{new}:{ref}")
        if done and not done.returncode:
            self.record.push_done(Push(number, repo, ref, new, node))
            self._tips[repo, ref] = new
        elif done and is_refusal(done.stderr.decode(errors="replace")):
            self.record.push_refused(number)
        else:
            self.record.push_unknown()

    async def _look(self, repo: str, ref: str, url: str) -> bool:
        """Learn where a ref is; False when this node cannot say."""
        listed = await self._git_within(READ_SECONDS, repo, "ls-remote", url, ref)
        if not listed or listed.returncode:
            return False
        oid = listed.stdout.decode().partition("\t")[0]
        if oid:
            fetched = await self._git_within(READ_SECONDS, repo, "fetch", "-q", "--no-tags", url, ref)
            if not fetched or fetched.returncode:
                return False
            oid = (await self._git(repo, "rev-parse", "FETCH_HEAD")).stdout.decode().strip()
        self._tips[repo, ref] = oid
        return True

    async def _commit(self, repo: str, parent: str | None) -> str:
        size = LARGE_BYTES if self.dice.random() < LARGE_CHANCE else SMALL_BYTES
        data = self.dice.randbytes(size)
        blob = (await self._git(repo, "hash-object", "-w", "--stdin", stdin=data)).stdout.decode().strip()
        tree = await self._git(repo, "mktree", stdin=f"100644 blob {blob}\tdata\n".encode())
        parents = ("-p", parent) if parent else ()
        made = await self._git(repo, "commit-tree", *parents, "-m", self.name, tree.stdout.decode().strip())
        return made.stdout.decode().strip()

    def _url(self, node: int, repo: str) -> str:
        return f"{self.nodes.seat(node).url}/{self.nodes.network.file.account}/{repo}.git"

    async def _git_within(self, seconds: float, repo: str, *words: str) -> subprocess.CompletedProcess[bytes] | None:
        with trio.move_on_after(seconds):
            return await self._git(repo, *words)
        return None

    async def _git(self, repo: str, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        directory = self.directory / repo
        directory.mkdir(parents=True, exist_ok=True)
        helper = f"credential.helper={self.nodes.network.credential_helper.resolve()}"
        command = ["git", "-c", "credential.helper=", "-c", helper, "-c", "gc.auto=0", *words]
        return await trio.run_process(
            command,
            stdin=stdin,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            cwd=directory,
            env=_environment(),
        )


def is_refusal(said: str) -> bool:
    """Whether git's words mean that a push certainly did not happen: a stale ref, told by git or by the node."""
    return "[rejected]" in said or ("[remote rejected]" in said and "stale: " in said)


def _environment() -> dict[str, str]:
    identity = {f"GIT_{role}_{what}": "chaos" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    fixed = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    return {name: os.environ[name] for name in ("PATH", "TMPDIR", "HOME") if name in os.environ} | identity | fixed


@frozen
class Caller:
    """One program that uses the API."""

    nodes: Nodes
    record: Record
    dice: Random
    token: str

    async def call_on(self) -> None:
        """Write and read until cancelled."""
        number = 0
        while True:
            node, number = self.dice.randrange(self.nodes.count), number + 1
            async with open_trio_client(self.nodes.seat(node).url, self.token, seconds=CALL_SECONDS) as client:
                await self._create(client, f"made-{number}", node)
                await self._read(client)
            await trio.sleep(self.dice.uniform(*BETWEEN_SECONDS))

    async def _create(self, client: TrioClient, name: str, node: int) -> None:
        self.record.writes[TRIED] += 1
        try:
            with trio.fail_after(CALL_SECONDS):
                await client.create_repository(name)
        except (Unavailable, trio.TooSlowError):
            self.record.writes[UNKNOWN] += 1
        except (Refused, GutsError):
            self.record.writes[REFUSED] += 1
        else:
            self.record.writes[ACKNOWLEDGED] += 1
            self.record.repositories[name] = node

    async def _read(self, client: TrioClient) -> None:
        try:
            with trio.fail_after(READ_SECONDS):
                await client.repository(f"{self.nodes.network.file.account}/{self.dice.choice(REPOSITORIES)}")
        except (GutsError, trio.TooSlowError):
            self.record.reads[REFUSED] += 1
        else:
            self.record.reads[ACKNOWLEDGED] += 1
