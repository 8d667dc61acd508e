"""
The voter: an engine whose votes leave only once they are in the log, cut, and told another history afterwards.

I1 and I2 of ``consensus.md`` over all lives: no validator casts two votes that exclude each other, whatever it
remembers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from typing_extensions import override

from guts_core.simplex.effects import Effect, Persist, Send
from guts_core.simplex.messages import Kind, Propose, Vote
from guts_net.journal import Journal
from guts_net.protocols import Disk
from tests.core.simplex.simplex_world import DELTA, HEARTBEAT, F, N, World, X
from tests.crash.exploring import Workload
from tests.crash.fault_disk import FaultDisk

LOG = "votes.log"


class Voter(World):
    """A ``World`` whose log is a journal, and whose votes are promises."""

    def __init__(self, journal: Journal, records: Sequence[bytes], promise: Callable[[Vote], object]) -> None:
        self._journal, self._records, self._promise = journal, list(records), promise
        super().__init__()

    @override
    def restart(self, records: list[bytes] | None = None) -> None:
        super().restart(self._records if records is None else records)

    @override
    def _do(self, effects: list[Effect]) -> list[Effect]:
        """In their order, as ``Pump`` does."""
        for effect in effects:
            if isinstance(effect, Persist):
                self._journal.append([effect.record])
                if effect.sync:
                    self._journal.sync()
            elif isinstance(effect, Send) and isinstance(effect.message, Propose | Vote):
                message = effect.message
                self._promise(message.vote if isinstance(message, Propose) else message)
        return super()._do(effects)

    def compact(self) -> None:
        """As a node does when its log has grown."""
        self._journal.rewrite(self.engine.snapshot_records())


def live(world: World, word: bytes | None = None, *, halfway: Callable[[], None] = lambda: None) -> None:
    """Blocks become final, one view is given up, and this validator is asked for votes of every kind."""
    first = world.block(1, word=word)
    second = world.block(2, first.proposal)
    world.hear(1, first)
    world.hear(2, world.vote(2, N, 1, first.proposal), second)
    world.hear(3, world.vote(3, N, 1, first.proposal))
    world.hear_votes(world.vote(signer, F, 1, first.proposal) for signer in (1, 2, 3))
    world.commit()
    halfway()
    world.hear_votes(world.vote(signer, N, 2, second.proposal) for signer in (1, 3))
    world.hear_votes(world.vote(peer, X, 3) for peer in (1, 2, 3))
    world.work(b"more")
    world.wait(HEARTBEAT + 4 * DELTA)


def _run(directory: Path, disk: FaultDisk) -> None:
    journal, records = Journal.open(directory / LOG, disk, lambda size: b"\1" * size)
    world = Voter(journal, records, disk.promise)
    live(world, halfway=world.compact)
    journal.close()


def _recover(directory: Path, disk: Disk) -> list[Vote]:
    """The next life hears another history; what it says then. Said while it is cut itself, it is a promise too."""
    said: list[Vote] = []
    journal, records = Journal.open(directory / LOG, disk, lambda size: b"\2" * size)

    def say(vote: Vote) -> None:
        said.append(vote)
        if isinstance(disk, FaultDisk):
            disk.promise(vote)

    world = Voter(journal, records, say)
    world.wait(3 * DELTA)
    live(world, b"another history")
    journal.close()
    return said


def _check(_: Path, found: list[Vote], promises: list[Any]) -> None:
    said: dict[tuple[Kind, int], set[object]] = {}
    for vote in (*promises, *found):
        said.setdefault((vote.kind, vote.view), set()).add(vote.proposal)
    for (kind, view), contents in said.items():
        assert len(contents) == 1, f"I1: two {kind.name.lower()} votes in view {view}"
    both = {view for kind, view in said if kind is X} & {view for kind, view in said if kind is F}
    assert not both, f"I2: view {both} was nullified and finalized"


VOTER = Workload("voter", lambda _: None, _run, _recover, _check)
