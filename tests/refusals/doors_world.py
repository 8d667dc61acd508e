"""Raw git requests at the doors of a live node, and what shows that nothing changed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import trio
from attrs import frozen

from guts_core.git.pkt_line import FLUSH, Mark, PacketReader, packet
from guts_http.site import Settings
from tests.fixtures.git_history import BLOB, PLAIN, commit
from tests.http.http_world import PATIENCE_SECONDS
from tests.http.node_world import Node, bearing, open_world
from tests.net.packs.pack_world import pack_of

ZERO = "0" * 40
HEAD = commit(PLAIN.oid)
PACK = pack_of(BLOB, PLAIN, HEAD)
MAIN = f"{ZERO} {HEAD.oid} refs/heads/main"
_PUSH = "application/x-git-receive-pack-request"
_FETCH = "application/x-git-upload-pack-request"


def push_body(
    commands: Iterable[str | bytes], pack: bytes = PACK, asked: str = "report-status", options: Iterable[bytes] = ()
) -> bytes:
    """The request of a push, byte by byte as given."""
    lines = [one.encode() if isinstance(one, str) else one for one in commands]
    lines[0] += b"\0" + asked.encode()
    body = b"".join(packet(line) for line in lines) + FLUSH
    if "push-options" in asked:
        body += b"".join(packet(option) for option in options) + FLUSH
    return body + pack


@frozen
class Door:
    """One repository ``alice/door`` on a live node, and its owner's token."""

    node: Node
    token: str

    async def push(self, body: bytes, coding: str = "identity") -> httpx.Response:
        """POST git-receive-pack."""
        sent = {**bearing(self.token), "content-type": _PUSH, "content-encoding": coding}
        return await self.node.http.post("/alice/door.git/git-receive-pack", content=body, headers=sent)

    async def fetch(self, body: bytes, version: int = 2, coding: str = "identity") -> httpx.Response:
        """POST git-upload-pack."""
        sent = {"content-type": _FETCH, "git-protocol": f"version={version}", "content-encoding": coding}
        return await self.node.http.post("/alice/door.git/git-upload-pack", content=body, headers=sent)

    async def refs(self) -> dict[str, str]:
        """What is advertised to a pusher."""
        answer = await self.node.http.get(
            "/alice/door.git/info/refs?service=git-receive-pack", headers=bearing(self.token)
        )
        lines = [line.split(b"\0")[0].decode().strip() for line in packets(answer.content)[1:]]
        return {name: oid for oid, name in (line.split(" ") for line in lines) if name != "capabilities^{}"}

    async def state(self) -> tuple[int, str]:
        """Height and state root: equal before and after means that nothing happened."""
        status = (await self.node.http.get("/api/guts/v1/status")).json()
        return status["height"], status["state_root"]

    async def assert_nothing_left(self) -> None:
        """The quarantine empties: the answer is sent a moment before its files go."""
        quarantine = self.node.database.parent / "quarantine"
        with trio.fail_after(PATIENCE_SECONDS):
            while list(quarantine.iterdir()):  # noqa: ASYNC110 -- another task of the node empties it
                await trio.sleep(0.01)

    def assert_says_nothing_secret(self, answer: httpx.Response) -> None:
        """No token, no path of this machine, no traceback, nothing that moves a terminal."""
        said = answer.content
        for secret in (self.token.encode(), str(self.node.database.parent).encode(), b"Traceback", b"/tmp/", b"\x1b"):
            assert secret not in said


def packets(data: bytes) -> list[bytes]:
    """The data packets of an answer."""
    reader, found = PacketReader(), []
    reader.receive(data)
    while (read := reader.next_packet()) is not None:
        if not isinstance(read, Mark):
            found.append(read)
    return found


def report(answer: httpx.Response) -> list[str]:
    """The lines of a push's report, without side band."""
    assert answer.status_code == 200, answer.text
    return [line.decode().rstrip("\n") for line in packets(answer.content)]


def fetch_body(wants: Sequence[str], version: int, haves: Sequence[str] = (), extra: Sequence[bytes] = ()) -> bytes:
    """A fetch as stock git asks, without negotiation."""
    ends = [f"have {have}\n".encode() for have in haves] + [b"done\n"]
    if version == 2:
        head = packet(b"command=fetch") + b"0001" + b"".join(map(packet, extra)) + packet(b"no-progress\n")
        asked = b"".join(packet(f"want {want}\n".encode()) for want in wants)
        return head + asked + b"".join(map(packet, ends)) + FLUSH
    lines = [f"want {want}{' no-progress' if not at else ''}\n".encode() for at, want in enumerate(wants)]
    return b"".join(map(packet, lines)) + FLUSH + b"".join(map(packet, ends))


@asynccontextmanager
async def open_door(path: Path, settings: Settings | None = None, *, pushed: bool = False) -> AsyncIterator[Door]:
    """A network of one, with one repository; ``pushed``: main is at HEAD."""
    async with open_world(path / "net", settings) as node:
        token = await node.token("alice")
        created = await node.create(token, "door")
        assert created.status_code == 201, created.text
        door = Door(node, token)
        if pushed:
            assert report(await door.push(push_body([MAIN]))) == ["unpack ok", "ok refs/heads/main"]
        yield door
