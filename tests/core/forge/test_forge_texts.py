"""What the state says of texts: committed to once, erased by whom it concerns, and never looked at."""

from __future__ import annotations

import pytest
from attrs import evolve

from guts_core.errors import Invalid, NotAllowed, NotFound, Unauthenticated
from guts_core.forge import queries
from guts_core.forge.actions import DescribeRepository, Erase, RemoveCollaborator, SetCollaborator
from guts_core.forge.activities import TextErased
from guts_core.forge.ids import repository_id
from guts_core.forge.operators import TooFewOperators
from guts_core.forge.permissions import ANONYMOUS, Permission, Principal, TextPlace, demand, may
from guts_core.forge.records import Role, Scope, TextRecord, TextState
from guts_core.forge.texts import TextTaken
from guts_core.names import AccountId, RepoId
from tests.core.forge.forge_world import ALICE, BOB, CAROL, CHAIN, DAVE, ERIN, FRANK, World, creation

TEXT, OTHER = b"\x0d" * 32, b"\x0e" * 32
OPERATORS = tuple(sorted((ALICE.id, ERIN.id, FRANK.id)))


def described(world: World, *, private: bool = False) -> RepoId:
    """A repository of Bob's with a description of Bob's."""
    repo = world.a_repository(BOB, private=private)
    world.run(BOB.id, DescribeRepository(repo, TEXT))
    return repo


def state_of(world: World, repo: RepoId, commitment: bytes = TEXT) -> TextState:
    found = queries.text(world.state, repo, commitment)
    assert found is not None
    return found.state


def erasing(repo: RepoId, *operators: AccountId, commitment: bytes = TEXT) -> Erase:
    return Erase(repo, commitment, operators)


def test_whoever_commits_to_a_text_is_its_author() -> None:
    """A record for each: what every node is to hold, and who may have it erased."""
    world = World()
    create = evolve(creation("site"), description=TEXT)
    world.run(BOB.id, create)
    repo = repository_id(CHAIN, BOB.id, create.salt)
    world.run(BOB.id, SetCollaborator(repo, CAROL.id, Role.ADMIN))
    world.run(CAROL.id, DescribeRepository(repo, OTHER))

    assert list(queries.texts(world.state, repo)) == [
        TextRecord(TEXT, repo, BOB.id, TextState.PRESENT),
        TextRecord(OTHER, repo, CAROL.id, TextState.PRESENT),
    ]
    assert [text.commitment for text in queries.texts(world.state, repo, after=TEXT)] == [OTHER]


def test_a_commitment_stands_once_in_a_repository() -> None:
    """Or an erased text could come back with the same bytes, and nobody could tell the two apart."""
    world = World()
    repo, second = described(world), world.a_repository(BOB, "second")
    world.run(BOB.id, DescribeRepository(repo, None))

    world.assert_refused(BOB.id, DescribeRepository(repo, TEXT), kind=TextTaken, words="use a new salt")
    world.run(BOB.id, erasing(repo))
    world.assert_refused(BOB.id, DescribeRepository(repo, TEXT), kind=TextTaken, words="before")
    world.run(BOB.id, DescribeRepository(second, TEXT))

    assert state_of(world, repo) is TextState.ERASED
    assert state_of(world, second) is TextState.PRESENT


def test_an_erased_text_leaves_its_commitment_where_it_was() -> None:
    """Whoever verifies the chain finds what was promised; only the words are gone."""
    world = World()
    repo = described(world)

    assert world.run(BOB.id, erasing(repo)) == (TextErased(repo, TEXT),)

    assert state_of(world, repo) is TextState.ERASED
    assert world.repository(repo).description == TEXT
    assert world.run(BOB.id, erasing(repo)) == ()


def test_a_text_that_nobody_committed_to_is_not_erased() -> None:
    world = World()
    repo = described(world)

    world.assert_refused(BOB.id, erasing(repo, commitment=OTHER), kind=NotFound, words="may not read")
    world.assert_refused(ALICE.id, erasing(repo, *OPERATORS, commitment=OTHER), kind=NotFound, words="may not read")


def test_an_author_erases_their_words_wherever_they_stand_now() -> None:
    """Who lost their role, and cannot see the repository any more, still takes back what they wrote."""
    world = World()
    repo = world.a_repository(BOB, private=True)
    world.run(BOB.id, SetCollaborator(repo, CAROL.id, Role.ADMIN))
    world.run(CAROL.id, DescribeRepository(repo, TEXT))
    world.run(BOB.id, RemoveCollaborator(repo, CAROL.id))

    assert world.run(CAROL.id, erasing(repo)) == (TextErased(repo, TEXT),)


def test_an_administrator_erases_what_others_wrote() -> None:
    world = World()
    repo = described(world)
    world.run(BOB.id, SetCollaborator(repo, CAROL.id, Role.ADMIN))

    assert world.run(CAROL.id, erasing(repo)) == (TextErased(repo, TEXT),)


def test_nobody_else_erases() -> None:
    """Not who may write, not who may read, not one operator alone; and who may not know is told nothing."""
    world = World()
    repo = described(world)
    hidden = described_as(world, "hidden", private=True)
    world.run(BOB.id, SetCollaborator(repo, CAROL.id, Role.WRITE))

    for person in (CAROL, DAVE, ALICE):
        world.assert_refused(person.id, erasing(repo), kind=NotAllowed, words="may not erase this text")
        world.assert_refused(person.id, erasing(hidden), kind=NotFound, words="may not read it")


def described_as(world: World, name: str, *, private: bool) -> RepoId:
    repo = world.a_repository(BOB, name, private=private)
    world.run(BOB.id, DescribeRepository(repo, TEXT))
    return repo


def test_more_than_two_thirds_of_the_operators_erase_anything() -> None:
    """What the law demands of a network does not wait for an owner; private repositories are no exception."""
    world = World()
    repo = described(world, private=True)

    assert world.run(OPERATORS[0], erasing(repo, *OPERATORS)) == (TextErased(repo, TEXT),)


@pytest.mark.parametrize(
    ("author", "operators", "kind", "words"),
    [
        (OPERATORS[0], OPERATORS[:2], TooFewOperators, "2 of 3"),
        (OPERATORS[0], OPERATORS[1:], Invalid, "author must be among"),
        (OPERATORS[0], OPERATORS[::-1], Invalid, "ascending"),
        (OPERATORS[0], tuple(sorted((*OPERATORS, DAVE.id))), NotAllowed, "is not an operator"),
        (BOB.id, tuple(sorted((*OPERATORS, BOB.id))), NotAllowed, "govern"),
    ],
)
def test_fewer_or_others_than_the_operators_do_not(
    author: AccountId, operators: tuple[AccountId, ...], kind: type[NotAllowed], words: str
) -> None:
    """An owner who lists operators asks for their decision, and does not decide for them."""
    world = World()
    repo = described(world)

    world.assert_refused(author, erasing(repo, *operators), kind=kind, words=words)


def test_a_credential_erases_within_its_scope_and_repositories() -> None:
    world = World()
    repo = described(world)
    elsewhere = world.a_repository(BOB, "elsewhere")
    good = world.a_credential(BOB, Scope.REPO, repos=(repo,), name="good")
    reads = world.a_credential(BOB, Scope.READ, name="reads")
    other = world.a_credential(BOB, Scope.REPO, repos=(elsewhere,), name="other")

    world.assert_refused(BOB.id, erasing(repo), credential=reads, kind=NotAllowed, words="its scope is read")
    world.assert_refused(BOB.id, erasing(repo), credential=other, kind=NotAllowed, words="limited to certain others")
    assert world.run(BOB.id, erasing(repo), credential=good) == (TextErased(repo, TEXT),)


def test_operators_decide_with_their_own_keys_only() -> None:
    world = World()
    repo = described(world)
    credential = world.a_credential(ALICE, Scope.REPO)

    act = erasing(repo, *OPERATORS)

    world.assert_refused(ALICE.id, act, credential=credential, kind=NotAllowed, words="sign with an account key")


def test_may_answers_for_texts_without_a_repository() -> None:
    """A repository that is gone administers nothing; its authors' words are still theirs."""
    world = World()
    repo = described(world)
    record = queries.text(world.state, repo, TEXT)
    assert record is not None
    place = TextPlace(record, None)

    assert may(Principal(BOB.id, None), Permission.ERASE_TEXT, place, world.state)
    assert not may(Principal(CAROL.id, None), Permission.ERASE_TEXT, place, world.state)
    assert not may(Principal(BOB.id, None), Permission.READ_REPOSITORY, place, world.state)
    assert not may(Principal(BOB.id, None), Permission.ERASE_TEXT, world.repository(repo), world.state)
    assert not may(Principal(BOB.id, None), Permission.ERASE_TEXT, None, world.state)
    with pytest.raises(Unauthenticated, match="nobody may erase this text"):
        demand(ANONYMOUS, Permission.ERASE_TEXT, TextPlace(record, world.repository(repo)), world.state)
