"""What an engine does on its own account after every event, until nothing more follows (rules 2, 3, 5, 6)."""

from __future__ import annotations

from guts_core.errors import Corrupt

from .ancestry import is_justified, justification, parent_for
from .blocks import Held
from .forks import remember, seen
from .messages import FINALIZE, NOTARIZE, NULLIFY, Certificate, Proposal, Propose, SuppliedBlock
from .ports import End, Verdict
from .state import Rule, State
from .views import proposes_at, stir
from .voting import cast, count, publish

_VALID, _INVALID, _UNKNOWN = Verdict.VALID, Verdict.INVALID, Verdict.UNKNOWN


def poll(s: State) -> None:
    """Apply the rules until none fires, or the epoch is over; each where there is anything for it."""
    while not s.ended and (
        (s.anchors and settle(s))
        or (s.stirred is None and _wake(s))
        or (s.owed and finalize(s))
        or (s.leads and propose(s))
        or notarize(s)
    ):
        pass


def _wake(s: State) -> bool:
    """Look for work in every view entered, after settling: what just became final does not wait."""
    if not s.application.has_work(_tip(s)):
        return False
    stir(s)
    return True


def _tip(s: State) -> Proposal:
    """The newest notarized block, final or on its way to it; else the final one."""
    if s.tip > s.settled:
        round_ = s.seen(s.tip)
        block = round_.block if round_ else None
        if block is not None and block.proposal is not None:
            return block.proposal
    return s.final


def propose(s: State) -> bool:
    """Rule 2: as leader, one block on the newest justified parent."""
    at = proposes_at(s)
    if at is None or at > s.now.monotonic:
        return False
    found = parent_for(s, s.view)
    if found is None or s.executed(found[0].block_hash) is not _VALID:
        return False
    parent, certificates = found
    built = s.application.propose(parent, s.view, s.now)
    if built is None:
        s.ask_again = s.now.monotonic + s.config.delta_us // 2
        return False
    s.fired[Rule.PROPOSE] += 1
    proposal = Proposal(s.config.epoch, s.view, parent.view, parent.block_hash, built[0])
    held = s.blocks.put(proposal, built[1])
    held.executed = True
    s.round(s.view).proposal = proposal
    offer(s, proposal, certificates)
    return True


def offer(s: State, proposal: Proposal, certificates: list[Certificate]) -> None:
    """Vote for an own proposal and send it, or send again what was already voted for."""
    held = s.blocks.get(proposal.block_hash)
    assert held is not None, "an own proposal without its body"
    mine = s.round(proposal.view).mine
    vote = mine.get(NOTARIZE) or cast(s, NOTARIZE, proposal.view, proposal)
    s.send(None, Propose(proposal, held.body, justification(certificates), vote))
    count(s, vote, checked=True)


def notarize(s: State) -> bool:
    """Rule 3: vote for the leader's block once its ancestry is shown and the application accepts it."""
    current = s.rounds.get(s.view)
    if current is None or current.proposal is None or not s.may_vote(s.view):
        return False
    proposal = current.proposal
    if current.refused or not current.may_cast(NOTARIZE) or s.ask_again > s.now.monotonic:
        return False
    held = s.blocks.get(proposal.block_hash)
    if held is None or not is_justified(s, proposal) or s.executed(proposal.parent_hash) is not _VALID:
        return False
    parent = s.proposal_of(proposal.parent_hash)
    assert parent is not None, "an executed block is held"
    verdict = s.application.verify(parent, proposal, held.body, s.now)
    if verdict is _UNKNOWN:
        # Silence, never a nullify: it may be our clock or our missing data that is wrong.
        s.ask_again = s.now.monotonic + s.config.delta_us // 2
        return False
    if verdict is _INVALID:
        current.refused = True
        nullify(s)
        return True
    held.executed = True
    s.fired[Rule.NOTARIZE] += 1
    publish(s, cast(s, NOTARIZE, s.view, proposal))
    return True


def nullify(s: State) -> None:
    """Rule 4: give the current view up, unless this validator voted to finalize in it."""
    current = s.round(s.view)
    if not s.may_vote(s.view) or not current.may_cast(NULLIFY):
        return
    s.fired[Rule.NULLIFY] += 1
    s.retry_at = s.now.monotonic + s.config.retry_us
    publish(s, cast(s, NULLIFY, s.view, None))


def finalize(s: State) -> bool:
    """
    Rule 5: vote to finalize each notarized block once it is here and executed.

    Below what is known to be final no vote is needed, and none may be cast: after a compaction of
    the log an own nullify of such a view is forgotten. The same holds up to the floor that the log tells of,
    and up to a fence.
    """
    if s.watch is not None:
        return False
    barred = max(s.settled, s.sworn.view, s.barred)
    for view in sorted(s.owed):
        round_ = s.seen(view)
        if s.me is None or view <= barred or round_ is None or not round_.may_cast(FINALIZE):
            s.owed.discard(view)
            continue
        proposal = round_.certificates[NOTARIZE].proposal
        assert proposal is not None, "a notarization names a block"
        if proposal.block_hash in s.blocks and s.executed(proposal.block_hash) is _VALID:
            s.owed.discard(view)
            s.fired[Rule.FINALIZE] += 1
            publish(s, cast(s, FINALIZE, view, proposal))
            return True
    return False


def settle(s: State) -> bool:
    """Rule 6: deliver a finalized block and its ancestors, in order, each once; True when one was."""
    goal = s.anchors[-1]
    walk = s.blocks.walk(goal, s.final)
    if walk.dead:
        assert s.newest is not None, "what is final was certified"
        raise seen(s.newest)
    if walk.missing is not None:
        return False
    verdict = s.executed(goal)
    if verdict is _INVALID:
        raise Corrupt(f"this node computes another state than the finalized block {goal.hex()} of its quorum")
    if verdict is _UNKNOWN:
        return False
    for at, block in enumerate(walk.run):
        if s.application.is_last(block.proposal.block_hash):
            # With what is certified above it, or not yet: then the blocks between are still to be fetched.
            if len(s.anchors) == 1:
                _end(s, block, walk.run[at + 1 :])
            break
        _deliver(s, block)
    s.anchors.pop()
    _forget(s)
    return True


def _deliver(s: State, block: Held) -> None:
    certificate = _passed(s, block)
    s.application.finalize(block.proposal, block.body, certificate)


def _end(s: State, block: Held, children: list[Held]) -> None:
    """The last block of the epoch is final, with those above it: only the first of them is delivered."""
    certificate, newest = _passed(s, block), s.newest
    assert newest is not None, "what is settled was certified"
    above = tuple(SuppliedBlock(child.proposal, child.body) for child in reversed(children))
    end = End((), certificate) if certificate else End(above, newest)
    s.ends[block.proposal.view] = end
    s.ended = True
    s.application.finish(block.proposal, block.body, certificate, end)


def _passed(s: State, block: Held) -> Certificate | None:
    """A block is final: its own finalization, if it has one."""
    proposal = block.proposal
    s.fired[Rule.FINALIZED] += 1
    newest = s.newest
    certificate = newest if newest and (newest.proposal is proposal or newest.proposal == proposal) else None
    round_ = s.seen(proposal.view)
    if certificate is None and round_ is not None:
        certificate = round_.certificates.get(FINALIZE)
    s.uncommitted.append((block, certificate))
    s.slots.settle(s.final.view, proposal.view)
    s.final = proposal
    remember(s)
    return certificate


def _forget(s: State) -> None:
    s.blocks.prune(s.final.view)
    for view in [view for view in s.rounds if view <= s.final.view]:
        del s.rounds[view]
    s.owed = {view for view in s.owed if view > s.final.view}
