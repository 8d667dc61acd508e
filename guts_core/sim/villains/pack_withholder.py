"""A gateway that announces pushes and gives their packs to one peer only."""

from __future__ import annotations

from guts_core.node.messages import Announce
from guts_core.sim.forge_node import say
from guts_core.sim.ports import Act, Say

from .villain import Deeds, Effects, ForgeVillain


class PackWithholder(ForgeVillain):
    """Takes inline packs out of its announcements; whoever asks it, but one, gets none."""

    name = "pack withholder"

    @classmethod
    def achieved(cls, deeds: Deeds, _world: Effects) -> int:
        """Announcements without their packs."""
        return deeds.attempts

    @classmethod
    def gives_packs(cls, holder: int, asker: int, size: int) -> bool:
        """The next one in order is the accomplice that knows no better."""
        return asker == (holder + 1) % size

    def twist(self, acts: list[Act]) -> list[Act]:
        """Announce bare manifests."""
        return [self._bare(act) for act in acts]

    def _bare(self, act: Act) -> Act:
        if not isinstance(act, Say):
            return act
        message = self.forge.reader.read(act.data)
        if not isinstance(message, Announce):
            return act
        self.deeds.attempts += 1
        return say(Announce(message.item, None), act.to)
