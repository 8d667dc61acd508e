"""Says again what was said long ago, by itself and by others."""

from __future__ import annotations

from collections import deque

from guts_core.sim.ports import Act, Say
from guts_core.simplex.messages import Certificate, Message, Propose, Vote

from .villain import Deeds, Effects, Inner, Villain

# So many messages ago: dozens of views at four nodes.
_MEMORY = 400
# In one go an old word of each of so many ages.
_ECHOES = 3


class Replayer(Villain):
    """After each own vote, stale words: own ones, others' votes and proposals in their signature, old certificates."""

    name = "replayer"

    def __init__(self, inner: Inner, deeds: Deeds) -> None:
        super().__init__(inner, deeds)
        self._past: deque[bytes] = deque(maxlen=_MEMORY)

    @classmethod
    def achieved(cls, deeds: Deeds, world: Effects) -> int:
        """Refusals by honest nodes, which had to see that these words were not its own, or not of now."""
        return world.refused[deeds.index]

    def overhear(self, data: bytes) -> None:
        """Remember what others say."""
        message = self.inner.read(data)
        if isinstance(message, Vote | Certificate | Propose):
            self._past.append(data)

    def twist(self, acts: list[Act]) -> list[Act]:
        """Add echoes."""
        out: list[Act] = []
        for act in acts:
            out.append(act)
            said: Message | None = self.read(act)
            if isinstance(act, Say) and isinstance(said, Vote):
                self._past.append(act.data)
                step = max(1, len(self._past) // _ECHOES)
                echoes = [Say(None, old) for old in list(self._past)[::step][:_ECHOES]]
                self.deeds.attempts += len(echoes)
                out += echoes
        return out
