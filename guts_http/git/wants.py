"""
Which objects a fetch may have: those that a ref of the leased directory reaches (``reliability.md`` C14).

Wants are tips almost always, and then nothing is asked of git. A commit further down takes one walk from
the tips to it; a tree or blob (the lazy fetches of a partial clone) is looked for among everything
that the tips reach. What cannot be decided in time is not given.
"""

from __future__ import annotations

import os
import subprocess
from binascii import unhexlify
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import trio

from guts_core.errors import Refused, Unavailable
from guts_core.git.command import git_argv, git_environment
from guts_core.names import Oid, RefName

# A walk over all of a history of ten million objects takes git a minute.
WALK_SECONDS = 60.0
READ_BYTES = 64 * 1024


class NotOurRef(Refused):
    """The fetch wants an object that no ref of this repository reaches, or that is not there."""

    code = "not-our-ref"

    def __init__(self, oid: Oid) -> None:
        super().__init__(f"upload-pack: not our ref {oid.hex()}")


async def check_wants(directory: str, wants: Iterable[Oid]) -> None:
    """Raise NotOurRef unless refs of this git directory reach every wanted object."""
    tips = await trio.to_thread.run_sync(tips_of, directory)
    others = frozenset(wants) - tips
    if not others:
        return
    if not tips:
        raise NotOurRef(min(others))
    with trio.move_on_after(WALK_SECONDS):
        await _check(directory, others, tips)
        return
    raise NotOurRef(min(others))


async def reached(directory: str, oids: frozenset[Oid]) -> frozenset[Oid]:
    """Those of these objects that refs of this git directory reach; none, where that takes too long."""
    tips = await trio.to_thread.run_sync(tips_of, directory)
    if not tips or oids <= tips:
        return oids & tips
    with trio.move_on_after(WALK_SECONDS):
        return oids - await _unreached(directory, oids - tips, tips)
    return frozenset()


def refs_of(directory: str, names: Iterable[str]) -> dict[RefName, Oid]:
    """Those of these refs that a projected directory shows: all that it shows stand in one file."""
    looked_up = frozenset(name.encode() for name in names)
    shown = (Path(directory) / "packed-refs").read_bytes().splitlines()
    return {RefName(line[41:].decode()): Oid(unhexlify(line[:40])) for line in shown if line[41:] in looked_up}


async def _check(directory: str, others: frozenset[Oid], tips: frozenset[Oid]) -> None:
    kinds = await _kinds(directory, others)
    _none_of(others - kinds.keys())
    commits = frozenset(oid for oid in others if kinds[oid] == "commit")
    if commits:
        beyond = await ask(directory, "rev-list", "--max-count=1", "--stdin", stdin=lines(commits) + lines(tips, b"^"))
        _none_of(commits if beyond else ())
    if others - commits:
        _none_of(await _unreached(directory, others - commits, tips))


def _none_of(oids: Iterable[Oid]) -> None:
    first = min(oids, default=None)
    if first is not None:
        raise NotOurRef(first)


def head_of(directory: str) -> RefName:
    """The ref that HEAD of a projected directory leads to."""
    return RefName((Path(directory) / "HEAD").read_text().removeprefix("ref: ").removesuffix("\n"))


def tips_of(directory: str) -> frozenset[Oid]:
    """What the refs name."""
    shown = (Path(directory) / "packed-refs").read_bytes().splitlines()
    return frozenset(Oid(unhexlify(line[:40])) for line in shown if not line.startswith(b"#"))


async def _kinds(directory: str, oids: frozenset[Oid]) -> dict[Oid, str]:
    answer = await ask(directory, "cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=lines(oids))
    pairs = (line.split(" ") for line in answer.decode("ascii").splitlines())
    return {Oid(bytes.fromhex(oid)): kind for oid, kind in pairs if kind != "missing"}


async def _unreached(directory: str, wanted: frozenset[Oid], tips: frozenset[Oid]) -> set[Oid]:
    """Those of the wanted objects that the tips do not reach; stops listing when all are found."""
    missing, rest = set(wanted), b""
    process = await _open(directory, "rev-list", "--objects", "--no-object-names", "--stdin")
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        # git reads all of its input before it answers.
        with suppress(trio.BrokenResourceError):
            async with process.stdin:
                await process.stdin.send_all(lines(tips))
        while missing and (data := await process.stdout.receive_some(READ_BYTES)):
            *found, rest = (rest + bytes(data)).split(b"\n")
            missing.difference_update(Oid(bytes.fromhex(line.decode("ascii"))) for line in found)
    finally:
        await _end(process)
    return missing


async def ask(directory: str, *arguments: str, stdin: bytes) -> bytes:
    """What git says; Unavailable when it cannot, for lack of an object or of time."""
    with trio.move_on_after(WALK_SECONDS) as time:
        done = await trio.run_process(
            git_argv(*arguments), stdin=stdin, capture_stdout=True, stderr=subprocess.DEVNULL, check=False,
            env=_environment(directory), cwd=directory, deliver_cancel=_kill,
        )  # fmt: skip
    if time.cancelled_caught:
        raise Unavailable(f"reading this repository took longer than {WALK_SECONDS:g} s; try again, or another node")
    if done.returncode != 0:
        raise Unavailable("the history of this repository is not complete on this node yet")
    return bytes(done.stdout)


async def _kill(process: trio.Process) -> None:
    process.kill()


async def _open(directory: str, *arguments: str) -> trio.Process:
    return await trio.lowlevel.open_process(
        git_argv(*arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env=_environment(directory), cwd=directory,
    )  # fmt: skip


def _environment(directory: str) -> dict[str, str]:
    return git_environment(os.environ.get("PATH", os.defpath)) | {"GIT_DIR": directory}


async def _end(process: trio.Process) -> None:
    if process.returncode is None:
        process.kill()
    with trio.CancelScope(shield=True):
        await process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                await pipe.aclose()


def lines(oids: Iterable[Oid], sign: bytes = b"") -> bytes:
    """What git reads object ids from."""
    return b"".join(sign + oid.hex().encode() + b"\n" for oid in sorted(oids))
