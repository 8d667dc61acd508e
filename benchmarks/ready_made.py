"""
``git clone guts://`` of one node beside a stock clone of the peer: the same 100 MB, from beginning to end, bare.

The proof is checked against the pinned genesis and every byte against its digest, as ever. What the time went to is
what the helper tells of itself; the rest is git, and starting Python.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import mean

from attrs import evolve, frozen

from guts_cli.ready.stages import TRACE
from tests.compat.devnet import Git, wait_until

from . import history
from .figures import Figure
from .git_traffic import figures
from .run import Run
from .serving import SERVING_NODE, Served, serve

READY_BAR = 0.2
# In the order in which they come; digests are of threads that fetch at the same time.
STAGES = ("proof", "lists", "files", "digest", "placing")


@contextmanager
def open_large(run: Run) -> Iterator[Served]:
    """Large enough that starting git and Python is not most of it."""
    with serve(run, "large-served", history.write_large) as served:
        yield served


@frozen
class Cloner:
    """Whoever clones by the helper: one node to ask, its network pinned, and a file that stages are told in."""

    served: Served
    stages: Path

    def clone(self, git: Git, url: str) -> None:
        """From ours by the helper, from the peer as ever."""
        if url == self.served.peer_url:
            git("clone", "-q", "--bare", url, "clone")
            return
        done = git(
            "clone",
            "--bare",
            f"guts://{self.served.client.user}/{self.served.name}",
            "clone",
            check=True,
            **self._environment(),
        )
        assert "own protocol" not in done.stderr, done.stderr

    def wait(self) -> None:
        """Until the node hands the packs out: it looks at what was pushed a moment after it has it."""
        network, client = self.served.run.network, self.served.client
        path = f"/api/guts/v1/repos/{client.user}/{self.served.name}/packs"
        wait_until(lambda: network.http(SERVING_NODE, path, token=client.token).json["clean"], "packs are handed out")

    def told(self, seconds: Sequence[float]) -> str:
        """Mean milliseconds of each stage beside the whole."""
        found: dict[str, float] = defaultdict(float)
        for line in self.stages.read_text().splitlines():
            name, ms = line.split()
            found[name] += float(ms) / len(seconds)
        rest = 1000 * mean(seconds) - sum(found[name] for name in STAGES if name != "digest")
        said = ", ".join(f"{name} {found[name]:.0f}" for name in STAGES)
        return f"ms of it: {said}, git and Python's start {rest:.0f} (digests within files)"

    def _environment(self) -> dict[str, str]:
        network, token = self.served.run.network, self.served.client.token
        assert token is not None
        return {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "GUTS_HOME": str(network.home),
            "GUTS_NODE": network.url(SERVING_NODE),
            "GUTS_TOKEN": token,
            TRACE: str(self.stages),
        }


def measure(run: Run) -> list[Figure]:
    """By turns, as stock clones are."""
    served = run.once(open_large)
    cloner = Cloner(served, served.home / "stages")
    cloner.wait()
    pair = served.by_turns("ready-made clone", run.times(7, 3), cloner.clone)
    *both, ratio = figures(pair, served.peer, READY_BAR, "1 node")
    return [*both, evolve(ratio, note=f"{cloner.told([cost.seconds for cost in pair.ours])}; of {served.words}")]
