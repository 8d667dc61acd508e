"""
Finding the members of a network: what is told, to whom, and what of it is believed.

Peers on links are node numbers, as everywhere. Each says of itself where it is when a link opens and
whenever that changes; a vector of what is known goes round at every interval, and is answered with what
the speaker lacks, about nodes that the teller is connected to: so nobody hands on what it only heard.
Bytes that no honest node sends (a wrong signature, a key that is no member's) end the link and ban.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import TypeAlias, assert_never

from attrs import evolve, frozen

from guts_core.codec import Tag, digest, kinds, to_bytes
from guts_core.errors import BadSignature, Malformed, PeerFault
from guts_core.identity import Signer, Verifier
from guts_core.names import ChainId, NodeId

from .book import AddressBook
from .info import DISCOVERY_MESSAGES, INFOS_MAX, KEPT_MAX, Infos, Kept, Known, PeerInfo, is_signed, sign_info
from .members import Members

DISCOVERY_KINDS = frozenset({kinds.PEERS_KNOWN, kinds.PEER_INFOS})
# A clock that is off by more is not one to be believed; its own node is told of it elsewhere.
FUTURE_MS = 3_600_000
# A node that moves moves once; what it says more often waits, so that it cannot make others shout.
RELAY_MS = 1_000
# A node that lacks an address asks again after a fiftieth of the interval, then ever more rarely until the interval.
FIRST_SHARE = 50


@frozen
class At:
    """One moment by two clocks: how much time passes, and what the network's clock shows."""

    monotonic_ms: int
    time_ms: int


@frozen
class Tell:
    """Send this to a peer."""

    peer: int
    data: bytes


@frozen
class Refuse:
    """This peer lied: end its links, and ban it."""

    peer: int
    reason: str


Effect: TypeAlias = Tell | Refuse


class Discovery:
    """One node's part. ``revision`` grows whenever ``targets`` or ``kept`` may say something else."""

    def __init__(
        self,
        signer: Signer,
        chain_id: ChainId,
        verifier: Verifier,
        members: Members,
        hints: Mapping[NodeId, tuple[str, ...]],
        *,
        entropy: bytes,
        interval_ms: int,
        kept: Kept | None = None,
        counters: Counter[str] | None = None,
    ) -> None:
        """``hints`` are addresses that nobody signed: the genesis file's, the operator's. ``entropy``: 32 bytes."""
        self._signer, self._chain_id, self._verifier = signer, chain_id, verifier
        self._me = NodeId(signer.public_key)
        self._members, self._entropy, self._interval_ms = members, entropy, interval_ms
        self.book = AddressBook(members, hints, entropy)
        self._own: PeerInfo | None = None
        self._own_time = 0  # of the newest info about us that anybody may have
        self._linked: dict[int, int] = {}  # peer -> when it may be answered again, ms
        self._fresh: set[NodeId] = set()  # told of itself something new, not passed on yet
        self._relayed: dict[NodeId, int] = {}
        self._pause = interval_ms // FIRST_SHARE
        self._due: int | None = None  # when the next round is
        self._rounds = 0
        self._started_over = -interval_ms
        self.counters: Counter[str] = Counter() if counters is None else counters
        self.revision = 0
        if kept is not None:
            self._restore(kept)

    # ---- what happens ----

    def set_members(self, members: Members) -> list[Effect]:
        """The state says that others belong to the network now."""
        if members == self._members:
            return []
        self._members = members
        self.book.turn(members)
        self._relayed = {node: due for node, due in self._relayed.items() if node in members.numbers}
        self.revision += 1
        return [effect for peer in self._linked for effect in self._greeting(peer)]

    def set_addresses(self, addresses: tuple[str, ...], at: At) -> list[Effect]:
        """Where this node is to be found from now on: told to everybody at once."""
        if self._own is not None and self._own.addresses == addresses:
            return []
        return self._say_own(addresses, max(at.time_ms, self._own_time + 1))

    def linked(self, peer: int, at: At) -> list[Effect]:
        """A connection stands."""
        self._linked[peer] = at.monotonic_ms
        self._hurry(at)
        return self._greeting(peer)

    def unlinked(self, peer: int) -> None:
        """It is gone."""
        self._linked.pop(peer, None)

    def dialled(self, peer: int, address: str, *, found: bool) -> None:
        """Whether a dial led to that node."""
        node = self._members.node(peer)
        if node is not None:
            self.revision += self.book.reached(node, address) if found else self.book.failed(node, address)

    def hear(self, peer: int, data: bytes, at: At) -> list[Effect]:
        """A message of one of ``DISCOVERY_KINDS`` from a peer; nothing of a wrong one is kept."""
        try:
            heard: Known | Infos = DISCOVERY_MESSAGES.from_bytes(data)
            match heard:
                case Known():
                    return self._answer(peer, heard, at)
                case Infos():
                    return self._learn(peer, heard, at)
                case _:
                    assert_never(heard)
        except PeerFault as fault:
            self.counters["discovery_poisoned"] += 1
            return [Refuse(peer, str(fault))]

    def tick(self, at: At, *, is_cut_off: bool = False) -> list[Effect]:
        """Call about every second, or more often than the interval."""
        out = self._relay(at)
        if self._own is not None and self._own.time > at.time_ms + FUTURE_MS:
            out += self._say_own(self._own.addresses, at.time_ms)  # our clock was wrong: nobody believed that one
        if is_cut_off and at.monotonic_ms >= self._started_over + self._interval_ms:
            self._start_over(at)
        if self._due is None or at.monotonic_ms >= self._due:
            out += self._round(at)
        return out

    def _round(self, at: At) -> list[Effect]:
        self._rounds += 1
        self._pause = min(self._pause * 2, self._interval_ms) if self._lacks_anybody() else self._interval_ms
        self._due = at.monotonic_ms + self._pause
        return [Tell(peer, self._known()) for peer in self._linked]

    def _lacks_anybody(self) -> bool:
        linked = self._nodes_linked()
        others = (node for node in self._members.validators.values() if node != self._me and node not in linked)
        return not all(self.book.knows(node, linked) for node in others)

    def _hurry(self, at: At) -> None:
        """Something changed: whoever could not answer before may know now."""
        if self._lacks_anybody():
            self._pause = self._interval_ms // FIRST_SHARE
            self._due = at.monotonic_ms + self._pause

    def _start_over(self, at: At) -> None:
        self._started_over = self._due = at.monotonic_ms
        self.counters["discovery_started_over"] += 1
        self._entropy = digest(Tag.PEER_ORDER, self._entropy)
        self.book.start_over(self._entropy)
        self.revision += 1

    # ---- what follows ----

    def targets(self) -> dict[int, tuple[str, ...]]:
        """Where to dial whom: validators, and for who is none a few followers too. Nobody dials what is left out."""
        chosen = list(self._members.validators.values())
        if not self._members.is_validator(self._me):
            chosen += self.book.sample()
        return {self._members.numbers[node]: self.book.addresses(node) for node in chosen if node != self._me}

    def kept(self) -> Kept:
        """What a file is to keep."""
        kept = self.book.kept()
        own = () if self._own is None else (self._own,)
        return evolve(kept, infos=(*own, *kept.infos)[:KEPT_MAX])

    def _restore(self, kept: Kept) -> None:
        """A file's table, each info checked: handing on what a disk changed would look like a lie."""
        for info in kept.infos:
            if info.node == self._me:
                self._own_time = info.time
            elif self.book.is_newer(info) and is_signed(info, self._chain_id, self._verifier):
                self.book.take(info)
        self.book.restore_reached(kept.reached)

    # ---- telling ----

    def _say_own(self, addresses: tuple[str, ...], time: int) -> list[Effect]:
        self._own = sign_info(self._signer, self._chain_id, addresses, time)
        self._own_time = time
        self.revision += 1
        return [Tell(peer, data) for peer in self._linked for data in self._own_words()]

    def _own_words(self) -> list[bytes]:
        """About ourselves, if the state knows us."""
        if self._own is None or self._me not in self._members.numbers:
            return []
        return [to_bytes(Infos(self._members.digest, (self._own,)))]

    def _greeting(self, peer: int) -> list[Effect]:
        return [Tell(peer, data) for data in (*self._own_words(), self._known())]

    def _known(self) -> bytes:
        linked, bits = self._nodes_linked(), bytearray((len(self._members.order) + 7) // 8)
        for i, node in enumerate(self._members.order):
            if node == self._me or self.book.knows(node, linked):
                bits[i // 8] |= 1 << i % 8
        return to_bytes(Known(self._members.digest, bytes(bits)))

    def _nodes_linked(self) -> dict[NodeId, int]:
        known = ((self._members.node(peer), peer) for peer in self._linked)
        return {node: peer for node, peer in known if node is not None}

    def _answer(self, peer: int, known: Known, at: At) -> list[Effect]:
        lacks = self._lacking(known)
        if at.monotonic_ms < self._linked.get(peer, at.monotonic_ms + 1):
            self.counters["discovery_unanswered"] += 1
            return []
        self._linked[peer] = at.monotonic_ms + self._interval_ms // FIRST_SHARE
        infos = self._tellable(peer, lacks)
        return [Tell(peer, to_bytes(Infos(self._members.digest, tuple(infos))))] if infos else []

    def _lacking(self, known: Known) -> Collection[NodeId]:
        """What the speaker has no address of; of another set of members nobody can tell: all."""
        order, bits = self._members.order, known.bits
        if known.members != self._members.digest:
            return order
        if len(bits) != (len(order) + 7) // 8:
            raise Malformed(f"{len(bits)} bytes say which of {len(order)} nodes are known")
        return [node for i, node in enumerate(order) if not bits[i // 8] >> i % 8 & 1]

    def _tellable(self, peer: int, lacks: Collection[NodeId]) -> list[PeerInfo]:
        """Only about nodes that are connected now, and ourselves; other ones each round if they are many."""
        alive = [node for node, number in self._nodes_linked().items() if node in set(lacks) and number != peer]
        turn = self._rounds.to_bytes(8, "big")
        alive.sort(key=lambda node: self.book.shuffled(turn, node))
        own = [self._own] if self._own is not None and self._me in lacks else []
        return [*own, *(info for node in alive if (info := self.book.info(node)) is not None)][:INFOS_MAX]

    # ---- believing ----

    def _learn(self, peer: int, said: Infos, at: At) -> list[Effect]:
        out: list[Effect] = []
        for info in said.infos:
            if info.node == self._me:
                out += self._overtake(info, at)
            elif self._is_worth_checking(info, said, at):
                self._enter(peer, info, at)
        return out + self._relay(at)

    def _is_worth_checking(self, info: PeerInfo, said: Infos, at: At) -> bool:
        if info.node not in self._members.numbers:
            if said.members == self._members.digest:
                raise Malformed(f"node {info.node.hex()[:16]} is no member, and the peer knows the members as we do")
            self.counters["discovery_unknown"] += 1
            return False
        if info.time > at.time_ms + FUTURE_MS:
            self.counters["discovery_from_the_future"] += 1
            return False
        if not self.book.is_newer(info):
            self.counters["discovery_stale"] += 1
            return False
        return True

    def _enter(self, peer: int, info: PeerInfo, at: At) -> None:
        self._require_signed(info)
        if not self.book.take(info):
            self.counters["discovery_no_room"] += 1
            return
        self.counters["discovery_learned"] += 1
        self.revision += 1
        if self._members.numbers[info.node] == peer:
            self._fresh.add(info.node)
        self._hurry(at)

    def _overtake(self, info: PeerInfo, at: At) -> list[Effect]:
        """Something that an earlier life of ours said, under a clock that was ahead: say it anew, newer."""
        if self._own is None or not self._own.time < info.time <= at.time_ms + FUTURE_MS:
            return []
        # Not more often than others pass it on: a second process with this key would answer each time.
        if at.monotonic_ms < self._relayed.get(self._me, at.monotonic_ms):
            return []
        self._require_signed(info)
        self._relayed[self._me] = at.monotonic_ms + RELAY_MS
        return self._say_own(self._own.addresses, info.time + 1)

    def _require_signed(self, info: PeerInfo) -> None:
        if not is_signed(info, self._chain_id, self._verifier):
            raise BadSignature(f"node {info.node.hex()[:16]} did not sign the addresses that are told of it")

    def _relay(self, at: At) -> list[Effect]:
        """What a node said of itself goes to all that we are connected to: one hop in a full mesh."""
        out: list[Effect] = []
        linked = self._nodes_linked()
        for node in sorted(self._fresh):
            info = self.book.info(node)
            if node not in linked or info is None:
                self._fresh.discard(node)
            elif at.monotonic_ms >= self._relayed.get(node, at.monotonic_ms):
                self._fresh.discard(node)
                self._relayed[node] = at.monotonic_ms + RELAY_MS
                data = to_bytes(Infos(self._members.digest, (info,)))
                out += [Tell(peer, data) for peer in self._linked if peer != linked[node]]
        return out
