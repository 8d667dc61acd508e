"""
Swarm: each seed first draws which misfortunes there are at all, and then how bad they are (``consensus.md`` 7.3).

A network in which everything goes wrong at once never gets anywhere, and one in which always the same goes wrong
teaches nothing new. Within the bound, what takes nodes away for good and what lies are together no more than
agreement bears; a run beyond it (``is_beyond``) must stay safe, convict the liars, or stop with words.

All misfortune is drawn here, for agreement alone and for whole nodes: free (``swarm``), or as the standing campaigns
want it (``scenario_of``), in which every seed has a crash, and where there are links a partition and loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from attrs import evolve

from guts_core.simplex.quorum import FaultModel, faults_tolerated

from . import forge_cast
from .fates import dice
from .faults import (
    CHAOS_US,
    HEAL_US,
    SECOND,
    Clock,
    Clog,
    Crash,
    Cut,
    FullDisk,
    Loss,
    Partition,
    Pause,
    Plan,
    Restore,
    Rot,
    Script,
    SlowDisk,
    Trick,
)
from .links import LAST_VOTE, ONE_CERTIFICATE, SORTS
from .machine import StateMachine
from .scenario import Scenario
from .villains.cast import KINDS
from .villains.villain import Villain

# How often a network of each size is drawn: small ones are where plans collide, large ones where counting goes wrong.
SIZES = {1: 2, 3: 4, 4: 30, 5: 6, 7: 8, 10: 3, 31: 1}
FAULTS = (
    "crashes",
    "jumps",
    "partitions",
    "one way",
    "flapping",
    "ring",
    "bridge",
    "waves",
    "loss",
    "duplicates",
    "late",
    "tail",
    "bandwidth",
    "clogs",
    "scripts",
    "last vote",
    "one certificate",
    "pauses",
    "slow disks",
    "full disks",
    "old database",
)
# What each seed of the standing campaigns has, whatever else it draws.
ALWAYS = frozenset({"crashes", "partitions", "loss"})
_HOUR_MS = 3_600_000
# Larger networks say n squared times as much: their runs are shorter.
_LARGE, _LARGE_CHAOS_US, _LARGE_HEAL_US = 10, 2 * SECOND, 3 * SECOND
# Whole nodes do twenty times as much in a block: shorter runs, no quicker links than this, no slower disks, no worse
# loss, fewer wishes. After the chaos everything short-lived must have expired by the end.
_WHOLE_CHAOS_US, _WHOLE_HEAL_US = 5 * SECOND, 9 * SECOND // 2
_WHOLE_DELAY_US, _WHOLE_SYNC_US, _WHOLE_LOSS_PER_MILLE = 8_000, 8_000, 150
_WHOLE_WORK_US, _WHOLE_BYTES_TIMES = 40_000, 10
# One run in so many goes beyond what agreement bears.
_BEYOND = 12
# Damage to a database is drawn for a time at which there is one.
_SETTLED_US = SECOND


def swarm(
    seed: int, nodes: int | None = None, fault_model: FaultModel = FaultModel.BYZANTINE, *, whole: bool = False
) -> Scenario:
    """A network of a drawn size (or of this one) under what this seed draws."""
    roll = dice(seed, "swarm")
    drawn = roll.choices(list(SIZES), list(SIZES.values()))[0]
    return _Drawing(roll, nodes or drawn, whole=whole).free(seed, fault_model)


def scenario_of(
    seed: int,
    nodes: int = 4,
    fault_model: FaultModel = FaultModel.BYZANTINE,
    *,
    whole: bool = False,
    villains: bool = True,
    machine: StateMachine[Any] | None = None,
    commands: Sequence[bytes] = (),
) -> Scenario:
    """A seed of the standing campaigns: as many lie as agreement bears, and the first one's kind goes round."""
    plan = draw(dice(seed, "faults"), nodes, whole=whole)
    liars = {index: kind.name for index, kind in liars_of(seed, nodes, fault_model, whole=whole).items()}
    return Scenario(seed, nodes, plan, fault_model, whole, liars if villains else {}, machine, tuple(commands))


def draw(roll: Random, size: int, *, whole: bool = False) -> Plan:
    """What goes wrong in a seed of the standing campaigns, of which nothing is for good."""
    return _Drawing(roll, size, ALWAYS, whole=whole).plan()


def liars_of(seed: int, size: int, fault_model: FaultModel, *, whole: bool = False) -> Mapping[int, type[Villain]]:
    """Who lies in a seed of the standing campaigns."""
    if fault_model is not FaultModel.BYZANTINE:
        return {}
    kinds, roll = forge_cast.KINDS if whole else KINDS, dice(seed, "villains")
    chosen = roll.sample(range(size), faults_tolerated(size, fault_model))
    drawn = {index: roll.choice(kinds) for index in chosen}
    if chosen:
        drawn[chosen[0]] = kinds[seed % len(kinds)]
    return dict(sorted(drawn.items()))


def words(scenario: Scenario) -> str:
    """What is on in a scenario, on one line."""
    plan = scenario.plan
    names = [f"{name.replace('_', ' ')} {len(getattr(plan, name))}" for name in _TUPLES if getattr(plan, name)]
    names += [f"loss {plan.loss_per_mille}‰"] if plan.loss_per_mille else []
    names += [f"duplicates {plan.duplicates_per_mille}‰"] if plan.duplicates_per_mille else []
    names += [f"late {plan.late_per_mille}‰"] if plan.late_per_mille else []
    names += ["lognormal tail"] if plan.has_tail else []
    names += [f"{plan.bytes_per_second // 1000} kB/s"] if plan.bytes_per_second else []
    liars = [f"node {index} {name}" for index, name in sorted(scenario.villains.items())]
    low, high = plan.delay_us
    beyond = ", beyond the bound" if plan.is_beyond else ""
    return f"n={scenario.nodes}{beyond}; {low}-{high} us; {', '.join([*names, *liars]) or 'nothing wrong'}"


_TUPLES = (
    *("crashes", "partitions", "cuts", "clogs", "scripts", "tricks", "pauses"),
    *("losses", "slow_disks", "full_disks", "rots", "restores"),
)


def _milder(plan: Plan) -> Plan:
    """The rates of whole nodes."""
    low, high = plan.delay_us
    return evolve(
        plan,
        delay_us=(max(low, _WHOLE_DELAY_US), max(high, 2 * _WHOLE_DELAY_US)),
        loss_per_mille=min(plan.loss_per_mille, _WHOLE_LOSS_PER_MILLE),
        sync_us=(plan.sync_us[0], min(plan.sync_us[1], _WHOLE_SYNC_US)),
        work_us=max(plan.work_us, _WHOLE_WORK_US),
        bytes_per_second=_WHOLE_BYTES_TIMES * plan.bytes_per_second,
    )


class _Drawing:
    """One seed's draw."""

    def __init__(self, roll: Random, size: int, always: frozenset[str] = frozenset(), *, whole: bool = False) -> None:
        self._roll, self._size, self._whole = roll, size, whole
        is_large = size >= _LARGE
        self._chaos = _LARGE_CHAOS_US if is_large else _WHOLE_CHAOS_US if whole else CHAOS_US
        self._heal = _LARGE_HEAL_US if is_large else _WHOLE_HEAL_US if whole else HEAL_US
        self._on = {name for name in FAULTS if roll.random() < 0.5} | always

    def plan(self) -> Plan:
        """All that goes wrong and is put right again."""
        return self._processes(self._disks(self._network(self._rates())))

    def free(self, seed: int, fault_model: FaultModel) -> Scenario:
        """With liars and nodes that are lost for good, and now and then more of them than agreement bears."""
        roll, size = self._roll, self._size
        is_beyond = fault_model is FaultModel.BYZANTINE and size > 2 and roll.randrange(_BEYOND) == 0
        plan, bad = self.plan(), faults_tolerated(size, fault_model)
        kinds = forge_cast.KINDS if self._whole else KINDS
        liars = {}
        for index in roll.sample(range(size), min(size - 1, 2 * bad + 1) if is_beyond else bad):
            if fault_model is FaultModel.BYZANTINE and (is_beyond or roll.random() < 0.75):
                liars[index] = roll.choice(kinds).name
            elif size > 1:
                plan = self._ends(plan, index)
        return Scenario(seed, size, evolve(plan, is_beyond=is_beyond), fault_model, self._whole, liars)

    def _rates(self) -> Plan:
        roll, on = self._roll, self._on
        low = roll.choice((200, 2_000, 10_000, 25_000))
        plan = Plan(
            crashes=(),
            partitions=(),
            clocks=tuple(
                Clock(roll.randrange(10**9), roll.randint(-3000, 3000), roll.randint(-500, 500))
                for _ in range(self._size)
            ),
            delay_us=(low, low * roll.randint(1, 4)),
            loss_per_mille=roll.choice((5, 20, 100, 250, 500)) if "loss" in on else 0,
            duplicates_per_mille=roll.choice((10, 100)) if "duplicates" in on else 0,
            late_per_mille=roll.choice((10, 50)) if "late" in on else 0,
            sync_us=(100, roll.choice((500, 3_000, 20_000))),
            work_us=roll.choice((20_000, 60_000, 150_000)),
            commit_us=(500, roll.choice((2_000, 20_000, 200_000))),
            chaos_us=self._chaos,
            heal_us=self._heal,
            has_tail="tail" in on,
            bytes_per_second=roll.choice((20_000, 200_000)) * self._size if "bandwidth" in on else 0,
        )
        return _milder(plan) if self._whole else plan

    # ---- links ----

    def _network(self, plan: Plan) -> Plan:
        if self._size == 1:
            return plan
        roll, on, size = self._roll, self._on, self._size
        partitions = [self._partition() for name in ("partitions", "one way") if name in on]
        if "one way" in on:
            partitions[-1] = evolve(partitions[-1], one_way=True)
        cuts = [self._cut(name) for name in ("flapping", "ring", "bridge") if name in on]
        if "waves" in on:
            cuts += self._waves()
        clogs = [self._clog() for _ in range(3)] if "clogs" in on else []
        scripts = [self._script() for _ in range(6)] if "scripts" in on else []
        half = frozenset(roll.sample(range(size), (size + 1) // 2))
        names = [name for name in (LAST_VOTE, ONE_CERTIFICATE) if name in on]
        tricks = [Trick(name, roll.randint(2, 6), half, roll.choice((100_000, 400_000))) for name in names]
        return evolve(
            plan,
            partitions=tuple(partitions),
            cuts=tuple(cuts),
            clogs=tuple(clogs),
            scripts=tuple(scripts),
            tricks=tuple(tricks),
        )

    def _span(self) -> tuple[int, int]:
        since = self._roll.randrange(self._chaos * 3 // 4)
        return since, min(self._chaos, since + self._roll.randint(SECOND // 4, 2 * SECOND))

    def _partition(self) -> Partition:
        since, until = self._span()
        left = frozenset(self._roll.sample(range(self._size), self._roll.randint(1, self._size - 1)))
        return Partition(since, until, left, one_way=False)

    def _cut(self, name: str) -> Cut:
        size = self._size
        since, until = self._span()
        order = self._roll.sample(range(size), size)
        place = {node: at for at, node in enumerate(order)}
        pairs = [(one, other) for one in range(size) for other in range(size) if one != other]
        if name == "ring":
            cut = [pair for pair in pairs if (place[pair[0]] - place[pair[1]]) % size not in {1, size - 1}]
        else:  # two halves, and for a bridge one node that both of them reach
            middle = size // 2
            halves = [pair for pair in pairs if (place[pair[0]] < middle) != (place[pair[1]] < middle)]
            cut = [pair for pair in halves if order[0] not in pair] if name == "bridge" else halves
        period = self._roll.choice((50_000, 400_000)) if name == "flapping" else 0
        return Cut(since, until, frozenset(cut), period)

    def _waves(self) -> list[Cut]:
        """Everybody is alone, and one after another comes back."""
        since = self._roll.randrange(self._chaos // 2)
        step = self._roll.randint(20_000, 200_000)
        nodes = self._roll.sample(range(self._size), self._size)
        return [
            Cut(
                since,
                min(self._chaos, since + (at + 1) * step),
                frozenset(
                    (one, other) for peer in nodes if peer != node for one, other in ((node, peer), (peer, node))
                ),
            )
            for at, node in enumerate(nodes)
        ]

    def _clog(self) -> Clog:
        since, until = self._span()
        sender, receiver = self._roll.sample(range(self._size), 2)
        return Clog(since, min(until, since + SECOND), sender, receiver)

    def _script(self) -> Script:
        roll, size = self._roll, self._size
        receivers = frozenset(roll.sample(range(size), roll.randrange(size)))
        return Script(roll.randint(1, 40), roll.choice(("", *SORTS[:7])), roll.choice((-1, *range(size))), receivers)

    # ---- disks and processes ----

    def _disks(self, plan: Plan) -> Plan:
        roll, on, size = self._roll, self._on, self._size
        slow, full, old = [], [], []
        if "slow disks" in on:
            slow = [SlowDisk(roll.randrange(size), *self._span(), roll.choice((5_000, 50_000, 500_000)))]
        if "full disks" in on:
            since, until = self._span()
            full = [FullDisk(roll.randrange(size), since, min(until, since + SECOND))]
        if "old database" in on and size > 1:
            at = roll.randrange(_SETTLED_US, self._chaos)
            old = [Restore(roll.randrange(size), at, roll.randrange(at), "database")]
        return evolve(plan, slow_disks=tuple(slow), full_disks=tuple(full), restores=tuple(old))

    def _processes(self, plan: Plan) -> Plan:
        roll, on = self._roll, self._on
        crashes = [self._crash() for _ in range(roll.randint(1, 4))] if "crashes" in on else []
        if "jumps" in on:
            crashes.append(evolve(self._crash(), jump_ms=roll.choice((-_HOUR_MS, _HOUR_MS))))
        pauses = []
        if "pauses" in on:
            for _ in range(2):
                since, until = self._span()
                pauses.append(Pause(roll.randrange(self._size), since, (until - since) // 2))
        return evolve(plan, crashes=tuple(crashes), pauses=tuple(pauses))

    def _crash(self) -> Crash:
        roll = self._roll
        at, down = roll.randrange(self._chaos * 3 // 4), roll.randrange(SECOND)
        return Crash(roll.randrange(self._size), at, roll.randrange(8), down, anywhere=roll.random() < 0.5)

    def _ends(self, plan: Plan, index: int) -> Plan:
        """A node in the place of a liar is lost in one way or another."""
        roll = self._roll
        at = roll.randrange(_SETTLED_US, self._chaos)
        match roll.choice(("loss", "rot", "lost log", "old copy")):
            case "loss":
                return evolve(plan, losses=(*plan.losses, Loss(index, at)))
            case "rot":
                return evolve(plan, rots=(*plan.rots, Rot(index, at, roll.randrange(1 << 20))))
            case "lost log":
                return evolve(plan, restores=(*plan.restores, Restore(index, at, 0, "log")))
            case _:
                return evolve(plan, restores=(*plan.restores, Restore(index, at, roll.randrange(at), "both")))
