"""
Stock git pushes to four validators and to the peer, by turns: 12 MB, one commit, 100 MB.

A push is timed from starting ``git push`` to its end, with credentials from a helper on both sides. Runs
alternate and begin with either side in turn, and each waits until the servers have nothing left to do.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import mean

from attrs import define, evolve, field, frozen

from tests.compat.devnet import Git
from tests.compat.people import alice_of

from . import history
from .figures import Figure, figure, ratios
from .kept import kept
from .peer import Peer, open_peer
from .processes import Cpu, children_cpu_seconds, cpu, settle
from .run import Run
from .stages import Stages

PUSH_COMMIT_BAR, PUSH_MEDIUM_BAR, PUSH_LARGE_BAR = 2.0, 2.0, 1.5


@frozen
class Cost:
    """One git command: elapsed seconds, and processor seconds of the client and of the servers."""

    seconds: float
    client_cpu: float
    server_cpu: Cpu


@define
class Pair:
    """The same work, done by turns with both."""

    name: str
    ours: list[Cost] = field(factory=list)
    peers: list[Cost] = field(factory=list)


@frozen
class Sides:
    """Both servers, and a client of each with a working copy of its own."""

    run: Run
    peer: Peer
    purpose: str  # parts the names of repositories of different measurements
    mine: Git
    theirs: Git

    def push_all(self, number: int, pair: Pair) -> None:
        """The whole history into an empty repository of either side."""
        self._create(number)
        self.peer.create(self.name(number))
        self.by_turns(
            number,
            pair,
            lambda: self.mine("push", "-q", self.our_url(number), "main"),
            lambda: self.theirs("push", "-q", self.peer_url(number), "main"),
        )

    def push_ours(self, number: int) -> None:
        """The same into one of the network alone."""
        self._create(number)
        self.mine("push", "-q", self.our_url(number), "main")

    def push_commit(self, number: int, pair: Pair) -> None:
        """One changed line on top of the history, pushed to repository 0."""
        for side in (self.mine, self.theirs):
            side.commit("line.txt", f"line {number}\n")
        self.by_turns(
            number,
            pair,
            lambda: self.mine("push", "-q", self.our_url(0), "main"),
            lambda: self.theirs("push", "-q", self.peer_url(0), "main"),
        )

    def by_turns(self, number: int, pair: Pair, ours: Callable[[], object], theirs: Callable[[], object]) -> None:
        """One round; who begins alternates."""
        turns = [(pair.ours, ours, self.run.pids), (pair.peers, theirs, list(self.peer.pids))]
        for costs, work, pids in turns if number % 2 else reversed(turns):
            costs.append(timed(work, pids))

    def _create(self, number: int) -> None:
        body = {"name": self.name(number), "private": True}
        made = self.run.network.http(0, "/api/v3/user/repos", token=self.mine.token, body=body)
        assert made.status == 201, made.body

    def name(self, number: int) -> str:
        """Of a repository."""
        return f"{self.purpose}{number}"

    def our_url(self, number: int, node: int = 0) -> str:
        """A repository of the network, as one node serves it."""
        return f"{self.run.network.url(node)}/{self.mine.user}/{self.name(number)}.git"

    def peer_url(self, number: int) -> str:
        """The peer's."""
        return f"{self.peer.url}/{self.name(number)}"


@contextmanager
def open_sides(run: Run, purpose: str, source: Path) -> Iterator[Sides]:
    """The network, a peer, and two clones of a repository."""
    home = run.fresh(purpose)
    alice = alice_of(run.network, home)
    assert alice.token is not None
    with open_peer(home / "peer", alice.user, alice.token) as peer:
        mine, theirs = (alice.clone(str(source), side) for side in ("mine", "theirs"))
        yield Sides(run, peer, purpose, mine, theirs)


def timed(work: Callable[[], object], pids: Sequence[int]) -> Cost:
    """What it takes; the processor time includes what servers do after they answered."""
    settle(pids)
    servers, client, start = cpu(pids), children_cpu_seconds(), time.perf_counter()
    work()
    seconds, used = time.perf_counter() - start, children_cpu_seconds() - client
    settle(pids)
    return Cost(seconds, used, cpu(pids) - servers)


def measure_pushes(run: Run) -> list[Figure]:
    """12 MB into an empty repository, then commits one by one on top."""
    with open_sides(run, "push", kept(history.write)) as sides:
        large, small = Pair("push of 12 MB"), Pair("push of one commit")
        for number in range(run.times(7, 4)):
            sides.push_all(number, large)
        for number in range(run.times(21, 8)):
            sides.push_commit(number, small)
        return [*figures(small, sides.peer, PUSH_COMMIT_BAR), *figures(large, sides.peer, PUSH_MEDIUM_BAR)]


def measure_large_pushes(run: Run) -> list[Figure]:
    """100 MB into an empty repository, with the stages of a push as the nodes tell of them."""
    with open_sides(run, "large", kept(history.write_large)) as sides:
        pair, logs = Pair("push of 100 MB"), Stages.begin(run)
        for number in range(run.times(3, 2)):
            sides.push_all(number, pair)
        *both, ratio = figures(pair, sides.peer, PUSH_LARGE_BAR)
        return [*both, evolve(ratio, note=f"{ratio.note}; {logs.told([cost.seconds for cost in pair.ours])}")]


def figures(pair: Pair, peer: Peer, bar: float | None, servers: str = "4 validators") -> list[Figure]:
    """Both sides, and their ratio with what dominates it."""
    ours, peers = ([cost.seconds for cost in costs] for costs in (pair.ours, pair.peers))
    return [
        figure(f"{pair.name}, {servers}", "ms", [1000 * seconds for seconds in ours]),
        figure(f"{pair.name}, peer", "ms", [1000 * seconds for seconds in peers], note=peer.words),
        figure(f"{pair.name}, of the peer's", "x", ratios(ours, peers), bar=bar, note=explained(pair)),
    ]


def explained(pair: Pair) -> str:
    """Where the time goes, in processor milliseconds; medians would hide ticks of 10 ms, so means."""
    client = _mean_ms(cost.client_cpu for cost in pair.ours)
    python = _mean_ms(cost.server_cpu.own for cost in pair.ours)
    git = _mean_ms(cost.server_cpu.children for cost in pair.ours)
    given = _mean_ms(cost.seconds for cost in pair.ours) * (os.cpu_count() or 1)
    most = max((python, "the nodes' own code"), (git, "git of the nodes"), (client, "git of the client"))[1]
    said = f"processor ms each: client {client:.0f}, nodes {python:.0f}, their git {git:.0f}"
    said += f"; {os.cpu_count()} cores give {given:.0f} in that time. Dominated by {most}"
    return said


def _mean_ms(seconds: Iterable[float]) -> float:
    return 1000 * mean(seconds)
