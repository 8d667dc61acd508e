"""Who is a villain in a seed, and of which kind."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

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


def cast_of(
    seed: int,
    size: int,
    fault_model: FaultModel,
    kinds: Mapping[int, type[Villain]],
    *,
    remember: bool = True,
    machine: StateMachine[Any] | None = None,
) -> HonestCast | VillainCast:
    """Who plays when these lie."""
    honest = HonestCast(seed, size, fault_model, remember=remember, machine=machine)
    return VillainCast(honest, kinds) if kinds else honest


class VillainCast:
    """Honest nodes, and villains of these kinds."""

    def __init__(self, honest: HonestCast, kinds: Mapping[int, type[Villain]]) -> None:
        self._honest, self.kinds = honest, dict(kinds)
        size = len(honest.ring.public_keys)
        self._committee = Committee(CHAIN, 0, honest.ring.public_keys, honest.fault_model, honest.ring)
        self.deeds = {index: Deeds(index, size) for index in kinds}
        self.read = honest.read

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

    def is_signed(self, message: Message, /) -> bool:
        """Whether a villain's message consists of genuine votes."""
        return is_genuine(message, self._committee)
