"""The compiled coders against the plain ones: the same bytes, the same records, the same refusals."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from guts_core.chain.genesis import Genesis
from guts_core.chain.transaction import Hand, Item, Via
from guts_core.codec import Family, decode, encode, from_bytes, from_value, to_bytes, to_value
from guts_core.codec.compiled import STUMBLES, _Unusual, compile_reader, compile_writer
from guts_core.errors import Malformed
from guts_core.link.handshake import Syn
from guts_core.names import BlockHash, CredentialId
from guts_core.node.messages import PEER_MESSAGES, Hello, Submit
from guts_core.simplex.messages import Certificate, Kind, Proposal, Propose, Vote

PARENT, BLOCK = BlockHash(b"p" * 32), BlockHash(b"b" * 32)
PROPOSAL = Proposal(0, 1 << 40, 255, PARENT, BLOCK)
VOTE = Vote(Kind.FINALIZE, 0, 70_000, PROPOSAL, 3, b"s" * 64)
NULLIFY = Vote(Kind.NULLIFY, 0, 24, None, 0, b"s" * 64)
CERTIFICATE = Certificate(Kind.NOTARIZE, 0, 23, PROPOSAL, b"\x07", (b"x" * 64,) * 30)
PROPOSE = Propose(PROPOSAL, b"body" * 100, (CERTIFICATE, CERTIFICATE), VOTE)
EXAMPLES = [
    PROPOSAL,
    VOTE,
    NULLIFY,
    CERTIFICATE,
    evolve(CERTIFICATE, signers=b"", signatures=()),
    PROPOSE,
    Hello(65_536, 1 << 32),
    Via(CredentialId(b"c" * 32), None, Hand.RELAYED),
]


def _plain(cls: type, data: bytes) -> Any:
    try:
        return from_value(cls, decode(data))
    except Malformed:
        return None


def _compiled(cls: type, data: bytes) -> Any:
    try:
        found, end = compile_reader(cls)(data, 0)
    except STUMBLES:
        return None
    return found if end == len(data) else None


@pytest.mark.parametrize("record", EXAMPLES, ids=lambda record: type(record).__name__)
def test_both_write_the_same_bytes_and_read_them_back(record: object) -> None:
    """What nodes say to each other takes the compiled way, which must not be another format."""
    data = compile_writer(type(record))(record)

    assert data == encode(to_value(record)) == to_bytes(record)
    assert _compiled(type(record), data) == _plain(type(record), data) == record


@given(st.sampled_from(EXAMPLES), st.integers(0, 10_000), st.integers(0, 255), st.integers(0, 3))
def test_both_accept_and_refuse_the_same_bytes(record: object, at: int, byte: int, cut: int) -> None:
    """A near miss that one of them takes would be a second encoding on the nodes that run it."""
    data = bytearray(to_bytes(record))
    data[at % len(data)] = byte
    changed = bytes(data[: len(data) - cut])

    assert _compiled(type(record), changed) == _plain(type(record), changed)


@given(st.binary(max_size=80))
def test_neither_takes_noise(noise: bytes) -> None:
    """Whatever follows a good head, both judge alike."""
    for cls in (Proposal, Vote, Certificate, Propose, Submit, Genesis, Syn, Item):
        data = to_bytes(PROPOSAL)[:4] + noise if cls is Proposal else noise
        assert _compiled(cls, data) == _plain(cls, data)


@given(st.sampled_from([PROPOSAL, VOTE, CERTIFICATE, PROPOSE]), st.data())
def test_longer_heads_are_refused_where_they_stand(record: object, data: st.DataObject) -> None:
    """Each number with a head one size too long, at every place of a record."""
    good = to_bytes(record)
    at = data.draw(st.integers(0, len(good) - 1))
    major, small = good[at] & 0xE0, good[at] & 0x1F
    longer = good[:at] + bytes((major | 24, small)) + good[at + 1 :]

    assert _compiled(type(record), longer) == _plain(type(record), longer)


@pytest.mark.parametrize(
    "odd",
    [
        Proposal(True, 1, 0, PARENT, BLOCK),  # a wrong type is the point
        Proposal(-1, 1, 0, PARENT, BLOCK),
        Proposal(1 << 64, 1, 0, PARENT, BLOCK),
        Proposal(0, 1, 0, BlockHash(b"p" * 31), BLOCK),
        Proposal(0, 1, 0, None, BLOCK),  # type: ignore[arg-type]  # a wrong type is the point
        Vote(Kind.NOTARIZE, 0, 1, NULLIFY, 0, b"s" * 64),  # type: ignore[arg-type]  # a wrong record is the point
        evolve(CERTIFICATE, signatures=(b"x" * 64, b"x" * 63, b"x" * 65)),
        evolve(CERTIFICATE, signatures=(b"x" * 64, "x" * 64)),  # type: ignore[arg-type]  # a wrong type is the point
    ],
)
def test_what_is_unusual_is_left_to_the_plain_writer(odd: object) -> None:
    """A programmer's mistake gives the same bytes or the same error with and without compilation."""
    with pytest.raises(_Unusual):
        compile_writer(type(odd))(odd)
    try:
        expected = encode(to_value(odd))
    except ValueError as error:
        with pytest.raises(ValueError, match=str(error)[:10]):
            to_bytes(odd)
    else:
        assert to_bytes(odd) == expected


def test_a_family_tells_members_apart_and_refuses_others() -> None:
    """The kind decides; a member of another family is refused with its number."""
    assert PEER_MESSAGES.from_bytes(to_bytes(VOTE)) == VOTE
    assert PEER_MESSAGES.from_bytes(to_bytes(PROPOSE)) == PROPOSE
    with pytest.raises(Malformed, match="kind 20 is not expected here"):
        PEER_MESSAGES.from_bytes(to_bytes(PROPOSAL))
    with pytest.raises(Malformed):
        Family((Vote,)).from_bytes(to_bytes(VOTE) + b"\0")


def test_an_array_that_lies_about_its_length_costs_nothing() -> None:
    """The count of an array is never believed further than bytes are there."""
    head = to_bytes(CERTIFICATE).index(b"\x98\x1e")
    lying = to_bytes(CERTIFICATE)[:head] + b"\x9b" + b"\xff" * 8

    with pytest.raises(Malformed):
        from_bytes(Certificate, lying)


def test_bytes_that_are_kept_are_those_of_their_own_record() -> None:
    """More records than are kept, each again and again while others come and go."""
    for view in range(300):
        vote = evolve(NULLIFY, view=view)
        twin = evolve(vote)
        assert to_bytes(vote) == to_bytes(vote) == to_bytes(twin) == encode(to_value(vote))
        assert to_bytes(VOTE) == encode(to_value(VOTE))


def test_nothing_is_not_mistaken_for_what_was_written_last() -> None:
    """In a fresh process nothing of its sort was written yet; it still is no vote."""
    written = compile_writer(Vote)
    with pytest.raises(_Unusual):
        written(None)
