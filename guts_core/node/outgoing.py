"""What is said to peers, and in which queue it waits."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import assert_never

from guts_core.chain.commit import Commit
from guts_core.chain.trail import EpochStep
from guts_core.codec import from_bytes, to_bytes
from guts_core.simplex.effects import Blame, Persist, ReportEquivocation, Send
from guts_core.simplex.effects import Effect as EngineEffect
from guts_core.simplex.messages import Certificate, Fetch, Propose, Recall, Recalled, Supply, Vote

from .effects import Disconnect, Effect, SendPeer, Urgency
from .messages import Hello, PeerMessage


def say(peer: int | None, message: PeerMessage) -> SendPeer:
    """Say this to one validator, or to all others when ``peer`` is None."""
    return SendPeer(peer, to_bytes(message), urgency_of(message))


def of_engine(effect: EngineEffect) -> Effect:
    """What agreement wants done, as this node does it."""
    match effect:
        case Send():
            return say(effect.to, effect.message)
        case Blame():
            return Disconnect(effect.peer, ban=True, reason=effect.reason)
        case Persist() | ReportEquivocation():
            return effect
        case _:
            assert_never(effect)


def urgency_of(message: PeerMessage) -> Urgency:
    """Votes and certificates before proposals before catch-up before clients' work."""
    if isinstance(message, Vote | Certificate):
        return Urgency.VOTE
    if isinstance(message, Propose):
        return Urgency.PROPOSAL
    if isinstance(message, Fetch | Supply | Hello | Recall | Recalled):
        return Urgency.CATCH_UP
    return Urgency.TRANSACTION


def addressed(effects: list[Effect], connected: AbstractSet[int], validators: AbstractSet[int]) -> list[Effect]:
    """What is said to all is for validators: where others are linked too, it is said to each of them by number."""
    if connected <= validators:
        return effects
    out: list[Effect] = []
    for effect in effects:
        if isinstance(effect, SendPeer) and effect.to is None:
            out += [SendPeer(peer, effect.data, effect.urgency) for peer in sorted(validators)]
        else:
            out.append(effect)
    return out


def told_to(commit: Commit, outsiders: AbstractSet[int]) -> list[Effect]:
    """Who is linked and has no seat hears what is final, and asks for the blocks."""
    if not outsiders:
        return []
    if commit.step is not None:
        certificate = from_bytes(EpochStep, commit.step[1]).certificate
    elif commit.certificate is not None:
        certificate = from_bytes(Certificate, commit.certificate)
    else:
        return []
    return [say(peer, certificate) for peer in sorted(outsiders)]
