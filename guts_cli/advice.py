"""The most important thing to do about a node, in one sentence: pure, from what it says of itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import TYPE_CHECKING

from attrs import frozen

from guts_http.health import BEHIND_BLOCKS_MAX

if TYPE_CHECKING:
    from guts_http.client import Connection, Status

# Leaders' times are taken up to 10 s ahead: half of that is a clock that needs care.
CLOCK_MS = 5_000
# One turn may be lost to a passing hitch; a tenth of them is a machine that cannot keep up.
MISSED_LEAST, MISSED_SHARE = 5, 10
# Writes stop at the reserve; there shall be time to act before that.
RESERVES_FREE = 2
MIB = 1 << 20
_WHO_VOTES = "guts network validators --node URL"


@frozen
class Advice:
    """One thing to do, and the command for it where there is one."""

    code: str
    sentence: str
    next: str | None = None


@frozen
class Awaited:
    """A decision that waits for the vote of an operator."""

    number: int
    says: str
    operator: str


WELL = Advice("well", "all is well")


def advice(status: Status, awaited: Sequence[Awaited] = ()) -> Advice:
    """What to do first; ``awaited`` are the decisions on which the operator of its seat has not voted."""
    return next(_advice(status, awaited), WELL)


def _advice(status: Status, awaited: Sequence[Awaited]) -> Iterator[Advice]:
    """In order of importance: what stops everybody, what stops this node, what may stop it soon."""
    if status.halted is not None:
        yield Advice("stopped", f"agreement has stopped here: {status.halted}")
    if status.damage is not None:
        yield Advice("damaged", f"its disk lost data: {status.damage}")
    yield from _disk_is_low(status)
    if not status.started:
        yield Advice("starting", "it is replaying its vote log: wait a moment, and ask again")
    if status.role == "retired":
        words = "it was voted out and its keys are never accepted again: stop it; to come back, its operator joins anew"
        yield Advice("retired", words, "guts join URL --dir NEW --name NAME")
    yield from _is_unverified(status)
    if status.role == "stranger" and status.validator_index is not None:
        words = "the network does not know its new network key yet, and talks with it from the epoch on that brings it"
        yield Advice("unknown-key", words, _WHO_VOTES)
    yield from _agreement(status)
    if status.held_back is not None:
        yield Advice("held-back", f"{status.held_back}; it does so again by itself")
    yield from _is_stale(status)
    yield from _own_clock(status)
    if status.behind > BEHIND_BLOCKS_MAX:
        words = f"it is up to {status.behind} blocks behind and catching up: wait, and look again in a minute"
        yield Advice("behind", words)
    if _misses(status.missed, status.led):
        words = (
            f"it missed {status.missed} of its {status.missed + status.led} turns to lead: look for a busy processor"
        )
        yield Advice("missing-turns", f"{words}, a slow disk or a slow link on this machine", "guts doctor --dir DIR")
    for one in awaited:
        words = f"decision {one.number} ({one.says}) waits for the vote of {one.operator}"
        yield Advice("vote", words, f"guts network vote {one.number}")
    yield from _others(status)
    yield from _data(status)


def _disk_is_low(status: Status) -> Iterator[Advice]:
    if status.disk_free < status.disk_reserve:
        words = f"{status.disk_free // MIB} MiB are free and {status.disk_reserve // MIB} MiB are kept for agreement"
        yield Advice("disk-low", f"free space on its disk: {words}, so it takes no writes of clients")


def _agreement(status: Status) -> Iterator[Advice]:
    away = [one.name for one in status.connections if not one.connected]
    lacking = status.quorum - status.peers - (status.validator_index is not None)
    if lacking <= 0:
        return
    if status.peers == 0:
        words = "no other validator is connected: look whether this machine has a network and its p2p port is open"
        yield Advice("alone", f"{words}, and of another node, whether this one has its place still", _WHO_VOTES)
    else:
        yield Advice("no-quorum", f"agreement needs {lacking} more of {_names(away)}: tell their operators")


def _is_unverified(status: Status) -> Iterator[Advice]:
    if status.outlook == "few" and status.validator_index is None:
        words = f"what it shows is unverified: it reaches {status.peers} of {status.validators} validators"
        yield Advice("unverified", f"{words}, who may all be faulty; set p2p.bootstrap to addresses of others")


def _is_stale(status: Status) -> Iterator[Advice]:
    """With a quorum in sight: somebody may stand between this node and what is final."""
    if status.outlook == "stale":
        words = "it heard of no newer final block for three heartbeats and looks for others at other addresses"
        yield Advice("stale", f"{words}: compare its height with another node's")


def _own_clock(status: Status) -> Iterator[Advice]:
    """Most of the others, and this node with them in the count, decide whose clock is wrong."""
    told = [one.clock_ms for one in status.connections if one.clock_ms is not None]
    offset = median([0, *told]) if len(told) > 1 else 0
    if abs(offset) > CLOCK_MS:
        side = "behind" if offset > 0 else "ahead of"
        words = f"this machine's clock is about {abs(offset) / 1000:.0f} s {side} most others': let it be set by NTP"
        yield Advice("clock", words, "timedatectl set-ntp true")


def _others(status: Status) -> Iterator[Advice]:
    away = [one.name for one in status.connections if not one.connected]
    spare = status.peers + (status.validator_index is not None) - status.quorum
    if away and spare == 0:
        yield Advice(
            "no-spare", f"one more failure stops agreement: {_names(away)} must come back; tell their operators"
        )
    if away:
        yield Advice("away", f"{_names(away)} cannot be reached from here: tell their operators")
    slow = [one.name for one in status.connections if _misses(one.missed, one.led)]
    if slow:
        yield Advice(
            "others-miss", f"{_names(slow)} miss many turns to lead, which slows everybody: tell their operators"
        )
    off = [one for one in status.connections if one.clock_ms is not None and abs(one.clock_ms) > CLOCK_MS]
    if off:
        yield Advice("other-clock", f"{_clocks(off)}: one of these clocks is wrong; compare them with a third")


def _data(status: Status) -> Iterator[Advice]:
    if status.packs_damaged:
        words = f"{status.packs_damaged} packs had changed on its disk and are fetched again: replace the disk soon"
        yield Advice("disk-fails", words)
    if status.disk_free < RESERVES_FREE * status.disk_reserve:
        words = (
            f"{status.disk_free // MIB} MiB are free; below {status.disk_reserve // MIB} MiB it takes no more writes"
        )
        yield Advice("disk-soon", f"its disk is nearly full ({words}): make room")
    if status.missing_packs or status.missing_texts:
        words = f"{status.missing_packs} packs and {status.missing_texts} texts are still on their way"
        yield Advice("missing-data", f"{words}: wait; if their number stays, tell the other operators")
    if not status.private_reads:
        words = "it has learned of no final block for long and shows no private repositories"
        yield Advice("no-news", f"{words}: push something, or look at the other nodes")


def _misses(missed: int, led: int) -> bool:
    return missed >= MISSED_LEAST and missed * MISSED_SHARE > missed + led


def _names(names: Sequence[str]) -> str:
    return ", ".join(names)


def _clocks(connections: Sequence[Connection]) -> str:
    return ", ".join(_clock(one.name, one.clock_ms or 0) for one in connections)


def _clock(name: str, offset_ms: int) -> str:
    return f"the clock of {name} is {abs(offset_ms) / 1000:.0f} s {'ahead' if offset_ms > 0 else 'behind'}"
