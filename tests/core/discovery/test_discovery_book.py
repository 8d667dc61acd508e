"""One node's table: which address comes first, what outlives a restart, when it is cut off, what a hint is."""

from __future__ import annotations

import pytest

from guts_core.codec import from_bytes, to_bytes
from guts_core.discovery import (
    At,
    Discovery,
    Infos,
    Kept,
    Members,
    Outlook,
    Recent,
    Refuse,
    Tell,
    hints_of,
    outlook,
    sign_info,
    tellable,
)
from guts_core.discovery.book import subnet
from guts_core.discovery.discovery import FUTURE_MS
from guts_core.discovery.info import MEMBERS_MAX, Known
from guts_core.errors import Invalid
from guts_core.names import NodeId
from tests.core.discovery.discovery_world import CHAIN, INTERVAL_MS, START_MS, VERIFIER, at, key, members, node_id


def a_discovery(number: int = 0, kept: Kept | None = None, entropy: int = 1, hint: str = "hint:1") -> Discovery:
    """One of four validators, with a hint about node 1."""
    hints = {node_id(1): (hint,)}
    return Discovery(
        key(number),
        CHAIN,
        VERIFIER,
        members(4),
        hints,
        entropy=bytes([entropy]) * 32,
        interval_ms=INTERVAL_MS,
        kept=kept,
    )


def infos(*said: tuple[int, str, int]) -> bytes:
    """What a peer tells: node, address, time after the beginning."""
    signed = tuple(sign_info(key(node), CHAIN, (place,), START_MS + time) for node, place, time in said)
    return to_bytes(Infos(members(4).digest, signed))


def test_two_dials_in_vain_put_an_address_behind_the_others() -> None:
    """Signed ones come before hints, until they lead nowhere; one that was reached comes first."""
    discovery = a_discovery()
    discovery.hear(1, infos((1, "signed:1", 0)), at(0))
    assert discovery.targets()[1] == ("signed:1", "hint:1")
    discovery.dialled(1, "signed:1", found=False)
    assert discovery.targets()[1] == ("signed:1", "hint:1")
    discovery.dialled(1, "signed:1", found=False)
    assert discovery.targets()[1] == ("hint:1", "signed:1")
    discovery.dialled(1, "signed:1", found=True)

    assert discovery.targets()[1] == ("signed:1", "hint:1")


def test_the_bit_of_a_node_is_cleared_by_two_dials_in_vain_and_set_by_a_newer_address() -> None:
    """So others are asked where it went."""
    discovery = a_discovery()
    bit = members(4).order.index(node_id(1))

    def is_set() -> bool:
        (tell,) = [effect for effect in discovery.linked(3, at(0)) if isinstance(effect, Tell)]
        return bool(from_bytes(Known, tell.data).bits[0] >> bit & 1)

    before = is_set()
    discovery.hear(3, infos((1, "signed:1", 0)), at(0))
    known = is_set()
    for _ in range(2):
        discovery.dialled(1, "signed:1", found=False)
    failed = is_set()
    discovery.hear(3, infos((1, "moved:1", 1)), at(0))

    assert (before, known, failed, is_set()) == (False, True, False, True)


def test_the_order_of_what_is_equally_good_is_the_nodes_own() -> None:
    """Nobody chooses which of its addresses, or of all nodes, is dialled first everywhere."""
    told = sign_info(key(1), CHAIN, ("a:1", "b:1", "c:1", "d:1"), START_MS)
    orders = set()
    for entropy in range(20):
        discovery = a_discovery(entropy=entropy)
        discovery.hear(1, to_bytes(Infos(members(4).digest, (told,))), at(0))
        orders.add(discovery.targets()[1])

    assert len(orders) > 5


def test_fault_F39_two_lives_share_what_was_learned_and_where_others_were_reached() -> None:
    """The anchors: a restarted node begins where it was, not where somebody who answers first wants it."""
    first = a_discovery()
    first.set_addresses(("own:1",), at(0))
    first.hear(1, infos((1, "signed:1", 0), (2, "two:1", 0)), at(0))
    first.dialled(1, "hint:1", found=True)
    kept = from_bytes(Kept, to_bytes(first.kept()))
    second = a_discovery(kept=kept, entropy=9)
    told = second.set_addresses(("own:2",), at(0))
    second.linked(3, at(0))

    assert second.targets() == {1: ("hint:1", "signed:1"), 2: ("two:1",), 3: ()}
    assert told == []
    assert next(info.time for info in second.kept().infos if info.node == node_id(0)) == START_MS + 1


def test_what_a_disk_changed_is_not_taken_from_the_file() -> None:
    """Handing it on would look like a lie."""
    first = a_discovery()
    first.hear(1, infos((1, "signed:1", 0)), at(0))
    changed = to_bytes(first.kept()).replace(b"signed:1", b"signet:1")

    assert a_discovery(kept=from_bytes(Kept, changed)).targets()[1] == ("hint:1",)


def test_an_address_that_an_earlier_life_told_is_overtaken_once_in_a_while() -> None:
    """Its clock was ahead; and a second process with the same key cannot make us shout."""
    discovery = a_discovery()
    discovery.set_addresses(("now:1",), at(0))
    discovery.linked(1, at(0))
    effects = discovery.hear(1, infos((0, "before:1", 5_000)), at(0))
    again = discovery.hear(1, infos((0, "before:1", 9_000)), at(0))

    (said,) = [from_bytes(Infos, effect.data) for effect in effects if isinstance(effect, Tell)]
    assert [(info.addresses, info.time) for info in said.infos] == [(("now:1",), START_MS + 5_001)]
    assert again == []


def test_an_own_address_that_was_signed_under_a_wrong_clock_is_signed_again() -> None:
    """Nobody believed the first."""
    discovery = a_discovery()
    discovery.set_addresses(("own:1",), At(0, START_MS + 2 * FUTURE_MS))
    discovery.linked(1, at(0))
    effects = discovery.tick(at(0))

    said = [
        from_bytes(Infos, effect.data) for effect in effects if isinstance(effect, Tell) and b"own:1" in effect.data
    ]
    assert [info.time for one in said for info in one.infos] == [START_MS]


def test_who_is_cut_off_begins_with_the_addresses_that_it_did_not_prefer() -> None:
    """At most once in an interval, and asks everybody at once."""
    discovery = a_discovery()
    discovery.hear(1, infos((1, "signed:1", 0)), at(0))
    discovery.linked(3, at(0))
    discovery.tick(at(0))
    effects = discovery.tick(at(10), is_cut_off=True)
    first = discovery.targets()[1]
    discovery.tick(at(20), is_cut_off=True)

    assert first == discovery.targets()[1] == ("hint:1", "signed:1")
    assert [effect.peer for effect in effects if isinstance(effect, Tell)] == [3]
    assert discovery.counters["discovery_started_over"] == 1


@pytest.mark.parametrize("said", [b"", b"\x83", to_bytes(Known(members(4).digest, b"too many bits"))])
def test_what_no_honest_node_says_is_refused(said: bytes) -> None:
    """Bytes that are no message, and a vector of another length."""
    effects = a_discovery().hear(2, said, at(0))

    assert [type(effect) for effect in effects] == [Refuse]


@pytest.mark.parametrize(
    ("validators", "quorum", "votes", "linked", "age_ms", "expected"),
    [
        (1, 1, True, 0, 10**9, Outlook.CLEAR),
        (1, 1, False, 0, 0, Outlook.FEW),
        (1, 1, False, 1, 10**9, Outlook.CLEAR),
        (4, 3, True, 1, 0, Outlook.FEW),
        (4, 3, True, 2, 0, Outlook.CLEAR),
        (4, 3, False, 1, 0, Outlook.FEW),
        (4, 3, False, 2, 3_000, Outlook.CLEAR),
        (4, 3, False, 2, 3_001, Outlook.STALE),
        (2, 2, True, 1, 0, Outlook.CLEAR),
        (100, 67, False, 33, 0, Outlook.FEW),
        (100, 67, False, 34, 0, Outlook.CLEAR),
    ],
)
def test_fault_F39_who_sees_too_little_knows_it(
    validators: int, quorum: int, votes: bool, linked: int, age_ms: int, expected: Outlook
) -> None:
    """One link more than may lie; three heartbeats."""
    found = outlook(
        validators=validators, quorum=quorum, votes=votes, linked=linked, final_age_ms=age_ms, heartbeat_ms=1_000
    )

    assert found is expected


def test_keys_of_four_past_epochs_are_remembered_with_their_numbers() -> None:
    """So that who was away for so long is let in."""
    recent = Recent()
    for epoch in range(6):
        recent.take(epoch, {0: node_id(0), 1: node_id(10 + epoch)})

    assert recent.former(Members({0: node_id(0), 1: node_id(15)})) == {node_id(10 + epoch): 1 for epoch in range(1, 5)}


def test_more_members_than_a_vector_has_bits_leave_the_validators_in() -> None:
    many = {number: NodeId(number.to_bytes(32, "big")) for number in range(MEMBERS_MAX + 10)}
    found = Members({MEMBERS_MAX + 9: many.pop(MEMBERS_MAX + 9)}, many)

    assert len(found.order) == MEMBERS_MAX
    assert found.is_validator(NodeId((MEMBERS_MAX + 9).to_bytes(32, "big")))


def test_neighbourhoods_of_addresses() -> None:
    """What one owner has many of."""
    assert subnet("10.1.2.3:1") == subnet("10.1.9.9:2") != subnet("10.2.2.3:1")
    assert subnet("[2001:db8:1::1]:1") == subnet("[2001:db8:2::1]:1") != subnet("[2001:db9::1]:1")
    assert subnet("a.Example.org:1") == subnet("b.example.ORG:2") != subnet("example.com:1")


def test_what_operators_write_of_addresses_and_what_a_node_tells_of_its_own() -> None:
    """Their own hints first, nothing twice; nothing that leads others nowhere."""
    node = "ab" * 32
    assert hints_of({node: "x:1"}, (f"{node}@y:1", f"{node}@x:1")) == {bytes.fromhex(node): ("y:1", "x:1")}
    for wrong in ("y:1", "@y:1", f"{node}@", f"{node[:-1]}@y:1", f"{'zz' * 32}@y:1"):
        with pytest.raises(Invalid, match="KEY@HOST:PORT"):
            hints_of({}, (wrong,))
    assert tellable(("a:1",), "127.0.0.1:7", None) == ("a:1",)
    assert tellable((), "127.0.0.1:7", "127.0.0.1:8") == ("127.0.0.1:7",)
    assert tellable((), "127.0.0.1:7", "git.example.org:8") == tellable((), "0.0.0.0:7", None) == ()
    assert tellable((), "memory-7", None) == ("memory-7",)
