"""Packs and repositories that nothing needs any more: dropped while the node runs, never under somebody's hands."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from guts_core.errors import Unavailable
from guts_core.names import Oid, RefName
from guts_core.node.push_parts import PushCommand
from guts_net.packs.store import IN_USE_SECONDS
from tests.fixtures.git_history import BLOB, PLAIN, commit
from tests.net.packs.pack_world import MAIN, OTHER_REPO, REPO, World, pack_of

TIP = commit(PLAIN.oid)
PACK = pack_of(BLOB, PLAIN, TIP)
CREATE = PushCommand(MAIN, None, Oid(bytes.fromhex(TIP.oid)))
NO_REFS: dict[RefName, Oid] = {}


async def test_a_dropped_repository_takes_its_links_and_leaves_the_pack(world: World) -> None:
    """Which another repository may list; dropping what is not there is no error."""
    digest = await world.push(PACK)
    assert await world.store.link(REPO, digest)
    assert await world.store.link(OTHER_REPO, digest)

    await world.store.drop_repository(REPO)
    await world.store.drop_repository(REPO)

    assert not world.store.layout.repo(REPO).exists()
    assert world.store.is_linked(OTHER_REPO, digest)
    assert world.store.has(digest)


async def test_a_pack_goes_when_no_repository_has_it_and_nobody_judged_it_lately(
    world: World, mock_clock: trio.testing.MockClock
) -> None:
    """Listed, kept a moment ago, judged by a push, and at last neither."""
    digest = await world.push(PACK)
    mock_clock.jump(IN_USE_SECONDS)
    assert await world.store.drop_packs([digest]) == ()
    assert digest == await world.push(PACK)
    await world.store.drop_repository(REPO)
    assert await world.store.drop_packs([digest]) == ()
    mock_clock.jump(IN_USE_SECONDS)
    found = await world.store.facts(OTHER_REPO, NO_REFS, [CREATE], digest)
    assert await world.store.drop_packs([digest]) == ()
    mock_clock.jump(IN_USE_SECONDS)

    assert await world.store.drop_packs([digest, bytes(32)]) == (digest,)

    assert found.refused == {}
    assert not world.store.has(digest)
    assert list(world.store.layout.packs.iterdir()) == []


async def test_a_pack_that_somebody_reads_in_parts_stays_an_hour_longer(
    world: World, mock_clock: trio.testing.MockClock
) -> None:
    digest = await world.push(PACK)
    await world.store.drop_repository(REPO)
    mock_clock.jump(IN_USE_SECONDS)
    world.store.hold([digest, bytes(32)])

    assert await world.store.drop_packs([digest]) == ()
    mock_clock.jump(IN_USE_SECONDS)
    assert await world.store.drop_packs([digest]) == (digest,)


async def test_who_comes_too_late_for_a_pack_is_told_so(world: World, mock_clock: trio.testing.MockClock) -> None:
    """The check is made again with a pack that is fetched again; a commit notes it as missing."""
    digest = await world.push(PACK)
    await world.store.drop_repository(REPO)
    mock_clock.jump(IN_USE_SECONDS)
    assert await world.store.drop_packs([digest]) == (digest,)

    with pytest.raises(Unavailable, match="not held any more"):
        await world.store.facts(REPO, NO_REFS, [CREATE], digest)
    assert not await world.store.link(REPO, digest)
