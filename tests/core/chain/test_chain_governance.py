"""Governance on the chain: who signs what, and what an exhausted quota does not keep an operator from."""

from __future__ import annotations

from attrs import evolve

from guts_core.chain import compose
from guts_core.chain.genesis import chain_id
from guts_core.chain.inadmissible import (
    BadForm,
    CannotPay,
    WrongSignatures,
)
from guts_core.chain.transaction import Signature, SignedTransaction
from guts_core.codec import Tag, to_bytes
from guts_core.forge import queries
from guts_core.forge.actions import ProposeDecision, ReportEvidence, VoteDecision
from guts_core.forge.decisions import DecisionState, EndEpoch
from guts_core.forge.params import Params
from guts_core.identity import Ed25519Verifier
from guts_core.names import BlockHash
from guts_core.simplex.committee import Committee
from guts_core.simplex.messages import Kind, Proposal, Vote
from guts_core.simplex.quorum import FaultModel
from tests.core.chain.chain_world import MINUTE, Network, a_genesis, creation, key, salt
from tests.core.chain.test_chain_admission import refuse, resigned, signature


def two_votes(network: Network, seat: int = 0) -> tuple[Vote, Vote]:
    """What no honest validator signs: two blocks of one view."""
    chain = chain_id(network.genesis)
    keys = network.genesis.vote_keys
    committee = Committee(chain, 0, keys, FaultModel.BYZANTINE, Ed25519Verifier())
    votes = []
    for mark in (1, 2):
        proposal = Proposal(0, 9, 8, BlockHash(bytes(32)), BlockHash(bytes((mark,)) * 32))
        signed = key(f"vote {seat}").sign(Tag.SIGN_VOTE, chain, committee.content(Kind.NOTARIZE, 9, proposal))
        votes.append(Vote(Kind.NOTARIZE, 0, 9, proposal, seat, signed))
    return votes[0], votes[1]


def a_report(network: Network, reporter: int = 1) -> SignedTransaction:
    """Signed by the node of a seat, which holds no key of an account."""
    chain, operator = chain_id(network.genesis), network.operator(reporter).id
    first, second = two_votes(network)
    return compose.report_evidence(
        chain, operator, key(f"node {reporter}"), first, second, network.now + MINUTE, salt("evidence")
    )


def test_a_node_reports_evidence_with_its_own_key() -> None:
    network = Network()
    signed = a_report(network)

    network.submit(signed)
    network.step()

    assert network.status(signed).error is None
    found = queries.conviction(network.ledgers[0].view(), 0, 0)
    assert found is not None
    assert found.reporter == network.operator(1).id


def test_evidence_is_signed_by_a_node_of_its_author_and_as_evidence() -> None:
    """A key of the operator's account, another operator's node, and a gateway's signature are not that."""
    network = Network()
    signed = a_report(network)

    for wrong in (
        signature(signed, "operator 1"),
        signature(signed, "operator 1", Tag.SIGN_EVIDENCE),
        signature(signed, "node 0", Tag.SIGN_EVIDENCE),
        signature(signed, "node 1", Tag.SIGN_GATEWAY),
    ):
        refuse(network, resigned(signed, wrong), WrongSignatures)


def test_evidence_stands_alone() -> None:
    network = Network()
    operator = network.operator(1)
    signed = network.by_key(operator, creation("repo"), ReportEvidence(*two_votes(network)))

    refuse(network, network.item(signed), BadForm)


def test_operators_govern_with_an_exhausted_quota() -> None:
    """Who pushed too much, or whose token was stolen, can still vote a thief out."""
    network = Network(a_genesis(params=evolve(Params(), quota_transactions=1)))
    operator = network.operator(0)
    network.submit(network.by_key(operator, creation("repo")))
    network.step()

    refuse(network, network.item(network.by_key(operator, creation("more"))), CannotPay)
    proposed = network.by_key(operator, ProposeDecision(EndEpoch(), now=False))
    network.submit(proposed)
    network.step()
    assert network.status(proposed).error is None
    for index in (1, 2):
        network.submit(network.by_key(network.operator(index), VoteDecision(1, approve=True)))
    network.step()

    decision = queries.decision(network.ledgers[0].view(), 1)
    assert decision is not None
    assert decision.state is DecisionState.APPLIED


def test_a_token_goes_on_working_through_a_gateway_that_rotated_its_key() -> None:
    """The token names the node, the node signs with the key that it has."""
    network = Network(a_genesis(1))
    alice, chain = network.a_person("alice"), chain_id(network.genesis)
    before, after = (network.by_token(alice, creation(name)) for name in ("before", "after"))
    network.submit(network.by_key(network.operator(0), compose.rotate_seat(chain, 0, None, key("new node 0"))))
    network.submit(network.by_key(network.operator(0), ProposeDecision(EndEpoch(), now=False)))
    network.step()
    (own, _), new = before.signatures, key("new node 0")
    signed = SignedTransaction(
        after.body,
        (after.signatures[0], Signature(new.public_key, new.sign(Tag.SIGN_GATEWAY, chain, to_bytes(after.body)))),
    )

    refuse(network, network.item(before), WrongSignatures)
    network.submit(signed)
    network.step()

    assert network.status(signed).error is None
    assert own.public_key == alice.credential.public_key
