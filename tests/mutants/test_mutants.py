"""Every planted mistake is noticed by seeds of the test run; one that survives is a hole in them."""

from __future__ import annotations

import pytest

from tests.figures.told import Figure

from .__main__ import PAGE, names_on, promises_on
from .campaigns import floods, joining, old_databases, replays, timing
from .table import MUTANTS, SEEDS, Mutant, hunted

MUTANTS_LEAST = 14


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.plant.__name__)
def test_a_planted_mistake_is_noticed(mutant: Mutant, figure: Figure) -> None:
    """In each campaign that stands beside it in the table, within that campaign's seeds."""
    caught = hunted(mutant)
    figure({"mutants": {"planted": 1, "killed": int(all(caught)), "seeds needed": sum(c.needed for c in caught if c)}})

    survived = [hunt.campaign.__name__ for hunt, one in zip(mutant.hunts, caught, strict=True) if one is None]
    assert survived == []


@pytest.mark.parametrize(
    "campaign",
    [old_databases, replays, joining, floods, timing],
    ids=lambda campaign: campaign.__name__,
)
def test_without_a_mistake_the_same_seeds_hold(campaign: object) -> None:
    """The others are the standing seeds, which have tests of their own."""
    assert callable(campaign)
    seeds = next(seeds for known, seeds in SEEDS.items() if known is campaign)

    assert [problem for seed in range(seeds) if (problem := campaign(seed))] == []


def test_the_page_has_every_mistake_and_what_may_notice_it() -> None:
    """First seeds change with the simulator: the page says those of the day on which it was written."""
    page = PAGE.read_text()

    assert len(MUTANTS) >= MUTANTS_LEAST
    assert names_on(page) == [mutant.name for mutant in MUTANTS]
    assert promises_on(page) == [mutant.promises for mutant in MUTANTS]
