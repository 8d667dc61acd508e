"""That a log was lost is not forgotten where an epoch turns."""

from __future__ import annotations

from guts_core.names import BlockHash
from guts_core.sim.crypto import KeyRing
from guts_core.sim.machine import WordList
from guts_core.sim.replica import Replica
from guts_core.simplex import recovery
from guts_core.simplex.effects import Persist
from guts_core.simplex.engine import EngineConfig
from guts_core.simplex.messages import Proposal
from guts_core.simplex.ports import Instant
from guts_core.simplex.quorum import FaultModel
from guts_core.simplex.state import State
from tests.core.simplex.simplex_world import CHAIN, DELTA, HEARTBEAT, RETRY

RING = KeyRing(7, 4)


def final_of(view: int) -> Proposal:
    """The block that an epoch begins after."""
    return Proposal(0, view, view - 1, BlockHash(bytes([view - 1]) * 32), BlockHash(bytes([view]) * 32))


def validator(epoch: int, final: Proposal) -> State:
    """Of four, with nothing on disk that it has not read yet."""
    config = EngineConfig(
        chain_id=CHAIN, epoch=epoch, validators=RING.public_keys, me=0, fault_model=FaultModel.BYZANTINE,
        delta_us=DELTA, retry_us=RETRY, heartbeat_us=HEARTBEAT, final=final, recalls=True,
    )  # fmt: skip
    made = State(config, RING.signer(0), RING, Replica(WordList(), []))
    made.now = Instant(1_000_000, 1000)
    return made


def logged(s: State) -> list[bytes]:
    """What is in its log now."""
    return [one.record for one in s.effects if isinstance(one, Persist)]


def knows_of_loss(s: State) -> bool:
    """Whether it waits for others to say how far it may have voted."""
    return s.watch is not None and s.watch.stale


def test_a_lost_log_stays_known_as_lost_when_the_power_is_cut_after_the_epoch_turned() -> None:
    before = validator(0, final_of(5))
    recovery.recover(before, [])
    assert knows_of_loss(before)
    later = validator(1, final_of(9))
    recovery.inherit(later, before)  # the others told how the epoch ended, and nobody has answered yet
    assert knows_of_loss(later)

    again = validator(1, final_of(9))
    recovery.recover(again, logged(before) + logged(later))

    assert knows_of_loss(again)
