"""The seeds that hunt mistakes: those of the test run, and small worlds for what those do not reach."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve

from guts_core.chain.inadmissible import Replayed, TransactionExpired
from guts_core.chain.transaction import TEXT_BYTES_MAX, Text
from guts_core.errors import Refused
from guts_core.sim.fates import dice
from guts_core.sim.faults import SECOND, Restore
from guts_core.sim.replica_node import DELTA_US
from guts_core.sim.report import report_of
from guts_core.sim.run import run_seed, simulate_forge
from guts_core.sim.scripted_twins import case_of, play
from guts_core.sim.swarm import scenario_of
from tests.core.chain.chain_world import Network, creation, salt
from tests.core.sync.simulated_sync import Joining
from tests.core.sync.sync_world import EPOCHS, Honest, a_chain
from tests.core.sync.test_state_sync_machine import OtherState
from tests.stories.timed_world import ABSENT_AFTER_US, AWAY, NEVER_THERE, SLOW_LINKS, TRIP_US, Timed

# What becomes of a seed: the promise that broke, or None.
Campaign = Callable[[int], str | None]
_TOO_OLD = "the database is older than the log's floor"
# Either account alone fills a block with so many.
_FLOOD = 8
EPOCH_MS = 2_000
_STEP_MS = 1000  # between two blocks of a chain by fiat


def agreement(seed: int) -> str | None:
    """The thousand seeds of four nodes."""
    return run_seed(seed).problem


def whole_nodes(seed: int) -> str | None:
    """Pushes, packs and texts."""
    return simulate_forge(seed).problem


def short_epochs(seed: int) -> str | None:
    """Whole nodes whose epochs last two seconds."""
    return simulate_forge(seed, epoch_ms=EPOCH_MS).problem


def twins(number: int) -> str | None:
    """The ten thousand scripts."""
    return play(case_of(number)).problem


def old_databases(seed: int) -> str | None:
    """One node alone is given a database of some time ago: it must stop with words, for nobody has the rest."""
    roll = dice(seed, "old databases")
    scenario = scenario_of(seed, nodes=1)
    at = roll.randrange(3 * SECOND, 5 * SECOND)
    old = Restore(0, at, roll.randrange(SECOND // 2, 2 * SECOND), "database")
    problem = evolve(scenario, plan=evolve(scenario.plan, restores=(old,), crashes=())).play().problem
    return None if problem is not None and _TOO_OLD in problem else problem


def replays(seed: int) -> str | None:
    """A transaction that stands in the chain is brought again within milliseconds of its end."""
    network = Network(size=1)
    end = network.now + 2 * _STEP_MS + dice(seed, "replays").randrange(-2, 4)
    signed = network.by_key(network.operator(0), creation("repo"), expires=end)
    network.submit(signed)
    network.step()
    network.step()
    expected = Replayed if end > network.now else TransactionExpired
    try:
        network.submit(signed)
    except Refused as refusal:
        return None if type(refusal) is expected else f"I9: {refusal}"
    return f"I9: a transaction is taken in again {end - network.now} ms before it expires"


def joining(seed: int) -> str | None:
    """Two who offer a whole state that nobody agreed on, and one who is honest."""
    servers = {0: OtherState(a_chain(), EPOCHS), 1: OtherState(a_chain(), EPOCHS), 2: Honest(a_chain(), EPOCHS)}
    joins = Joining(a_chain(), servers, seed)
    joins.run()
    return None if joins.installed == list(a_chain().state) else "J13: a node joined with a state nobody agreed on"


def floods(seed: int) -> str | None:
    """Two accounts have blocks' worth waiting, and a third sends one transaction."""
    network, roll = Network(size=1), dice(seed, "floods")
    for flooder in map(network.operator, (0, 1)):
        for number in range(_FLOOD):
            text = Text(salt(f"{flooder.name} {number}"), "x" * roll.randrange(TEXT_BYTES_MAX // 2, TEXT_BYTES_MAX))
            network.submit(network.by_key(flooder, creation(f"flood-{number}", text)), text)
    text = Text(salt("late"), "x" * TEXT_BYTES_MAX)
    late = network.by_key(network.operator(2), creation("late", text))
    network.submit(late, text)
    network.step()
    return None if network.status(late).height == 1 else "K05: who sends one transaction waits until a flood is over"


def timing(seed: int) -> str | None:
    """Links that are slower than was told, and a node that is away from the first moment on."""
    slow, away = Timed(SLOW_LINKS, seed), Timed(NEVER_THERE, seed)
    problems = [report_of(seed, world, world.cast, demanding=False).problem for world in (slow, away)]
    if any(problems):
        return next(problem for problem in problems if problem)
    if max(delta for _, delta in slow.deltas[0]) == DELTA_US:
        return "L1: links are slower than patience, and nobody becomes more patient"
    late = max(away.waits(AWAY, ABSENT_AFTER_US + 3 * DELTA_US, away.plan.chaos_us))
    return None if late <= 2 * TRIP_US else f"L1: the turn of a node that is known to be away takes {late} us"


CAMPAIGNS: dict[Campaign, str] = {
    agreement: "agreement",
    whole_nodes: "whole nodes",
    short_epochs: "short epochs",
    twins: "twins",
    old_databases: "old databases",
    replays: "replays",
    joining: "joining",
    floods: "floods",
    timing: "timing",
}
