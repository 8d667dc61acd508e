"""From a log back to the state in which the process stopped (``consensus.md`` 1.9)."""

from __future__ import annotations

from guts_core.errors import Corrupt

from .ancestry import parent_for
from .bounds import FUTURE_VIEWS_MAX
from .journal import (
    LogBody,
    LogCertificate,
    LogEvidence,
    LogFloor,
    LogRecord,
    LogStart,
    LogVote,
    read,
    write,
)
from .messages import Certificate, Fetch, Kind, Proposal, Vote
from .progress import offer
from .state import State, must
from .views import enter
from .voting import aim, count


def recover(s: State, records: list[bytes]) -> None:
    """Replay the log above the committed tip, enter the next view, and tell the others we are back."""
    entries = [read(record) for record in records]
    _check_start(s, entries)
    for entry in entries[1:]:
        _replay(s, entry)
    enter(s, max([1, s.settled + 1, s.sworn.view + 1, *_next_views(s)]))
    _count_own(s)


def _start(s: State) -> LogStart:
    key = None if s.me is None else s.config.validators[s.me]
    return LogStart(s.config.chain_id, s.config.epoch, key)


def _check_start(s: State, entries: list[LogRecord]) -> None:
    if entries:
        must(entries[0] == _start(s), "the vote log belongs to another chain, epoch or key: this node must not vote")
        return
    # Votes that this key cast are forgotten; casting others could fork the chain.
    must(
        s.final.view == 0 or s.me is None,
        f"the vote log is empty, but the chain is at view {s.final.view}: this key must not vote again",
    )
    s.log(_start(s), sync=True)


def _replay(s: State, entry: LogRecord) -> None:
    match entry:
        case LogVote(vote):
            _replay_vote(s, vote)
        case LogBody(proposal, body) if proposal.view > s.final.view:
            s.blocks.put(proposal, body).logged = True
        case LogCertificate(certificate):
            _replay_certificate(s, certificate)
        case LogFloor(final, certificate):
            _replay_floor(s, final, certificate)
        case LogEvidence(first, second):
            s.evidence.add(first, second)
        case LogStart():
            raise Corrupt("the vote log starts twice")
        case _:
            pass


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
    must(
        final.view <= s.final.view or s.committee.size > 1,
        f"the database is older than the log's floor (view {final.view}), and no other validator has what it lost",
    )
    s.sworn = final
    if certificate is not None:
        _replay_certificate(s, certificate)


def _replay_vote(s: State, vote: Vote) -> None:
    if vote.view <= s.final.view:
        return
    round_ = s.round(vote.view)
    must(round_.mine.setdefault(vote.kind, vote) == vote, f"the log holds two own votes of view {vote.view}")
    if vote.kind is Kind.NOTARIZE:
        round_.proposal = vote.proposal


def _replay_certificate(s: State, certificate: Certificate) -> None:
    if certificate.view <= s.final.view:
        return
    s.round(certificate.view).certificates[certificate.kind] = certificate
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
            count(s, vote)


def announce(s: State) -> None:
    """Say own votes again (they may never have left), offer the same block again, and ask for news."""
    for view in sorted(s.rounds)[-FUTURE_VIEWS_MAX:]:
        for vote in s.rounds[view].mine.values():
            if not _offer_again(s, vote):
                s.send(None, vote)
    current = s.seen(s.view)
    if current is not None and Kind.NULLIFY in current.mine:
        s.retry_at = s.now.monotonic + s.config.retry_us
    for peer in s.peers():
        s.asked[peer] += 1
    s.send(None, Fetch(s.final.view, s.settled + 1, ()))


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
    entries += [LogEvidence(*pair) for pair in s.evidence.pairs.values()]
    for held, certificate in s.uncommitted:
        entries.append(LogBody(held.proposal, held.body))
        entries += [LogCertificate(certificate)] if certificate else []
    if s.newest is not None and s.newest.view >= s.floor.view:
        entries.append(LogCertificate(s.newest))
    entries += [LogBody(held.proposal, held.body) for held in s.blocks.all() if held.logged]
    for view in sorted(s.rounds):
        entries += [LogCertificate(certificate) for certificate in s.rounds[view].certificates.values()]
        entries += [LogVote(vote) for vote in s.rounds[view].mine.values()]
    return [write(entry) for entry in entries]
