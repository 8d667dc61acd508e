"""Who is a villain in a seed, and of which kind."""

from __future__ import annotations

from functools import partial
from typing import Any

from guts_core.sim.fates import dice
from guts_core.sim.machine import StateMachine
from guts_core.sim.ports import SimNode, Store
from guts_core.sim.replica_node import CHAIN, HonestCast
from guts_core.simplex.committee import Committee
from guts_core.simplex.messages import Message
from guts_core.simplex.quorum import FaultModel

from .adaptive import Adaptive
from .bad_builder import BadBuilder
from .catchup_liar import CatchupLiar
from .double_voter import DoubleVoter
from .equivocator import Equivocator
from .forger import Forger
from .genuine import is_genuine
from .relabeler import Relabeler
from .replayer import Replayer
from .selective_sender import SelectiveSender
from .silent import Silent
from .skipper import Skipper
from .spammer import Spammer
from .stranger import Stranger
from .twins import Twins
from .two_faced import TwoFaced
from .villain import Deeds, Villain
from .withholder import Withholder

KINDS: tuple[type[Villain], ...] = (
    Equivocator,
    DoubleVoter,
    TwoFaced,
    Withholder,
    Forger,
    Skipper,
    Spammer,
    Silent,
    Replayer,
    Stranger,
    SelectiveSender,
    CatchupLiar,
    Twins,
    Adaptive,
    BadBuilder,
    Relabeler,
)


class VillainCast:
    """``count`` villains among ``size`` nodes; the first kind goes round with the seed, the rest are drawn."""

    def __init__(
        self, seed: int, size: int, count: int, *, remember: bool = True, machine: StateMachine[Any] | None = None
    ) -> None:
        self._honest = HonestCast(seed, size, remember=remember, machine=machine)
        ring = self._honest.ring
        self._committee = Committee(CHAIN, 0, ring.public_keys, FaultModel.BYZANTINE, ring)
        roll = dice(seed, "villains")
        chosen = roll.sample(range(size), count)
        self.kinds: dict[int, type[Villain]] = {index: roll.choice(KINDS) for index in chosen}
        self.kinds[chosen[0]] = KINDS[seed % len(KINDS)]
        self.deeds = {index: Deeds(index, size) for index in chosen}

    @property
    def villains(self) -> frozenset[int]:
        """Nodes that are not honest."""
        return frozenset(self.kinds)

    def make(self, index: int, records: list[bytes], stored: list[Store]) -> SimNode:
        """A new process of a node, twisted if it is a villain's."""
        if index not in self.kinds:
            return self._honest.make(index, records, stored)
        # A liar does not ask at its start what others heard of its key: twins would hear of each other, and stop.
        make = partial(self._honest.make, index, recalls=False)
        return self.kinds[index].dress(make, records, stored, self.deeds[index])

    def read(self, data: bytes) -> Message | None:
        """The agreement message in these bytes, if it is one."""
        return self._honest.read(data)

    def is_signed(self, message: Message, /) -> bool:
        """Whether a villain's message consists of genuine votes."""
        return is_genuine(message, self._committee)
