"""
A whole node on this machine: lock, log, database, packs, links, the pump, the port.

``open_node`` is the one way in, used by the CLI, by tests and by programs that embed a node. All
tasks live inside its block; leaving it stops them in order and releases the lock.
"""

from __future__ import annotations

import math
import os
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from functools import partial

import trio

from guts_core.chain.commit import AdmittedPack, Commit, StoredReceipt
from guts_core.chain.genesis import Genesis
from guts_core.chain.genesis_json import genesis_from_json
from guts_core.discovery import hints_of, tellable
from guts_core.errors import ForkSeen
from guts_core.forge import queries
from guts_core.identity import Ed25519Verifier, KeyPair
from guts_core.names import NodeId
from guts_core.node.attestation import live_attestations
from guts_core.node.effects import CheckPack, CommitBlock, Refuse
from guts_core.node.events import Committed, PackChecked
from guts_core.node.node import Node, NodeConfig
from guts_core.state.view import View

from . import forks, listing
from .accepting import tell_of_failures
from .archive import Archive
from .beginning import begin
from .checks import Checker
from .chunks import ChunkServer
from .clock import MachineClock
from .commits import Committer
from .committees import Committees
from .damage import telling_of_damage
from .disk import LocalDisk
from .handle import RunningNode
from .journal import Journal
from .lock import hold_lock
from .logs import Log
from .membership import changes_membership, membership
from .packs import CleanLists, PackStore
from .packs.git_child import GitChildren
from .peers.links import PeerNetwork
from .port_server import PortServer
from .protocols import Clock, Disk, Transport
from .proving import Prover
from .pump import Pump, open_inbox
from .push import PushGateway
from .removal import Remover
from .repair import Repairer
from .scrub import Scrubber
from .settings import NodeSettings, read_key
from .space import Space
from .standing import Standing
from .store import ChainDatabase
from .submission import Submissions
from .tally import CountingVerifier, Tally
from .tcp import TcpTransport
from .texts import TextRepairer, TextStore
from .vote_keys import check_vote_key, newer_vote_keys, read_more_vote_keys, read_vote_key, silence
from .waiting import Waiters
from .watchdog import Watchdog
from .whereabouts import Whereabouts

# A commit takes milliseconds; a reader that waited this long gets the generation before.
SETTLE_SECONDS = 2.0


class _Machine:
    """The parts of one node, wired."""

    def __init__(
        self, settings: NodeSettings, disk: Disk, transport: Transport, clock: Clock, log: Log, opened: ExitStack
    ) -> None:
        directory = settings.directory
        self.transport, self.clock = transport, clock
        self.settings, self.disk, self.log = settings, disk, log
        self.tally = Tally()
        self.node_key = read_key(directory, "node")
        self.space = Space(disk, directory, settings.disk_reserve_bytes, log)
        opened.callback(self.space.close)
        self.database = ChainDatabase(directory / "chain.db", disk)
        opened.callback(self.database.close)
        # After the database: where another build made both, its layout is what the operator has to hear of.
        file = genesis_from_json(settings.genesis.read_text())
        self.genesis = file.genesis
        self.index = _index(self.genesis, self.database, self.node_key)
        self.journal, self.records = Journal.open(directory / "votes.log", disk)
        opened.callback(self.journal.close)
        self.packs = PackStore(directory, disk, GitChildren(settings.git_children, tally=self.tally), self.tally)
        config = NodeConfig(
            self.genesis,
            self.index,
            read_vote_key(directory),
            CountingVerifier(Ed25519Verifier(), self.tally),
            settings.mempool_bytes,
            settings.mempool_transactions,
            rules_known=settings.rules_known,
            vote_signers=read_more_vote_keys(directory),
            node_signer=self.node_key,
            find_signers=newer_vote_keys(directory, log),
        )
        with telling_of_damage(self.genesis):
            self.node = Node(config, self.database)
        check_vote_key(self.node, self.node_key, directory)
        self.texts = TextStore(directory, disk, self.database, lambda: self.node.ledger.head.time)
        inbox = open_inbox()
        self.network = PeerNetwork(
            self.node_key,
            self.node.chain_id,
            {},
            self.index,
            os.urandom,
            serve=ChunkServer(self.packs, self._suspect).serve,
            serve_text=self.texts.serve,
            now_ms=self.clock.wall_ms,
            deliver=inbox[0].clone(),
            limits=settings.peers,
            transport=transport,
        )
        self.waiters = Waiters()
        self.committer = Committer(self.database, self.packs, self.texts, self.space, self._committed, self.tally)
        self.checker = Checker(
            self.packs, self.network, self.space, log, self._checked, self.tally, self.database.lacks_packs
        )
        self.pump = Pump(
            self.node,
            self.journal,
            self.network,
            self.clock,
            log,
            inbox,
            commit=self._commit,
            check=self._check,
            refuse=self._refuse,
            observe=disk.observe,
            tally=self.tally,
        )
        self.submissions = Submissions(
            self.node,
            self.node_key,
            self.database,
            self.clock,
            self.waiters,
            self.pump.put,
            self.network.network_time_ms,
            self.space,
            lag_ms=lambda: self.standing.lag_ms(),  # noqa: PLW0108 -- it is made below
            lag_most_ms=int(settings.write_lag_seconds * 1000),
        )
        self.pushes = PushGateway(
            self.node, self.packs, self.submissions, log, self.tally, self.database.lacks_packs, settings.pack_limits
        )
        self._advanced = trio.Event()
        self.clean = CleanLists(
            self.packs, partial(listing.generation, self.database), partial(listing.listed, self.database), log
        )
        self.repairer = Repairer(self.database, self.packs, self.network, log)
        self.text_repairer = TextRepairer(self.database, self.texts, self.network, log)
        self.scrubber = Scrubber(
            directory / "chain.db",
            self.database,
            self.packs,
            check_certificate=Committees(self.genesis, directory / "chain.db", Ed25519Verifier()).check,
            listed=self._listed,
            wake_repair=self.repairer.wake,
            is_alone=lambda: len(self.node.vote_keys) == 1,  # asked each time: it may grow
            pace=settings.scrub,
            tally=self.tally,
        )
        self.standing = Standing(
            self.genesis,
            NodeId(self.node_key.public_key),
            self.node,
            database=self.database,
            journal=self.journal,
            network=self.network,
            space=self.space,
            scrubber=self.scrubber,
            pump=self.pump,
            waiters=self.waiters,
            clock=clock,
            tally=self.tally,
            private_read_grace_seconds=settings.private_read_grace_seconds,
            silence=lambda: silence(self.node, self.node_key),
        )
        addresses = dict(file.addresses) | (settings.peer_addresses or {})
        self._hint = addresses.get(self.node_key.public_key.hex())
        self.archive = Archive(settings, self.node, self.database, self.network, disk, log)
        self.whereabouts = Whereabouts(
            self.node_key,
            self.node.chain_id,
            self.genesis.fault_model,
            Ed25519Verifier(),
            self.network,
            membership(self.node.ledger.view()),
            directory=directory,
            disk=disk,
            clock=clock,
            entropy=os.urandom,
            hints=hints_of(addresses, settings.bootstrap),
            gossip_seconds=settings.gossip_seconds,
            final_age_ms=self.standing.final_age_ms,
        )
        self.standing.outlook = self.whereabouts.outlook
        prover = Prover(directory / "chain.db", self.node.chain_id, self.node.ledger.uncommitted)
        self.server = PortServer(
            self.database,
            self._settled,
            self.packs,
            self.submissions,
            self.pushes,
            self.clean,
            prover,
            self._suspect,
            self.standing.status,
            self.standing.figures,
            self.whereabouts.places,
            log,
        )
        self.remover = Remover(self.database, self.packs, self.texts, self._promised, log)
        # No more of these than blocks that wait for the disk.
        self._reports_in, self._reports_out = trio.open_memory_channel[Committed](math.inf)
        self._nursery: trio.Nursery | None = None

    # ---- effects that need the machine ----

    async def _commit(self, effect: CommitBlock) -> None:
        self.standing.learned_of_final()
        await self.committer.put(effect.commit)

    async def _committed(self, commit: Commit) -> None:
        self.log.info(
            "committed", height=commit.height, transactions=len(commit.receipts), hash=commit.block_hash.hex()[:16]
        )
        self.standing.count(commit)
        self.archive.note(commit)
        for row in commit.receipts:
            self.waiters.committed(row.tx_id, StoredReceipt(commit.height, row.index, row.receipt))
        if commit.packs:
            self.repairer.wake()
        if commit.texts:
            self.text_repairer.wake()
        if changes_membership(commit):
            self.whereabouts.turn(membership(self.node.ledger.view()))
        self.remover.note(commit)
        self.clean.note(commit)
        self._advanced.set()
        self._advanced = trio.Event()
        self._reports_in.send_nowait(Committed(commit.height))

    async def _settled(self) -> None:
        """Until what is final now is on disk: readers see what was acknowledged elsewhere. Not for long."""
        goal = self.node.ledger.head.height
        with trio.move_on_after(SETTLE_SECONDS):
            while self.database.height() < goal:
                await self._advanced.wait()

    async def _report(self) -> None:
        """Apart from the committer, for which the pump may be waiting while its inbox is full."""
        async for event in self._reports_out:
            await self.pump.put(event)

    def _check(self, effect: CheckPack) -> None:
        assert self._nursery is not None
        self._nursery.start_soon(self.checker.check, effect)

    async def _checked(self, event: PackChecked) -> None:
        await self.pump.put(event)

    def _refuse(self, effect: Refuse) -> None:
        self.waiters.refused(effect.tx_id, effect.code, effect.message)

    # ---- tasks ----

    async def run(self, task_status: trio.TaskStatus[str]) -> None:
        await self._prepare()
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            await nursery.start(Watchdog(self.log, self.tally, self.node, self.clock).run)
            listeners = await self.transport.listen(self.settings.p2p)
            await nursery.start(self.network.run, listeners)
            bound = self.transport.address_of(listeners[0])
            nursery.start_soon(self.whereabouts.run, tellable(self.settings.advertise, bound, self._hint))
            nursery.start_soon(self.space.run)
            nursery.start_soon(self.committer.run)
            nursery.start_soon(self._report)
            nursery.start_soon(self.repairer.run)
            nursery.start_soon(self.text_repairer.run)
            nursery.start_soon(self.scrubber.run)
            nursery.start_soon(self.remover.run)
            nursery.start_soon(self.clean.run)
            nursery.start_soon(self.archive.run)
            nursery.start_soon(self._decide, self.records)
            self.records = ()
            task_status.started(bound)

    async def _decide(self, records: tuple[bytes, ...]) -> None:
        """The pump. A fork is written down before anything ends."""
        try:
            await self.pump.run(records)
        except ForkSeen as fork:
            held = self.database.newest_certificate(0)
            raise forks.keep(fork, held, self.settings.directory, self.disk) from fork

    async def _prepare(self) -> None:
        """Remove what a crash left, never what state lists or a live attestation promises; drive links again."""
        await self.packs.git.check_version()
        applied = self.node.ledger.head.time
        promised = {a.digest for a in live_attestations(self.records, applied) if a.digest is not None}
        await self.remover.remove(applied, promised)
        listed = await trio.to_thread.run_sync(self._listed)
        removed = await self.packs.sweep(promised | {pack.digest for pack in listed})
        for pack in listed:
            await self._relink(pack)
        texts = await trio.to_thread.run_sync(self.texts.sweep)
        if removed or texts:
            self.log.info("swept", packs=len(removed), texts=texts)

    def _promised(self, applied: int) -> frozenset[bytes]:
        """The packs that this node vouched for and a block later than this time may still call in."""
        attested = self.node.pushes.attested.values()
        return frozenset(one.digest for one in attested if one.digest is not None and one.expires >= applied)

    def _suspect(self, digest: bytes) -> None:
        self.scrubber.suspect(digest)

    def _listed(self) -> list[AdmittedPack]:
        """Every pack that this node is to hold."""
        return list(self.database.listed_packs(self.node.ledger.head.time))

    async def _relink(self, pack: AdmittedPack) -> None:
        """A link that a power cut took away comes back; a pack that is gone becomes a missing row."""
        if self.packs.is_linked(pack.repo, pack.digest) and self.packs.has(pack.digest):
            return
        if not await self.packs.link(pack.repo, pack.digest):
            self.database.add_missing(pack)


def _index(genesis: Genesis, view: View, node_key: KeyPair) -> int | None:
    """By which number the network knows this node: by the state, or by genesis before there is one; else none yet."""
    found = queries.node_of_key(view, node_key.public_key)
    if found is not None:
        return found.number
    return next((entry.number for entry in genesis.validators if entry.node_key == node_key.public_key), None)


@asynccontextmanager
async def open_node(
    settings: NodeSettings, disk: Disk | None = None, transport: Transport | None = None, clock: Clock | None = None
) -> AsyncIterator[RunningNode]:
    """
    A running node for as long as the block lasts. Raises Invalid, Corrupt or Conflict (the lock) with words.

    Disk, transport and clock are this machine's unless others are given (``guts_net.protocols``).
    """
    disk = disk or LocalDisk()
    directory = settings.directory
    log = Log("node")
    tell_of_failures()
    with hold_lock(directory / "node.lock"), settings.open_logs(), ExitStack() as opened:
        forks.refuse(directory)
        transport, clock = transport or TcpTransport(), clock or MachineClock(settings.clock_offset_ms)
        await begin(settings, disk, transport, log)
        machine = _Machine(settings, disk, transport, clock, log, opened)
        log.info("starting", pid=os.getpid(), height=machine.node.ledger.head.height)
        # Without a vote log a database is a backup that was put here, or came with a snapshot.
        await machine.scrubber.look_at_start(whole=not machine.records)
        async with trio.open_nursery() as nursery:
            running = RunningNode(
                settings,
                machine.genesis,
                machine.node,
                machine.network,
                machine.server,
                machine.database,
                nursery,
            )
            running.p2p = await nursery.start(machine.run)
            log.info("started", p2p=running.p2p)
            try:
                yield running
            finally:
                log.info("stopping")
                nursery.cancel_scope.cancel()
