"""
Who may be connected, under which number; it changes while links stand (``consensus.md`` 6, Discovery).

A node keeps its number for ever, its key and its addresses may change. Guests are nodes that the state
does not know, where a network lets anybody follow: they get numbers that no state gives, and few places.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import trio

from guts_core.errors import Invalid
from guts_core.link.handshake import Channel
from guts_core.names import NodeId

from .bulk import Exchange
from .events import PeerAddress
from .link import Link

# State counts its nodes from 0; no network comes near this.
GUEST_NUMBERS = 1 << 32
# Keys that are banned at a time. A stranger makes a new key for nothing, so more would only cost memory.
BANS_MAX = 1_024


class Slot:
    """The place of one channel to one peer: at most one link at a time."""

    def __init__(self) -> None:
        self.link: Link | None = None
        self.exchange: Exchange | None = None
        self.vacant = trio.Event()
        self.vacant.set()
        self.occupied = trio.Event()

    def take(self, link: Link, exchange: Exchange | None) -> None:
        """This link is the one from now on."""
        if self.link is None:
            self.vacant = trio.Event()
        self.link, self.exchange = link, exchange
        self.occupied.set()

    def release(self, link: Link) -> None:
        """This link is over; if another took its place, that one stays."""
        if self.link is link:
            self.link = self.exchange = None
            self.occupied = trio.Event()
            self.vacant.set()


class Peer:
    """One node by its number: where it is thought to be, and its two places."""

    def __init__(self, number: int, address: PeerAddress | None = None) -> None:
        self.number, self.address = number, address
        self.slots = {channel: Slot() for channel in Channel}
        self.is_dialled = False  # the tasks that dial it run; they never end, for it may come back
        self._changed = trio.Event()

    @property
    def is_guest(self) -> bool:
        """Whether the state does not know it."""
        return self.number >= GUEST_NUMBERS

    @property
    def is_validator(self) -> bool:
        """Whether it votes now."""
        return self.address is not None and self.address.is_validator

    @property
    def name(self) -> str:
        """As people call it."""
        return self.address.name if self.address else f"node {self.number}"

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where to dial it."""
        return self.address.addresses if self.address else ()

    @property
    def links(self) -> list[Link]:
        """What stands."""
        return [slot.link for slot in self.slots.values() if slot.link]

    def move(self, address: PeerAddress | None) -> None:
        """It is elsewhere, or nowhere, from now on: who waits to dial it does not wait any longer."""
        if address != self.address:
            self.address = address
            self._changed.set()
            self._changed = trio.Event()

    async def wait_moved(self) -> None:
        """Until it is elsewhere."""
        await self._changed.wait()


class Roster:
    """All peers of one node."""

    def __init__(self, me: NodeId, guests_max: int) -> None:
        self._me, self._guests_max = me, guests_max
        self._peers: dict[int, Peer] = {}
        self._numbers: dict[NodeId, int] = {}
        self._guests: dict[NodeId, Peer] = {}
        self._next_guest = GUEST_NUMBERS
        self._takes_guests = False
        self._banned_until: dict[NodeId, float] = {}

    def __iter__(self) -> Iterator[Peer]:
        return iter((*self._peers.values(), *self._guests.values()))

    def get(self, number: int) -> Peer | None:
        """The peer with this number."""
        return self._peers.get(number) or next((one for one in self._guests.values() if one.number == number), None)

    def set(self, peers: Mapping[int, PeerAddress], former: Mapping[NodeId, int], *, guests: bool) -> list[Link]:
        """These from now on; the links of those who are none any more, or another one now."""
        numbers = {peer.node_id: number for number, peer in peers.items()}
        if len(numbers) != len(peers) or self._me in numbers:
            raise Invalid("two peers have the same network key, or one has ours")
        self._takes_guests = guests
        self._numbers = {**former, **numbers}
        for number in {*self._peers, *peers, *former.values()}:
            self._peers.setdefault(number, Peer(number)).move(peers.get(number))
        return [link for peer in self for link in peer.links if not self.is_of(link.session.peer, peer)]

    def _number(self, node: NodeId) -> int | None:
        known = self._numbers.get(node)
        if known is not None or not self._takes_guests:
            return known
        guest = self._guests.get(node)
        return guest.number if guest else None

    def is_of(self, node: NodeId, peer: Peer) -> bool:
        """Whether this key is that peer's."""
        return self._number(node) == peer.number

    def admits(self, node: NodeId) -> bool:
        """Whether a node with this key may talk to us."""
        if self.banned_until(node) > trio.current_time():
            return False
        return node in self._numbers or node in self._guests or self._has_room_for_a_guest

    @property
    def _has_room_for_a_guest(self) -> bool:
        return self._takes_guests and len(self._guests) < self._guests_max

    def welcome(self, node: NodeId) -> Peer | None:
        """The peer that has just proven this key; None if it has no place any more."""
        number = self._numbers.get(node)
        if number is not None:
            return self._peers[number]
        if node not in self._guests and self._has_room_for_a_guest:
            self._guests[node] = Peer(self._next_guest)
            self._next_guest += 1
        return self._guests.get(node)

    def leave(self, node: NodeId) -> None:
        """A link with this key is over: a guest without any has no number any more."""
        if (guest := self._guests.get(node)) and not guest.links:
            del self._guests[node]

    def ban(self, number: int, until: float) -> None:
        """Refuse its keys until then."""
        peer = self.get(number)
        if peer is None:
            return
        keys = {link.session.peer for link in peer.links} | ({peer.address.node_id} if peer.address else set())
        for key in sorted(keys):
            self._banned_until[key] = until
        while len(self._banned_until) > BANS_MAX:
            del self._banned_until[next(iter(self._banned_until))]

    def banned_until(self, node: NodeId) -> float:
        """When this key may come again, by trio's clock."""
        return self._banned_until.get(node, 0.0)
