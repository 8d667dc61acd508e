"""All that an engine knows, and the few things every rule does with it."""

from __future__ import annotations

from collections import Counter
from enum import IntEnum

from attrs import field, frozen, validators

from guts_core.codec import to_bytes
from guts_core.errors import Corrupt
from guts_core.identity.keys import Signer, Verifier
from guts_core.names import BlockHash, ChainId

from .blocks import Blocks, Held
from .bounds import PATIENCE_MAX, PATIENCE_STEPS_MAX
from .budget import Budget
from .committee import Committee
from .effects import Effect, Persist, Send
from .evidence import EvidenceBook
from .journal import LogRecord
from .messages import Certificate, Message, Proposal, Vote
from .ports import Application, End, Instant, Verdict
from .quorum import FaultModel
from .round import Round
from .slots import Slots
from .watch import Watch


class Rule(IntEnum):
    """The numbered rules of ``consensus.md`` 1.4; a campaign that leaves one at zero has a hole."""

    ENTER = 1
    PROPOSE = 2
    NOTARIZE = 3
    NULLIFY = 4
    FINALIZE = 5
    FINALIZED = 6
    CERTIFY = 7
    RETRY = 8
    HELP = 9


_VALID, _UNKNOWN = Verdict.VALID, Verdict.UNKNOWN
_AT_LEAST_ONE = validators.ge(1)


@frozen
class EngineConfig:
    """What an engine is started with; ``final`` is the application's last durably committed block."""

    chain_id: ChainId
    epoch: int
    validators: tuple[bytes, ...]  # vote keys, in the order of the epoch
    me: int | None  # None: follow without a vote
    fault_model: FaultModel
    delta_us: int = field(validator=_AT_LEAST_ONE)  # how long one message may take when all is well
    retry_us: int = field(validator=_AT_LEAST_ONE)
    heartbeat_us: int = field(validator=_AT_LEAST_ONE)
    final: Proposal  # genesis: view 0, with the genesis block's hash
    certificate: Certificate | None = None  # its own finalization, if it has one in this epoch
    numbers: tuple[int, ...] = ()  # by which peers are known, in order of seats; none: by their seats
    recalls: bool = False  # a start holds its votes back until a quorum told which votes of this key it heard


class State:
    """One engine's memory. Rules are functions of it; effects are collected in ``effects``, in order."""

    def __init__(
        self, config: EngineConfig, signer: Signer | None, verifier: Verifier, application: Application
    ) -> None:
        self.config, self.signer, self.application = config, signer, application
        self.me = config.me
        self.numbers = config.numbers or tuple(range(len(config.validators)))
        self.seats = {number: seat for seat, number in enumerate(self.numbers) if seat != config.me}
        self.committee = Committee(config.chain_id, config.epoch, config.validators, config.fault_model, verifier)
        self.now = Instant(0, 0)
        self.effects: list[Effect] = []
        self.fired = [0] * (max(Rule) + 1)  # how often each rule was applied, by its number
        self.evidence = EvidenceBook()
        self.slots = Slots(self.committee.size, config.epoch)
        self.view = 0
        self.leads = False  # the current view
        self.rounds: dict[int, Round] = {}
        self.blocks = Blocks()
        self.final = config.final  # finalized through the application, executed
        self.newest = config.certificate  # the highest finalization known, ahead of `final` while syncing
        self.anchors: list[BlockHash] = []  # finalized hashes still to be connected to `final`, nearest last
        self.tip = 0  # highest view with a notarization
        self.owed: set[int] = set()  # notarized views whose finalize vote is not cast yet
        self.floor = config.final  # durably committed by the application
        # The highest floor that the log tells of: own votes up to its view may be forgotten. Above `final` only
        # where the database lost commits (F08); then nothing is voted for there, it is caught up on.
        self.sworn = config.final
        self.uncommitted: list[tuple[Held, Certificate | None]] = []
        # What makes the last blocks of epochs final, until those are committed; by view.
        self.ends: dict[int, End] = {}
        self.ended = False  # the last block of this epoch is final: nothing is voted for any more
        self.later: list[LogRecord] = []  # what the log tells of epochs that this engine has not come to
        # What votes may be forgotten here (``fence.py``): views up to the fence, and how this start finds out.
        self.watch: Watch | None = None
        self.unheard = True  # nobody has told yet
        self.forgot = False  # the log itself is lost, so votes are
        self.fence = 0
        self.barred = 0  # no own vote up to this view
        self.own_above = 0  # any vote of this key above this view was cast by this process
        self.voiced: dict[int, Vote] = {}  # the newest vote of each seat
        self.finals: dict[int, BlockHash] = {}  # by view, of this life, in order
        # Times, monotonic us; None is "not armed".
        self.entered = 0
        self.stirred: int | None = None  # when this view was first known to have something to do
        self.ask_again = 0  # before this, the application is not asked again about this view's block
        self.retry_at: int | None = None
        self.sync_at: int | None = None
        # By number of the peer, which may have no seat.
        self.began = 0  # this process listens since then
        self.heard: dict[int, int] = {}
        self.helped: dict[int, int] = {}
        self.asked: Counter[int] = Counter()
        self.ahead: dict[int, int] = {}  # the epoch in which a peer says it is, where that is a later one
        self.budget = Budget()
        self.rotation = 0

    def emit(self, effect: Effect) -> None:
        """Order an effect after all earlier ones."""
        self.effects.append(effect)

    def log(self, entry: LogRecord, *, sync: bool = False) -> None:
        """Append to the log; with ``sync`` nothing later happens before it is on disk."""
        self.effects.append(Persist(to_bytes(entry), sync))

    def send(self, to: int | None, message: Message) -> None:
        """Say to one peer, or to all other validators; a single validator has none."""
        if to is not None or self.seats:
            self.effects.append(Send(to, message))

    def others(self) -> list[int]:
        """The seats of all other validators."""
        return list(self.seats.values())

    def round(self, view: int) -> Round:
        """What is known of a view; makes room for it."""
        found = self.rounds.get(view)
        if found is None:
            found = self.rounds[view] = Round()
        return found

    def seen(self, view: int) -> Round | None:
        """What is known of a view, if anything."""
        return self.rounds.get(view)

    def may_vote(self, view: int) -> bool:
        """Whether this node has a vote in a view that it cannot have forgotten."""
        return self.me is not None and self.watch is None and view > self.barred

    @property
    def settled(self) -> int:
        """The highest view known to be final, whether or not its blocks are here yet."""
        final, newest = self.final.view, self.newest
        return final if newest is None or newest.view < final else newest.view

    @property
    def delta(self) -> int:
        """
        The patience now: half as long again after every n views without finality, and back at once.

        Counting per n views keeps a few dead leaders from making everyone slow.
        """
        size = self.committee.size
        if self.view - self.final.view - 2 < size:
            return self.config.delta_us  # what is settled is final, or above that
        lately = self.view - self.settled - 2
        if lately < size:
            return self.config.delta_us
        steps = min(lately // size, PATIENCE_STEPS_MAX)
        grown = self.config.delta_us * int(3**steps) // int(2**steps)
        return min(grown, self.config.delta_us * PATIENCE_MAX)

    def executed(self, block_hash: BlockHash) -> Verdict:
        """Execute a held block after its ancestors, each once; UNKNOWN when something is missing."""
        if block_hash == self.final.block_hash:
            return _VALID
        held = self.blocks.get(block_hash)
        if held is not None and held.executed:
            return _VALID
        walk = self.blocks.walk(block_hash, self.final)
        if not walk.connects:
            return _UNKNOWN
        parent = self.final
        for block in walk.run:
            verdict = self._execute(parent, block)
            if verdict is not _VALID:
                return verdict
            parent = block.proposal
        return _VALID

    def _execute(self, parent: Proposal, block: Held) -> Verdict:
        if block.executed:
            return _VALID
        if block.ask_again > self.now.monotonic:
            return _UNKNOWN
        verdict = self.application.execute(parent, block.proposal, block.body)
        block.executed = verdict is _VALID
        if verdict is _UNKNOWN:
            block.ask_again = self.now.monotonic + self.config.delta_us // 2
        return verdict

    def proposal_of(self, block_hash: BlockHash) -> Proposal | None:
        """The proposal of the tip or of a held block."""
        if block_hash == self.final.block_hash:
            return self.final
        held = self.blocks.get(block_hash)
        return held.proposal if held else None


def must(truth: object, sentence: str) -> None:
    """Raise Corrupt with a sentence unless this holds: going on would make it worse."""
    if not truth:
        raise Corrupt(sentence)
