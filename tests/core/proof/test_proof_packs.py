"""What a whole clone is made of: all refs and all packs, and no false list of either."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
from attrs import evolve

from guts_core.codec import from_bytes, to_bytes
from guts_core.errors import Invalid
from guts_core.forge.records import Pack
from guts_core.proof import Incomplete, PacksQuestion, ProvenPacks, about_packs, verify
from guts_core.proof.format import PacksAnswer, ProofFile
from guts_core.proof.questions import check_form
from guts_core.state.proof import BadProof, CompleteProof
from tests.core.chain.chain_world import oid
from tests.core.proof.proof_world import REFS, ProofNetwork, a_scene

WHOLE = about_packs("alice", "hello")


@cache
def network(refs: tuple[str, ...] = REFS) -> ProofNetwork:
    return a_scene(refs=refs).network


def shown(refs: tuple[str, ...] = REFS) -> ProvenPacks:
    answer = verify(network(refs).prove(WHOLE), network(refs).genesis, WHOLE).answer
    assert isinstance(answer, ProvenPacks)
    return answer


def changed(change: Callable[[PacksAnswer], PacksAnswer]) -> bytes:
    file = from_bytes(ProofFile, network().prove(WHOLE))
    assert isinstance(file.answer, PacksAnswer)
    return to_bytes(evolve(file, answer=change(file.answer)))


def test_all_refs_and_packs_are_shown_together() -> None:
    answer = shown()

    assert [(ref.name, ref.oid) for ref in answer.refs] == [(name, oid(name)) for name in sorted(REFS)]
    assert [pack.seq for pack in answer.packs] == list(range(answer.repository.packs))
    assert len({pack.digest for pack in answer.packs}) == len(answer.packs) > 1


def test_of_an_empty_repository_it_is_shown_that_it_has_neither() -> None:
    answer = shown(())

    assert (answer.refs, answer.packs) == ((), ())


def _first_index_is_anothers(answer: PacksAnswer) -> PacksAnswer:
    forged = evolve(answer.packs[0], idx_digest=bytes(32))
    return evolve(answer, packs=(forged, *answer.packs[1:]))


def _one_more(answer: PacksAnswer) -> PacksAnswer:
    return evolve(answer, packs=(*answer.packs, Pack(len(answer.packs), bytes(32), bytes(32), 1, 1, 1)))


LIES: dict[str, Callable[[PacksAnswer], PacksAnswer]] = {
    "another index": _first_index_is_anothers,
    "one more": _one_more,
    "one left out": lambda answer: evolve(answer, packs=answer.packs[1:]),
    "none": lambda answer: evolve(answer, packs=()),
    "one twice": lambda answer: evolve(answer, packs=(answer.packs[0], *answer.packs)),
    "other order": lambda answer: evolve(answer, packs=tuple(reversed(answer.packs))),
    "no walk": lambda answer: evolve(answer, walk=CompleteProof((), None)),
    "a ref left out": lambda answer: evolve(answer, refs=evolve(answer.refs, refs=answer.refs.refs[1:])),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_list_that_is_not_the_whole_truth_is_false(lie: str) -> None:
    """Whoever believed one would write a wrong index beside a right pack."""
    forged = changed(LIES[lie])

    with pytest.raises(Incomplete):
        verify(forged, network().genesis, WHOLE)


def test_the_list_of_another_repository_does_not_stand_for_this_one() -> None:
    with pytest.raises(BadProof):
        verify(network().prove(WHOLE), network().genesis, about_packs("alice", "other"))


def test_the_question_has_one_form() -> None:
    with pytest.raises(Invalid):
        check_form(PacksQuestion("Alice", "hello"))
