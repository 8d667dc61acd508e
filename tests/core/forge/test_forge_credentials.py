"""Credentials: made by account keys with proof of possession, ended for ever."""

from __future__ import annotations

import pytest
from attrs import evolve

from guts_core.codec import Tag
from guts_core.errors import Invalid, NotAllowed, NotFound, Unauthenticated
from guts_core.forge import queries
from guts_core.forge.accounts import BadKey, KeyTaken
from guts_core.forge.actions import RevokeCredential
from guts_core.forge.activities import CredentialCreated, CredentialRevoked
from guts_core.forge.credentials import Expired, Revoked, UnprovenKey
from guts_core.forge.ids import credential_id
from guts_core.forge.permissions import credential_is_active
from guts_core.forge.records import Scope
from guts_core.names import ChainId, CredentialId, NodeId, RepoId
from tests.core.forge.forge_world import (
    ALICE,
    BOB,
    CHAIN,
    FIRST,
    HOUR,
    MAIN,
    NODES,
    NOW,
    World,
    created,
    credential_creation,
    key_pair,
    pushing,
)

LAPTOP = key_pair("laptop")


def test_a_credential_is_made_by_the_account_and_the_new_key() -> None:
    world = World()
    gateways = tuple(node.node_key for node in NODES)
    create = credential_creation(BOB.id, LAPTOP, (Scope.READ, Scope.REPO), gateways=gateways)

    activities = world.run(BOB.id, create)

    made = credential_id(LAPTOP.public_key)
    assert activities == (CredentialCreated(made, BOB.id, gateways, create.expires),)
    credential = queries.credential(world.state, made)
    assert credential == queries.credential_of_key(world.state, LAPTOP.public_key)
    assert credential is not None
    assert (credential.scopes, credential.gateways, credential.revoked) == (create.scopes, gateways, False)


@pytest.mark.parametrize(
    "proof",
    [
        LAPTOP.sign(Tag.SIGN_CREDENTIAL, CHAIN, ALICE.id),
        LAPTOP.sign(Tag.SIGN_CREDENTIAL, ChainId(bytes(32)), BOB.id),
        LAPTOP.sign(Tag.SIGN_TX, CHAIN, BOB.id),
        key_pair("bob").sign(Tag.SIGN_CREDENTIAL, CHAIN, BOB.id),
        bytes(64),
    ],
    ids=["another account", "another chain", "another purpose", "another key", "nothing"],
)
def test_a_key_that_its_maker_does_not_hold_is_refused(proof: bytes) -> None:
    """Nobody files somebody else's key under their own account."""
    create = evolve(credential_creation(BOB.id, LAPTOP), proof=proof)

    World().assert_refused(BOB.id, create, kind=UnprovenKey, words="proof")


def test_a_key_is_a_credential_once_even_after_it_was_revoked() -> None:
    """A leaked token never works again, for anyone."""
    world = World()
    credential = world.a_credential(BOB)
    world.run(BOB.id, RevokeCredential(credential.id))

    again = credential_creation(ALICE.id, key_pair("bob laptop"))
    world.assert_refused(ALICE.id, again, kind=KeyTaken, words="be it revoked")


def test_an_account_key_or_a_node_key_is_no_credential() -> None:
    """No key has two roles."""
    world = World()
    own, node, weak = (
        key_pair("bob"),
        key_pair("node n2"),
        evolve(credential_creation(BOB.id, LAPTOP), public_key=bytes(32)),
    )

    world.assert_refused(BOB.id, credential_creation(BOB.id, own), kind=KeyTaken, words="account")
    world.assert_refused(BOB.id, credential_creation(BOB.id, node), kind=KeyTaken, words="node")
    world.assert_refused(BOB.id, weak, kind=BadKey, words="small order")


@pytest.mark.parametrize("scopes", [(Scope.REPO, Scope.READ), (Scope.REPO, Scope.REPO)])
def test_scopes_stand_in_ascending_order(scopes: tuple[Scope, ...]) -> None:
    create = credential_creation(BOB.id, LAPTOP, scopes)

    World().assert_refused(BOB.id, create, kind=Invalid, words="scopes must be in ascending order")


def test_gateways_are_known_nodes_in_ascending_order() -> None:
    """One set of gateways has one record."""
    first, second = NODES[0].node_key, NODES[1].node_key
    world = World()

    for gateways in ((second, first), (first, first)):
        create = credential_creation(BOB.id, LAPTOP, gateways=gateways)
        world.assert_refused(BOB.id, create, kind=Invalid, words="gateways must be in ascending order")
    stranger = credential_creation(BOB.id, LAPTOP, gateways=(NodeId(b"\x09" * 32),))
    world.assert_refused(BOB.id, stranger, kind=NotFound, words="not a node")


def test_a_credential_without_gateways_is_fine() -> None:
    """It is signed locally only; admission sees to that."""
    world = World()

    world.run(BOB.id, credential_creation(BOB.id, LAPTOP, gateways=()))

    credential = queries.credential_of_key(world.state, LAPTOP.public_key)
    assert credential is not None
    assert credential.gateways == ()


def test_a_credential_ends_in_the_future() -> None:
    world = World()
    create = credential_creation(BOB.id, LAPTOP, expires=NOW + 1000)

    world.assert_refused(BOB.id, create, kind=Expired, words="before it exists")


def test_bad_F_01_a_credential_names_only_repositories_that_its_account_may_read() -> None:  # names of the checklist
    """Else the refusal would tell which ids of private repositories exist."""
    world = World()
    secret = world.a_repository(ALICE, private=True)
    public = world.a_repository(BOB)

    for repo in (secret, RepoId(b"\x09" * 32)):
        create = credential_creation(BOB.id, LAPTOP, repos=(repo,))
        world.assert_refused(BOB.id, create, kind=NotFound, words="no such repository, or you may not read it")
    world.assert_refused(BOB.id, credential_creation(BOB.id, LAPTOP, repos=()), kind=Invalid, words="nothing")
    twice = credential_creation(BOB.id, LAPTOP, repos=(public, public))
    world.assert_refused(BOB.id, twice, kind=Invalid, words="repositories must be in ascending order")
    assert world.run(BOB.id, credential_creation(BOB.id, LAPTOP, repos=(public,)))


def test_a_credential_makes_no_credentials() -> None:
    """A leaked token must not be able to outlive its own revocation."""
    world = World()
    token = world.a_credential(BOB, Scope.READ, Scope.REPO, Scope.DELETE_REPO)
    create = credential_creation(BOB.id, LAPTOP)

    world.assert_refused(BOB.id, create, credential=token, kind=NotAllowed, words="sign with an account key")


def test_an_account_and_the_credential_itself_can_end_it() -> None:
    """Whoever finds a token can stop it without the account's key."""
    world = World()
    first, second = world.a_credential(BOB, name="first"), world.a_credential(BOB, Scope.READ, name="second")

    assert world.run(BOB.id, RevokeCredential(first.id)) == (CredentialRevoked(first.id, BOB.id),)
    assert world.run(BOB.id, RevokeCredential(second.id), credential=second)

    for credential in (first, second):
        ended = queries.credential(world.state, credential.id)
        assert ended is not None
        assert ended.revoked
        assert not credential_is_active(ended, world.time)


def test_a_credential_ends_no_other() -> None:
    world = World()
    first, second = world.a_credential(BOB, name="first"), world.a_credential(BOB, name="second")

    world.assert_refused(
        BOB.id, RevokeCredential(first.id), credential=second, kind=NotAllowed, words="sign with an account key"
    )


def test_nobody_ends_the_credential_of_another() -> None:
    """The answer for a stranger's credential is that of a missing one."""
    world = World()
    credential = world.a_credential(BOB)

    for wanted in (credential.id, CredentialId(b"\x09" * 32)):
        world.assert_refused(ALICE.id, RevokeCredential(wanted), kind=NotFound, words="no such credential")


def test_a_revoked_credential_cannot_be_revoked() -> None:
    world = World()
    credential = world.a_credential(BOB)
    world.run(BOB.id, RevokeCredential(credential.id))

    world.assert_refused(BOB.id, RevokeCredential(credential.id), kind=Revoked, words="revoked already")


def test_bad_F_06_a_revocation_counts_for_the_actions_after_it() -> None:  # names of the checklist
    """Also when the transaction was signed, or the record read, before."""
    world = World()
    repo = world.a_repository(BOB)
    credential = world.a_credential(BOB)
    push = pushing(repo, created(MAIN, FIRST))

    world.assert_refused(
        BOB.id, RevokeCredential(credential.id), push, credential=credential, kind=Unauthenticated, words="revoked"
    )


def test_a_credential_is_active_until_the_millisecond_it_expires() -> None:
    credential = World().a_credential(BOB)

    assert credential.expires == NOW + 100 * HOUR
    assert credential_is_active(credential, credential.expires - 1)
    assert not credential_is_active(credential, credential.expires)
