"""Histories as they are written, single histories by hand, and what a violation looks like."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from attrs import evolve

from guts_core.errors import Malformed
from guts_core.sim.histories import (
    Forge,
    History,
    Operation,
    Outcome,
    Refs,
    Undecided,
    Violation,
    html_timeline,
    linearizable,
    monotonic_reads,
    read_your_writes,
    text_timeline,
    total_order,
)
from tests.core.sim.histories.generated import GOOD, good

MAIN = ("repo", "main")


def update(number: int, old: str | None, new: str | None, when: tuple[int, int | None], **told: Any) -> Operation:
    """An update of main, done unless told otherwise."""
    outcome = Outcome.UNKNOWN if when[1] is None else Outcome.OK
    fields = {"answer": "ok" if when[1] is not None else None, **told}
    return Operation(number, f"p{number}", "update", (*MAIN, old, new), when[0], when[1], outcome, **fields)


def read(number: int, answer: str | None, when: tuple[int, int], **told: Any) -> Operation:
    return Operation(number, f"p{number}", "read", MAIN, when[0], when[1], Outcome.OK, answer, **told)


# ---- as it is written ----


def test_a_history_is_read_as_it_was_written() -> None:
    history = History()
    first = history.invoke("ada", "update", "repo", "main", None, "a", time=1)
    second = history.invoke("bob", "push", "repo", (("main", "a", "b"), ("next", None, "b")), time=2)
    third = history.invoke("eve", "read", "repo", "main", time=3, node="n1", min_height=4)
    history.invoke("kai", "update", "repo", "main", "b", "c", time=3)
    history.complete(first, "ok", time=5, position=(1, 0))
    history.fail(second, time=6)
    history.complete(third, "a", time=7, height=4)

    assert History.read(history.lines()).operations == history.operations
    assert [one.outcome.value for one in history.operations] == ["ok", "failed", "ok", "unknown"]


def test_lines_since_are_those_that_were_not_written_yet() -> None:
    """Who appends to a file as it goes loses nothing when a process dies."""
    history = History()
    history.invoke("ada", "read", *MAIN, time=1)
    before = list(history.lines())
    history.complete(0, None, time=2)

    assert list(history.lines()) == before + list(history.lines(since=1))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{}", "event"),
        ("no json", "line 1"),
        ("[1]", "line 1"),
        ('{"event": "complete", "number": 0, "outcome": "ok", "time": 3}', "not invoked"),
        ('{"event": "erase", "number": 0}', "no event"),
        ('{"event": "invoke", "number": 1, "process": "a", "action": "read", "arguments": [], "time": 3}', "stands"),
        ('{"event": "invoke", "number": 0, "process": "a", "action": "x", "arguments": [], "time": 3, "o": 1}', "'o'"),
    ],
)
def test_a_line_that_is_none_is_named(line: str, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        History.read([line])


def test_an_operation_ends_once_and_after_it_began() -> None:
    history = History()
    history.invoke("ada", "read", *MAIN, time=5)
    with pytest.raises(Malformed, match="before it is invoked"):
        history.complete(0, None, time=4)
    history.complete(0, None, time=5)

    with pytest.raises(Malformed, match="is complete"):
        history.complete(0, None, time=6)


# ---- models ----


def test_refs_move_from_what_is_there_and_all_or_none() -> None:
    told = _answers(
        Refs(),
        ("update", "repo", "main", None, "a"),
        ("update", "repo", "main", None, "b"),
        ("push", "repo", (("main", "a", "b"), ("next", "x", "b"))),
        ("push", "repo", (("main", "a", "b"), ("next", None, "c"))),
        ("list", "repo"),
        ("update", "repo", "main", "b", None),
        ("read", "repo", "main"),
    )

    assert told == ["ok", "stale", "stale", "ok", (("main", "b"), ("next", "c")), "ok", None]


def test_a_revoked_key_counts_no_more_and_never_again() -> None:
    told = _answers(
        Forge(),
        ("create_account", "ada", "k1"),
        ("create_account", "ada", "k9"),
        ("add_key", "ada", "k1", "k2"),
        ("create_repository", "ada", "k2", "site"),
        ("update", "ada", "k2", "site", "main", None, "a"),
        ("revoke_key", "ada", "k1", "k2"),
        ("update", "ada", "k2", "site", "main", "a", "b"),
        ("add_key", "ada", "k1", "k2"),
        ("revoke_key", "ada", "k1", "k2"),
        ("read", "ada", "site", "main"),
        ("update", "ada", "k1", "site", "main", "b", "c"),
        ("update", "ada", "k1", "home", "main", None, "c"),
        ("create_repository", "ada", "k1", "site"),
        ("delete_repository", "ada", "k1", "site"),
        ("delete_repository", "ada", "k1", "site"),
        ("repositories", "ada"),
        ("keys", "ada"),
    )

    assert told == ["ok", "taken", "ok", "ok", "ok", "ok", "denied", "taken", "missing", "a", "stale", "missing",
                    "taken", "ok", "missing", (), ("k1",)]  # fmt: skip


def _answers(model: Any, *calls: tuple[Any, ...]) -> list[Any]:
    state, told = model.initial, []
    for action, *arguments in calls:
        state, answer = model.step(state, action, tuple(arguments))
        told.append(answer)
    return told


# ---- the search ----


def test_an_open_end_may_have_happened_late_early_or_never() -> None:
    """Nobody heard the end of the second: its value may be seen at any time from its question on, and then is."""
    first, lost = update(0, None, "a", (0, 5)), update(1, "a", "b", (10, None))
    never = [first, lost, read(2, "a", (100, 110))]
    late = [*never, read(3, "b", (120, 130))]

    linearizable(Refs(), never)
    linearizable(Refs(), late)
    with pytest.raises(Violation, match="p4 was told read"):
        linearizable(Refs(), [*late, read(4, "a", (140, 150))])


def test_nothing_happens_before_it_is_asked() -> None:
    with pytest.raises(Violation):
        linearizable(Refs(), [read(0, "a", (0, 5)), update(1, None, "a", (6, None))])


def test_what_touches_in_time_is_concurrent() -> None:
    linearizable(Refs(), [read(0, "a", (0, 5)), update(1, None, "a", (5, 9))])


def test_what_was_told_to_have_failed_did_not_happen() -> None:
    failed = evolve(update(0, None, "a", (0, 5)), outcome=Outcome.FAILED, answer=None)

    with pytest.raises(Violation):
        linearizable(Refs(), [failed, read(1, "a", (2, 9))])


def test_a_push_of_several_refs_joins_what_else_would_be_apart() -> None:
    """Each ref alone is fine; together they show half a push."""
    push = Operation(0, "p0", "push", ("repo", (("main", None, "a"), ("next", None, "a"))), 0, 50, Outcome.OK, "ok")
    other = Operation(2, "p2", "read", ("repo", "next"), 20, 25, Outcome.OK, None)

    with pytest.raises(Violation):
        linearizable(Refs(), [push, read(1, "a", (10, 15)), other])


def test_a_search_that_takes_too_long_says_so() -> None:
    """Neither cleared nor convicted."""
    many = [update(n, "x", f"v{n}", (0, 100)) for n in range(12)]

    with pytest.raises(Undecided, match="13 operations"):
        linearizable(Refs(), [update(99, None, "x", (0, 100)), *many], steps_max=10)


def test_a_long_history_is_searched_in_no_time() -> None:
    """Steps grow with the history and its open ends, not with the number of its orders."""
    told = good(5, *GOOD["refs"], size=3000)
    open_ends = sum(one.outcome is Outcome.UNKNOWN for one in told.operations)

    linearizable(told.model, told.operations, steps_max=3000 * open_ends)


# ---- the order of the chain ----


def test_the_order_of_the_chain_has_to_agree_with_the_clock() -> None:
    late = update(0, None, "a", (0, 5), position=(2, 0))
    early = Operation(1, "p1", "update", ("repo", "next", None, "b"), 6, 9, Outcome.OK, "ok", (1, 0))

    with pytest.raises(Violation, match=r"at \(2, 0\) before p1 asked"):
        total_order(Refs(), [late, early])


def test_a_read_may_lag_unless_it_may_not() -> None:
    both = [update(0, None, "a", (0, 5), position=(1, 0)), read(1, None, (6, 7), height=0)]

    total_order(Refs(), both)
    with pytest.raises(Violation, match="stands at height 0"):
        total_order(Refs(), both, strict_reads=True)


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ([], "which the log does not have"),
        ([((1, 0), 0), ((2, 0), 0)], "executed twice"),
        ([((3, 0), 0)], "the log has it at"),
        ([((1, 0), 0), ((1, 1), 7)], "nobody asked"),
    ],
)
def test_the_log_has_what_was_acknowledged_once_and_where_it_was_said(
    log: list[tuple[tuple[int, int], int]], words: str
) -> None:
    with pytest.raises(Violation, match=words):
        total_order(Refs(), [update(0, None, "a", (0, 5), position=(1, 0))], log)


def test_the_log_has_nothing_of_what_was_told_not_to_happen() -> None:
    failed = evolve(update(0, None, "a", (0, 5)), outcome=Outcome.FAILED, answer=None)

    with pytest.raises(Violation, match="and the log has it"):
        total_order(Refs(), [failed], [((1, 0), 0)])


def test_places_are_told_to_one() -> None:
    first, second = update(0, None, "a", (0, 5), position=(1, 0)), update(1, "a", "b", (0, 5), position=(1, 0))

    with pytest.raises(Violation, match="one place"):
        total_order(Refs(), [first, second])
    with pytest.raises(Violation, match="no position"):
        total_order(Refs(), [evolve(first, position=None)])


def test_an_open_end_takes_a_place_that_explains_the_rest() -> None:
    """Without the log it may stand anywhere after its question, but not before."""
    first, last = update(0, None, "a", (0, 5), position=(1, 0)), update(2, "b", "c", (50, 60), position=(2, 0))

    total_order(Refs(), [first, update(1, "a", "b", (10, None)), last])
    with pytest.raises(Violation):
        total_order(Refs(), [first, update(1, "a", "b", (70, None)), evolve(last, position=(3, 0))])
    with pytest.raises(Violation):
        total_order(Refs(), [first, last])


def test_twenty_thousand_operations_are_checked_in_a_moment() -> None:
    told = good(1, *GOOD["refs"], size=20_000, lagging=True)

    total_order(told.model, told.operations, told.log)


# ---- sessions ----


def test_a_node_does_not_go_back() -> None:
    newer, older = read(0, "a", (0, 5), node="n1", height=7), read(1, "a", (6, 9), node="n1", height=6)

    monotonic_reads([newer, evolve(older, node="n2")])
    monotonic_reads([newer, evolve(older, invoked=5)])
    with pytest.raises(Violation, match="node n1 answered"):
        monotonic_reads([newer, older])


def test_a_read_is_as_new_as_it_asked_for() -> None:
    read_your_writes([read(0, "a", (0, 5), height=7, min_height=7)])
    with pytest.raises(Violation, match="asked for height 8"):
        read_your_writes([read(0, "a", (0, 5), height=7, min_height=8)])


def test_sessions_that_are_spoiled_are_found() -> None:
    """The later of two reads of one node that do not overlap is told a height below the first one's."""
    for seed in range(1000):
        told = good(seed, *GOOD["refs"], size=60, lagging=True)
        reads = [one for one in told.operations if one.node and one.height]
        later = Random(seed).choice([b for a in reads for b in reads if a.node == b.node and a.ends_before(b)])  # noqa: S311  # reproducible on purpose
        spoiled = told.changed(later.number, height=0, min_height=1)

        with pytest.raises(Violation, match="node"):
            monotonic_reads(spoiled.operations)
        with pytest.raises(Violation, match="asked for height 1"):
            read_your_writes(spoiled.operations)


# ---- for people ----


def test_a_violation_shows_what_fits_and_what_does_not() -> None:
    with pytest.raises(Violation) as caught:
        linearizable(Refs(), [update(0, None, "a", (0, 40)), update(1, "a", "<b>", (50, None)), read(2, "z", (60, 80))])

    assert text_timeline(caught.value).splitlines()[1:] == [
        "p0 [=======================]                             1 update(repo, main, None, a) -> 'ok'",
        "p1                               [=================>     2 update(repo, main, a, <b>) -> ?",
        "p2                                     [===========]     - read(repo, main) -> 'z'",
    ]
    page = html_timeline(caught.value)
    assert "1. update(repo, main, None, a)" in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert page.count('class="op left"') == 1
