"""Properties of certificates, tallies and timers over tiny domains."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guts_core.codec import Tag, from_bytes, to_bytes
from guts_core.errors import PeerFault
from guts_core.names import ChainId
from guts_core.sim.crypto import KeyRing
from guts_core.sim.faults import Clock
from guts_core.simplex.certificates import assemble, check, signers_of
from guts_core.simplex.committee import Committee
from guts_core.simplex.messages import Certificate, Kind
from guts_core.simplex.quorum import FaultModel, faults_tolerated, quorum
from guts_core.simplex.tally import Tally

CHAIN = ChainId(bytes(32))
SIZES = st.integers(1, 12)
MODELS = st.sampled_from(list(FaultModel))


def a_committee(size: int, model: FaultModel) -> tuple[Committee, KeyRing]:
    ring = KeyRing(1, size)
    return Committee(CHAIN, 0, ring.public_keys, model, ring), ring


def nullified(committee: Committee, ring: KeyRing, signers: list[int], view: int) -> Certificate:
    content = committee.content(Kind.NULLIFY, view, None)
    pairs = [(signer, ring.signer(signer).sign(Tag.SIGN_VOTE, CHAIN, content)) for signer in sorted(signers)]
    return assemble(committee, Kind.NULLIFY, view, None, pairs)


@given(SIZES, MODELS, st.data())
def test_any_quorum_of_signers_makes_a_certificate_and_nothing_less(
    size: int, model: FaultModel, data: st.DataObject
) -> None:
    committee, ring = a_committee(size, model)
    signers = data.draw(st.lists(st.integers(0, size - 1), unique=True))
    certificate = nullified(committee, ring, signers, 3)

    if len(signers) >= committee.quorum:
        check(committee, from_bytes(Certificate, to_bytes(certificate)), None)
        assert sorted(signers)[: committee.quorum] == signers_of(certificate)
    else:
        with pytest.raises(PeerFault):
            check(committee, certificate, None)


@given(SIZES, st.data())
def test_one_flipped_bit_of_a_certificate_is_noticed(size: int, data: st.DataObject) -> None:
    committee, ring = a_committee(size, FaultModel.BYZANTINE)
    encoded = bytearray(to_bytes(nullified(committee, ring, list(range(size)), 3)))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= 1 << data.draw(st.integers(0, 7))

    with pytest.raises(PeerFault):
        check(committee, from_bytes(Certificate, bytes(encoded)), None)


@given(st.lists(st.tuples(st.integers(0, 4), st.binary(min_size=1, max_size=1))))
def test_a_tally_counts_signers_whatever_they_repeat(said: list[tuple[int, bytes]]) -> None:
    tally = Tally()
    counts = [tally.add(signer, None, signature, checked=True) for signer, signature in said]

    signers = {signer for signer, _ in said}
    assert len(signers) == len(tally)
    assert len(signers) == (counts[-1] if counts else 0)
    first = dict(reversed(said))
    assert sorted(first.items()) == tally.signatures(None)


@given(st.integers(1, 300), MODELS)
def test_quorums_overlap_in_more_than_may_lie(size: int, model: FaultModel) -> None:
    lying = (size - 1) // 3 if model is FaultModel.BYZANTINE else 0
    assert 2 * quorum(size, model) - size > lying
    assert 0 <= faults_tolerated(size, model) < size


@given(st.integers(0, 10**9), st.integers(-500, 500), st.integers(0, 10**8))
def test_a_drifting_clock_is_never_early(start: int, drift: int, passed: int) -> None:
    """A tick that came before its deadline would be asked for again at the same instant, for ever."""
    clock = Clock(start, 0, drift)
    assert clock.shows(clock.true(start + passed), 0).monotonic >= start + passed
