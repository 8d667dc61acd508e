"""Adding and removing the keys of an account: a key has one owner for ever, and an account always has a key."""

from __future__ import annotations

import pytest
from attrs import evolve

from guts_core.chain import compose
from guts_core.codec import Tag
from guts_core.errors import LimitExceeded, NotAllowed, NotFound
from guts_core.forge import queries
from guts_core.forge.accounts import BadKey, KeyTaken
from guts_core.forge.actions import AddKey, RemoveKey, RevokeCredential
from guts_core.forge.activities import KeyAdded, KeyRemoved
from guts_core.forge.credentials import UnprovenKey
from guts_core.forge.ids import account_key_proof_body, credential_proof_body
from guts_core.forge.keys import LastKey
from guts_core.forge.records import KEYS_PER_ACCOUNT_MAX, Scope
from guts_core.identity import KeyPair
from guts_core.names import AccountId, ChainId
from tests.core.forge.forge_world import (
    ALICE,
    BOB,
    CAROL,
    CHAIN,
    Person,
    World,
    credential_creation,
    key_pair,
    registration,
)

NEW = key_pair("bob's new laptop")


def adding(key: KeyPair = NEW, account: AccountId = BOB.id) -> AddKey:
    return compose.add_key(CHAIN, account, key)


def keys_of(world: World, who: AccountId = BOB.id) -> tuple[bytes, ...]:
    account = queries.account(world.state, who)
    assert account is not None
    return account.keys


def test_a_key_is_added_and_another_removed() -> None:
    """Apart or in one transaction: the account's id and name stay."""
    world = World()

    added = world.run(BOB.id, adding())
    removed = world.run(BOB.id, RemoveKey(BOB.key))

    assert (added, removed) == ((KeyAdded(BOB.id, NEW.public_key),), (KeyRemoved(BOB.id, BOB.key),))
    assert keys_of(world) == (NEW.public_key,)
    account = queries.account_by_name(world.state, "bob")
    assert account is not None
    assert account.id == BOB.id


def test_a_rotation_is_one_transaction() -> None:
    world = World()

    world.run(BOB.id, *compose.rotate_key(CHAIN, BOB.id, BOB.key, NEW))

    assert keys_of(world) == (NEW.public_key,)


def test_a_rotation_the_wrong_way_round_is_refused_whole() -> None:
    """The account would be nobody's in between."""
    world = World()

    world.assert_refused(BOB.id, RemoveKey(BOB.key), adding(), kind=LastKey, words="last key of bob")


@pytest.mark.parametrize("person", [ALICE, BOB], ids=["operator", "user"])
def test_operators_and_users_do_the_same(person: Person) -> None:
    world = World()
    key = key_pair("next")

    world.run(person.id, *compose.rotate_key(CHAIN, person.id, person.key, key))

    assert keys_of(world, person.id) == (key.public_key,)


def test_a_sponsored_account_adds_a_key_with_its_registration() -> None:
    """A second key in a drawer, from the first transaction on."""
    world = World()
    author, register = registration("zoe", BOB.id)

    world.run(author, register, adding(NEW, author))

    assert keys_of(world, author) == (register.key, NEW.public_key)


def test_a_removed_key_stays_taken_for_ever() -> None:
    """What it signed names one account; neither its owner nor anybody else brings it back in any role."""
    world = World()
    old = key_pair("bob")
    world.run(BOB.id, *compose.rotate_key(CHAIN, BOB.id, BOB.key, NEW))

    for person in (BOB, CAROL):
        world.assert_refused(person.id, adding(old, person.id), kind=KeyTaken, words="before it was removed")
        again = credential_creation(person.id, old)
        world.assert_refused(person.id, again, kind=KeyTaken, words="before it was removed")
    author, register = registration("zoe", CAROL.id, old)
    world.assert_refused(author, register, kind=KeyTaken, words="before it was removed")


def test_a_key_has_one_role() -> None:
    """Not another account's, a credential's (be it revoked), or a node's."""
    world = World()
    credential = world.a_credential(BOB, name="t")
    world.run(BOB.id, RevokeCredential(credential.id))

    for key in (key_pair("carol"), key_pair("bob"), key_pair("bob t"), key_pair("node n1")):
        world.assert_refused(BOB.id, adding(key), kind=KeyTaken, words="belongs to")
    weak = AddKey(bytes((1, *bytes(31))), bytes(64))
    world.assert_refused(BOB.id, weak, kind=BadKey, words="small order")


def test_whoever_adds_a_key_holds_it() -> None:
    """Proofs for another account, chain or purpose, and none at all."""
    world = World()
    body = account_key_proof_body(BOB.id)
    proofs = (
        NEW.sign(Tag.SIGN_ACCOUNT_KEY, CHAIN, account_key_proof_body(CAROL.id)),
        NEW.sign(Tag.SIGN_ACCOUNT_KEY, ChainId(bytes(32)), body),
        NEW.sign(Tag.SIGN_CREDENTIAL, CHAIN, credential_proof_body(BOB.id)),
        key_pair("bob").sign(Tag.SIGN_ACCOUNT_KEY, CHAIN, body),
        bytes(64),
    )

    for proof in proofs:
        world.assert_refused(BOB.id, evolve(adding(), proof=proof), kind=UnprovenKey, words="not the new key's")


def test_a_proof_for_a_key_makes_no_credential() -> None:
    """And the other way round: each has its tag."""
    world = World()
    create = evolve(credential_creation(BOB.id, NEW), proof=adding().proof)

    world.assert_refused(BOB.id, create, kind=UnprovenKey, words="not the new key's")


def test_an_account_has_sixteen_keys_at_most() -> None:
    world = World()
    for number in range(KEYS_PER_ACCOUNT_MAX - 1):
        world.run(BOB.id, adding(key_pair(f"key {number}")))

    world.assert_refused(BOB.id, adding(), kind=LimitExceeded, words="at most 16 keys")
    world.run(BOB.id, RemoveKey(BOB.key), adding())
    assert len(keys_of(world)) == KEYS_PER_ACCOUNT_MAX


def test_only_own_keys_are_removed() -> None:
    world = World()
    world.run(BOB.id, adding())

    world.assert_refused(BOB.id, RemoveKey(CAROL.key), kind=NotFound, words="bob has no key")
    world.run(BOB.id, RemoveKey(NEW.public_key))
    world.assert_refused(BOB.id, RemoveKey(NEW.public_key), kind=NotFound, words="bob has no key")


def test_a_credential_changes_no_keys() -> None:
    """Whatever its scopes: a node that was handed it could take the account over."""
    world = World()
    token = world.a_credential(BOB, *Scope)

    for action in (adding(), RemoveKey(BOB.key)):
        world.assert_refused(BOB.id, action, kind=NotAllowed, words="sign with an account key", credential=token)


def test_every_credential_of_an_account_is_listed_the_newest_first() -> None:
    """Revoked ones too: what was made under one's name can be looked at for ever."""
    world = World()
    first, second = world.a_credential(BOB, name="1"), world.a_credential(BOB, name="2")
    world.a_credential(CAROL)
    world.run(BOB.id, RevokeCredential(first.id))

    found = list(queries.credentials_of(world.state, BOB.id))

    assert [one.id for one in found] == [second.id, first.id]
    assert [one.revoked for one in found] == [False, True]
    assert list(queries.credentials_of(world.state, ALICE.id)) == []
