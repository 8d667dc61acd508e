"""What a removed key signs, a block never holds from its height on; an added one signs at once."""

from __future__ import annotations

import pytest
from attrs import evolve

from guts_core.chain import compose
from guts_core.chain.block import Block
from guts_core.chain.genesis import chain_id
from guts_core.chain.header import block_hash
from guts_core.chain.inadmissible import (
    WrongSignatures,
)
from guts_core.chain.standing import Where
from guts_core.chain.transaction import SignedTransaction
from guts_core.codec import from_bytes, to_bytes
from guts_core.forge.actions import RevokeCredential
from guts_core.forge.ids import credential_id
from guts_core.simplex.messages import Proposal
from guts_core.simplex.ports import Verdict
from tests.core.chain.chain_world import Network, Person, creation, key

NEW = key("bob's new key")


def with_key(person: Person) -> Person:
    """The person, signing with the new key."""
    return evolve(person, key=NEW)


def rotation(network: Network, person: Person) -> SignedTransaction:
    actions = compose.rotate_key(chain_id(network.genesis), person.id, person.key.public_key, NEW)
    return network.by_key(person, *actions)


def test_after_a_rotation_the_new_key_signs_and_the_old_one_does_not() -> None:
    network = Network()
    bob = network.a_person("bob")
    network.submit(rotation(network, bob))
    network.step()

    with pytest.raises(WrongSignatures, match="may not sign"):
        network.submit(network.by_key(bob, creation("old")))
    signed = network.by_key(with_key(bob), creation("new"))
    network.submit(signed)
    network.step()

    assert network.status(signed).error is None
    assert network.status(signed).where is Where.FINAL


def test_what_waits_on_a_removed_key_is_refused_and_its_sender_told() -> None:
    """It can stand in no block any more; nobody waits for its expiry to hear so."""
    network = Network()
    bob = network.a_person("bob")
    waiting = network.by_key(bob, creation("late"))
    network.submit(rotation(network, bob))
    network.submit(waiting)

    network.step()

    standing = network.status(waiting)
    assert (standing.where, standing.error) == (Where.REFUSED, WrongSignatures.code)
    assert not network.ledgers[0].mempool.has_ready


def test_a_block_with_what_a_removed_key_signed_is_invalid() -> None:
    """From the very next block on, whoever leads: a leader's own rules would leave it out."""
    network = Network()
    bob = network.a_person("bob")
    network.submit(network.by_key(bob, creation("late")), to=1)
    _, _, body = network.propose(leader=1)
    network.submit(rotation(network, bob), to=0)
    network.pass_time(1000)
    parent, rotated, rotating = network.propose(leader=0)
    assert network.verify(parent, rotated, rotating) == [Verdict.VALID] * 2

    late, block = above(network, rotated, rotating, from_bytes(Block, body))

    for ledger in network.ledgers:
        assert ledger.verify(rotated, late, block, network.instant) is Verdict.INVALID
        assert "may not sign" in (ledger.why_invalid or "")


def above(network: Network, parent: Proposal, parent_body: bytes, block: Block) -> tuple[Proposal, bytes]:
    """The block's transactions on another parent, as a leader would propose them who does not look at signatures."""
    before = from_bytes(Block, parent_body).header
    executed = network.ledgers[0]._branches.get(parent.block_hash)
    assert executed is not None
    header = evolve(
        block.header,
        height=before.height + 1,
        time=before.time + 1,
        view=before.view + 1,
        parent_view=before.view,
        parent_hash=parent.block_hash,
        history_root=executed.history.root,
    )
    proposal = Proposal(0, header.view, header.parent_view, header.parent_hash, block_hash(header))
    return proposal, to_bytes(evolve(block, header=header))


def test_an_added_key_signs_in_the_block_that_adds_it() -> None:
    """Transactions of one block see each other in order; the first key goes on signing."""
    network = Network()
    bob = network.a_person("bob")
    add = network.by_key(bob, compose.add_key(chain_id(network.genesis), bob.id, NEW))
    network.submit(add)
    network.step()
    by_new, by_old = (network.by_key(person, creation(name)) for person, name in ((with_key(bob), "a"), (bob, "b")))
    network.submit(by_new)
    network.submit(by_old)
    network.step()

    assert [network.status(one).error for one in (add, by_new, by_old)] == [None, None, None]


def test_credentials_outlive_the_key_that_made_them() -> None:
    """A rotation is no revocation: tokens are ended one by one, by the new key."""
    network = Network()
    bob = network.a_person("bob")
    network.submit(rotation(network, bob))
    network.step()
    by_token = network.by_token(bob, creation("site"))
    network.submit(by_token)
    network.step()
    revoke = network.by_key(with_key(bob), RevokeCredential(credential_id(bob.credential.public_key)))
    network.submit(revoke)
    network.step()

    assert [network.status(one).error for one in (by_token, revoke)] == [None, None]


def test_an_operator_who_rotated_still_sponsors() -> None:
    """With the key that the account has now, as everybody else."""
    network = Network()
    sponsor = network.operator(0)
    network.submit(rotation(network, sponsor))
    network.step()

    with pytest.raises(WrongSignatures):
        network.submit(network.registration("zoe", sponsor))
    signed = network.registration("zoe", with_key(sponsor))
    network.submit(signed)
    network.step()

    assert network.status(signed).error is None
