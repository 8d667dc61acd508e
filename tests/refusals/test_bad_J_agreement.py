"""Rows J11 to J15 across epochs, chains and doors: who may sign, report, order and change what."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import evolve

from guts_core.chain import compose
from guts_core.chain.block import Block
from guts_core.chain.transaction import SignedTransaction, transaction_id
from guts_core.codec import Tag, from_bytes, to_bytes
from guts_core.errors import BadSignature, Malformed
from guts_core.forge import epochs
from guts_core.forge.decisions import RemoveValidator
from guts_core.identity import Ed25519Verifier, KeyPair
from guts_core.names import BlockHash, ChainId, Root
from guts_core.node.port import AskStatus, Status
from guts_core.simplex import certificates
from guts_core.simplex.committee import Committee
from guts_core.simplex.messages import Certificate, Kind, Proposal, Vote
from guts_core.simplex.quorum import FaultModel
from guts_core.sync.messages import StateOffers, StatePiece, Steps
from guts_core.sync.records import (
    OFFERS_MAX,
    PEAKS_MAX,
    PIECE_BYTES_MAX,
    PIECES_MAX,
    STEPS_MAX,
    Offer,
    StateManifest,
)
from guts_http.app import create_app
from guts_http.port import ask
from guts_http.site import Settings
from guts_net.settings import KEY_FILES
from tests.core.chain.chain_world import MAIN, Network, a_push, creation, oid, repo_id
from tests.core.forge.forge_world import CHAIN, key_pair
from tests.core.forge.governance_world import Council, joining
from tests.core.sync.sync_world import a_chain
from tests.http.http_world import open_server
from tests.http.node_world import Node, open_world

# What has not been told to wait by then has no limit.
FLOOD_MAX = 100
HASH = bytes(32)
FOREIGN = ChainId(b"\x08" * 32)


# ---- J11: certificates ----


def committee_of(council: Council, number: int) -> Committee:
    """Who signs in an epoch, by the state."""
    current = epochs.current(council.state)
    past = epochs.past(council.state, number)
    seats = current.seats if current.number == number else past.seats if past is not None else ()
    return Committee(CHAIN, number, tuple(seat.vote_key for seat in seats), FaultModel.BYZANTINE, Ed25519Verifier())


def signed(committee: Committee, names: tuple[str, ...]) -> Certificate:
    """A certificate of an epoch's first seats, each signed by the key of that name."""
    proposal = Proposal(committee.epoch, 9, 8, BlockHash(HASH), BlockHash(b"\x01" * 32))
    content = committee.content(Kind.FINALIZE, 9, proposal)
    votes = [(seat, key_pair(f"vote {name}").sign(Tag.SIGN_VOTE, CHAIN, content)) for seat, name in enumerate(names)]
    return certificates.assemble(committee, Kind.FINALIZE, 9, proposal, votes)


def test_bad_J11_who_signed_in_another_epoch_is_no_member_of_this_one() -> None:
    """A seat went: those who had the others sign at other places now, and who left signs at none."""
    council = Council(5)
    before = committee_of(council, 0)
    council.decide(RemoveValidator(0))
    council.turn()
    after = committee_of(council, 1)
    certificates.check(after, signed(after, ("n1", "n2", "n3")), None)
    certificates.check(committee_of(council, 0), signed(before, ("n0", "n1", "n2", "n3")), None)

    for names in (("n0", "n1", "n2"), ("n0", "n2", "n3"), ("n1", "n2", "n0"), ("n1", "n1", "n1")):
        with pytest.raises(BadSignature):
            certificates.check(after, signed(after, names), None)
    with pytest.raises(Malformed, match="a vote of epoch 0; this is epoch 1"):
        certificates.check(after, signed(before, ("n0", "n1", "n2", "n3")), None)


# ---- J12: evidence ----


def contradicting(chain: ChainId, vote_key: Any) -> tuple[Vote, Vote]:
    """Two votes of seat 0 for one view, on a chain."""
    made = []
    for block in (1, 2):
        proposal = Proposal(0, 9, 8, BlockHash(HASH), BlockHash(bytes((block,)) * 32))
        content = Committee(chain, 0, (HASH,), FaultModel.BYZANTINE, Ed25519Verifier()).content(
            Kind.NOTARIZE, 9, proposal
        )
        made.append(Vote(Kind.NOTARIZE, 0, 9, proposal, 0, vote_key.sign(Tag.SIGN_VOTE, chain, content)))
    return made[0], made[1]


async def test_bad_J12_evidence_of_another_chain_and_floods_of_it_come_to_nothing(tmp_path: Path) -> None:
    """What a validator said elsewhere convicts nobody here; who has no seat is refused, and soon told to wait."""
    async with open_world(tmp_path) as node:
        votes = contradicting(FOREIGN, _key(tmp_path, "vote"))
        replayed = await node.submit(_report(node, _key(tmp_path, "node"), votes))
        assert (replayed.status_code, replayed.json()["code"]) == (422, "bad-evidence")
        assert (await node.http.get("/api/guts/v1/network/evidence")).json() == []

        # One address, a request a second: ten at once are served.
        settings = Settings(trusted_proxies=("127.0.0.1",), requests_per_second=1)
        serving = open_server(create_app(node.port, node.database, node.genesis, settings), finish=False)
        afar = {"x-forwarded-for": "203.0.113.9"}
        async with serving as server, httpx.AsyncClient(base_url=server.url, headers=afar, timeout=180) as http:
            answers: list[httpx.Response] = []
            while not answers or answers[-1].status_code != 429:
                signed = _report(node, key_pair(f"stranger {len(answers)}"), votes)
                answers.append(await _post(http, signed))
                assert len(answers) < FLOOD_MAX
        assert {(one.status_code, one.json()["code"]) for one in answers[:-1]} == {(401, "wrong-signatures")}
        assert int(answers[-1].headers["retry-after"]) >= 1
        status = await ask(node.port, AskStatus())
        assert isinstance(status, Status)
        assert status.mempool == 0


async def _post(http: httpx.AsyncClient, signed: SignedTransaction) -> httpx.Response:
    headers = {"content-type": "application/cbor"}
    return await http.post("/api/guts/v1/transactions", content=to_bytes(signed), headers=headers)


def _key(path: Path, role: str) -> KeyPair:
    return KeyPair(bytes.fromhex((path / "node0" / "keys" / KEY_FILES[role]).read_text()))


def _report(node: Node, signer: KeyPair, votes: tuple[Vote, Vote]) -> SignedTransaction:
    operator = next(account for account in node.genesis.accounts if account.is_operator)
    expires = node.genesis.time + compose.LIFETIME_MS
    return compose.report_evidence(node.chain, operator.id, signer, *votes, expires, os.urandom(32))


# ---- J13: snapshots ----


STEP = a_chain().steps[0]
MANIFEST = StateManifest(CHAIN, 1, 40, BlockHash(HASH), Root(HASH), (HASH,), 1, (HASH,) * 2, 1)
BOUNDED: list[tuple[Any, Any]] = [
    (StatePiece(1, bytes(PIECE_BYTES_MAX)), {"data": bytes(PIECE_BYTES_MAX + 1)}),
    (evolve(MANIFEST, pieces=(HASH,) * PIECES_MAX), {"pieces": (HASH,) * (PIECES_MAX + 1)}),
    (evolve(MANIFEST, peaks=(HASH,) * PEAKS_MAX), {"peaks": (HASH,) * (PEAKS_MAX + 1)}),
    (StateOffers(1, 1, 1, 1, (Offer(1, HASH),) * OFFERS_MAX), {"offers": (Offer(1, HASH),) * (OFFERS_MAX + 1)}),
    (Steps(1, (STEP,) * STEPS_MAX), {"steps": (STEP,) * (STEPS_MAX + 1)}),
]


@pytest.mark.parametrize(("most", "more"), BOUNDED, ids=lambda one: type(one).__name__)
def test_bad_J13_what_is_larger_than_its_bounds_is_refused_when_it_is_read(most: Any, more: dict[str, Any]) -> None:
    """Before anything is asked for, kept or hashed: pieces, manifests, offers, and ends of epochs without end."""
    assert from_bytes(type(most), to_bytes(most)) == most

    with pytest.raises(Malformed):
        from_bytes(type(most), to_bytes(evolve(most, **more)))


# ---- J14: order ----


@pytest.mark.parametrize("first", [0, 1])
def test_bad_J14_a_leader_chooses_among_what_waits_and_one_push_wins(first: int) -> None:
    """Whatever stands first moves the ref, all compute the same, the other is told so: never both, never neither."""
    network = Network()
    alice = network.a_person("alice")
    repo = repo_id(network.genesis, alice, "repo")
    network.submit(network.by_token(alice, creation("repo")))
    network.step()
    rivals = [network.by_token(alice, a_push(repo, MAIN, None, oid(name))) for name in ("one", "two")]
    rivals = [rivals[first], rivals[1 - first]]
    for one in rivals:
        tx_id = network.submit(one)
        for ledger in network.ledgers:
            ledger.set_witness(tx_id, network.witness(tx_id))

    network.step()

    assert [[network.status(one, at).error for one in rivals] for at in range(2)] == [[None, "stale"]] * 2


def test_bad_J14_no_salt_buys_a_place_in_the_order() -> None:
    """What an honest leader puts first does not follow from ids: nobody is before others by trying salts."""
    network = Network()
    people = [network.operator(index) for index in range(3)]
    orders = set()
    for _ in range(8):
        waiting = [network.by_key(person, creation(f"r-{network._salts}")) for person in people]
        ids = [network.submit(one) for one in waiting]
        _, _, body = network.propose()
        made = [transaction_id(item.signed.body) for item in from_bytes(Block, body).items]
        orders.add(tuple(ids.index(tx_id) for tx_id in made))
        network.step()

    assert orders == {(0, 1, 2)}


# ---- J15: who votes ----


def test_bad_J15_who_was_voted_in_or_out_counts_from_the_next_epoch_and_not_before() -> None:
    """Approval changes nothing of the epoch that runs: not its seats, not what a quorum is, not who leads."""
    council = Council(4)
    seats = epochs.current(council.state).seats
    council.decide(joining("new"))
    council.decide(RemoveValidator(1))
    assert epochs.current(council.state).seats == seats

    council.turn()
    council.turn()

    assert council.numbers == [0, 2, 3, 4]
    past = epochs.past(council.state, 0)
    assert past is not None
    assert past.seats == seats
