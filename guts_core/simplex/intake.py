"""
Votes, certificates and proposals of peers.

Everything is checked before anything changes: a message either raises PeerFault and leaves no
trace, or is taken whole. A vote alone is taken as it is: its signature is checked when something follows from it,
which is a quorum, a conviction, or a leader that gives up.
"""

from __future__ import annotations

from guts_core.errors import Malformed

from .bounds import FUTURE_VIEWS_MAX
from .catchup import help_peer
from .certificates import check
from .evidence import OPPOSITE
from .fence import check_own, heard, heard_all
from .forks import look
from .messages import FINALIZE, NOTARIZE, NULLIFY, Certificate, Propose, Vote
from .progress import nullify
from .state import State
from .views import stir
from .voting import admit, convict, count


def on_vote(s: State, peer: int, vote: Vote) -> bool:
    """A vote, directly from its signer; whether it changed what is known here."""
    s.committee.check_shape(vote)
    if vote.signer != s.seats.get(peer):
        raise Malformed(f"peer {peer} brought a vote of seat {vote.signer}")
    heard(s, vote)
    view, final = vote.view, s.final.view
    if view < final or (view < s.view and vote.kind is NULLIFY):
        help_peer(s, peer, view)
    return final < view <= s.view + FUTURE_VIEWS_MAX and _take(s, vote)


def _take(s: State, vote: Vote) -> bool:
    kind = vote.kind
    held = s.rounds.get(vote.view)
    gives_up = kind is NULLIFY and _gives_up(s, vote)
    checked = gives_up
    if held is not None:
        tally = held.tallies[kind]
        said = tally.of(vote.signer)
        if said is not None and said == (vote.proposal, vote.signature):
            return False
        # Who said nothing else of this kind contradicts something only where votes of the opposite kind are.
        opposite = OPPOSITE.get(kind)
        may_conflict = said is not None or (opposite is not None and len(held.tallies[opposite]) > 0)
        if may_conflict and convict(s, vote):
            return False
        if kind in held.certificates:
            # Nothing follows from it any more; should its signer contradict it, it is here.
            tally.add(vote.signer, vote.proposal, vote.signature, checked=False)
            return False
        if said is not None and said[0] == vote.proposal:
            if tally.is_checked(vote.signer):
                return False
            checked = True  # one of the two may be forged: the genuine one counts
    if checked:
        s.committee.check_signature(vote)
    stirs = s.stirred is None and vote.view == s.view and kind is not FINALIZE
    if stirs:
        stir(s)
    # One more vote alone lets no rule fire: time does, or what comes of it here.
    changed = count(s, vote, checked=checked) or stirs
    if gives_up and vote.view == s.view:
        nullify(s)
        return True
    return changed


def _gives_up(s: State, vote: Vote) -> bool:
    """Whether this node follows a leader that gives its own view up: it does so at once, once it knows that it did."""
    if vote.view != s.view or vote.signer != s.committee.leader(vote.view):
        return False
    held = s.seen(vote.view)
    return s.may_vote(vote.view) and (held is None or held.may_cast(NULLIFY))


def is_news(s: State, certificate: Certificate) -> bool:
    """Whether a certificate says something not known here."""
    held = s.seen(certificate.view)
    return certificate.view > s.final.view and (held is None or certificate.kind not in held.certificates)


def checked_news(s: State, certificates: tuple[Certificate, ...]) -> list[Certificate]:
    """Those that are news, each verified, before a round is made for any; raises PeerFault."""
    for certificate in certificates:
        look(s, certificate)
    news = [certificate for certificate in certificates if is_news(s, certificate)]
    for certificate in news:
        held = s.seen(certificate.view)
        check(s.committee, certificate, held.tallies[certificate.kind] if held else None)
        check_own(s, certificate)
        heard_all(s, certificate)
    return news


def on_certificate(s: State, peer: int, certificate: Certificate) -> bool:
    """A certificate, from anyone; whether it was news."""
    held = s.rounds.get(certificate.view)
    same = held.certificates.get(certificate.kind) if held else None
    if same is not None and certificate.view > s.final.view and same.proposal == certificate.proposal:
        return False  # most are: each node passes its own on
    news = checked_news(s, (certificate,))
    for one in news:
        admit(s, one, peer)
    return bool(news)


def on_propose(s: State, peer: int, said: Propose) -> None:
    """A leader's proposal: the first one of a view counts."""
    proposal, vote = said.proposal, said.vote
    _check_proposed(s, peer, said)
    heard(s, vote)
    if not s.final.view < proposal.view <= s.view + FUTURE_VIEWS_MAX:
        return
    held = s.seen(proposal.view)
    block = held.certificates.get(NOTARIZE) if held else None
    certified = block is not None and block.proposal == proposal
    if held is not None and held.proposal == proposal and proposal.block_hash in s.blocks:
        return
    if not s.application.is_bound(proposal, said.body):
        raise Malformed(f"the body proposed for view {proposal.view} is not the one its hash names")
    news = checked_news(s, said.justification)
    second = convict(s, vote)
    # Nobody votes for what a leader has not signed. Once a quorum has, his signature is one too many.
    checked = not certified
    known = held is not None and held.tallies[NOTARIZE].is_checked(vote.signer)
    if checked and not known:
        s.committee.check_signature(vote)
    for certificate in news:
        admit(s, certificate, peer, relay=False)
    if (second and not certified) or proposal.view <= s.final.view:
        return
    into = s.round(proposal.view)
    if into.proposal is None and not second:
        into.proposal = proposal
    s.blocks.put(proposal, said.body)
    if not known:
        count(s, vote, checked=checked)
    if proposal.view == s.view:
        stir(s)


def _check_proposed(s: State, peer: int, said: Propose) -> None:
    proposal, vote = said.proposal, said.vote
    s.committee.check_shape(vote)
    if vote.kind is not NOTARIZE or vote.proposal != proposal:
        raise Malformed(f"a proposal for view {proposal.view} without its leader's vote for it")
    if not vote.signer == s.seats.get(peer) == s.committee.leader(proposal.view):
        raise Malformed(f"peer {peer} proposed in view {proposal.view}, which it does not lead")
