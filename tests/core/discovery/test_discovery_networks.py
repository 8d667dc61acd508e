"""Whole networks that begin with one address each: meshes, moves, walls, and a thousand strangers."""

from __future__ import annotations

import pytest
from attrs import evolve

from guts_core.codec import from_bytes, to_bytes
from guts_core.discovery import Infos, Known, Members, PeerInfo, Tell, sign_info
from guts_core.discovery.book import FOLLOWERS_KNOWN_MAX, FOLLOWERS_PER_SUBNET
from guts_core.identity import KeyPair
from guts_core.names import NodeId
from tests.core.discovery.discovery_world import CHAIN, START_MS, Country, at, key, members, node_id

SEEDS = range(12)
SYBILS = 1_000


@pytest.mark.parametrize("seed", SEEDS)
def test_fault_F39_one_bootstrap_address_each_is_enough_for_a_full_mesh(seed: int) -> None:
    """Thirty validators in a ring of hints, all connected to all well within a minute."""
    country = Country(members(30), seed)
    country.run(10)

    assert country.is_meshed(list(range(30)))
    assert country.refused == []


@pytest.mark.parametrize("seed", SEEDS)
def test_fault_F39_who_moves_is_found_by_all_within_a_minute(seed: int) -> None:
    """Also by those whom it cannot reach itself: two who moved at the same time."""
    country = Country(members(20), seed)
    country.run(10)
    country.move(3, "second.3.test:2")
    country.move(7, "second.7.test:2")
    country.run(60)

    assert country.is_meshed(list(range(20)))
    assert all(country.knows(number, 3) == ("second.3.test:2",) for number in range(20) if number != 3)
    assert all(country.knows(number, 7) == ("second.7.test:2",) for number in range(20) if number != 7)


@pytest.mark.parametrize("seed", SEEDS)
def test_fault_F39_halves_that_were_apart_find_each_other_although_all_of_one_moved(seed: int) -> None:
    """Those who moved have lost each other, too; each remembers where those of the other half stand still."""
    country = Country(members(16), seed)
    country.run(10)
    left, right = set(range(8)), set(range(8, 16))
    country.split(left, right)
    country.run(30)
    for number in left:
        country.move(number, f"second.{number}.test:2")
    country.run(30)
    assert not any(country.places[number].linked for number in left)
    country.walls.clear()
    country.run(60)

    assert country.is_meshed(list(range(16)))


@pytest.mark.parametrize("seed", range(4))
def test_fault_F39_a_thousand_sybils_take_no_place_and_the_honest_links_stay(seed: int) -> None:
    """Invented keys are no members: nothing of them is kept, whoever tells of them is shut out."""
    country = Country(members(10), seed)
    country.run(10)
    before = country.places[0].discovery.kept()
    sybils = [KeyPair(b"sybil" + number.to_bytes(27, "big")) for number in range(SYBILS)]
    infos = [sign_info(sybil, CHAIN, ("6.6.6.6:6",), START_MS) for sybil in sybils]
    other = b"o" * 32
    for i in range(0, SYBILS, 32):
        country.say(10_000 + i, 0, to_bytes(Infos(other, tuple(infos[i : i + 32]))))
        country.say(10_000 + i, 0, to_bytes(Infos(country.members.digest, tuple(infos[i : i + 32]))))

    country.run(5)
    discovery = country.places[0].discovery
    assert discovery.counters["discovery_unknown"] == SYBILS
    assert {hearer for hearer, _ in country.refused} == {0}
    assert discovery.kept() == before
    assert country.is_meshed(list(range(10)))


def test_fault_F39_a_thousand_admitted_followers_leave_room_for_validators_and_for_each_other() -> None:
    """The operators let them in; from one neighbourhood only a few are remembered, and all together not many."""
    validators = 4
    country = Country(members(validators, SYBILS), 1, started=list(range(validators)))
    country.run(10)
    hearer = country.places[0].discovery
    for number in range(validators, validators + SYBILS):
        network = number % 100 if number >= 500 else 66
        info = sign_info(key(number), CHAIN, (f"10.{network}.0.1:{number}",), START_MS)
        country.say(number, 0, to_bytes(Infos(country.members.digest, (info,))))
    kept = hearer.kept().infos
    near = [info for info in kept if info.addresses[0].startswith("10.66.")]

    assert len(near) == FOLLOWERS_PER_SUBNET
    assert len(kept) <= FOLLOWERS_KNOWN_MAX + validators
    assert {node_id(number) for number in range(validators)} <= {info.node for info in kept}
    assert country.is_meshed(list(range(validators)))


@pytest.mark.parametrize("seed", SEEDS)
def test_fault_F39_poisoned_addresses_are_dropped_and_their_teller_refused(seed: int) -> None:
    """A member that changes another one's address, or tells an old one: nobody believes it."""
    country = Country(members(8), seed)
    country.run(10)
    newer = sign_info(key(5), CHAIN, ("real:1",), START_MS + 20_000)
    forged = evolve(newer, addresses=("evil:1",))
    stale = sign_info(key(5), CHAIN, ("old:1",), START_MS - 1)
    future = sign_info(key(5), CHAIN, ("tomorrow:1",), START_MS + 86_400_000)
    digest = country.members.digest
    for hearer in range(4):
        country.say(7, hearer, to_bytes(Infos(digest, (stale, future))))
        assert country.refused == [(other, 7) for other in range(hearer)]
        country.say(7, hearer, to_bytes(Infos(digest, (forged,))))
        counters = country.places[hearer].discovery.counters
        assert counters["discovery_poisoned"] == counters["discovery_from_the_future"] == 1

    assert all(country.knows(number, 5) == ("first.5.test:1",) for number in range(4))
    country.run(60)
    assert country.is_meshed(list(range(8)))


def test_followers_find_validators_and_a_few_of_each_other() -> None:
    """Validators dial no follower; a follower with one hint reaches them all."""
    country = Country(members(7, 10), 3)
    country.run(60)

    for follower in range(7, 17):
        assert set(range(7)) <= country.places[follower].linked
    dialled = country.places[0].discovery.targets()
    assert set(dialled) == set(range(1, 7))


def test_a_member_that_the_state_takes_in_is_found_and_one_that_left_is_forgotten() -> None:
    """The set comes from state alone."""
    country = Country(members(5), 0, started=[0, 1, 2, 3])
    country.run(10)
    fewer = Members({number: node_id(number) for number in (0, 1, 2)})
    for number in range(4):
        country.places[number].discovery.set_members(fewer)

    discovery = country.places[0].discovery
    assert set(discovery.targets()) == {1, 2}
    assert {info.node for info in discovery.kept().infos} == {node_id(0), node_id(1), node_id(2)}
    assert discovery.book.addresses(node_id(3)) == ()


def test_what_is_told_is_only_about_nodes_that_are_connected() -> None:
    """Nobody hands on what it only heard: an address of a node that is gone leads others nowhere."""
    country = Country(members(4), 0)
    country.run(10)
    zero = country.places[0].discovery
    country.cut(0, 2)
    asked = to_bytes(Known(b"x" * 32, b""))
    country.now += 60_000
    before = zero.counters["discovery_unanswered"]
    (answer,) = zero.hear(1, asked, at(country.now))
    told = told_of(answer)

    assert told == {node_id(0), node_id(3)}
    assert zero.hear(1, asked, at(country.now)) == []
    assert zero.counters["discovery_unanswered"] == before + 1


def told_of(effect: object) -> set[NodeId]:
    """The nodes of an answer."""
    assert isinstance(effect, Tell)
    infos: tuple[PeerInfo, ...] = from_bytes(Infos, effect.data).infos
    return {info.node for info in infos}
