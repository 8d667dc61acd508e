"""
What one written key costs in the state tree, over the database of a node, at several sizes of state.

    python -m benchmarks.state_tree [--sizes 10000,100000,1000000] [--json]

Each round writes 100 keys and commits them as a block is committed (synchronous = FULL): a transaction
that moves a ref writes three (ref, repository, the payer's quota), a push five (its pack and the pack's seat
too), so that is a block of 33 moves or 20 pushes. ``change`` and ``add`` take keys anywhere in the state, no
two of one repository, which is the worst case; ``push`` takes the keys that pushes write, most of which lie
beside each other. Told apart: ``apply`` (find, hash and encode pages) and ``commit`` (pages into the
database, synced), and ``cpu``, the processor time of both.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter, process_time
from typing import Any

from guts_core.chain.commit import Commit
from guts_core.codec import to_bytes
from guts_core.names import BlockHash, Root
from guts_core.simplex.messages import Proposal
from guts_core.state.keys import Kind, Scope, key, tree_key
from guts_core.state.nodes import EMPTY_ROOT
from guts_core.state.tree import Tree
from guts_net.disk import LocalDisk
from guts_net.store import ChainDatabase

from .figures import Figure
from .run import Run

# What one written key shall cost at a million; a plain layout was measured at 290 to 500.
GOAL_US = 60
SIZES = (10_000, 100_000, 1_000_000)
WRITES = ("change", "add", "push")
BATCH = 100
KEYS_PER_PUSH = 5
ROUNDS = 60
# Filling goes in larger blocks: it is not what is measured.
FILL_BATCH = 20_000
# Every repository has this many refs, so that keys share the prefixes they share in use.
REFS_PER_REPOSITORY = 10


def measure(run: Run) -> list[Figure]:
    """Elapsed microseconds of changing a key, of adding one, and of a key that a push writes, at every size."""
    result = measure_sizes(SIZES[: run.times(3, 2)])
    return [_figure(int(size), what, measured[what]) for size, measured in result["sizes"].items() for what in WRITES]


def _figure(size: int, what: str, measured: dict[str, dict[str, float]]) -> Figure:
    total = measured["total_us"]
    parts = ", ".join(f"{name[:-3]} {measured[name]['median']}" for name in ("apply_us", "commit_us", "cpu_us"))
    note = f"{parts}; goal at a million {GOAL_US} us"
    name = f"state tree, {what} a key of {size:,}" if what != "push" else f"state tree, a push's key of {size:,}"
    return Figure(name, "us", total["median"], total["p10"], total["p90"], ROUNDS, note=note)


def measure_sizes(sizes: Sequence[int] = SIZES) -> dict[str, Any]:
    """Microseconds per written key: medians over rounds, and the 10th and 90th of a hundred."""
    return {"batch": BATCH, "rounds": ROUNDS, "sizes": {str(size): _measure(size) for size in sizes}}


def _measure(size: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as directory:
        chain = _Chain(Path(directory) / "chain.db")
        started = perf_counter()
        for first in range(0, size, FILL_BATCH):
            chain.write({_key(at): b"%d" % at for at in range(first, min(first + FILL_BATCH, size))})
        filled = perf_counter() - started
        dice = random.Random(size)
        changed = _rounds(chain, lambda turn: {_key(dice.randrange(size)): b"new %d" % turn for _ in range(BATCH)})
        fresh = iter(range(size, size + BATCH * ROUNDS))
        added = _rounds(chain, lambda turn: {_key(next(fresh) * 7919 + size): b"%d" % turn for _ in range(BATCH)})
        pushed = _rounds(chain, lambda turn: _pushes(dice, size, turn))
        chain.database.close()
    return {
        "change": changed,
        "add": added,
        "push": pushed,
        "fill_us_per_key": round(filled / size * 1e6, 1),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _key(at: int) -> bytes:
    scope = (at // REFS_PER_REPOSITORY).to_bytes(32, "big")
    return tree_key(key(Scope.REPOSITORY, scope, Kind.REF, b"refs/heads/%d" % at))


def _pushes(dice: random.Random, size: int, turn: int) -> dict[bytes, bytes | None]:
    """What pushes write, each to another repository by another account: those are as many as repositories."""
    written: dict[bytes, bytes | None] = {}
    for repository in dice.sample(range(size // REFS_PER_REPOSITORY), BATCH // KEYS_PER_PUSH):
        scope, value = repository.to_bytes(32, "big"), b"%d" % turn
        ref = repository * REFS_PER_REPOSITORY + dice.randrange(REFS_PER_REPOSITORY)
        written[_key(ref)] = value
        written[tree_key(key(Scope.REPOSITORY, scope, Kind.REPOSITORY, b""))] = value
        written[tree_key(key(Scope.REPOSITORY, scope, Kind.PACK, turn.to_bytes(8, "big")))] = value
        written[tree_key(key(Scope.REPOSITORY, scope, Kind.PACK_SEAT, b"%d" % turn))] = value
        written[tree_key(key(Scope.ACCOUNT, scope, Kind.QUOTA, b""))] = value
    return written


class _Chain:
    """A database and the root of the tree in it."""

    def __init__(self, path: Path) -> None:
        self.database = ChainDatabase(path, LocalDisk())
        self._root: Root = EMPTY_ROOT

    def write(self, records: dict[bytes, bytes | None]) -> dict[str, float]:
        started, busy = perf_counter(), process_time()
        self._root, pages = Tree(self.database.page).apply(self._root, records)
        applied = perf_counter()
        self.database.commit(_commit(self.database.height() + 1, pages))
        if self.database.log_is_long:  # as nodes do
            self.database.copy_log()
        ended, busy = perf_counter(), process_time() - busy
        stored = [page for page in pages.values() if page is not None]
        return {
            "apply_us": (applied - started) / len(records) * 1e6,
            "commit_us": (ended - applied) / len(records) * 1e6,
            "total_us": (ended - started) / len(records) * 1e6,
            # Beside total_us it tells how much of that was waiting: for the disk, or for neighbours.
            "cpu_us": busy / len(records) * 1e6,
            "pages": len(pages) / len(records),
            "page_bytes": sum(map(len, stored)) / len(records),
        }


def _commit(height: int, pages: dict[bytes, bytes | None]) -> Commit:
    block_hash = BlockHash(height.to_bytes(32, "big"))
    proposal = to_bytes(Proposal(0, height, height - 1, BlockHash(bytes(32)), block_hash))
    return Commit(height, block_hash, proposal, b"", None, height, {}, pages, (), (), {})


def _rounds(chain: _Chain, batch: Callable[[int], dict[bytes, bytes | None]]) -> dict[str, dict[str, float]]:
    rounds = [chain.write(batch(turn)) for turn in range(ROUNDS)]
    return {name: _spread([measured[name] for measured in rounds]) for name in rounds[0]}


def _spread(values: list[float]) -> dict[str, float]:
    tenths = quantiles(values, n=10)
    return {"p10": round(tenths[0], 1), "median": round(median(values), 1), "p90": round(tenths[-1], 1)}


def _lines(result: dict[str, Any]) -> Iterator[str]:
    yield f"state tree, {result['batch']} keys a block, {result['rounds']} blocks; us per written key: median (p10-p90)"
    for size, measured in result["sizes"].items():
        for what in WRITES:
            told = [f"{size:>9} keys, {what:<6}"]
            for name in ("total_us", "apply_us", "commit_us", "cpu_us"):
                spread = measured[what][name]
                told.append(f"{name[:-3]} {spread['median']} ({spread['p10']}-{spread['p90']})")
            told.append(f"{measured[what]['pages']['median']} pages")
            yield "  ".join(told)
        dominant = _dominant(measured["change"])
        yield f"          dominated by {dominant}; filling took {measured['fill_us_per_key']} us a key"


def _dominant(measured: dict[str, dict[str, float]]) -> str:
    apply, commit = measured["apply_us"]["median"], measured["commit_us"]["median"]
    return "finding, hashing and encoding pages" if apply > commit else "writing and syncing pages"


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    options = parser.parse_args()
    result = measure_sizes([int(size) for size in options.sizes.split(",")])
    print(json.dumps(result, indent=2) if options.json else "\n".join(_lines(result)))


if __name__ == "__main__":
    main()
