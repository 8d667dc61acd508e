"""What a commit files beside the state: who moved which ref, and what was deleted."""

from __future__ import annotations

from guts_core.chain.commit import Commit
from guts_core.chain.indexed import Deletion, RefMove
from guts_core.chain.transaction import SignedTransaction
from guts_core.forge.actions import DeleteRepository, Relation, RestoreRepository
from guts_core.forge.ids import credential_id
from guts_core.names import RefName
from tests.core.chain.chain_world import (
    MAIN,
    Network,
    a_push,
    creation,
    flush,
    gateway,
    oid,
    repo_id,
)


def committed(network: Network, *signed: SignedTransaction) -> Commit:
    """The commit of one block with these transactions."""
    for one in signed:
        tx_id = network.submit(one)
        if network.ledgers[0].mempool.get(tx_id).needs_witness:  # type: ignore[union-attr]  # it was just submitted
            for ledger in network.ledgers:
                ledger.set_witness(tx_id, network.witness(tx_id))
    network.pass_time(1000)
    _, proposal, body = network.propose()
    network.finalize(proposal, body, commit=False)
    commits = [flush(ledger, store) for ledger, store in zip(network.ledgers, network.stores, strict=True)]
    assert commits[0] == commits[1]
    return commits[0][-1]


def test_every_move_of_a_ref_is_filed_with_who_and_through_which_node() -> None:
    """The push that creates and the one that follows; by an account key there is neither token nor gateway."""
    network = Network()
    bob = network.a_person("bob")
    repo = repo_id(network.genesis, bob, "site")

    first = committed(network, network.by_token(bob, creation("site"), a_push(repo, MAIN, None, oid("1"))))
    second = committed(
        network, network.by_key(bob, creation("other")), network.by_key(bob, a_push(repo, MAIN, oid("1"), oid("2")))
    )

    assert first.ref_moves == (
        RefMove(
            repo=repo,
            ref=RefName(MAIN),
            height=first.height,
            position=0,
            time=first.time,
            tx_id=first.receipts[0].tx_id,
            author=bob.id,
            credential=credential_id(bob.credential.public_key),
            gateway=gateway(0),
            old=None,
            new=oid("1"),
            relation=Relation.CREATED,
        ),
    )
    [move] = second.ref_moves
    assert (move.position, move.credential, move.gateway) == (1, None, None)
    assert (move.old, move.new, move.relation) == (oid("1"), oid("2"), Relation.FAST_FORWARD)


def test_a_refused_push_is_in_no_log() -> None:
    network = Network()
    bob = network.a_person("bob")
    repo = repo_id(network.genesis, bob, "site")
    stale = network.by_token(bob, a_push(repo, MAIN, oid("1"), oid("2")))

    commit = committed(network, network.by_token(bob, creation("site")), stale)

    assert commit.ref_moves == ()
    assert network.status(stale).error == "stale"


def test_deletions_and_restorations_are_filed_in_order() -> None:
    network = Network()
    bob = network.a_person("bob")
    repo = repo_id(network.genesis, bob, "site")
    committed(network, network.by_key(bob, creation("site")))

    deleting = committed(network, network.by_key(bob, DeleteRepository(repo, "site")))
    both = committed(network, network.by_key(bob, RestoreRepository(repo), DeleteRepository(repo, "site")))

    assert deleting.deletions == (Deletion(repo, bob.id, deleting.time),)
    assert both.deletions == (Deletion(repo, bob.id, None), Deletion(repo, bob.id, both.time))
