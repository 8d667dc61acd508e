"""F34, F36: packs and blocks that are withheld, votes cast twice, packs vouched for and not held."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from attrs import evolve, frozen

from guts_core.chain.block import Block, tx_root
from guts_core.chain.genesis import chain_id
from guts_core.chain.header import block_hash
from guts_core.chain.transaction import Item, transaction_id
from guts_core.codec import Tag, encode, from_bytes, to_bytes, to_value
from guts_core.forge.activities import Activity, PackAdmitted
from guts_core.node.effects import Disconnect, Effect, SendPeer
from guts_core.node.messages import PEER_MESSAGES
from guts_core.sim.fates import dice
from guts_core.sim.forge_cast import ForgeCast
from guts_core.sim.forge_checks import ForgeChecks
from guts_core.sim.forge_world import ForgeWorld
from guts_core.sim.ledger import VoteLedger
from guts_core.sim.ports import Store
from guts_core.sim.swarm import draw
from guts_core.sim.villains.double_voter import DoubleVoter
from guts_core.sim.villains.false_attester import FalseAttester
from guts_core.sim.villains.pack_withholder import PackWithholder
from guts_core.sim.villains.villain import Villain
from guts_core.sim.villains.withholder import Withholder
from guts_core.simplex.messages import Kind, Propose, Vote
from guts_core.simplex.quorum import FaultModel, faults_tolerated
from tests.core.chain.chain_world import MAIN, a_push, creation, key, oid
from tests.core.node.node_world import World, an_avail
from tests.core.node.test_node_pushes import PACK, repo_of

SEED = 1
VIEWS_SECONDS = 30


class Retrievable(ForgeChecks):
    """Asks of each pack, the first time that a block which admits it is final, which honest nodes could give it now."""

    holders: list[int]
    everybody: Sequence[int]

    def final(self, store: Store) -> tuple[Activity, ...]:
        """As the base."""
        happened = super().final(store)
        for one in happened:
            if isinstance(one, PackAdmitted):
                honest = [index for index in self.everybody if index not in self._villains]
                self.holders.append(sum(self._depots[index].holds(one.digest) for index in honest))
        return happened


@frozen
class Played:
    """What a run came to."""

    world: ForgeWorld
    attempts: int
    holders: list[int]  # honest nodes that held each admitted pack


def played(seed: int, nodes: int, kind: type[Villain]) -> Played:
    """A whole run in which every liar that is tolerated is of this kind; raises Broken."""
    liars = dice(seed, "liars").sample(range(nodes), faults_tolerated(nodes, FaultModel.BYZANTINE))
    players = ForgeCast(seed, nodes, FaultModel.BYZANTINE, dict.fromkeys(liars, kind))
    ledger = VoteLedger(nodes, FaultModel.BYZANTINE, players.villains)
    world = ForgeWorld(seed, draw(dice(seed, "faults"), nodes, whole=True), players, nodes, ledger)
    checks = Retrievable(nodes, ledger.quorum, players.villains, world.depots)
    checks.holders, checks.everybody = [], range(nodes)
    world.checks = checks
    world.run()
    return Played(world, sum(deeds.attempts for deeds in players.deeds.values()), checks.holders)


@pytest.mark.parametrize("kind", [PackWithholder, Withholder])
def test_fault_F34_what_is_final_is_held_by_more_honest_nodes_than_may_lie(kind: type[Villain]) -> None:
    """A gateway that gives a pack to one peer only, a leader that shows its block to a bare quorum."""
    run = played(SEED, 4, kind)

    assert run.attempts > 0
    assert min(run.holders) >= faults_tolerated(4, FaultModel.BYZANTINE) + 1


def test_fault_F36_as_many_false_attesters_as_may_lie_cost_no_pack() -> None:
    """One vouches for all that is announced and holds none of it: the honest part of every quorum has it."""
    run = played(SEED, 4, FalseAttester)

    assert run.attempts > 0
    assert min(run.holders) >= faults_tolerated(4, FaultModel.BYZANTINE) + 1


def test_fault_F36_who_votes_twice_is_found_by_honest_nodes() -> None:
    """The pair is kept; what it comes to on record is F32's."""
    run = played(SEED, 4, DoubleVoter)
    (villain,) = run.world.cast.villains

    assert run.attempts > 0
    pairs = [run.world.node(index).engine.evidence() for index in run.world.honest]
    assert all(any(second.signer == villain for _, second in found) for found in pairs)


class Forging(World):
    """Node 3 proposes, the first time that it leads, a push that no quorum vouched for."""

    forged: Propose | None = None
    push: Item | None = None

    def _perform(self, index: int, effect: Effect) -> None:
        if index == 3 and self.push is not None and self.forged is None and isinstance(effect, SendPeer):
            said = PEER_MESSAGES.from_bytes(effect.data)
            if isinstance(said, Propose):
                self.forged = self._with_push(said, self.push)
                effect = evolve(effect, data=to_bytes(self.forged))
        super()._perform(index, effect)

    def _with_push(self, said: Propose, item: Item) -> Propose:
        block = from_bytes(Block, said.body)
        header = evolve(block.header, tx_root=tx_root((item,)))
        proposal = evolve(said.proposal, block_hash=block_hash(header))
        content = encode((int(Kind.NOTARIZE), 0, proposal.view, to_value(proposal)))
        signature = key("vote 3").sign(Tag.SIGN_VOTE, chain_id(self.genesis), content)
        vote = Vote(Kind.NOTARIZE, 0, proposal.view, proposal, 3, signature)
        return Propose(proposal, to_bytes(evolve(block, header=header, items=(item,))), said.justification, vote)


def test_fault_F34_a_push_without_the_word_of_a_quorum_is_nullified() -> None:
    """However its leader wants it: nobody votes for a block with a pack that is not held."""
    world = Forging()
    world.a_repository()
    signed = world.signed(a_push(repo_of(world), MAIN, None, oid("one")))
    world.push = Item(signed, None, ())
    for number in range(8):
        tx_id = world.submit(0, world.signed(creation(f"other-{number}")))
        for _ in range(VIEWS_SECONDS):
            world.pass_time(1_000)
        assert {seat.node.ledger.is_pending(tx_id) for seat in world.seats} == {False}

    assert world.forged is not None
    view = world.forged.proposal.view
    for seat in world.seats[:3]:
        said = [(vote.kind, vote.proposal) for vote in seat.said_of(Vote) if vote.view == view]
        assert said[:1] == [(Kind.NULLIFY, None)]
        assert not seat.store.is_replay(transaction_id(signed.body))


def test_fault_F36_an_avail_in_anothers_name_bans_its_sender_and_counts_for_nothing() -> None:
    """A quorum is made of what was signed, its own push's gateway among them."""
    world = World()
    world.a_repository()
    world.checks_succeed = False
    tx_id = world.submit(0, world.signed(a_push(repo_of(world), MAIN, None, oid("one"))), pack=PACK)
    world.settle()
    genuine = an_avail(world, 2, tx_id)
    world.say(1, 0, evolve(an_avail(world, 1, tx_id), signature=genuine.signature))
    world.say(2, 0, genuine)
    world.settle()
    assert [(one.peer, one.ban) for one in world.seats[0].wanted_of(Disconnect)] == [(1, True)]
    assert not world.seats[0].store.is_replay(tx_id)

    world.say(3, 0, an_avail(world, 3, tx_id))
    world.pass_time(1_000)
    assert world.seats[0].store.is_replay(tx_id)
