"""Who signed a push is asked before anything else about it, and again after each block while it waits."""

from __future__ import annotations

from guts_core.chain import compose
from guts_core.chain.genesis import chain_id
from guts_core.chain.transaction import transaction_id
from guts_core.forge.ids import repository_id
from guts_core.node.effects import Refuse
from tests.core.chain.chain_world import MAIN, TIME, a_genesis, a_push, creation, key, oid, salt
from tests.core.node.node_world import World

PACK = b"the bytes of a small pack"


def test_a_push_that_waits_on_a_removed_key_ends_with_that_key() -> None:
    """No other node would look at it any more: its client does not wait for its expiry to hear so."""
    world = World(a_genesis(4), checks_succeed=False)
    world.a_repository("hello")
    repo = repository_id(chain_id(world.genesis), world.alice, salt("hello"))
    pushed = world.submit(1, world.signed(a_push(repo, MAIN, None, oid("one"))), pack=PACK)
    world.settle()

    old, new = key("operator 0").public_key, key("alice's new key")
    world.submit(0, world.signed(*compose.rotate_key(chain_id(world.genesis), world.alice, old, new)))
    world.pass_time(2000)

    assert [(refuse.tx_id, refuse.code) for refuse in world.seats[1].wanted_of(Refuse)] == [
        (pushed, "wrong-signatures")
    ]
    assert not world.seats[1].node.knows(pushed)


def test_what_a_stranger_signed_in_anothers_name_tells_nothing_of_a_private_repository() -> None:
    """Whether its refs are what a push says, and what they are, is for who may read them."""
    world = World(a_genesis(4))
    world.submit(0, world.signed(creation("hush", private=True)))
    world.pass_time(2000)
    repo = repository_id(chain_id(world.genesis), world.alice, salt("hush"))
    world.submit(0, world.signed(a_push(repo, MAIN, None, oid("secret"))), pack=PACK)
    world.pass_time(2000)

    update = a_push(repo, MAIN, oid("a guess"), oid("another"))
    body = compose.by_account(chain_id(world.genesis), world.alice, (update,), TIME + 600_000, salt("stranger"))
    forged = compose.sign_with_account_key(body, key("a stranger"))
    world.submit(2, forged, pack=PACK)

    [refused] = world.seats[2].wanted_of(Refuse)
    assert (refused.tx_id, refused.code) == (transaction_id(body), "wrong-signatures")
    assert oid("secret").hex()[:7] not in refused.message
