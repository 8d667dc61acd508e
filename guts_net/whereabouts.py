"""
Where the members of the network are, for this node's links: the decisions of ``guts_core.discovery``, performed.

What was learned is kept in a file, which may be lost: then the hints of the genesis file and of the
operator are where a node begins, as at its first start.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from pathlib import Path

import trio

from guts_core.codec import from_bytes, to_bytes
from guts_core.discovery import DISCOVERY_KINDS, At, Discovery, Effect, Kept, Outlook, Recent, Tell, outlook
from guts_core.errors import Malformed
from guts_core.identity import KeyPair, Verifier
from guts_core.names import ChainId, NodeId
from guts_core.node.whereabouts import PLACE_ADDRESSES_MAX, PLACES_MAX, Place, Places
from guts_core.simplex.quorum import FaultModel, quorum

from .disk import NO_ROOM, UNWRITABLE
from .logs import Log
from .membership import Membership
from .peers.events import PeerAddress
from .peers.links import PeerNetwork
from .peers.outbox import Urgency
from .protocols import Clock, Disk

FILE = "peers.known"
# What is learned is on disk within this time, and what a node says of itself is passed on.
BEAT_SECONDS = 1.0
# Where nothing goes round, one looks as often as is usual for it whether one is cut off.
INTERVAL_MS = 50_000

log = Log("discovery")


class Whereabouts:
    """The ear of the links, and who tells them whom to dial where."""

    def __init__(
        self,
        identity: KeyPair,
        chain_id: ChainId,
        fault_model: FaultModel,
        verifier: Verifier,
        network: PeerNetwork,
        membership: Membership,
        *,
        directory: Path,
        disk: Disk,
        clock: Clock,
        entropy: Callable[[int], bytes],
        hints: dict[NodeId, tuple[str, ...]],
        gossip_seconds: float,
        final_age_ms: Callable[[], int],
    ) -> None:
        """Without ``gossip_seconds`` nothing is told or believed: ``hints`` are all there is."""
        self._me, self._fault_model, self._network = NodeId(identity.public_key), fault_model, network
        self._path, self._disk, self._clock, self._final_age_ms = directory / FILE, disk, clock, final_age_ms
        self._speaks = gossip_seconds > 0
        interval_ms = round(gossip_seconds * 1000) or INTERVAL_MS
        self._beat = min(BEAT_SECONDS, interval_ms / 2000)
        kept = self._read() if self._speaks else None
        self._core = Discovery(
            identity,
            chain_id,
            verifier,
            membership.members,
            hints,
            entropy=entropy(32),
            interval_ms=interval_ms,
            kept=kept,
            counters=network.counters,
        )
        self._saved = self._core.revision
        self._recent = Recent()
        self._directed: int | None = None  # the revision that the links know
        self.turn(membership)
        network.ear = self

    # ---- what the state says ----

    def turn(self, membership: Membership) -> None:
        """This is who belongs to the network from now on."""
        self._membership = membership
        for epoch in sorted(membership.recent):
            self._recent.take(epoch, membership.recent[epoch])
        self._perform(self._core.set_members(membership.members))
        self._directed = None
        self._direct()

    # ---- what the links tell (``Ear``) ----

    @property
    def kinds(self) -> AbstractSet[int]:
        """The messages that are for it."""
        return DISCOVERY_KINDS

    def linked(self, index: int) -> None:
        """The control connection to this peer stands."""
        self._perform(self._core.linked(index, self._now()))

    def unlinked(self, index: int) -> None:
        """It is gone."""
        self._core.unlinked(index)

    def heard(self, index: int, message: bytes) -> None:
        """A peer speaks of addresses."""
        if self._speaks:
            self._perform(self._core.hear(index, message, self._now()))

    def dialled(self, index: int, address: str, *, found: bool) -> None:
        """Whether this peer was at this address."""
        self._core.dialled(index, address, found=found)
        self._direct()

    # ---- itself ----

    async def run(self, addresses: tuple[str, ...]) -> None:
        """Tell that this node is there, and go on until cancelled."""
        self._perform(self._core.set_addresses(addresses, self._now()))
        if self._speaks and not addresses:
            log.info("nothing_to_tell", reason="no address of this node's own is known: set p2p.advertise")
        before = Outlook.CLEAR
        while True:
            await trio.sleep(self._beat)
            now = self.outlook()
            if now is not before:
                log.warning("outlook", outlook=now.name.lower(), validators=len(self._network.connected_validators))
            before = now
            self._perform(self._core.tick(self._now(), is_cut_off=now is not Outlook.CLEAR))
            await self._save()

    def outlook(self) -> Outlook:
        """How much of the network this node sees."""
        validators = self._membership.members.validators
        return outlook(
            validators=len(validators),
            quorum=quorum(len(validators), self._fault_model),
            votes=self._membership.members.is_validator(self._me),
            linked=len(self._network.connected_validators),
            final_age_ms=self._final_age_ms(),
            heartbeat_ms=self._membership.heartbeat_ms,
        )

    def places(self) -> Places:
        """All members that addresses are known of."""
        members = self._membership.members
        nodes = [*members.validators.values(), *members.followers.values()]
        known = ((node, self._core.book.addresses(node)[:PLACE_ADDRESSES_MAX]) for node in nodes)
        return Places(tuple(Place(node, where) for node, where in known if where)[:PLACES_MAX])

    def _now(self) -> At:
        return At(self._clock.monotonic_us() // 1000, self._network.network_time_ms())

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Tell):
                if self._speaks:
                    self._network.send(effect.peer, effect.data, Urgency.TRANSACTION)
            else:
                log.warning("poisoned", peer=effect.peer, reason=effect.reason)
                self._network.hang_up(effect.peer, effect.reason, ban=True)
        self._direct()

    def _direct(self) -> None:
        """Let the links know what the book says now."""
        if self._directed == self._core.revision:
            return
        self._directed = self._core.revision
        members, targets = self._membership.members, self._core.targets()
        peers = {
            number: PeerAddress(
                node, self._membership.names[number], targets.get(number, ()), is_validator=members.is_validator(node)
            )
            for node, number in members.numbers.items()
        }
        former = self._recent.former(members)
        me = members.numbers.get(self._me, former.pop(self._me, None))  # its key may have been rotated without it
        self._network.set_peers(peers, me, former=former, guests=self._membership.is_open)

    # ---- its file ----

    def _read(self) -> Kept | None:
        try:
            return from_bytes(Kept, self._path.read_bytes())
        except FileNotFoundError:
            return None
        except Malformed as error:
            log.warning("file_unreadable", path=str(self._path), reason=str(error))
            return None

    async def _save(self) -> None:
        if not self._speaks or self._saved == self._core.revision:
            return
        revision, data = self._core.revision, to_bytes(self._core.kept())
        try:
            await trio.to_thread.run_sync(self._disk.write_file, self._path, data)
        except OSError as error:
            if error.errno not in NO_ROOM | UNWRITABLE:
                raise
            log.warning("file_unwritten", path=str(self._path), reason=str(error))
        self._saved = revision
