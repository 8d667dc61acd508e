"""
Addresses by node: what nodes signed, what the operator and the genesis file hint at, what was reached.

Only members have a place, so a thousand invented identities take none. Validators always have one;
admitted followers share a bounded number, of which one neighbourhood of addresses gets only a part.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from ipaddress import IPv4Address, ip_address

from attrs import define, field

from guts_core.codec import Tag, digest
from guts_core.names import NodeId

from .info import KEPT_MAX, Kept, PeerInfo, Reached
from .members import Members

# Once may be chance: a listener that restarts, a full backlog.
DIALS_FAILED = 2
# A follower needs a few others for bulk reading, never all; validators it gets all.
FOLLOWERS_KNOWN_MAX = 256
# Whoever rents one network does not fill the table from it.
FOLLOWERS_PER_SUBNET = 16
FOLLOWERS_DIALLED = 4


@define
class _Entry:
    """What is known of one node's place."""

    info: PeerInfo | None = None
    hints: tuple[str, ...] = ()
    reached: str | None = None
    failures: dict[str, int] = field(factory=dict)

    @property
    def signed(self) -> tuple[str, ...]:
        return () if self.info is None else self.info.addresses

    @property
    def all(self) -> tuple[str, ...]:
        last = () if self.reached is None else (self.reached,)
        return tuple(dict.fromkeys((*self.signed, *self.hints, *last)))

    def has_failed(self, address: str) -> bool:
        return self.failures.get(address, 0) >= DIALS_FAILED


class AddressBook:
    """Where each member may be found, best first."""

    def __init__(self, members: Members, hints: Mapping[NodeId, tuple[str, ...]], entropy: bytes) -> None:
        """``entropy`` shuffles what is equally good, so that nobody can choose whom a node dials first."""
        self._members, self._hints, self._entropy = members, hints, entropy
        self._hints_first = False
        self._entries: dict[NodeId, _Entry] = {}
        self.turn(members)

    # ---- what is learned ----

    def turn(self, members: Members) -> None:
        """Other members from now on; who is none any more is forgotten."""
        self._members = members
        before = self._entries
        self._entries = {node: before.get(node) or _Entry(hints=self._hints.get(node, ())) for node in members.order}

    def info(self, node: NodeId) -> PeerInfo | None:
        """What a node said last, as far as it was heard."""
        entry = self._entries.get(node)
        return entry.info if entry else None

    def is_newer(self, info: PeerInfo) -> bool:
        """Whether it says more than what is known, and has a place."""
        known = self.info(info.node)
        return info.node in self._entries and (known is None or info.time > known.time)

    def take(self, info: PeerInfo) -> bool:
        """Enter a newer info whose signature holds; False if there is no room for it."""
        entry = self._entries[info.node]
        if entry.info is None and not self._has_room(info):
            return False
        entry.info = info
        entry.failures = {address: n for address, n in entry.failures.items() if address not in info.addresses}
        if entry.reached not in info.addresses:
            entry.reached = None  # it moved
        return True

    def _has_room(self, info: PeerInfo) -> bool:
        if self._members.is_validator(info.node):
            return True
        others = [entry.info for node, entry in self._entries.items() if not self._members.is_validator(node)]
        held = [one for one in others if one is not None]
        near = {subnet(address) for address in info.addresses}
        crowd = sum(not near.isdisjoint({subnet(address) for address in one.addresses}) for one in held)
        return len(held) < FOLLOWERS_KNOWN_MAX and crowd < FOLLOWERS_PER_SUBNET

    def reached(self, node: NodeId, address: str) -> bool:
        """A dial led there; whether that is news."""
        entry = self._entries.get(node)
        if entry is None or (entry.reached == address and not entry.failures):
            return False
        entry.reached = address
        entry.failures.clear()
        return True

    def failed(self, node: NodeId, address: str) -> bool:
        """A dial did not lead to the node; whether that changes the order."""
        entry = self._entries.get(node)
        if entry is None or address not in entry.all:
            return False
        entry.failures[address] = entry.failures.get(address, 0) + 1
        return entry.failures[address] == DIALS_FAILED

    def start_over(self, entropy: bytes) -> None:
        """Try what was not tried last: failures are forgiven, hints and signed addresses change places."""
        self._entropy, self._hints_first = entropy, not self._hints_first
        for entry in self._entries.values():
            entry.failures.clear()
            entry.reached = None

    # ---- what follows ----

    def knows(self, node: NodeId, linked: Collection[NodeId]) -> bool:
        """Whether nothing need be told of it: a signed address that may lead there, or no room for one."""
        entry = self._entries[node]
        if entry.info is None:
            return not self._members.is_validator(node) and self._is_full
        return node in linked or not entry.signed or not all(map(entry.has_failed, entry.signed))

    @property
    def _is_full(self) -> bool:
        held = sum(entry.info is not None for entry in self._entries.values())
        return held >= FOLLOWERS_KNOWN_MAX + len(self._members.validators)

    def addresses(self, node: NodeId) -> tuple[str, ...]:
        """In the order in which to dial them."""
        entry = self._entries.get(node)
        if entry is None:
            return ()
        preferred = entry.hints if self._hints_first else entry.signed

        def rank(address: str) -> tuple[bool, bool, bool, bytes]:
            others = address != entry.reached, address not in preferred
            return entry.has_failed(address), *others, self.shuffled(node, address.encode())

        return tuple(sorted(entry.all, key=rank))

    def sample(self) -> list[NodeId]:
        """A few followers that told an address, each of another neighbourhood."""
        chosen: list[NodeId] = []
        near: set[str] = set()
        followers = [node for node in self._members.order if not self._members.is_validator(node)]
        for node in sorted(followers, key=self.shuffled):
            places = {subnet(address) for address in self._entries[node].signed}
            if places and near.isdisjoint(places) and len(chosen) < FOLLOWERS_DIALLED:
                chosen.append(node)
                near |= places
        return chosen

    def shuffled(self, *parts: bytes) -> bytes:
        """A sort key that only this node knows."""
        return digest(Tag.PEER_ORDER, self._entropy, *parts)

    # ---- across restarts ----

    def kept(self) -> Kept:
        """What a file keeps, validators first."""
        first = sorted(self._entries.items(), key=lambda item: (not self._members.is_validator(item[0]), item[0]))
        infos = [entry.info for _, entry in first if entry.info is not None]
        anchors = [Reached(node, entry.reached) for node, entry in first if entry.reached is not None]
        return Kept(tuple(infos[:KEPT_MAX]), tuple(anchors[:KEPT_MAX]))

    def restore_reached(self, anchors: Iterable[Reached]) -> None:
        """Where nodes were in the last life."""
        for anchor in anchors:
            if anchor.node in self._entries:
                self._entries[anchor.node].reached = anchor.address


def subnet(address: str) -> str:
    """The neighbourhood of an address: /16 of IPv4, /32 of IPv6, the end of a host's name."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        ip = ip_address(host)
    except ValueError:
        return ".".join(host.split(".")[-2:]).lower()
    return ip.packed[: 2 if isinstance(ip, IPv4Address) else 4].hex()
