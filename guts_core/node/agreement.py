"""
Agreement across epochs: one engine after another, and who speaks for which seat.

Peers are known by their numbers, for ever; the seats of an epoch are in the engine's own words only. What a
peer that is one epoch ahead says waits here until this node has come to that epoch too: it mostly takes a
message or two, and what was lost then would cost a view.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from guts_core.chain.ledger import Ledger
from guts_core.forge import queries
from guts_core.forge.records import ValidatorEntry
from guts_core.identity import Signer, Verifier
from guts_core.simplex.effects import Effect as EngineEffect
from guts_core.simplex.engine import Engine, EngineConfig
from guts_core.simplex.messages import Propose, Supply, epoch_of
from guts_core.simplex.ports import Instant

from .messages import Announce, AvailSaid, Hello, PeerMessage, Submit, Witnessed

# Of one peer that is an epoch ahead: its votes of a few views, a proposal among them.
EARLY_MESSAGES_MAX = 64
EARLY_BYTES_MAX = 4 << 20


class Agreement:
    """The engine of the current epoch; ``signers`` tells all vote keys that this node holds as an epoch begins."""

    def __init__(self, ledger: Ledger, signers: Callable[[], Iterable[Signer]], verifier: Verifier) -> None:
        self._ledger, self._verifier = ledger, verifier
        self._find_signers, self._signers = signers, dict[bytes, Signer]()
        self._early: dict[int, list[tuple[PeerMessage, int]]] = {}
        self.engine = self._make()

    @property
    def seats(self) -> tuple[ValidatorEntry, ...]:
        """The validators of this epoch, in voting order."""
        return self._ledger.network.seats

    @property
    def numbers(self) -> tuple[int, ...]:
        """By which the validators are known, in the same order."""
        return tuple(entry.number for entry in self.seats)

    @property
    def seat(self) -> int | None:
        """Where this node sits in this epoch."""
        return next((seat for seat, entry in enumerate(self.seats) if entry.vote_key in self._signers), None)

    @property
    def signer(self) -> Signer | None:
        """The key that votes in this epoch."""
        seat = self.seat
        return None if seat is None else self._signers[self.seats[seat].vote_key]

    def _make(self) -> Engine:
        network = self._ledger.network
        self._signers = {signer.public_key: signer for signer in self._find_signers()}
        config = EngineConfig(
            chain_id=network.chain_id,
            epoch=network.epoch,
            validators=network.vote_keys,
            me=self.seat,
            fault_model=network.fault_model,
            delta_us=network.params.delta_ms * 1000,
            retry_us=network.params.retry_ms * 1000,
            heartbeat_us=network.params.heartbeat_ms * 1000,
            final=self._ledger.final_point(),
            certificate=self._ledger.final_certificate(),
            numbers=self.numbers,
            recalls=True,
        )
        return Engine(config, self.signer, self._verifier, self._ledger)

    def turn(self, now: Instant) -> list[EngineEffect]:
        """Go on in the next epoch, and in those after it that the log tells of."""
        out: list[EngineEffect] = []
        while self.engine.ended:
            before, self.engine = self.engine, self._make()
            out += self.engine.follow(before, now)
        return out

    # ---- what comes an epoch too early ----

    def keep_early(self, peer: int, message: PeerMessage, size: int) -> None:
        """Hold what belongs to the next epoch, within bounds; the newest beyond them is let go."""
        if said_in(message) != self.engine.epoch + 1:
            return
        held = self._early.setdefault(peer, [])
        if len(held) < EARLY_MESSAGES_MAX and sum(weight for _, weight in held) + size <= EARLY_BYTES_MAX:
            held.append((message, size))

    def take_early(self) -> Iterator[tuple[int, PeerMessage]]:
        """What belongs to the epoch that has begun."""
        held, self._early = self._early, {}
        return ((peer, message) for peer, messages in held.items() for message, _ in messages)

    def lost(self, peer: int) -> None:
        """The link to a peer closed."""
        self._early.pop(peer, None)
        self.engine.lost(peer)


def said_in(message: PeerMessage) -> int | None:
    """The epoch in which something was said, where it counts in no other."""
    match message:
        case AvailSaid():
            return message.avail.epoch
        case Witnessed():
            return message.witness.avail.epoch
        case Submit() | Announce() | Hello() | Supply():
            return None
        case Propose():
            return message.proposal.epoch
        case _:
            return epoch_of(message)


def number_of(ledger: Ledger, node_key: bytes) -> int | None:
    """By which number the state knows a node, if it does."""
    found = queries.node_of_key(ledger.view(), node_key)
    return None if found is None else found.number
