"""What a running node says of itself: its status, and what it has counted."""

from __future__ import annotations

from collections.abc import Callable

from guts_core.chain.commit import Commit
from guts_core.chain.genesis import Genesis
from guts_core.chain.receipt import is_success
from guts_core.discovery import Outlook
from guts_core.names import NodeId
from guts_core.node.node import Node
from guts_core.node.port import Figures, PeerStatus, Status

from .journal import Journal
from .peers.links import PeerNetwork
from .protocols import Clock
from .pump import Pump
from .scrub import Scrubber
from .space import Space
from .store import ChainDatabase
from .tally import Tally
from .waiting import Waiters


class Standing:
    """Asks the parts of one node; nothing here decides anything."""

    def __init__(
        self,
        genesis: Genesis,
        node_id: NodeId,
        node: Node,
        *,
        database: ChainDatabase,
        journal: Journal,
        network: PeerNetwork,
        space: Space,
        scrubber: Scrubber,
        pump: Pump,
        waiters: Waiters,
        clock: Clock,
        tally: Tally,
        private_read_grace_seconds: float,
        silence: Callable[[], str | None],
    ) -> None:
        self._genesis, self._node_id, self._node = genesis, node_id, node
        self._database, self._journal, self._network = database, journal, network
        self._space, self._scrubber, self._pump, self._waiters = space, scrubber, pump, waiters
        self._clock, self._tally, self._grace_seconds = clock, tally, private_read_grace_seconds
        self._silence = silence
        self._begun_us = self._last_final_us = clock.monotonic_us()
        self.outlook: Callable[[], Outlook] = lambda: Outlook.CLEAR  # whoever looks for peers tells

    def learned_of_final(self) -> None:
        """A newer block is final."""
        self._last_final_us = self._clock.monotonic_us()

    def final_age_ms(self) -> int:
        """For how long nothing newer was heard to be final."""
        return (self._clock.monotonic_us() - self._last_final_us) // 1000

    def pending_age_us(self) -> int:
        """How long the oldest transaction waits of those that could stand in a block."""
        since = self._node.ledger.mempool.oldest_ready()
        return 0 if since is None else max(0, self._clock.monotonic_us() - since)

    def lag_ms(self) -> int:
        """For how long nothing became final though something could have: never of an idle network."""
        return min(self.final_age_ms(), self.pending_age_us() // 1000)

    def count(self, commit: Commit) -> None:
        """It is on disk."""
        done = sum(is_success(row.receipt) for row in commit.receipts)
        self._tally.add("blocks")
        self._tally.add("transactions.done", done)
        self._tally.add("transactions.refused", len(commit.receipts) - done)

    def status(self) -> Status:
        """What the node does now."""
        node, ledger, seat = self._node, self._node.ledger, self._node.seat
        now_us, height = self._clock.monotonic_us(), self._database.height()
        age_us = now_us - self._last_final_us
        slots = node.engine.slots
        return Status(
            chain_id=node.chain_id,
            node_id=self._node_id,
            validator_index=seat,
            height=height,
            view=node.engine.view,
            epoch=ledger.network.epoch,
            validators=len(node.vote_keys),
            quorum=node.quorum,
            peers=len(self._network.connected_validators),
            missing_packs=len(self._database.list_missing()),
            missing_texts=len(self._database.list_missing_texts()),
            time=ledger.next_time(self._clock.wall_ms()),
            final_age_ms=age_us // 1000,
            private_reads=len(node.vote_keys) == 1 or age_us / 1e6 <= self._grace_seconds,
            mempool=len(ledger.mempool),
            peer_statuses=tuple(
                self._peer(at)
                for at, one in enumerate(ledger.network.seats)
                if at != seat and one.node_key != self._node_id
            ),
            halted=ledger.stopped or node.engine.halted,
            disk_free=self._space.free,
            disk_reserve=self._space.reserve,
            clock=self._clock.wall_ms(),
            uptime_ms=(now_us - self._begun_us) // 1000,
            started=self._pump.started,
            behind=node.behind + ledger.head.height - height,
            led=0 if seat is None else slots.led[seat],
            missed=0 if seat is None else slots.missed[seat],
            packs_damaged=self._tally["scrub_damaged_packs"],
            scrub_rounds=self._scrubber.rounds,
            damage=self._scrubber.damage,
            outlook=self.outlook(),
            held_back=node.engine.held_back or self._silence(),
        )

    def _peer(self, seat: int) -> PeerStatus:
        entry, slots = self._node.ledger.network.seats[seat], self._node.engine.slots
        return PeerStatus(
            entry.number,
            entry.node_key,
            entry.name,
            entry.number in self._network.connected,
            self._network.round_trip_us(entry.number),
            self._network.clock_ms(entry.number),
            slots.led[seat],
            slots.missed[seat],
        )

    def figures(self) -> Figures:
        """What the node has counted."""
        others = {
            **self._network.counters,
            "equivocations": self._node.equivocations,
            **{f"excess.{sort}": count for sort, count in self._node.engine.dropped.items()},
            "log_bytes": self._journal.size,
            "mempool_bytes": self._node.ledger.mempool.bytes,
            "pending_age": self.pending_age_us(),
            "block_cap": self._node.ledger.block_cap,
            "waiting": len(self._waiters),
            "scrub_rounds": self._scrubber.rounds,
        }
        return Figures(self._tally.figures(others))
