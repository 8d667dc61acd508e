"""One engine under test, and everything its peers could say to it."""

from __future__ import annotations

from collections.abc import Iterable

from guts_core.codec import Tag, digest, encode, to_value
from guts_core.names import BlockHash, ChainId
from guts_core.sim.crypto import KeyRing
from guts_core.sim.machine import WordList
from guts_core.sim.replica import GENESIS, FinalBlock, Page, Replica
from guts_core.simplex.certificates import assemble
from guts_core.simplex.committee import Committee
from guts_core.simplex.effects import Blame, Effect, Persist, ReportEquivocation, Send
from guts_core.simplex.engine import Engine, EngineConfig
from guts_core.simplex.journal import LogRecord, read
from guts_core.simplex.messages import Certificate, Kind, Message, Proposal, Propose, Vote
from guts_core.simplex.ports import Instant
from guts_core.simplex.quorum import FaultModel

DELTA, RETRY, HEARTBEAT = 100_000, 250_000, 1_000_000
CHAIN = ChainId(bytes(range(32)))
N, X, F = Kind.NOTARIZE, Kind.NULLIFY, Kind.FINALIZE


class CountedRing(KeyRing):
    """Says how many signatures it was asked about."""

    def __init__(self, seed: int, size: int) -> None:
        super().__init__(seed, size)
        self.checks = 0

    def verify(self, public_key: bytes, tag: Tag, chain_id: ChainId, body: bytes, signature: bytes) -> bool:
        """The same, counted."""
        self.checks += 1
        return super().verify(public_key, tag, chain_id, body, signature)


class World:
    """Engine ``me`` of ``size``; time moves only when told. Views are led by ``view % size``."""

    def __init__(self, me: int = 0, size: int = 4, fault_model: FaultModel = FaultModel.BYZANTINE) -> None:
        self.me, self.size, self.fault_model = me, size, fault_model
        self.ring = CountedRing(7, size)
        self.committee = Committee(CHAIN, 0, self.ring.public_keys, fault_model, self.ring)
        self.author = Replica(WordList(), [])  # builds and executes the peers' blocks
        self.durable: list[FinalBlock] = []
        self.log: list[bytes] = []
        self.time = 1_000_000
        self.said: list[Send] = []
        self.reported: list[ReportEquivocation] = []
        self.blamed: list[int] = []
        self.restart()

    # ---- the engine's life ----

    def restart(self, records: list[bytes] | None = None) -> None:
        """A new process on what was durable; with ``records``, on that log."""
        if records is not None:
            self.log = list(records)
        self.replica = Replica(WordList(), self.durable)
        last = self.durable[-1] if self.durable else None
        config = EngineConfig(
            chain_id=CHAIN,
            epoch=0,
            validators=self.ring.public_keys,
            me=self.me,
            fault_model=self.fault_model,
            delta_us=DELTA,
            retry_us=RETRY,
            heartbeat_us=HEARTBEAT,
            final=last.block.proposal if last else GENESIS,
            certificate=last.certificate if last else None,
        )
        self.engine = Engine(config, self.ring.signer(self.me), self.ring, self.replica)
        self.said = []
        self._do(self.engine.start(list(self.log), self.now))

    @property
    def now(self) -> Instant:
        """The world's time."""
        return Instant(self.time, self.time // 1000)

    def hear(self, peer: int, *messages: Message) -> list[Effect]:
        """Messages from one peer, in order; all effects."""
        effects: list[Effect] = []
        for message in messages:
            effects += self._do(self.engine.receive(peer, message, self.now))
        return effects

    def hear_votes(self, votes: Iterable[Vote]) -> None:
        """Votes, each from its signer."""
        for vote in votes:
            self.hear(vote.signer, vote)

    def wait(self, microseconds: int) -> None:
        """Let time pass, with every tick that falls due."""
        end = self.time + microseconds
        while (due := self.engine.next_deadline()) is not None and due <= end:
            self.time = max(self.time, due)
            self._do(self.engine.tick(self.now))
        self.time = end

    def work(self, word: bytes) -> None:
        """A command to order arrives here."""
        self.replica.submit(word)
        self._do(self.engine.work_arrived(self.now))

    def commit(self) -> None:
        """The disk has written everything that is final."""
        fresh = self.replica.take_fresh()
        self.durable += fresh
        if fresh:
            self._do(self.engine.committed(fresh[-1].block.proposal.view))

    def _do(self, effects: list[Effect]) -> list[Effect]:
        for effect in effects:
            if isinstance(effect, Persist):
                self.log.append(effect.record)
            elif isinstance(effect, Send):
                self.said.append(effect)
            elif isinstance(effect, Blame):
                self.blamed.append(effect.peer)
            else:
                self.reported.append(effect)
        return effects

    # ---- what was said and written ----

    def votes_said(self, kind: Kind | None = None) -> list[Vote]:
        """Own votes that left, alone or inside a proposal, each once."""
        votes = [m.vote if isinstance(m, Propose) else m for m in self.messages() if isinstance(m, Propose | Vote)]
        return list(dict.fromkeys(vote for vote in votes if kind in (None, vote.kind)))

    def messages(self, to: int | None = -1) -> list[Message]:
        """Everything said, or everything said to one peer alone."""
        return [send.message for send in self.said if to in (-1, send.to)]

    def written(self) -> list[LogRecord]:
        """The log, read."""
        return [read(record) for record in self.log]

    # ---- what peers say ----

    def vote(self, signer: int, kind: Kind, view: int, proposal: Proposal | None = None, epoch: int = 0) -> Vote:
        """A correctly signed vote."""
        body = encode((int(kind), epoch, view, None if proposal is None else to_value(proposal)))
        signature = self.ring.signer(signer).sign(Tag.SIGN_VOTE, CHAIN, body)
        return Vote(kind, epoch, view, proposal, signer, signature)

    def certificate(
        self, kind: Kind, view: int, proposal: Proposal | None = None, signers: Iterable[int] | None = None
    ) -> Certificate:
        """A correct certificate of these signers, by default the last quorum of validators."""
        chosen = list(signers) if signers is not None else list(range(self.size))[-self.committee.quorum :]
        votes = [self.vote(signer, kind, view, proposal) for signer in chosen]
        return assemble(self.committee, kind, view, proposal, [(vote.signer, vote.signature) for vote in votes])

    def block(
        self, view: int, parent: Proposal = GENESIS, word: bytes | None = None, wall: int | None = None
    ) -> Propose:
        """What the leader of a view would propose on a parent, without justification."""
        if word is not None:
            self.author.submit(word)
        built = self.author.propose(parent, view, Instant(0, 1000 + view if wall is None else wall))
        assert built is not None
        proposal = Proposal(0, view, parent.view, parent.block_hash, built[0])
        return Propose(proposal, built[1], (), self.vote(view % self.size, N, view, proposal))

    def page(self, view: int, parent: Proposal, words: tuple[bytes, ...], root: bytes) -> Propose:
        """A well-formed proposal whose content nobody computed."""
        body = Page(0, view, parent.view, parent.block_hash, 2000 + view, root, words).encoded()
        proposal = Proposal(0, view, parent.view, parent.block_hash, BlockHash(digest(Tag.HEADER, body)))
        return Propose(proposal, body, (), self.vote(view % self.size, N, view, proposal))

    def justified(self, said: Propose, *certificates: Certificate) -> Propose:
        """The same proposal carrying certificates."""
        return Propose(said.proposal, said.body, certificates, said.vote)
