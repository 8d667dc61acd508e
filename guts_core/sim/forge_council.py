"""
A world of whole nodes whose validators change: the operators rotate a key, take a seat away and give one to a node
that only followed, while everything else goes wrong as usual. They ask again until it is done.
"""

from __future__ import annotations

from collections.abc import Mapping

from guts_core.chain import compose
from guts_core.chain.transaction import Item
from guts_core.codec import Tag, digest
from guts_core.forge import epochs, queries
from guts_core.forge.actions import Action, ProposeDecision, VoteDecision
from guts_core.forge.decisions import Change, DecisionState, RemoveValidator
from guts_core.node.events import TransactionSubmitted
from guts_core.node.node import NodeConfig
from guts_core.simplex.quorum import FaultModel
from guts_core.state.view import View

from .fates import dice
from .faults import SECOND, Plan
from .forge_cast import ForgeCast
from .forge_node import ForgeNode
from .forge_world import ForgeWorld
from .ledger import VoteLedger
from .people import KEYS, Desk
from .ports import Store
from .villains.villain import Villain

# With five seats one may go and come while one of the others lies.
SEATS = 5
NEWCOMER, LEAVER = SEATS, SEATS - 1
NODES = SEATS + 1
_VOTE, _NODE, _ROTATED = range(3)  # spare keys: of the newcomer, and one that is rotated in
_ASK_AGAIN_US = SECOND // 2
_LIFETIME_MS = 60_000


class CouncilCast(ForgeCast):
    """Five seats and a node that follows."""

    def __init__(self, seed: int, kinds: Mapping[int, type[Villain]], epoch_ms: int) -> None:
        super().__init__(seed, SEATS, FaultModel.BYZANTINE, kinds, epoch_ms=epoch_ms, spare_keys=3)
        self.rotates = min(index for index in range(SEATS - 1) if index not in self.kinds)

    def spare(self, which: int) -> int:
        """A key that no genesis names, by its place in the ring."""
        return 3 * SEATS + KEYS + which

    def make(self, index: int, records: list[bytes], stored: list[Store]) -> ForgeNode:
        """A new process of a node, with every key that lies in its directory."""
        rotated = (self.ring.signer(self.spare(_ROTATED)),) if index == self.rotates else ()
        is_new = index == NEWCOMER
        vote = self.ring.signer(self.spare(_VOTE) if is_new else index)
        network = self.ring.signer(self.spare(_NODE) if is_new else SEATS + index)
        config = NodeConfig(
            self.genesis, None if is_new else index, vote, self.ring, vote_signers=rotated, node_signer=network
        )
        node = ForgeNode(self.genesis, index, self.ring, self.reader, records, stored, config)
        return self.twisted(node)


class CouncilWorld(ForgeWorld):
    """One run; ``done`` counts the changes that hold."""

    cast: CouncilCast

    def __init__(self, seed: int, plan: Plan, players: CouncilCast, ledger: VoteLedger) -> None:
        super().__init__(seed, plan, players, NODES, ledger)
        numbers = tuple(range(SEATS))
        self._epochs = {0: numbers}
        network = players.genesis
        ledger.turn(0, numbers, network.fault_model)
        self.checks.turn(0, numbers, SEATS - (SEATS - 1) // 3)
        self.done = 0
        self._council = dice(seed, "council")
        self._convenes = SECOND
        self._asked_for_it = 0

    def _desk(self, gateway: int) -> Desk | None:
        return None if gateway >= SEATS else super()._desk(gateway)

    def _wish(self) -> None:
        super()._wish()
        if self.time >= self._convenes:
            self._convenes = self.time + _ASK_AGAIN_US
            self._convene()

    def _convene(self) -> None:
        awake = [index for index in self.honest if index < SEATS and self.places[index].node is not None]
        if not awake:
            return
        best = max(awake, key=lambda index: self.node(index).height)
        view, gateway = self.node(best).node.ledger.view(), self._council.choice(awake)
        seats = {seat.number: seat.vote_key for seat in epochs.current(view).seats}
        keys, rotates, chain = self.cast.ring.public_keys, self.cast.rotates, self.cast.chain_id
        if seats[rotates] != keys[self.cast.spare(_ROTATED)]:
            new = self.cast.ring.signer(self.cast.spare(_ROTATED))
            self._ask_for(rotates, compose.rotate_seat(chain, rotates, new, None), gateway)
        elif LEAVER in seats:
            self.done = 1
            self._decide(view, RemoveValidator(LEAVER), gateway)
        elif NEWCOMER not in seats:
            self.done = 2
            vote, network = (self.cast.ring.signer(self.cast.spare(which)) for which in (_VOTE, _NODE))
            operator = self.cast.genesis.accounts[LEAVER].id
            self._decide(view, compose.add_validator(chain, "newcomer", operator, vote, network), gateway)
        else:
            self.done = 3

    def _decide(self, view: View, change: Change, gateway: int) -> None:
        decisions = [queries.decision(view, number) for number in range(1, 32)]
        found = [one for one in decisions if one is not None and one.change == change]
        current = [one for one in found if one.state in {DecisionState.OPEN, DecisionState.APPROVED}]
        if not current:
            self._ask_for(0, ProposeDecision(change, now=True), gateway)
        elif current[-1].state is DecisionState.OPEN:
            for operator in range(1, SEATS):
                if self.cast.genesis.accounts[operator].id not in current[-1].approve:
                    self._ask_for(operator, VoteDecision(current[-1].number, approve=True), gateway)

    def _ask_for(self, operator: int, action: Action, gateway: int) -> None:
        self._asked_for_it += 1
        author = self.cast.genesis.accounts[operator].id
        time = self.node(gateway).node.ledger.next_time(self._now(gateway).wall)
        salt = digest(Tag.TRACE, b"council %d" % self._asked_for_it)
        body = compose.by_account(self.cast.chain_id, author, (action,), time + _LIFETIME_MS, salt)
        signed = compose.sign_with_account_key(body, self.cast.ring.signer(2 * SEATS + operator))
        self._tell_later(gateway, TransactionSubmitted(Item(signed, None, ()), None), b"council", 0)
