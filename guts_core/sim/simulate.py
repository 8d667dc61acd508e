"""Run a state machine of one's own under agreement, in memory, from one number (``consensus.md`` 7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic

from attrs import evolve, frozen

from guts_core.errors import Refused
from guts_core.simplex.quorum import FaultModel, faults_tolerated

from .divergence import Doubled
from .faults import Plan, draw
from .ledger import VoteLedger
from .machine import S, StateMachine
from .place import dice
from .replica_node import HonestCast
from .run import Report, report_of
from .villains.cast import VillainCast
from .workload import Commands, Numbered, command_in
from .world import World

# A wish comes every ``work_us`` on average and may meet a dead node; twice over, and all have had their turn.
_WISHES_PER_COMMAND = 4


@frozen
class Simulation(Generic[S]):
    """What a run gave: the one order of the commands on every honest node, and the state after them."""

    report: Report  # ``report.problem`` is None when every promise held
    order: tuple[bytes, ...]
    state: S


def simulate(
    machine: StateMachine[S],
    commands: Sequence[bytes],
    *,
    seed: int,
    nodes: int = 4,
    fault_model: FaultModel = FaultModel.BYZANTINE,
    villains: bool = True,
    plan: Plan | None = None,
) -> Simulation[S]:
    """
    A network of replicas of ``machine`` under crashes, partitions, loss and lying validators.

    Clients want ``commands`` ordered, each once, in about this order, through any honest node. The same
    arguments give the same run on every machine. Every node executes everything itself, again after each crash,
    and each command on each state at least twice: of a machine that is not deterministic, or that changes a state
    it returned, ``report.problem`` says with which command and at which key.
    """
    drawn = plan or draw(dice(seed, "faults"), nodes)
    drawn = evolve(drawn, heal_us=max(drawn.heal_us, _WISHES_PER_COMMAND * len(commands) * drawn.work_us))
    workload, numbered = Commands(commands), Numbered(Doubled(machine))
    count = faults_tolerated(nodes, fault_model) if villains and fault_model is FaultModel.BYZANTINE else 0
    cast = (
        VillainCast(seed, nodes, count, machine=numbered)
        if count
        else HonestCast(seed, nodes, fault_model, machine=numbered)
    )
    world = World(seed, drawn, cast, nodes, VoteLedger(nodes, fault_model, cast.villains), workload)
    report = report_of(seed, world, cast, demanding=False)
    order = tuple(command_in(wish) for block in world.ledger.chain for wish in block.contents)
    if report.problem is None and len(order) < len(commands):
        report = evolve(report, problem=f"{len(commands) - len(order)} commands were not ordered in the simulated time")
    return Simulation(report, order, _after(machine, order))


def _after(machine: StateMachine[S], order: tuple[bytes, ...]) -> S:
    state = machine.initial()
    for command in order:
        try:
            state = machine.apply(state, command)
        except Refused:
            continue  # it was ordered, and had no effect
    return state
