"""
One push from stock git, over standard input and output, into a store: the machine and the packs, joined.

    git push "ext::python push_once.py DIRECTORY REFS_JSON" ...

Run by ``test_packs_stock_git.py``; REFS_JSON holds the refs before, and after.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

import trio

from guts_core.errors import Refused
from guts_core.git.advertisement import receive_pack_advertisement
from guts_core.git.receive_pack import (
    CommandsReceived,
    PackBytes,
    ReceivePack,
    RefResult,
    progress,
    report_status,
)
from guts_core.git.refs import client_ref_name
from guts_core.names import Oid, RefName
from guts_net.disk import LocalDisk
from guts_net.packs import CheckedPack, Incoming, PackStore
from tests.net.packs.pack_world import REPO


async def main(directory: Path, refs: dict[RefName, Oid]) -> None:
    """Serve one push."""
    say(receive_pack_advertisement(refs))
    store = PackStore(directory, LocalDisk())
    async with store.incoming() as incoming:
        request = await read(incoming)
        if not request.commands:
            return
        error, checked = await take(store, incoming, request)
        results = [RefResult(c.ref, error) for c in request.commands]
        if error is None:
            results = await move(store, refs, request, checked)
    if request.capabilities.side_band:
        say(progress("weighed and measured"))
    say(report_status(error, results, request.capabilities))


async def read(incoming: Incoming) -> CommandsReceived:
    """The request. HTTP says where one ends; a pipe does not, so a pack ends where its checksum fits."""
    machine, request, pack = ReceivePack(), None, b""
    while request is None or (request.expects_pack and not is_whole(pack)):
        for event in machine.receive(await trio.to_thread.run_sync(os.read, 0, 1 << 20)):
            if isinstance(event, CommandsReceived):
                request = event
            elif isinstance(event, PackBytes):
                await incoming.write(event.data)
                pack += event.data
    return request


def is_whole(pack: bytes) -> bool:
    """Whether the pack has come to its trailer."""
    return len(pack) >= 32 and hashlib.sha1(pack[:-20], usedforsecurity=False).digest() == pack[-20:]


async def take(
    store: PackStore, incoming: Incoming, request: CommandsReceived
) -> tuple[str | None, CheckedPack | None]:
    """Check and keep the pack, if there is one."""
    if not request.expects_pack:
        return None, None
    try:
        checked = await incoming.check(REPO)
    except Refused as refusal:
        return str(refusal), None
    if checked is not None:
        await store.keep(checked)
        await store.link(REPO, checked.blob.digest)
    return None, checked


async def move(
    store: PackStore, refs: dict[RefName, Oid], request: CommandsReceived, checked: CheckedPack | None
) -> list[RefResult]:
    """Facts, and refs moved by them."""
    named, results = [], []
    for command in request.commands:
        try:
            client_ref_name(command.ref)
            named.append(command)
        except Refused as refusal:
            results.append(RefResult(command.ref, str(refusal)))
    facts = await store.facts(REPO, refs, named, checked)
    for update in facts.updates:
        if update.new is None:
            del refs[RefName(update.ref)]
        else:
            refs[RefName(update.ref)] = update.new
        results.append(RefResult(update.ref, None))
    return results + [RefResult(ref, str(refusal)) for ref, refusal in facts.refused.items()]


def say(data: bytes) -> None:
    """To the client."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    file = Path(sys.argv[2])
    held = {RefName(name): Oid(bytes.fromhex(value)) for name, value in json.loads(file.read_text()).items()}
    trio.run(main, Path(sys.argv[1]), held)
    file.write_text(json.dumps({name: value.hex() for name, value in held.items()}))
