"""
The omniscient ledger: every vote said by anybody, and the invariants of ``consensus.md`` 1.13.

I1-I4 fire at the moment an honest node breaks a rule of its own, long before a fork shows it;
I5-I8 when the damage is done. The ledger counts quorums itself, by the formula, so that an engine
with another idea of a quorum is caught. Who lies and breaks I1-I4 is convicted by name: a fork
without as many convicts as two quorums share would be our mistake, not theirs.
"""

from __future__ import annotations

from collections.abc import Iterable

from guts_core.errors import GutsError
from guts_core.names import BlockHash
from guts_core.simplex.messages import Certificate, Kind, Message, Proposal, Propose, Supply, Vote
from guts_core.simplex.quorum import FaultModel

from .ports import Store

_NOTHING = BlockHash(b"")
_EMPTY: dict[BlockHash, int] = {}


class Broken(GutsError):
    """An invariant does not hold; the sentence says which, where and who."""

    code = "broken-promise"


class Forked(Broken):
    """Damage that only more liars than agreement bears can do."""

    code = "forked"


class VoteLedger:
    """All votes as bit sets of seats by kind, epoch, view and block; one canonical chain."""

    def __init__(self, size: int, fault_model: FaultModel, villains: frozenset[int]) -> None:
        self.quorum = _quorum(size, fault_model)
        self._villains = villains
        self._quorums = {0: self.quorum}
        self._numbers: dict[int, tuple[int, ...]] = {0: tuple(range(size))}
        self._votes: dict[tuple[Kind, int, int], dict[BlockHash, int]] = {}
        self.chain: list[Store] = []
        self._contents: set[bytes] = set()
        self.votes = 0
        self.certificates: set[tuple[Kind, int]] = set()
        self._certificates: set[tuple[Kind, int, int]] = set()
        self.guilty: set[int] = set()  # liars whose own votes convict them
        self.proposed = 0  # the highest view in which an honest node proposed
        self._last: Message | None = None

    def turn(self, epoch: int, numbers: tuple[int, ...], fault_model: FaultModel) -> None:
        """From now on votes of this epoch count, of these nodes by seat, with a quorum of its own."""
        self._quorums[epoch], self._numbers[epoch] = _quorum(len(numbers), fault_model), numbers

    def excuse(self, nodes: Iterable[int]) -> None:
        """These are not expected to keep the rules."""
        self._villains |= frozenset(nodes)

    def hear(self, message: Message) -> None:
        """Somebody said this: take every vote in it."""
        if message is self._last:
            return  # the same to one peer after another
        self._last = message
        if isinstance(message, Vote):
            self._vote(message.kind, message.epoch, message.view, message.proposal, 1 << message.signer)
        elif isinstance(message, Certificate):
            self._certificate(message)
        elif isinstance(message, Propose):
            for certificate in message.justification:
                self._certificate(certificate)
            vote = message.vote
            self._vote(Kind.NOTARIZE, vote.epoch, vote.view, vote.proposal, 1 << vote.signer)
            if self._is_honest(vote):
                self.proposed = max(self.proposed, vote.view)
        elif isinstance(message, Supply):
            for certificate in message.certificates:
                self._certificate(certificate)

    def voters(self, kind: Kind, epoch: int, view: int, block_hash: BlockHash = _NOTHING) -> list[int]:
        """The nodes that voted so."""
        mask = self._votes.get((kind, epoch, view), _EMPTY).get(block_hash, 0)
        return [number for seat, number in enumerate(self._numbers.get(epoch, ())) if mask >> seat & 1]

    def final(self, node: int, store: Store) -> None:
        """I7, I8, I9: a node finalized a block at a height."""
        if store.height <= len(self.chain):
            known = self.chain[store.height - 1]
            if known.block_hash != store.block_hash:
                raise Forked(f"I7: node {node} finalized another block at height {store.height}")
            if known.root != store.root:
                raise Broken(f"I8: node {node} computed another state at height {store.height}")
            return
        if store.height != len(self.chain) + 1:
            raise Broken(f"I7: node {node} finalized height {store.height} above a gap")
        repeated = self._contents.intersection(store.contents)
        if repeated:
            raise Broken(f"I9: {min(repeated).hex()[:32]} is final twice, again at height {store.height}")
        self._contents.update(store.contents)
        self.chain.append(store)

    def is_final(self, content: bytes) -> bool:
        """Whether this was ordered."""
        return content in self._contents

    def _is_honest(self, vote: Vote) -> bool:
        numbers = self._numbers.get(vote.epoch, ())
        return vote.signer < len(numbers) and numbers[vote.signer] not in self._villains

    def _certificate(self, said: Certificate) -> None:
        # Bit i, the least of the first byte first, is seat i: these bytes are such a set.
        self._vote(said.kind, said.epoch, said.view, said.proposal, int.from_bytes(said.signers, "little"))

    def _vote(self, kind: Kind, epoch: int, view: int, proposal: Proposal | None, mask: int) -> None:
        """Votes of all seats in a bit set."""
        block_hash = proposal.block_hash if proposal else _NOTHING
        key = kind, epoch, view
        by_block = self._votes.get(key)
        if by_block is None:
            if epoch not in self._quorums:
                return  # of an epoch that is not: nobody counts it
            by_block = self._votes[key] = {}
        before = by_block.get(block_hash, 0)
        new = mask & ~before
        if not new:
            return
        self.votes += new.bit_count()
        by_block[block_hash] = before | new
        numbers = self._numbers[epoch]
        while new:
            bit = new & -new
            new ^= bit
            self._judge(kind, epoch, view, proposal, bit, numbers[bit.bit_length() - 1])
        if (before | mask).bit_count() >= self._quorums[epoch]:
            self._certified(key, by_block)

    def _judge(self, kind: Kind, epoch: int, view: int, proposal: Proposal | None, bit: int, node: int) -> None:
        problem = self._problem(kind, epoch, view, proposal, bit)
        if problem is None:
            return
        if node not in self._villains:
            name, _, rest = problem.partition(" ")
            raise Broken(f"{name}: node {node} {rest}")
        self.guilty.add(node)

    def _problem(self, kind: Kind, epoch: int, view: int, proposal: Proposal | None, bit: int) -> str | None:
        """What is wrong with a vote, for one who keeps the rules."""
        by_block = self._votes[kind, epoch, view]
        if len(by_block) > 1 and sum(1 for signers in by_block.values() if signers & bit) > 1:
            return f"I1 cast two {kind.name.lower()} votes in view {view}"
        if kind is Kind.NOTARIZE:
            return None if proposal is None else self._orphan(proposal)
        other = Kind.FINALIZE if kind is Kind.NULLIFY else Kind.NULLIFY
        if any(signers & bit for signers in self._votes.get((other, epoch, view), _EMPTY).values()):
            return f"I2 cast nullify and finalize in view {view}"
        if proposal is not None and not self._is_quorum(Kind.NOTARIZE, epoch, view, proposal.block_hash):
            return f"I3 finalizes in view {view} what no quorum notarized"
        return None

    def _orphan(self, proposal: Proposal) -> str | None:
        epoch, view, parent = proposal.epoch, proposal.parent_view, proposal.parent_hash
        # The first block of an epoch stands on the last one of the epoch before.
        epochs = (epoch, epoch - 1) if epoch else (epoch,)
        if view and not any(self._is_quorum(Kind.NOTARIZE, one, view, parent) for one in epochs):
            return f"I4 voted in view {proposal.view} for a child of no notarized block"
        for skipped in range(view + 1, proposal.view):
            if not self._is_quorum(Kind.NULLIFY, epoch, skipped, _NOTHING):
                return f"I4 voted in view {proposal.view} though view {skipped} was not nullified"
        return None

    def _is_quorum(self, kind: Kind, epoch: int, view: int, block_hash: BlockHash) -> bool:
        signers = self._votes.get((kind, epoch, view), _EMPTY).get(block_hash, 0)
        return signers.bit_count() >= self._quorums[epoch]

    def _certified(self, key: tuple[Kind, int, int], by_block: dict[BlockHash, int]) -> None:
        kind, epoch, view = key
        self.certificates.add((kind, view))
        self._certificates.add(key)
        quorum = self._quorums[epoch]
        if len(by_block) > 1 and sum(1 for signers in by_block.values() if signers.bit_count() >= quorum) > 1:
            raise Forked(f"I5: two blocks have a {kind.name.lower()} quorum in view {view}")
        if kind is not Kind.NOTARIZE:
            other = Kind.FINALIZE if kind is Kind.NULLIFY else Kind.NULLIFY
            if (other, epoch, view) in self._certificates:
                raise Forked(f"I6: view {view} is both nullified and finalized")


def _quorum(size: int, fault_model: FaultModel) -> int:
    return size // 2 + 1 if fault_model is FaultModel.CRASH else size - (size - 1) // 3
