"""Says that it holds every pack, and holds none."""

from __future__ import annotations

from guts_core.node.events import PackChecked
from guts_core.sim.ports import Act, Check

from .villain import Deeds, Effects, ForgeVillain


class FalseAttester(ForgeVillain):
    """Attests at once what it was announced."""

    name = "false attester"

    @classmethod
    def achieved(cls, deeds: Deeds, _world: Effects) -> int:
        """Promises without a pack behind them."""
        return deeds.attempts

    @classmethod
    def gives_packs(cls, _holder: int, _asker: int, _size: int) -> bool:
        """Nothing to give."""
        return False

    def twist(self, acts: list[Act]) -> list[Act]:
        """Report every check as done."""
        out: list[Act] = []
        for act in acts:
            if not isinstance(act, Check):
                out.append(act)
                continue
            self.deeds.attempts += 1
            wanted = act.effect
            done = PackChecked(wanted.tx_id, wanted.objects_epoch, wanted.removals, None)
            out += self.twist(self.forge.straight(done, self.now))
        return out
