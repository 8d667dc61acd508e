"""Proofs stay small where the state is large."""

from __future__ import annotations

from benchmarks.proofs import MANY_REFS, RECORDS, REF_BYTES_MAX, large_state
from guts_core.proof import ProvenRef, ProvenRefs, verify
from guts_core.proof.prove import prove


def test_the_proof_of_a_ref_is_at_most_4_kib_in_a_state_of_100_000_records() -> None:
    """And is true: the walk is some seventeen nodes deep, three times, and the ref costs next to nothing."""
    state = large_state(RECORDS)
    questions = state.questions(100)

    for question in questions:
        data = prove(state.source, question)
        assert len(data) <= REF_BYTES_MAX
        shown = verify(data, state.genesis, question).answer
        assert isinstance(shown, ProvenRef)
        assert shown.oid == bytes(20)
    every = verify(prove(state.source, state.large), state.genesis).answer
    assert isinstance(every, ProvenRefs)
    assert len(every.refs) == MANY_REFS
