"""A network in which one validator says good words without end."""

from __future__ import annotations

from attrs import evolve

from guts_core.codec import to_bytes
from guts_core.sim.faults import SECOND, Crash, Plan
from guts_core.sim.ledger import VoteLedger
from guts_core.sim.ports import Act, Say
from guts_core.sim.villains.cast import cast_of
from guts_core.sim.villains.villain import Deeds, Effects, Villain
from guts_core.sim.world import World
from guts_core.simplex.messages import Certificate, Fetch, Message, Propose, SuppliedBlock, Supply
from guts_core.simplex.quorum import FaultModel

NODES, FLOODER, RESTARTED = 4, 3, 2
# With every fourth block that it proposes, so often at once: more than anybody is heard in a second.
_EVERY = 4
_CERTIFICATES, _PROPOSALS, _QUESTIONS, _ANSWERS = 2_600, 900, 80, 20
# A node that restarts has something to ask while others are asked without end.
PLAN = evolve(
    Plan.calm(NODES),
    delay_us=(8_000, 10_000),
    crashes=(Crash(RESTARTED, SECOND, 0, SECOND // 2),),
    chaos_us=2 * SECOND,
    heal_us=SECOND,
)


class Flooder(Villain):
    """Each of its words is in order; there are only too many of them."""

    name = "flooder"
    _certificate: Certificate | None = None
    _led = 0

    @classmethod
    def achieved(cls, deeds: Deeds, _world: Effects) -> int:
        """What it said beside what it ought to."""
        return deeds.attempts

    def overhear(self, data: bytes) -> None:
        """Certificates of others are as good as any."""
        said = self.inner.read(data)
        if isinstance(said, Certificate):
            self._certificate = said

    def twist(self, acts: list[Act]) -> list[Act]:
        """Add the flood."""
        out: list[Act] = []
        for act in acts:
            out.append(act)
            said = self.read(act)
            if isinstance(said, Propose):
                self._led += 1
                out += self._flood(said) if self._led % _EVERY == 0 else ()
        return out

    def _flood(self, own: Propose) -> list[Act]:
        answer = Supply((), (SuppliedBlock(own.proposal, own.body),))
        said: list[tuple[Message, int]] = [(Fetch(0, 0, ()), _QUESTIONS), (own, _PROPOSALS), (answer, _ANSWERS)]
        if self._certificate is not None:
            said.append((self._certificate, _CERTIFICATES))
        self.deeds.attempts += sum(count for _, count in said)
        return [act for message, count in said for act in [Say(None, to_bytes(message))] * count]


def flooded(seed: int) -> World:
    """Three honest nodes, and that one."""
    cast = cast_of(seed, NODES, FaultModel.BYZANTINE, {FLOODER: Flooder})
    return World(seed, PLAN, cast, NODES, VoteLedger(NODES, FaultModel.BYZANTINE, frozenset({FLOODER})))
