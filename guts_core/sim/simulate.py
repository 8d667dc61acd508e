"""Run a state machine of one's own under agreement, in memory, from one number (``consensus.md`` 7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic

from attrs import evolve, frozen

from guts_core.errors import Refused
from guts_core.simplex.quorum import FaultModel

from .divergence import Doubled, attempt
from .faults import Plan
from .ledger import VoteLedger
from .machine import S, StateMachine
from .place import dice
from .ports import Store
from .report import Report, report_of
from .swarm import draw, liars_of
from .villains.cast import cast_of
from .workload import Commands, Numbered, numbered
from .world import World

# A wish comes every ``work_us`` on average and may meet a dead node; twice over, and all have had their turn.
_WISHES_PER_COMMAND = 4


@frozen
class Told:
    """What became of one command, as whoever wanted it might know: for the checkers of ``histories``."""

    number: int  # its place among the commands of the program
    command: bytes
    asked_us: int  # when it was first brought to a node
    final_us: int  # when the first honest node had it in a final block
    position: tuple[int, int]  # that block's height, and its place there
    refused: str | None  # the machine's words where it had no effect


@frozen
class Simulation(Generic[S]):
    """What a run gave: the one order of the commands on every honest node, and the state after them."""

    report: Report  # ``report.problem`` is None when every promise held
    order: tuple[bytes, ...]
    state: S
    told: tuple[Told, ...] = ()  # in the order of the chain


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
    workload, numbering = _Asked(commands), Numbered(Doubled(machine))
    kinds = liars_of(seed, nodes, fault_model) if villains else {}
    cast = cast_of(seed, nodes, fault_model, kinds, machine=numbering)
    ledger = _Clocked(nodes, fault_model, cast.villains)
    world = World(seed, drawn, cast, nodes, ledger, workload)
    ledger.clock = workload.clock = lambda: world.time
    report = report_of(seed, world, cast, demanding=False)
    state, told = _told(machine, workload, ledger)
    if report.problem is None and len(told) < len(commands):
        report = evolve(report, problem=f"{len(commands) - len(told)} commands were not ordered in the simulated time")
    return Simulation(report, tuple(one.command for one in told), state, told)


class _Clocked(VoteLedger):
    """Notes when each height was final first."""

    clock: Callable[[], int]

    def __init__(self, size: int, fault_model: FaultModel, villains: frozenset[int]) -> None:
        super().__init__(size, fault_model, villains)
        self.times: list[int] = []

    def final(self, node: int, store: Store) -> None:
        """As in the ledger, with the time."""
        super().final(node, store)
        if len(self.times) < len(self.chain):
            self.times.append(self.clock())


class _Asked(Commands):
    """Notes when each command was first brought to a node."""

    clock: Callable[[], int]

    def __init__(self, commands: Sequence[bytes]) -> None:
        super().__init__(commands)
        self.times: dict[bytes, int] = {}

    def early(self) -> bytes | None:
        """As in the workload, with the time."""
        return self._noted(super().early())

    def due(self, is_final: Callable[[bytes], bool]) -> bytes | None:
        """As in the workload, with the time."""
        return self._noted(super().due(is_final))

    def _noted(self, wish: bytes | None) -> bytes | None:
        if wish is not None:
            self.times.setdefault(wish, self.clock())
        return wish


def _told(machine: StateMachine[S], workload: _Asked, ledger: _Clocked) -> tuple[S, tuple[Told, ...]]:
    state, told = machine.initial(), []
    for block, final_us in zip(ledger.chain, ledger.times, strict=True):
        for place, wish in enumerate(block.contents):
            number, command = numbered(wish)
            after = attempt(machine, state, command)
            refused = str(after) if isinstance(after, Refused) else None
            state = state if isinstance(after, Refused) else after
            told.append(Told(number, command, workload.times[wish], final_us, (block.height, place), refused))
    return state, tuple(told)
