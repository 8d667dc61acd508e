"""What was certainly not seen is told from memory, and nothing that was seen is ever told so."""

from __future__ import annotations

import sqlite3
from hashlib import blake2b

from guts_core.chain import schema
from guts_core.forge.params import EXPIRY_MS_MAX
from guts_core.names import TxId
from guts_net.seen import SeenFilter, seen_in

NOW = 1_800_000_000_000


def an_id(number: int) -> TxId:
    return TxId(blake2b(number.to_bytes(8, "big"), digest_size=32).digest())


SOME = [an_id(number) for number in range(500)]
OTHERS = [an_id(number) for number in range(1_000, 1_500)]


def a_table(ids: list[TxId]) -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    database.executescript(schema.TABLES)
    database.executemany("INSERT INTO replay (tx_id, expires) VALUES (?, ?)", [(tx_id, NOW) for tx_id in ids])
    return database


def test_what_was_seen_is_never_called_new_and_nearly_everything_else_is() -> None:
    """A transaction taken for new that is not would be executed twice."""
    seen = SeenFilter()
    seen.add(SOME)

    assert all(map(seen.may_hold, SOME))
    assert not any(map(seen.may_hold, OTHERS))


def test_what_may_be_repeated_is_remembered_and_the_rest_forgotten() -> None:
    """As long as a transaction can live, whatever block times come between; not for ever, or all looks seen."""
    seen = SeenFilter()
    seen.advance(NOW)
    seen.advance(NOW + EXPIRY_MS_MAX)
    seen.add(SOME)
    seen.advance(NOW + EXPIRY_MS_MAX + 1)
    seen.add(OTHERS)
    seen.advance(NOW + 2 * EXPIRY_MS_MAX)

    assert all(map(seen.may_hold, SOME))

    seen.advance(NOW + 2 * EXPIRY_MS_MAX + 2)
    assert not any(map(seen.may_hold, SOME))
    assert all(map(seen.may_hold, OTHERS))


def test_a_database_that_is_opened_brings_what_its_table_holds() -> None:
    """A restart forgets no transaction."""
    seen = seen_in(a_table(SOME))

    assert all(map(seen.may_hold, SOME))
    assert not any(map(seen.may_hold, OTHERS))


def test_where_too_much_stands_in_the_table_everything_is_asked_of_it() -> None:
    """Starting takes no longer for it."""
    seen = seen_in(a_table(SOME), most=len(SOME) - 1)

    assert all(map(seen.may_hold, OTHERS))
