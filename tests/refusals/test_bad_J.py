"""Rows J01 to J07, J11, J12 and J14: signatures, encodings, trees, certificates and who may bias what."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from nacl.bindings import crypto_core_ed25519_add, crypto_sign_open

from guts_core.chain import merkle
from guts_core.chain.genesis import chain_id, check
from guts_core.chain.transaction import Item, SignedTransaction, transaction_id
from guts_core.codec import Tag, decode, digest, encode, from_bytes, to_bytes
from guts_core.errors import BadSignature, Malformed, PeerFault, Refused
from guts_core.forge.accounts import BadKey, check_key_is_free
from guts_core.identity import Ed25519Verifier, KeyPair, is_acceptable_public_key, verify
from guts_core.identity.keys import _L, _ORDER_8_A
from guts_core.names import ChainId, Root
from guts_core.simplex.committee import Committee
from guts_core.simplex.messages import Certificate, Kind
from guts_core.simplex.quorum import FaultModel
from guts_core.state.nodes import EMPTY_ROOT, leaf_hash, value_hash
from guts_core.state.proof import BadProof, InclusionProof, Step, verify_inclusion
from tests.core.chain.chain_world import Network, a_genesis, creation, key
from tests.core.forge import forge_world
from tests.core.simplex.simplex_world import F, N, World, X

TREE = Path(__file__).parents[2]
VECTORS: list[dict[str, Any]] = json.loads((TREE / "tests/conformance/ed25519_vectors.json").read_text())["vectors"]
BAD_KEYS = sorted({v["public_key"] for v in VECTORS if "key" in v["name"] and v["name"] != "by another key"})
CHAIN = ChainId(bytes(range(32)))


# ---- J01: keys ----


def test_bad_J01_a_key_of_small_or_mixed_order_or_another_form_registers_nowhere() -> None:
    """In genesis, as an account's or a credential's key: the same refusal, before a signature is looked at."""
    world = forge_world.World()
    genesis = a_genesis()
    check(genesis)
    for bad in BAD_KEYS:
        public_key = bytes.fromhex(bad)
        seat = evolve(genesis.validators[0], vote_key=public_key)

        with pytest.raises(BadKey, match="order"):
            check_key_is_free(public_key, world.state)
        with pytest.raises(Refused, match="not an acceptable Ed25519 public key"):
            check(evolve(genesis, validators=(seat, *genesis.validators[1:])))
    assert len(BAD_KEYS) > 40


def test_bad_J01_what_the_library_takes_under_a_mixed_key_is_refused_here() -> None:
    """The vectors are real forgeries: without our check of the key each of them would verify."""
    mixed = [vector for vector in VECTORS if vector["name"].startswith("mixed-order")]
    for vector in mixed:
        parts = [bytes.fromhex(vector[name]) for name in ("public_key", "chain_id", "body", "signature")]
        public_key, chain, body, signature = parts
        message = Tag[vector["tag"]].value + chain + body

        assert crypto_sign_open(signature + message, public_key) == message
        assert not verify(public_key, Tag[vector["tag"]], ChainId(chain), body, signature)
    assert len(mixed) == 7


def test_bad_J01_every_honest_key_plus_a_small_one_is_refused() -> None:
    """Not only the keys of the vectors."""
    small = _ORDER_8_A.to_bytes(32, "little")
    for number in range(20):
        honest = key(f"honest {number}").public_key

        assert is_acceptable_public_key(honest)
        assert not is_acceptable_public_key(crypto_core_ed25519_add(honest, small))


# ---- J02: signatures ----


def a_signed(network: Network) -> SignedTransaction:
    person = network.a_person("alice")
    return network.by_token(person, creation("hello"))


def malleated(signature: bytes) -> bytes:
    """The same point equation with S + L."""
    return signature[:32] + (int.from_bytes(signature[32:], "little") + _L).to_bytes(32, "little")


def test_bad_J02_a_malleated_signature_makes_no_second_transaction() -> None:
    """The id is that of the body alone, and the changed signature is refused."""
    network = Network()
    signed = a_signed(network)
    first = signed.signatures[0]
    changed = evolve(signed, signatures=(evolve(first, signature=malleated(first.signature)), *signed.signatures[1:]))
    before = network.ledgers[0].head

    with pytest.raises(Refused, match="signature"):
        network.ledgers[0].admit(Item(changed, None, ()), network.instant)

    assert transaction_id(changed.body) == transaction_id(signed.body)
    assert (before, 0) == (network.ledgers[0].head, len(network.ledgers[0].mempool))


def test_bad_J02_an_r_in_another_form_is_refused() -> None:
    """A y and y + p are one point; only the lesser is a form of it."""
    pair = key("honest")
    good = pair.sign(Tag.SIGN_TX, CHAIN, b"body")
    for r in (1, 2**255 - 19 + 1, 2**255 - 19, 2**255 - 1, 2**256 - 1):
        assert not verify(pair.public_key, Tag.SIGN_TX, CHAIN, b"body", r.to_bytes(32, "little") + good[32:])


# ---- J03, J04: replays ----


def test_bad_J03_a_transaction_of_another_network_is_refused() -> None:
    """The same people with the same keys: the chain id is under every signature."""
    home, abroad = Network(), Network(evolve(a_genesis(), name="elsewhere"))
    assert chain_id(home.genesis) != chain_id(abroad.genesis)
    signed = a_signed(home)

    with pytest.raises(Refused, match="is for network"):
        abroad.ledgers[0].admit(Item(signed, None, ()), abroad.instant)


def test_bad_J03_a_signature_for_one_purpose_is_good_for_no_other() -> None:
    """A validator's vote key never vouches for anything but votes, nor a credential for anything but transactions."""
    pair = key("honest")
    signing = [tag for tag in Tag if tag.name.startswith("SIGN_")]
    assert len(signing) > 5
    for made in signing:
        signature = pair.sign(made, CHAIN, b"body")
        taken = [tag for tag in signing if verify(pair.public_key, tag, CHAIN, b"body", signature)]
        assert taken == [made]


@pytest.mark.parametrize("kind", [N, X, F])
def test_bad_J03_votes_of_another_epoch_view_or_kind_are_refused(kind: Kind) -> None:
    """A good signature, shown at another place."""
    elsewhere = World(size=7)
    block = None if kind is X else elsewhere.block(1).proposal
    vote = elsewhere.vote(3, kind, 1, block)
    later = None if block is None else evolve(block, view=2)
    elsewhere.hear(3, evolve(vote, epoch=1))  # a newer epoch is asked about, and nothing of it counts
    assert elsewhere.engine.held["rounds"] == 0
    relabeled = [] if kind is X else [evolve(vote, kind=F if kind is N else N)]
    for shown in (evolve(vote, view=2, proposal=later), evolve(vote, signer=2), *relabeled):
        world = World(size=7)
        world.hear(shown.signer, shown)
        rest = set(range(1, 7)) - {shown.signer, shown.view}
        # With it, these would be a quorum.
        world.hear_votes(world.vote(peer, shown.kind, shown.view, shown.proposal) for peer in rest)
        assert (world.engine.view, world.blamed) == (1, [shown.signer])


def test_bad_J04_an_old_update_does_not_come_back_after_a_rollback() -> None:
    """A transaction is valid once, whatever the state has become since; who wants it again signs it again."""
    network = Network()
    signed = a_signed(network)
    network.submit(signed)
    network.step()
    assert network.status(signed).error is None

    with pytest.raises(Refused, match="in the chain already"):
        network.ledgers[0].admit(Item(signed, None, ()), network.instant)


# ---- J05: encodings ----


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(bytes((0x18, 0x17)), id="23 in two bytes"),
        pytest.param(bytes((0x1B,)) + bytes(7) + b"\1", id="1 in nine bytes"),
        pytest.param(b"\xf9\x00\x00", id="0.0"),
        pytest.param(b"\xf9\x80\x00", id="-0.0"),
        pytest.param(b"\x20", id="-1"),
        pytest.param(b"\xa1\x01\x02", id="a map"),
        pytest.param(b"\xc1\x00", id="a tag"),
        pytest.param(b"\x9f\xff", id="an array without end"),
        pytest.param(b"\x5f\x41a\xff", id="bytes in parts"),
        pytest.param(b"\xf7", id="undefined"),
        pytest.param(b"\x00\x00", id="one byte too many"),
        pytest.param(b"\x62\xc0\x80", id="overlong UTF-8"),
        pytest.param(b"\x63\xed\xa0\x80", id="half a surrogate pair"),
    ],
)
def test_bad_J05_a_value_has_one_encoding(data: bytes) -> None:
    """Whatever says the same in other bytes is refused."""
    with pytest.raises(Malformed):
        decode(data)


def test_bad_J05_text_is_compared_as_bytes_and_never_normalised() -> None:
    """Two spellings of one letter are two texts with two hashes: nothing on the way turns one into the other."""
    composed, apart = "\u00e9", "e\u0301"

    assert encode(composed) != encode(apart)
    assert [decode(encode(text)) for text in (composed, apart)] == [composed, apart]


# ---- J06: trees ----


def leaves(count: int) -> list[bytes]:
    return [digest(Tag.TX_LEAF, bytes((n,))) for n in range(count)]


@pytest.mark.parametrize("count", range(1, 17))
def test_bad_J06_no_other_list_has_the_root_of_a_list(count: int) -> None:
    """The last leaf twice, a level of inner nodes as leaves, a leaf less: the count is in the root."""
    honest = leaves(count)
    level = [merkle._inner(one, other) for one, other in pairwise(honest)][::2]
    others = [honest + honest[-1:], honest * 2, honest[:-1], level, [*level, honest[-1]], []]

    assert merkle.root(honest) not in [merkle.root(other) for other in others if other != honest]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13])
def test_bad_J06_a_path_is_as_long_as_it_must_be(count: int) -> None:
    """Shorter, longer, of another place or another count: refused."""
    honest = leaves(count)
    top = merkle.root(honest)
    for at in range(count):
        way = merkle.path(honest, at)
        assert merkle.verify(top, count, at, honest[at], way)

        assert not merkle.verify(top, count, at, honest[at], (*way, bytes(32)))
        assert not merkle.verify(top, count + 1, at, honest[at], way)
        assert not merkle.verify(top, count, count, honest[at], way)
        assert not merkle.verify(top, count, -1, honest[at], way)
        if way:
            assert not merkle.verify(top, count, at, honest[at], way[:-1])
            assert not merkle.verify(top, count, at ^ 1, honest[at], way)
    assert not merkle.verify(merkle.root([]), 0, 0, bytes(32), ())


def test_bad_J06_an_inner_node_of_the_state_is_no_record_and_nothing_is_in_the_empty_state() -> None:
    """0x00 before a leaf, 0x01 before a node; the empty root proves nothing present."""
    place = bytes(65)
    root = Root(leaf_hash(place, value_hash(b"value")))
    verify_inclusion(root, place, b"value", InclusionProof(()))

    with pytest.raises(BadProof):
        verify_inclusion(EMPTY_ROOT, place, b"value", InclusionProof(()))
    with pytest.raises(BadProof):
        verify_inclusion(root, place, b"value", InclusionProof((Step(0, bytes(32)),)))


def test_bad_J06_a_proof_longer_than_any_key_is_refused_when_it_is_read() -> None:
    """Steps are bounded by the bits of a key: a walk of a million steps is never hashed."""
    walk = InclusionProof(tuple(Step(n, bytes(32)) for n in range(520)))
    assert len(from_bytes(InclusionProof, to_bytes(walk)).steps) == 520

    with pytest.raises(Malformed):
        from_bytes(InclusionProof, to_bytes(evolve(walk, steps=(*walk.steps, Step(519, bytes(32))))))


# ---- J07: what is hashed ----

# The places that may start a hash of their own, and why each is no home-made MAC over a secret.
RAW_HASHES = {
    "guts_core/codec/tags.py": "the one hash, under a tag",
    "guts_core/git/chunks.py": "the one hash, fed piece by piece",
    "guts_cli/ready/download.py": "the one hash, fed piece by piece",
    "guts_core/state/nodes.py": "the one hash, its start copied",
    "guts_core/link/handshake.py": "keyed: the shared secret is the key argument",
    "guts_core/sim/crypto.py": "keyed: stand-in signatures of the simulator",
    "guts_core/sim/lives.py": "a trace to compare runs by",
    "guts_core/sim/scripted_twins.py": "a trace to compare cases by",
    "guts_core/sim/disk.py": "the checksum of a simulated record",
    "guts_core/chain/verified.py": "a name in a cache of public things",
    "guts_net/journal.py": "keyed by the file's nonce; guards against accidents",
    "guts_net/packs/ingest.py": "git's checksum at the end of a pack",
    "guts_http/git/whole_pack.py": "git's checksum at the end of a pack",
    "guts_http/pages.py": "of the style sheet, for the policy header",
}
SECRET_WORDS = ("secret", "seed", "private", "password", "token", "shared")


def hash_calls(path: Path) -> list[ast.Call]:
    """Calls of hashlib's functions, however imported."""
    names = {"blake2b", "blake2s", "md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3_256", "shake_128"}
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    return [
        c for c in calls if (c.func.attr if isinstance(c.func, ast.Attribute) else getattr(c.func, "id", "")) in names
    ]


def test_bad_J07_no_secret_is_hashed_without_being_the_key() -> None:
    """H(secret || message) can be extended; secrets are the key argument of BLAKE2 or of a signature."""
    found = set()
    for package in ("guts_core", "guts_net", "guts_http", "guts_cli"):
        for path in sorted((TREE / package).rglob("*.py")):
            for call in hash_calls(path):
                found.add(str(path.relative_to(TREE)))
                said = " ".join(ast.unparse(argument) for argument in call.args).lower()
                keyed = any(keyword.arg == "key" for keyword in call.keywords)
                assert keyed or not any(word in said for word in SECRET_WORDS), f"{path}: {ast.unparse(call)}"

    assert found <= RAW_HASHES.keys(), "a new place that hashes by itself: use guts_core.codec.digest"


def test_bad_J07_the_lint_sees_what_it_looks_for(tmp_path: Path) -> None:
    """A rule that cannot fail guards nothing."""
    path = tmp_path / "planted.py"
    path.write_text("import hashlib\nmac = hashlib.sha256(secret + message).digest()\n")

    assert [ast.unparse(call.args[0]) for call in hash_calls(path)] == ["secret + message"]


# ---- J11, J12: certificates and evidence ----

Forgery = Callable[[World, Certificate], Certificate]


def duplicate_signers(_: World, honest: Certificate) -> Certificate:
    return evolve(honest, signatures=honest.signatures[:1] * 3)


def non_members(_: World, honest: Certificate) -> Certificate:
    return evolve(honest, signers=bytes([0b11100000]))


def one_short(_: World, honest: Certificate) -> Certificate:
    return evolve(honest, signers=bytes([0b0110]), signatures=honest.signatures[:2])


def votes_of_another_round(world: World, honest: Certificate) -> Certificate:
    assert honest.proposal is not None
    votes = [world.vote(n, N, 2, evolve(honest.proposal, view=2)).signature for n in (1, 2, 3)]
    return evolve(honest, signatures=tuple(votes))


def another_epochs_set(world: World, honest: Certificate) -> Certificate:
    strangers = [KeyPair(bytes((n,)) * 32) for n in (7, 8, 9)]
    body = Committee(
        world.committee.chain_id, 0, world.ring.public_keys, FaultModel.BYZANTINE, Ed25519Verifier()
    ).content(N, 1, honest.proposal)
    made = tuple(pair.sign(Tag.SIGN_VOTE, world.committee.chain_id, body) for pair in strangers)
    return evolve(honest, signatures=made)


@pytest.mark.parametrize(
    "forge", [duplicate_signers, non_members, one_short, votes_of_another_round, another_epochs_set]
)
def test_bad_J11_a_quorum_is_distinct_members_who_signed_exactly_this(forge: Forgery) -> None:
    """Refused with a fault of the peer, and nothing is remembered of it."""
    world = World()
    honest = world.certificate(N, 1, world.block(1).proposal)

    with pytest.raises(PeerFault):
        world.hear(3, forge(world, honest))

    assert (world.engine.view, world.engine.held["rounds"]) == (1, 0)
    world.hear(3, honest)
    assert world.engine.view == 2


def test_bad_J12_a_liar_fills_no_book_of_evidence() -> None:
    """A thousand pairs of one signer are one entry for each kind of vote; each was verified."""
    world = World()
    first = world.block(1).proposal
    world.hear(3, world.vote(3, N, 1, first))
    for number in range(1000):
        other = (
            world.block(1, word=number.to_bytes(2, "big")).proposal
            if number < 20
            else evolve(
                first,
                block_hash=digest(Tag.HEADER, number.to_bytes(2, "big")),  # type: ignore[arg-type]  # a hash
            )
        )
        world.hear(3, world.vote(3, N, 1, other))

    assert world.engine.held["evidence"] == 1
    assert len(world.reported) == 1


def test_bad_J12_nobody_is_convicted_by_a_vote_they_did_not_sign_here() -> None:
    """An honest validator's vote on another chain, shown as its second one here."""
    world = World()
    blocks = [world.block(1).proposal, world.block(1, word=b"other").proposal]
    world.hear(3, world.vote(3, N, 1, blocks[0]))
    body = world.committee.content(N, 1, blocks[1])
    foreign = world.ring.signer(3).sign(Tag.SIGN_VOTE, ChainId(bytes(32)), body)

    with pytest.raises(BadSignature):
        world.hear(3, evolve(world.vote(3, N, 1, blocks[1]), signature=foreign))
    assert world.engine.evidence() == []


# ---- J14: grinding ----


def test_bad_J14_who_leads_follows_from_the_number_of_the_view_alone() -> None:
    """Nothing that a proposer may choose (transactions, their order, salt, time) enters the schedule."""
    one, other = World(size=7), World(size=7)
    other.hear(1, other.block(1, word=b"another block"))

    assert [one.committee.leader(v) for v in range(21)] == [*range(7)] * 3
    assert [one.committee.leader(v) for v in range(21)] == [other.committee.leader(v) for v in range(21)]
