"""Speaks to most, and leaves one out: another one every so often."""

from __future__ import annotations

from guts_core.sim.ports import Act, Say

from .villain import Deeds, Effects, Villain

# So many broadcasts pass one peer by before it is another's turn.
_TURN = 50


class SelectiveSender(Villain):
    """Sends nothing to one peer; as leader and as gateway too."""

    name = "selective sender"

    @classmethod
    def achieved(cls, deeds: Deeds, _world: Effects) -> int:
        """Broadcasts of which one peer had to hear from others."""
        return deeds.served

    def twist(self, acts: list[Act]) -> list[Act]:
        """Send one by one what goes to all, and skip one."""
        out: list[Act] = []
        for act in acts:
            if not isinstance(act, Say):
                out.append(act)
                continue
            others = self.others()
            left_out = others[self.deeds.served // _TURN % len(others)]
            self.deeds.attempts += 1
            self.deeds.served += act.to in {None, left_out}
            out += [Say(peer, act.data) for peer in others if peer != left_out and act.to in {None, peer}]
        return out
