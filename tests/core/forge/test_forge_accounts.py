"""Accounts, their names and keys, and who may vouch for new ones."""

from __future__ import annotations

import pytest
from attrs import evolve

from guts_core.errors import Conflict, Invalid, NotAllowed, NotFound, Refused
from guts_core.forge import queries
from guts_core.forge.accounts import BadKey, KeyTaken, NameReserved, NameTaken, NotSponsored
from guts_core.forge.activities import AccountRegistered
from guts_core.forge.founding import found
from guts_core.forge.ids import account_id
from guts_core.forge.params import Params, Registration
from guts_core.forge.records import ValidatorEntry
from guts_core.identity import KeyPair
from guts_core.names import AccountId
from guts_core.state.view import Overlay
from tests.core.forge.forge_world import (
    ALICE,
    BOB,
    CHAIN,
    NODES,
    Person,
    Records,
    World,
    a_seat,
    credential_creation,
    key_pair,
    registration,
)


def test_an_account_that_someone_vouches_for_comes_to_be() -> None:
    """Inviting is open to every account by default: the sponsor's quota holds floods back."""
    world = World()
    author, register = registration("zoe", BOB.id)

    activities = world.run(author, register)

    assert activities == (AccountRegistered(author, "zoe", BOB.id),)
    account = queries.account_by_name(world.state, "ZOE")
    assert account is not None
    assert (account.id, account.sponsor, account.is_operator, account.created) == (author, BOB.id, False, world.time)
    assert queries.account_of_key(world.state, register.key) == account


def test_integer_ids_count_up_and_are_not_given_out_by_what_fails() -> None:
    """Clients of GitHub's API keep these numbers."""
    world = World()
    first, register_first = registration("zoe", BOB.id)
    failing, register_failing = registration("zoe", BOB.id, key_pair("another"))
    second, register_second = registration("yan", BOB.id)

    world.run(first, register_first)
    with pytest.raises(NameTaken):
        world.run(failing, register_failing)
    world.run(second, register_second)

    numbers = [account.number for who in (ALICE.id, first, second) if (account := queries.account(world.state, who))]
    assert numbers == [1, 7, 8]


@pytest.mark.parametrize(
    "name", ["Zoe", "-zoe", "zoe-", "", "a" * 40, "z\u043ee", "zo\u200be", "z.e", "../zoe", "ad min"]
)
def test_bad_K07_names_outside_the_grammar_are_refused(name: str) -> None:  # names of the checklist
    """Confusable and invisible names, upper case and paths all fail one ASCII grammar."""
    author, register = registration("zoe", BOB.id)

    World().assert_refused(author, evolve(register, name=name), kind=Invalid, words="account name")


def test_bad_K08_a_reserved_name_is_refused() -> None:  # names of the checklist
    """Genesis names what the network needs for itself."""
    author, register = registration("admin", BOB.id)

    World().assert_refused(author, register, kind=NameReserved, words="admin is reserved")


def test_a_taken_name_is_refused() -> None:
    author, register = registration("bob", ALICE.id, key_pair("not bob"))

    World().assert_refused(author, register, kind=NameTaken, words="bob is taken")


def test_the_author_must_be_the_id_of_the_new_key() -> None:
    """Nobody registers an account under an id that another key will make."""
    _, register = registration("zoe", BOB.id)

    World().assert_refused(AccountId(b"\x09" * 32), register, kind=Invalid, words="author")


def test_a_key_of_another_account_is_refused() -> None:
    """A signature must name one account: a key has one owner."""
    author, register = registration("zoe", ALICE.id, key_pair("bob"))

    World().assert_refused(author, register, kind=KeyTaken, words="an account already")


def test_a_key_of_a_node_or_of_a_credential_is_refused() -> None:
    """No key has two roles."""
    world = World()
    laptop = key_pair("laptop")
    world.run(BOB.id, credential_creation(BOB.id, laptop))

    world.assert_refused(*registration("zoe", ALICE.id, laptop), kind=KeyTaken, words="credential already")
    world.assert_refused(*registration("zoe", ALICE.id, key_pair("node n1")), kind=KeyTaken, words="node already")


def test_a_key_of_small_order_is_refused() -> None:
    """Under such a key signatures verify that nobody made."""
    weak = (1).to_bytes(32, "little")
    _, register = registration("zoe", BOB.id)
    author = account_id(CHAIN, weak, register.salt)

    World().assert_refused(author, evolve(register, key=weak), kind=BadKey, words="small order")


def test_a_sponsor_must_exist() -> None:
    author, register = registration("zoe", AccountId(b"\x09" * 32))

    World().assert_refused(author, register, kind=NotFound, words="sponsor")


def test_where_approval_is_asked_only_operators_sponsor() -> None:
    world = World(Params(registration=Registration.APPROVAL))
    author, register = registration("zoe", BOB.id)

    world.assert_refused(author, register, kind=NotSponsored, words="bob is not one")
    assert world.run(author, evolve(register, sponsor=ALICE.id))


def test_open_registration_is_reserved() -> None:
    author, register = registration("zoe", ALICE.id)

    World(Params(registration=Registration.OPEN)).assert_refused(author, register, kind=NotSponsored, words="reserved")


def test_an_account_is_registered_once() -> None:
    world = World()
    author, register = registration("zoe", BOB.id)
    world.run(author, register)

    world.assert_refused(author, evolve(register, name="other"), kind=Conflict, words="registered already")


def test_an_account_is_not_registered_through_a_credential() -> None:
    world = World()
    author, register = registration("zoe", BOB.id)
    credential = world.a_credential(BOB)

    with pytest.raises(NotAllowed, match="its own key"):
        world.run(author, register, credential=credential)


def test_a_new_account_can_make_its_first_credential_in_the_same_transaction() -> None:
    """One finality is enough to start working."""
    world = World()
    author, register = registration("zoe", BOB.id)
    laptop = KeyPair(b"\x42" * 32)

    world.run(author, register, credential_creation(author, laptop))

    credential = queries.credential_of_key(world.state, laptop.public_key)
    assert credential is not None
    assert credential.account == author


def test_genesis_writes_accounts_operators_and_nodes() -> None:
    world = World()

    assert queries.operators_count(world.state) == 3
    assert [node.id for node in queries.nodes(world.state)] == [node.node_key for node in NODES]
    assert queries.account(world.state, ALICE.id) == queries.account_by_name(world.state, "alice")


@pytest.mark.parametrize(
    ("people", "seats", "kind"),
    [
        ((Person("bob"), Person("bob")), (), NameTaken),
        ((Person("admin"),), (), NameReserved),
        ((Person("Bob"),), (), Invalid),
        ((Person("bob"),), (a_seat(0, Person("bob"), "n"),), Invalid),
        ((Person("o", is_operator=True),), (a_seat(0, Person("o"), "n"),) * 2, Conflict),
        ((Person("p", holds="node n"), Person("o", is_operator=True)), (a_seat(0, Person("o"), "n"),), Conflict),
        ((Person("o", is_operator=True),), (a_seat(1, Person("o"), "n"),), Invalid),
    ],
)
def test_a_genesis_that_contradicts_itself_is_refused(
    people: tuple[Person, ...], seats: tuple[ValidatorEntry, ...], kind: type[Refused]
) -> None:
    with pytest.raises(kind):
        found(Overlay(Records()), people, seats, 0, frozenset({"admin"}))
