"""
``python -m benchmarks.many_refs``: one push of 50,000 refs to one node, and what it costs the node.

By default the request is written byte by byte, as a client without limits of its own would. ``--git`` pushes
with stock git, whose client compares every ref with every other when it speaks HTTP (``git send-pack`` is given
each as a refspec of its own): beyond some 10,000 that takes it minutes before it sends anything.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import httpx
import trio

from tests.fixtures import git_history
from tests.fixtures.git_history import BLOB, PLAIN, commit
from tests.http.node_world import bearing, git, open_world
from tests.net.packs.pack_world import pack_of
from tests.refusals.doors_world import ZERO, push_body

REFS = 50_000
# A branch of few is another's in a mirror; more would measure git's own work on them.
COMMITS = 300
SECONDS_MAX = 1_800


async def measure(path: Path, refs: int, validators: int, *, with_git: bool) -> str:
    """One push, in words."""
    async with open_world(path / "net", validators=validators) as node:
        token = await node.token("alice")
        push = _by_git if with_git else _by_hand
        before = resource.getrusage(resource.RUSAGE_SELF)
        with trio.fail_after(SECONDS_MAX):
            took = await push(path, node.remote("alice/many.git", "alice", token), refs)
        after = resource.getrusage(resource.RUSAGE_SELF)
        node.http.timeout = SECONDS_MAX
        shown = await node.http.get("/alice/many.git/info/refs?service=git-receive-pack", headers=bearing(token))
    found = shown.content.count(b" refs/heads/")
    assert found == refs, f"{found} of {refs} refs are there"
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    memory = f"{before.ru_maxrss >> 10} MiB at most before, {after.ru_maxrss >> 10} MiB after"
    return f"{refs} refs in {took:.1f} s; this process {cpu:.1f} s of processor, {memory}"


async def _by_hand(_path: Path, remote: str, refs: int) -> float:
    commits = [commit(PLAIN.oid, message=f"{number}\n") for number in range(COMMITS)]
    names = (f"{ZERO} {commits[number % COMMITS].oid} refs/heads/team/b{number:06}" for number in range(refs))
    body = push_body(names, pack_of(BLOB, PLAIN, *commits))
    began = time.monotonic()
    async with httpx.AsyncClient(timeout=SECONDS_MAX) as http:
        headers = {"content-type": "application/x-git-receive-pack-request"}
        answer = await http.post(f"{remote}/git-receive-pack", content=body, headers=headers)
    assert answer.status_code == httpx.codes.OK, answer.text
    return time.monotonic() - began


async def _by_git(path: Path, remote: str, refs: int) -> float:
    source = path / "source"
    git_history.init(source)
    git_history.git(source, "fast-import", "--quiet", "--done", stdin=_stream(refs))
    began = time.monotonic()
    done = await git(source, "push", "--quiet", "--mirror", remote, seconds=SECONDS_MAX)
    assert done.code == 0, done.err[-500:]
    return time.monotonic() - began


def _stream(refs: int) -> bytes:
    lines = []
    for mark in range(1, COMMITS + 1):
        lines += [f"commit refs/heads/b{mark}", f"mark :{mark}", f"committer A <a@b.c> {mark} +0000", "data 1", "x", ""]
    for number in range(COMMITS + 1, refs + 1):
        lines += [f"reset refs/heads/b{number}", f"from :{number % COMMITS + 1}", ""]
    return "\n".join([*lines, "done", ""]).encode()


def main() -> None:
    """Print one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--refs", type=int, default=REFS)
    parser.add_argument("--validators", type=int, default=1)
    parser.add_argument("--git", action="store_true", help="push with stock git")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        said = trio.run(lambda: measure(Path(directory), asked.refs, asked.validators, with_git=asked.git))
    sys.stdout.write(f"{said}\n")


if __name__ == "__main__":
    main()
