"""What keeps a node from being fit to be asked: pure, from its status."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from guts_core.node.port import Status

# At one block a second more than a minute; at full speed less than a second, and nobody is taken out for that.
BEHIND_BLOCKS_MAX = 64
MIB = 1 << 20


@frozen
class Reason:
    """One thing that is wrong. A ``grave`` one takes the node out of rotation; others leave it at part of its work."""

    code: str
    message: str
    grave: bool = True


STARTING = Reason("starting", "the node has not replayed its vote log yet")
UNREACHABLE = Reason("no-node", "the node behind this door is gone or is stopping")


def reasons(status: Status) -> tuple[Reason, ...]:
    """Everything that is wrong, the gravest first."""
    return tuple(sorted(_reasons(status), key=lambda reason: not reason.grave))


def _reasons(status: Status) -> Iterator[Reason]:
    if status.halted is not None:
        yield Reason("stopped", f"agreement has stopped: {status.halted}")
    if status.damage is not None:
        yield Reason("damaged", status.damage)
    if not status.started:
        yield STARTING
    lacking = status.quorum - status.peers - (status.validator_index is not None)
    if lacking > 0:
        more = "validator is" if lacking == 1 else "validators are"
        words = f"{lacking} more {more} needed for agreement; what is here can be read, not changed"
        # Not grave: every node says so at once, and a balancer that took them all out would take reads away, too.
        yield Reason("no-quorum", words, grave=False)
    if status.behind > BEHIND_BLOCKS_MAX:
        yield Reason("behind", f"this node is up to {status.behind} blocks behind the others and is catching up")
    if status.disk_free < status.disk_reserve:
        words = f"{status.disk_free // MIB} MiB free, {status.disk_reserve // MIB} MiB are kept for agreement"
        yield Reason("disk-low", f"this node takes no writes of clients: {words}", grave=False)
    if status.missing_packs:
        words = f"{status.missing_packs} packs are still on their way: their repositories cannot be read here"
        yield Reason("missing-packs", words, grave=False)
