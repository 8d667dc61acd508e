"""Follows, and says nothing: neither when it leads nor when it votes."""

from __future__ import annotations

from guts_core.sim.ports import Act, Say
from guts_core.simplex.messages import Kind

from .villain import Deeds, Effects, Villain


class Silent(Villain):
    """Swallows all of its own words."""

    name = "silent"

    @classmethod
    def achieved(cls, deeds: Deeds, world: Effects) -> int:
        """Views it should have led, ended by the others without it."""
        return sum(
            1 for kind, view in world.ledger.certificates if kind is Kind.NULLIFY and view % deeds.size == deeds.index
        )

    def twist(self, acts: list[Act]) -> list[Act]:
        """Drop what would be said."""
        self.deeds.attempts += sum(isinstance(act, Say) for act in acts)
        return [act for act in acts if not isinstance(act, Say)]
