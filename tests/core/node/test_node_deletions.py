"""Pushes under way to a repository that is deleted meanwhile: over everywhere, at once, and with words."""

from __future__ import annotations

from guts_core.chain.genesis import chain_id
from guts_core.forge import queries
from guts_core.forge.actions import DeleteRepository, RestoreRepository
from guts_core.forge.ids import repository_id
from guts_core.names import RepoId, TxId
from guts_core.node.effects import Refuse
from guts_core.node.messages import AvailSaid
from tests.core.chain.chain_world import MAIN, a_genesis, a_push, oid, salt
from tests.core.node.node_world import World

PACK = b"the bytes of a small pack"


def a_world(*, checks_succeed: bool = True) -> tuple[World, RepoId]:
    """Four nodes and a repository."""
    world = World(a_genesis(4), checks_succeed=checks_succeed)
    world.a_repository("hello")
    return world, repository_id(chain_id(world.genesis), world.alice, salt("hello"))


def is_tracked(world: World, tx_id: TxId) -> list[bool]:
    """On which nodes the push still is on its way."""
    return [seat.node.attestations.get(tx_id) is not None or seat.node.ledger.is_pending(tx_id) for seat in world.seats]


def refs(world: World, index: int, repo: RepoId) -> dict[str, bytes]:
    return {ref.name: ref.oid for ref in queries.refs(world.seats[index].node.ledger.view(), repo)}


def test_a_push_under_way_ends_with_its_repository() -> None:
    """Its gateway tells the client; the others neither wait for its expiry nor vouch for it."""
    world, repo = a_world(checks_succeed=False)
    pushed = world.submit(1, world.signed(a_push(repo, MAIN, None, oid("one"))), pack=PACK)
    world.settle()
    assert is_tracked(world, pushed) == [True] * 4

    world.submit(0, world.signed(DeleteRepository(repo, "hello")))
    world.pass_time(2000)

    assert is_tracked(world, pushed) == [False] * 4
    assert [(refuse.tx_id, refuse.code) for refuse in world.seats[1].wanted_of(Refuse)] == [(pushed, "not-found")]


def test_no_node_vouches_for_a_push_to_what_is_deleted() -> None:
    """Nor one that begins after it: there is no such repository."""
    world, repo = a_world()
    world.submit(0, world.signed(DeleteRepository(repo, "hello")))
    world.pass_time(2000)

    pushed = world.submit(1, world.signed(a_push(repo, MAIN, None, oid("one"))), pack=PACK)
    world.pass_time(2000)

    assert [(refuse.tx_id, refuse.code) for refuse in world.seats[1].wanted_of(Refuse)] == [(pushed, "not-found")]
    assert [seat.said_of(AvailSaid) for seat in world.seats] == [[]] * 4


def test_a_restored_repository_takes_pushes_again_on_every_node() -> None:
    """With the refs it had."""
    world, repo = a_world()
    world.submit(0, world.signed(a_push(repo, MAIN, None, oid("one"))), pack=PACK)
    world.pass_time(2000)
    world.submit(1, world.signed(DeleteRepository(repo, "hello")))
    world.pass_time(2000)
    world.submit(2, world.signed(RestoreRepository(repo)))
    world.pass_time(2000)

    world.submit(3, world.signed(a_push(repo, "refs/heads/dev", None, oid("two"))), pack=PACK)
    world.pass_time(2000)

    assert [refs(world, index, repo) for index in range(4)] == [{MAIN: oid("one"), "refs/heads/dev": oid("two")}] * 4
    assert len(world.roots) == 1
