"""The only place where a vote is signed, and where votes become certificates (rules 3-5 and 7)."""

from __future__ import annotations

from guts_core.codec import Tag

from .certificates import assemble, signers_of
from .committee import forged
from .effects import Blame, ReportEquivocation
from .evidence import OPPOSITE, conflicting
from .journal import LogBody, LogCertificate, LogEvidence, LogVote
from .messages import FINALIZE, NOTARIZE, Certificate, Kind, Proposal, Vote
from .state import Rule, State
from .tally import Tally
from .views import enter

_CERTIFY = Rule.CERTIFY


def cast(s: State, kind: Kind, view: int, proposal: Proposal | None) -> Vote:
    """Sign an own vote and order it to disk, after the body it vouches for; the caller publishes it."""
    own = s.round(view)
    assert s.me is not None, "a node without a seat cast a vote"
    assert s.signer is not None, "a seat has a signer"
    assert own.may_cast(kind), f"a second or contradicting {kind.name.lower()} in view {view}"
    content = s.committee.content(kind, view, proposal)
    signature = s.signer.sign(Tag.SIGN_VOTE, s.config.chain_id, content)
    vote = Vote(kind, s.config.epoch, view, proposal, s.me, signature)
    own.mine[kind] = vote
    if proposal is not None:
        _log_body(s, proposal)
    s.log(LogVote(vote), sync=True)
    return vote


def _log_body(s: State, proposal: Proposal) -> None:
    held = s.blocks.get(proposal.block_hash)
    assert held is not None, "a vote for a block that is not here"
    if not held.logged:
        s.log(LogBody(held.proposal, held.body))
        held.logged = True


def publish(s: State, vote: Vote) -> None:
    """
    Count an own vote and tell the others.

    When it completes a certificate, those who have not voted alike get that instead: it holds the vote.
    """
    count(s, vote, checked=True)
    certificate = s.round(vote.view).certificates.get(vote.kind)
    if certificate is None or certificate.proposal != vote.proposal or s.me not in signers_of(certificate):
        s.send(None, vote)
        return
    for seat in s.others():
        if s.round(vote.view).tallies[vote.kind].of(seat) is not None:
            s.send(s.numbers[seat], vote)


def count(s: State, vote: Vote, *, checked: bool) -> bool:
    """Add a vote to its tally; rule 7 when that makes a quorum of genuine ones, and whether it did."""
    kind, quorum = vote.kind, s.committee.quorum
    into = s.rounds.get(vote.view) or s.round(vote.view)
    tally = into.tallies[kind]
    if tally.add(vote.signer, vote.proposal, vote.signature, checked=checked) < quorum or kind in into.certificates:
        return False
    signatures = _genuine(s, vote, tally)
    if len(signatures) < quorum:
        return False
    admit(s, assemble(s.committee, kind, vote.view, vote.proposal, signatures))
    return True


def _genuine(s: State, like: Vote, tally: Tally) -> list[tuple[int, bytes]]:
    """Signatures of equal votes: as many are checked as a quorum lacks, in the order in which they came."""
    lacking = s.committee.quorum - tally.checked(like.proposal)
    waiting = tally.unchecked(like.proposal) if lacking > 0 else []
    for at, (signer, signature) in enumerate(waiting):
        if not 0 < lacking <= len(waiting) - at:
            break
        lacking -= is_genuine(s, tally, like, signer, signature)
    return tally.signatures(like.proposal)


def is_genuine(s: State, tally: Tally, like: Vote, signer: int, signature: bytes) -> bool:
    """
    Whether what stands in a tally under a signer, in the words of this vote, is his.

    What is not makes room, and its sender is blamed.
    """
    if tally.is_checked(signer):
        return True
    if s.committee.has_signed(signer, like.kind, like.view, like.proposal, signature):
        tally.vouch(signer)
        return True
    tally.drop(signer)
    s.emit(Blame(s.numbers[signer], forged(signer, like.kind, like.view)))
    return False


def admit(s: State, certificate: Certificate, sender: int | None = None, *, relay: bool = True) -> None:
    """Rule 7: keep a verified certificate, pass it on once, and go where it leads."""
    into = s.round(certificate.view)
    if certificate.view <= s.final.view or certificate.kind in into.certificates:
        return
    s.fired[_CERTIFY] += 1
    into.certificates[certificate.kind] = certificate
    s.log(LogCertificate(certificate))
    if sender is not None:
        _convict_signers(s, certificate)
    if relay and s.me is not None:
        _pass_on(s, certificate, sender)
    if certificate.kind is NOTARIZE:
        s.tip = max(s.tip, certificate.view)
        s.owed.add(certificate.view)
    if certificate.kind is FINALIZE and certificate.view > s.settled:
        aim(s, certificate)
    enter(s, certificate.view + 1)


def aim(s: State, certificate: Certificate) -> None:
    """Make a newer finalization the one whose block and ancestors are to become final here."""
    assert certificate.proposal is not None, "a finalization names a block"
    s.newest = certificate
    if len(s.anchors) > 1:
        s.anchors[0] = certificate.proposal.block_hash
    else:
        # What is being fetched stays the goal. If every newer finalization replaced it, a node whose answers take
        # longer than a block would throw each of them away, and never come nearer.
        s.anchors.insert(0, certificate.proposal.block_hash)


def _pass_on(s: State, certificate: Certificate, sender: int | None) -> None:
    # A peer that voted the same hears the other votes as we did; if it missed some, its own
    # nullify vote will tell, and rule 9 answers.
    tally, proposal = s.round(certificate.view).tallies[certificate.kind], certificate.proposal
    for peer, seat in s.seats.items():
        said = tally.of(seat)
        if peer != sender and (said is None or (said[0] is not proposal and said[0] != proposal)):
            s.send(peer, certificate)


def convict(s: State, vote: Vote) -> bool:
    """Whether a vote contradicts one held from its signer; recorded once both signatures were checked."""
    held = s.rounds.get(vote.view)
    first = conflicting(held, vote) if held is not None else None
    if held is None or first is None:
        return False
    if s.evidence.has(vote):
        return True
    s.committee.check_signature(vote)
    while not is_genuine(s, held.tallies[first.kind], first, first.signer, first.signature):
        # What stood in its place was never said by him: this one may be the first that was.
        first = conflicting(held, vote)
        if first is None:
            return False
    s.evidence.add(first, vote)
    s.log(LogEvidence(first, vote))
    s.emit(ReportEquivocation(first, vote))
    return True


def _convict_signers(s: State, certificate: Certificate) -> None:
    """
    Whoever signed a verified certificate and said something else here is convicted (F32).

    A leader that shows two blocks is seen by nobody who was shown one of them, but in what the others made of theirs.
    """
    tallies, opposite = s.round(certificate.view).tallies, OPPOSITE.get(certificate.kind)
    said_otherwise = tallies[certificate.kind].holds_other_than(certificate.proposal)
    if not said_otherwise and (opposite is None or not len(tallies[opposite])):
        return
    kind, epoch, view, proposal = certificate.kind, certificate.epoch, certificate.view, certificate.proposal
    for signer, signature in zip(signers_of(certificate), certificate.signatures, strict=True):
        convict(s, Vote(kind, epoch, view, proposal, signer, signature))
