"""
git as a child process: a fixed environment, and bounds on time, memory, output and number.

A child is killed when its caller is cancelled, when its time is over and when it says too much.
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import trio
from attrs import frozen

from guts_core.errors import LimitExceeded, Unavailable
from guts_core.git.command import check_git_version, git_argv, git_environment
from guts_net.tally import Tally

from .fsck_levels import known_ids

# More children than this only wait for each other's disk and processor.
CHILDREN_MAX = 8
# Of these, so many may index large packs: short questions never wait behind them all.
LARGE_MAX = 3
CHILD_SECONDS = 60.0
# git's fatal message comes last and its warnings come first; this much holds both ends of any honest run.
WORDS_BYTES_MAX = 64 * 1024
OUTPUT_BYTES_MAX = 64 << 20
# A 5-million-object pack needs about 1 GiB in index-pack; what asks for more is a bomb (C01, C02).
CHILD_MEMORY_BYTES_MAX = 3 << 30
_READ_BYTES = 64 * 1024


@frozen
class Answer:
    """What a child said and how it ended; a negative code is the signal that killed it."""

    code: int
    output: bytes
    words: str


class GitChildren:
    """Starts git children, so many at a time."""

    def __init__(self, most: int = CHILDREN_MAX, most_large: int = LARGE_MAX, tally: Tally | None = None) -> None:
        self._tally = tally or Tally()
        self._limiter = trio.CapacityLimiter(most)
        self._large = trio.CapacityLimiter(most_large)
        self._fsck_ids: frozenset[str] | None = None

    async def run(
        self,
        *arguments: str,
        git_dir: Path | None = None,
        stdin: bytes = b"",
        seconds: float = CHILD_SECONDS,
        cpu_seconds: int | None = None,
        output_bytes_max: int = OUTPUT_BYTES_MAX,
        is_large: bool = False,
    ) -> Answer:
        """Run git to its end. Raises LimitExceeded for too much output or time, Unavailable without git."""
        async with self._large if is_large else contextlib.nullcontext(), self._limiter:
            with self._tally.timed("git_children"):
                process = await _open(git_argv(*arguments), git_dir, cpu_seconds)
                try:
                    with trio.move_on_after(seconds) as time:
                        answer = await _converse(process, stdin, output_bytes_max)
                finally:
                    await _end(process)
        if time.cancelled_caught:
            raise LimitExceeded(f"git {arguments[0]} took longer than {seconds:g} seconds")
        return answer

    async def fsck_ids(self) -> frozenset[str]:
        """The messages of fsck that this git knows; asked once."""
        if self._fsck_ids is None:
            self._fsck_ids = known_ids((await self.run("help", "--config")).output)
        return self._fsck_ids

    async def check_version(self) -> tuple[int, int]:
        """The version of git found on PATH; raises Unavailable with words when it will not do."""
        answer = await self.run("version")
        return check_git_version(answer.output)


async def _open(argv: list[str], git_dir: Path | None, cpu_seconds: int | None) -> trio.Process:
    environment = git_environment(os.environ.get("PATH", os.defpath))
    if git_dir is not None:
        environment["GIT_DIR"] = str(git_dir)
    try:
        process = await trio.lowlevel.open_process(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=None if git_dir is None else str(git_dir),
        )
    except FileNotFoundError:
        raise Unavailable("git is not installed, or not on PATH") from None
    if sys.platform == "linux":
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(process.pid, resource.RLIMIT_DATA, (CHILD_MEMORY_BYTES_MAX, CHILD_MEMORY_BYTES_MAX))
            if cpu_seconds is not None:
                resource.prlimit(process.pid, resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
    return process


async def _converse(process: trio.Process, stdin: bytes, output_bytes_max: int) -> Answer:
    output, words = bytearray(), bytearray()
    too_much = False

    async def feed() -> None:
        assert process.stdin is not None
        with contextlib.suppress(trio.BrokenResourceError):  # a child that fails early does not read on
            async with process.stdin as stream:
                await stream.send_all(stdin)

    async def hear() -> None:
        nonlocal too_much
        assert process.stdout is not None
        while data := await process.stdout.receive_some(_READ_BYTES):
            output.extend(data)
            if len(output) > output_bytes_max:
                too_much = True
                process.kill()
                return

    async def listen() -> None:
        assert process.stderr is not None
        while data := await process.stderr.receive_some(_READ_BYTES):
            words.extend(data)
            if len(words) > WORDS_BYTES_MAX:
                del words[WORDS_BYTES_MAX // 2 : -WORDS_BYTES_MAX // 2]

    async with trio.open_nursery() as nursery:
        for task in (feed, hear, listen):
            nursery.start_soon(task)
        code = await process.wait()
    if too_much:
        raise LimitExceeded(f"git answered more than {output_bytes_max} bytes")
    return Answer(code, bytes(output), words.decode("utf-8", "replace"))


async def _end(process: trio.Process) -> None:
    """Kill what still runs, reap it and close its pipes, whatever cancelled us."""
    if process.returncode is None:
        process.kill()
    with trio.CancelScope(shield=True):
        await process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                await stream.aclose()
