"""From a log back to the state in which the process stopped (``consensus.md`` 1.9)."""

from __future__ import annotations

from . import fence
from .ancestry import parent_for
from .bounds import EVIDENCE_EPOCHS, FUTURE_VIEWS_MAX
from .catchup import go_on_asking
from .journal import (
    LogBody,
    LogCertificate,
    LogEvidence,
    LogFence,
    LogFloor,
    LogRecord,
    LogStart,
    LogVote,
    epoch_of,
    read,
    write,
)
from .messages import Certificate, Fetch, Kind, Proposal, Vote
from .progress import offer
from .state import State, must
from .views import enter
from .voting import aim, count

_NOT_OURS = "the vote log belongs to another chain, epoch or key: this node must not vote"


def recover(s: State, records: list[bytes]) -> None:
    """Replay the log above the committed tip, enter the next view, and tell the others we are back."""
    s.began = s.now.monotonic
    entries = [read(record) for record in records]
    must(not entries or isinstance(entries[0], LogStart), "the vote log does not begin with whose it is")
    _take_over(s, entries)
    fence.begin(s)


def inherit(s: State, before: State) -> None:
    """The same for the engine that goes on where that of the epoch before ended."""
    s.uncommitted, s.ends, s.floor, s.sworn = before.uncommitted, before.ends, before.floor, before.sworn
    # Who was silent, or said too much, is not forgiven by a new epoch.
    s.began, s.heard, s.budget = before.began, before.heard, before.budget
    s.evidence.inherit(before.evidence, s.config.epoch - EVIDENCE_EPOCHS)
    fence.inherit(s, before)
    starts = any(isinstance(entry, LogStart) for entry in before.later)
    if starts:
        _take_over(s, before.later)
        fence.begin(s)
        announce(s)
    else:
        s.log(_start(s), sync=not s.forgot)
        if s.forgot:
            s.log(LogFence(s.config.epoch, None), sync=True)
        enter(s, s.final.view + 1)
        if before.unheard:
            fence.begin(s)
            fence.ask(s)
    go_on_asking(s, before.ahead)


def _take_over(s: State, entries: list[LogRecord]) -> None:
    _check_starts(s, entries)
    s.later = [entry for entry in entries if epoch_of(entry) > s.config.epoch]
    for entry in entries:
        _replay(s, entry)
    enter(s, max([1, s.settled + 1, s.sworn.view + 1, *_next_views(s)]))
    _count_own(s)


def _start(s: State) -> LogStart:
    key = None if s.me is None else s.config.validators[s.me]
    return LogStart(s.config.chain_id, s.config.epoch, key)


def _check_starts(s: State, entries: list[LogRecord]) -> None:
    """
    May this node vote, by what its log says? One start stands in it for each epoch that it came to.

    A start of a later epoch means that this one was known to be over: votes in it help nobody, and those
    that were cast may be forgotten. So none is cast any more.
    """
    starts: dict[int, LogStart] = {}
    for entry in entries:
        if isinstance(entry, LogStart):
            must(entry.chain_id == s.config.chain_id, _NOT_OURS)
            must(starts.setdefault(entry.epoch, entry) is entry, "the vote log starts twice")
    mine = starts.get(s.config.epoch)
    if any(epoch > s.config.epoch for epoch in starts):
        s.me = None
    elif mine is None:
        _begin(s, starts)
    elif mine.public_key is None:
        s.me = None
    else:
        must(s.me is None or mine == _start(s), _NOT_OURS)


def _begin(s: State, starts: dict[int, LogStart]) -> None:
    # Votes that this key cast are forgotten; casting others could fork the chain. A log that was here when the
    # epoch began says so, because that was written before the epoch's first block.
    told = f"ends with epoch {max(starts)}" if starts else "is empty"
    forgot = s.final.view > 0 and s.me is not None
    must(
        not forgot or (s.config.recalls and s.committee.quorum > 1),
        f"the vote log {told}, but the chain is at view {s.final.view}: this key must not vote again, "
        "and no other validator can tell which votes it cast",
    )
    s.log(_start(s), sync=not forgot)
    if forgot:
        s.forgot = True
        s.log(LogFence(s.config.epoch, None), sync=True)


def _replay(s: State, entry: LogRecord) -> None:
    if isinstance(entry, LogEvidence):
        s.evidence.add(entry.first, entry.second)
        return
    epoch = epoch_of(entry)
    if isinstance(entry, LogFloor) and epoch > s.config.epoch:
        _check_lost(s, entry.final)
    if epoch != s.config.epoch:
        return
    match entry:
        case LogVote(vote):
            _replay_vote(s, vote)
        case LogBody(proposal, body) if proposal.view > s.final.view:
            s.blocks.put(proposal, body).logged = True
        case LogCertificate(certificate):
            _replay_certificate(s, certificate)
        case LogFloor(final, certificate):
            _replay_floor(s, final, certificate)
        case LogFence(_, view):
            _replay_fence(s, view)
        case _:
            pass


def _check_lost(s: State, floor: Proposal) -> None:
    must(
        floor.view <= s.final.view or s.committee.size > 1,
        f"the database is older than the log's floor (view {floor.view}), and no other validator has what it lost",
    )


def _replay_floor(s: State, final: Proposal, certificate: Certificate | None) -> None:
    """
    The application had committed this block. A database that is older lost it, to rot or to a restored backup.

    The blocks are at the other validators and come back from there. The votes up to this view may be
    forgotten here, so none is cast in any of them again.
    """
    if final.view < s.sworn.view:
        return
    must(
        final.view > s.sworn.view or final == s.sworn,
        f"the database holds another block of view {final.view} than the vote log says was committed",
    )
    _check_lost(s, final)
    s.sworn = final
    if certificate is not None and certificate.epoch == s.config.epoch:
        _replay_certificate(s, certificate)


def _replay_fence(s: State, view: int | None) -> None:
    s.forgot = view is None
    if view is not None:
        s.fence = max(s.fence, view)
        s.barred = s.fence + fence.WATCH_VIEWS


def _replay_vote(s: State, vote: Vote) -> None:
    if vote.view <= s.final.view or s.me is None:
        return
    round_ = s.round(vote.view)
    must(round_.mine.setdefault(vote.kind, vote) == vote, f"the log holds two own votes of view {vote.view}")
    if vote.kind is Kind.NOTARIZE:
        round_.proposal = vote.proposal


def _replay_certificate(s: State, certificate: Certificate) -> None:
    if certificate.view <= s.final.view:
        return
    s.round(certificate.view).certificates[certificate.kind] = certificate
    fence.heard_all(s, certificate)
    if certificate.kind is Kind.NOTARIZE:
        s.tip = max(s.tip, certificate.view)
        s.owed.add(certificate.view)
    if certificate.kind is Kind.FINALIZE and certificate.view > s.settled:
        aim(s, certificate)


def _next_views(s: State) -> list[int]:
    # A vote in a view stands behind the certificate that led there, but one vote more costs nothing to honour.
    certified = [view + 1 for view, round_ in s.rounds.items() if round_.certificates]
    voted = [view for view, round_ in s.rounds.items() if round_.mine]
    return certified + voted


def _count_own(s: State) -> None:
    for view in sorted(s.rounds):
        for vote in list(s.rounds[view].mine.values()):
            count(s, vote, checked=True)


def announce(s: State) -> None:
    """Say own votes again (they may never have left), offer the same block again, and ask for news."""
    for view in sorted(s.rounds)[-FUTURE_VIEWS_MAX:]:
        for vote in s.rounds[view].mine.values():
            if not _offer_again(s, vote):
                s.send(None, vote)
    current = s.seen(s.view)
    if current is not None and Kind.NULLIFY in current.mine:
        s.retry_at = s.now.monotonic + s.config.retry_us
    if s.ended:
        return
    for peer in s.seats:
        s.asked[peer] += 1
    s.send(None, Fetch(s.final.view, s.settled + 1, (), s.config.epoch))
    fence.ask(s)


def _offer_again(s: State, vote: Vote) -> bool:
    led = vote.kind is Kind.NOTARIZE and vote.signer == s.committee.leader(vote.view)
    if not led or vote.view != s.view or vote.proposal is None or vote.proposal.block_hash not in s.blocks:
        return False
    found = parent_for(s, vote.view)
    offer(s, vote.proposal, found[1] if found else [])
    return True


def snapshot(s: State) -> list[bytes]:
    """Everything a restart from the committed floor needs, in the order in which it would have been logged."""
    entries: list[LogRecord] = [_start(s), LogFloor(s.sworn, None)]
    if s.fence or s.forgot:
        entries.append(LogFence(s.config.epoch, None if s.forgot else s.fence))
    entries += [LogEvidence(*pair) for pair in s.evidence.pairs.values()]
    for held, certificate in s.uncommitted:
        entries.append(LogBody(held.proposal, held.body))
        entries += [LogCertificate(certificate)] if certificate else []
    for end in s.ends.values():
        entries += [LogBody(child.proposal, child.body) for child in end.blocks]
        entries.append(LogCertificate(end.certificate))
    if s.newest is not None and s.newest.view >= s.floor.view:
        entries.append(LogCertificate(s.newest))
    entries += [LogBody(held.proposal, held.body) for held in s.blocks.all() if held.logged]
    for view in sorted(s.rounds):
        entries += [LogCertificate(certificate) for certificate in s.rounds[view].certificates.values()]
        entries += [LogVote(vote) for vote in s.rounds[view].mine.values()]
    return [write(entry) for entry in [*entries, *s.later]]
