"""Answers who asks for blocks with others' bodies, with certificates that are none, and without end."""

from __future__ import annotations

from attrs import evolve

from guts_core.codec import to_bytes
from guts_core.sim.ports import Act, Say
from guts_core.simplex.messages import Certificate, Propose, SuppliedBlock, Supply

from .villain import Deeds, Effects, Villain

_AGAIN = 8


class CatchupLiar(Villain):
    """As leader it shows its block to half, so that the others must ask; whom they ask lies."""

    name = "liar in catch-up"

    @classmethod
    def achieved(cls, deeds: Deeds, world: Effects) -> int:
        """Lies told to whoever asked, and those that were seen through by what they said."""
        return deeds.served + world.refused[deeds.index]

    def twist(self, acts: list[Act]) -> list[Act]:
        """Spoil answers; leave half out of proposals."""
        out: list[Act] = []
        for act in acts:
            said = self.read(act)
            if isinstance(said, Supply) and isinstance(act, Say):
                self.deeds.served += 1
                out += [self.say(lie, act.to) for lie in self._lies(said)]
            elif isinstance(said, Propose):
                others = self.others()
                out += [self.say(said, peer) for peer in others[: len(others) // 2]]
                out += [Say(peer, to_bytes(said.vote)) for peer in others[len(others) // 2 :]]
            else:
                out.append(act)
        return out

    @staticmethod
    def _lies(said: Supply) -> list[Supply]:
        """One sort of lie after another, the last of them again and again."""
        wrong = tuple(SuppliedBlock(block.proposal, block.body[:-1] + b"\xff") for block in said.blocks)
        unsigned = tuple(_unsigned(certificate) for certificate in said.certificates)
        lies = [Supply(said.certificates, wrong)] if wrong else []
        lies += [Supply(unsigned, said.blocks)] if unsigned else []
        return lies + [Supply((), ())] * _AGAIN


def _unsigned(certificate: Certificate) -> Certificate:
    return evolve(certificate, view=certificate.view + 1, signatures=(bytes(64),) * len(certificate.signatures))
