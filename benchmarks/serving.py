"""
What one node serves, beside the peer: raw downloads by a client that throws away, stock clones, and fetches.

The repository is the one of ``project.py``, or one given by its path. The node is another one than was pushed to; the
peer holds one pack with a bitmap, as a host that is looked after does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from attrs import frozen

from tests.compat.devnet import Git
from tests.compat.people import alice_of, create_repository

from . import project
from .figures import Figure, figure, ratios
from .git_traffic import Pair, figures, timed
from .kept import kept
from .peer import Peer, open_peer
from .processes import cpu, settle
from .raw import Source, drain, drain_together, everything
from .run import Run

RAW_CPU_BAR, FIRST_PACK_BAR, TOGETHER_BAR = 0.2, 0.15, 3.0
CLONE_BAR, FETCH_BAR = 1.08, 1.25
TOGETHER = 8
# Processor time is told in hundredths of a second, so it is taken over some fetches, which use so much at least.
DRAINS = 3
CPU_SECONDS_LEAST = 0.1
# An incremental fetch brings so many commits of the branch's first parents.
BEHIND = 200
SERVING_NODE = 1
NAME = "served"


@frozen
class Served:
    """One repository on both servers."""

    run: Run
    peer: Peer
    client: Git
    home: Path
    source: Path  # bare, and our own
    branch: str
    words: str
    name: str

    @property
    def our_url(self) -> str:
        """At one node."""
        return f"{self.run.network.url(SERVING_NODE)}/{self.client.user}/{self.name}.git"

    @property
    def peer_url(self) -> str:
        """At the peer."""
        return f"{self.peer.url}/{self.name}"

    @property
    def our_pids(self) -> list[int]:
        """The node that serves; its git children show in its times."""
        return [self.run.network.pid(SERVING_NODE)]

    def raw(self, url: str) -> Source:
        """For the raw client."""
        assert self.client.token is not None
        return Source(url, self.client.user, self.client.token)

    def by_turns(self, name: str, times: int, work: Callable[[Git, str], object], prepared: Path | None = None) -> Pair:
        """Git in an empty directory, or in a copy of a repository, told a URL of either side; who begins alternates."""
        pair = Pair(name)
        for number in range(times):
            turns = [(pair.ours, self.our_url, self.our_pids), (pair.peers, self.peer_url, list(self.peer.pids))]
            for costs, url, pids in turns if number % 2 else reversed(turns):
                place = self.home / "client"
                _copy(prepared, place)
                costs.append(timed(lambda place=place, url=url: work(self.client.at(place), url), pids))  # type: ignore[misc]  # binds now
                shutil.rmtree(place)
        return pair


@contextmanager
def open_served(run: Run) -> Iterator[Served]:
    """The repository, pushed to both."""
    with serve(run, NAME, project.write) as served:
        yield served


@contextmanager
def serve(run: Run, name: str, make: Callable[[Path], object]) -> Iterator[Served]:
    """The repository that was given, or one that is made and kept."""
    home = run.fresh(name)
    source = _source(run.repository or kept(make), home / "source.git")
    alice = alice_of(run.network, home)
    assert alice.token is not None
    with open_peer(home / "peer", alice.user, alice.token) as peer:
        branch = _branch(alice.at(source))
        words = f"{_name(run, make)}, {_objects(alice.at(source)):,} objects and {_megabytes(source):.0f} MB"
        served = Served(run, peer, alice, home, source, branch, words, name)
        create_repository(run.network, alice, name, private=True)
        peer.create(name)
        for url in (f"{run.network.url(0)}/{alice.user}/{name}.git", served.peer_url):
            alice.at(source)("push", "-q", url, "refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*")
        peer.tidy(name)
        run.network.wait_all_at(0)
        run.tell(f"{words}, are with both servers")
        yield served


def measure_raw(run: Run) -> list[Figure]:
    """Everything, thrown away: processor time of the server, first byte of the pack, many at once."""
    served = run.once(open_served)
    ours, theirs, counted = map(served.raw, (served.our_url, served.peer_url, _counted(served)))
    body = everything(ours)
    assert body == everything(theirs), "both have the same refs"
    first, used, together = Turns(), Turns(), Turns()
    for number in range(run.times(5, 3)):
        first.take(number, lambda: _first_pack_ms(ours, body), lambda: _first_pack_ms(theirs, body))
        used.take(
            number,
            lambda: _cpu_ms(ours, body, served.our_pids),
            lambda: _cpu_ms(counted, body, served.peer.pids),
        )
    for number in range(run.times(3, 2)):
        together.take(
            number, lambda: drain_together(ours, body, TOGETHER), lambda: drain_together(theirs, body, TOGETHER)
        )
    return [
        *used.figures("raw fetch, server processor", "ms", RAW_CPU_BAR, note=f"of {served.words}"),
        *first.figures("raw fetch, first pack byte", "ms", FIRST_PACK_BAR),
        *together.figures(f"{TOGETHER} raw fetches at once", "MB/s", TOGETHER_BAR, at_least=True),
    ]


def measure_clones(run: Run) -> list[Figure]:
    """Stock git, bare, from beginning to end: nearly all of it is the client's own index."""
    served = run.once(open_served)
    pair = served.by_turns("stock clone", run.times(5, 2), lambda git, url: git("clone", "-q", "--bare", url, "clone"))
    return figures(pair, served.peer, CLONE_BAR, "1 node")


def measure_fetches(run: Run) -> list[Figure]:
    """Some commits on top of what the client has; the newest commit alone; everything but files."""
    served = run.once(open_served)
    branch, times = served.branch, run.times(5, 3)
    behind = _behind(served)
    pairs = (
        served.by_turns("incremental fetch", times, lambda git, url: git("fetch", "-q", url, branch), prepared=behind),
        served.by_turns(
            "shallow clone",
            times,
            lambda git, url: git("clone", "-q", "--bare", "--depth", "1", "-b", branch, url, "clone"),
        ),
        served.by_turns(
            "clone without files",
            run.times(3, 2),
            lambda git, url: git("clone", "-q", "--bare", "--filter=blob:none", url, "clone"),
        ),
    )
    return [one for pair in pairs for one in figures(pair, served.peer, FETCH_BAR, "1 node")]


class Turns:
    """A number of both, taken by turns."""

    def __init__(self) -> None:
        self._ours: list[float] = []
        self._theirs: list[float] = []

    def take(self, number: int, ours: Callable[[], float], theirs: Callable[[], float]) -> None:
        """One round; who begins alternates."""
        turns = [(self._ours, ours), (self._theirs, theirs)]
        for values, work in turns if number % 2 else reversed(turns):
            values.append(work())

    def figures(self, name: str, unit: str, bar: float, *, at_least: bool = False, note: str = "") -> list[Figure]:
        """Both, and their ratio."""
        return [
            figure(f"{name}, 1 node", unit, self._ours, note=note),
            figure(f"{name}, peer", unit, self._theirs),
            figure(f"{name}, of the peer's", "x", ratios(self._ours, self._theirs), bar=bar, at_least=at_least),
        ]


def _first_pack_ms(source: Source, body: bytes) -> float:
    return 1000 * median(drain(source, body).first_pack_seconds for _ in range(DRAINS))


def _cpu_ms(source: Source, body: bytes, pids: Sequence[int]) -> float:
    settle(pids)
    before, used, drained = cpu(pids), 0.0, 0
    while used < CPU_SECONDS_LEAST:
        for _ in range(DRAINS):
            drain(source, body)
        settle(pids)
        used, drained = (cpu(pids) - before).total, drained + DRAINS
    return 1000 * used / drained


def _counted(served: Served) -> str:
    return f"{served.peer.counted_url}/{served.name}"


def _source(origin: Path, path: Path) -> Path:
    """A copy without hooks and settings, from which a fetch may want any commit."""
    quiet = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    subprocess.run(["git", "clone", "-q", "--bare", str(origin), str(path)], check=True, env=quiet)
    subprocess.run(["git", "-C", str(path), "config", "uploadpack.allowAnySHA1InWant", "true"], check=True)
    return path


def _behind(served: Served) -> Path:
    """What a client has that was here some commits ago."""
    listed = served.client.at(served.source)(
        "rev-list", "--first-parent", f"--max-count={BEHIND + 1}", served.branch
    ).stdout.split()
    path = served.home / "behind.git"
    served.client("init", "-q", "--bare", str(path))
    served.client.at(path)("fetch", "-q", str(served.source), f"{listed[-1]}:refs/heads/{served.branch}")
    return path


def _copy(prepared: Path | None, place: Path) -> None:
    if prepared is None:
        place.mkdir()
    else:  # packs do not change, and git writes refs anew: names for the same files do
        shutil.copytree(prepared, place, copy_function=os.link)


def _branch(git: Git) -> str:
    """The one that HEAD names, or the first where it names none."""
    named = git("symbolic-ref", "-q", "--short", "HEAD", check=False).stdout.split()
    return [*named, *git("for-each-ref", "--format=%(refname:short)", "refs/heads").stdout.split()][0]


def _name(run: Run, make: Callable[[Path], object]) -> str:
    made = "a made project" if make is project.write else "a made history"
    return run.repository.resolve().name if run.repository else made


def _objects(git: Git) -> int:
    return int(git("rev-list", "--all", "--objects", "--count").stdout)


def _megabytes(repository: Path) -> float:
    return sum(pack.stat().st_size for pack in repository.glob("objects/pack/*.pack")) / 1e6
