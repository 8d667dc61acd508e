"""
What a start asks before it votes: whether others heard votes of this key that the log here does not know (F40).

An old backup, an empty log and a copied directory all forget votes. A quorum tells the newest vote that it heard,
signed, and a certificate that shows where it stands: nothing that a liar makes up counts. Votes that are forgotten
lie at or below the *fence*; ``docs/explanation/protocol.md`` says why.
"""

from __future__ import annotations

from guts_core.errors import KeyInUse

from .budget import Sort
from .catchup import best_certificate
from .certificates import check, signers_of
from .journal import LogFence
from .messages import Certificate, Recall, Recalled, Vote
from .state import State
from .views import lead
from .voting import admit
from .watch import Watch

# Above a fence so many views pass before this key votes: the votes of a second process show in their certificates.
WATCH_VIEWS = 8


def begin(s: State) -> None:
    """Hold votes back from now on, where there is anybody to ask."""
    if s.me is None or not s.config.recalls or s.committee.quorum == 1:
        return
    own = {(view, kind): vote.proposal for view, round_ in s.rounds.items() for kind, vote in round_.mine.items()}
    # Up to what is known to be final a compacted log holds no votes, and none is cast.
    known = max(s.settled, s.sworn.view, s.fence)
    s.watch = Watch(s.now.monotonic, s.view, known, own, s.forgot, s.now.monotonic)
    lead(s)


def ask(s: State) -> None:
    """Ask those who have not answered, again after a while."""
    watch = s.watch
    if watch is None:
        return
    watch.ask_at = s.now.monotonic + s.config.retry_us
    for peer in s.seats:
        ask_one(s, peer)


def ask_one(s: State, peer: int) -> None:
    """Ask a peer, if its answer is waited for."""
    if s.watch is not None and peer in s.seats and peer not in s.watch.answered:
        s.send(peer, Recall(s.config.epoch, s.watch.mark))


def tick(s: State) -> None:
    """Time has passed."""
    if s.watch is not None and s.watch.ask_at <= s.now.monotonic:
        ask(s)
    _settle(s)


def answer(s: State, peer: int, asked: Recall) -> None:
    """Tell a peer what was heard of it."""
    seat = s.seats.get(peer)
    if seat is not None and s.budget.take(peer, Sort.QUESTION, s.now.monotonic):
        s.send(peer, Recalled(s.config.epoch, asked.mark, s.voiced.get(seat), best_certificate(s)))


def told(s: State, peer: int, said: Recalled) -> None:
    """An answer; what it claims without a signature that shows it is not believed."""
    watch = s.watch
    if watch is None or said.mark != watch.mark or peer not in s.seats or peer in watch.answered:
        return
    certificate = said.certificate
    if certificate is not None:
        check(s.committee, certificate, None)
        watch.told = max(watch.told, certificate.view + 1)
    watch.stale |= _is_forgotten(s, watch, said.vote)
    watch.answered.add(peer)
    if certificate is not None:
        admit(s, certificate, peer, relay=False)
    _settle(s)


def _is_forgotten(s: State, watch: Watch, vote: Vote | None) -> bool:
    if vote is None or vote.signer != s.me or vote.epoch != s.config.epoch or vote.view <= watch.known:
        return False
    key = vote.view, vote.kind
    if key in watch.own and watch.own[key] == vote.proposal:
        return False
    return s.committee.has_signed(vote.signer, vote.kind, vote.view, vote.proposal, vote.signature)


def _settle(s: State) -> None:
    """Vote from now on, above the fence if there has to be one, once a quorum has answered."""
    watch, now = s.watch, s.now.monotonic
    if watch is None or len(watch.answered) + 1 < s.committee.quorum:
        return
    if len(watch.answered) < len(s.seats):
        # Whoever heard a vote may be among the rest; one that is down must not hold up a network that needs this one.
        watch.until = now + s.config.retry_us if watch.until is None else watch.until
        if now < watch.until:
            return
    s.watch, s.unheard, s.forgot = None, False, False
    s.own_above = max(s.own_above, s.view + 1, watch.told + 1)
    if watch.stale:
        s.fence = max(s.fence, s.own_above)
        s.log(LogFence(s.config.epoch, s.fence), sync=True)
    s.barred = s.fence + WATCH_VIEWS if s.fence else 0
    if watch.told > watch.began:
        # Views that the others have left need no vote of ours, and one may be forgotten that nobody heard.
        s.barred = max(s.barred, watch.told - 1)
    lead(s)


def inherit(s: State, before: State) -> None:
    """
    The fence goes on with the next epoch; who never heard enough asks there.

    Views that others had left in the old one, above its last block, come again in the new one: whoever asked at its
    start votes in them like everybody, or restarts of more nodes than may be missing would stop the network for good.
    """
    s.fence, s.own_above = before.fence, before.own_above
    s.barred = s.fence + WATCH_VIEWS if s.fence else 0
    s.unheard, s.forgot = before.unheard, before.forgot or (before.watch is not None and before.watch.stale)


def held_back(s: State) -> str | None:
    """Why this key does not vote now, in words."""
    if s.me is None:
        return None
    if s.watch is not None:
        return f"votes are held back until {s.committee.quorum - 1} others tell what they heard from this key"
    if s.view <= s.barred:
        return f"votes are held back up to view {s.barred}: the vote log is older than what others heard from this key"
    return None


def check_own(s: State, certificate: Certificate) -> None:
    """Raise KeyInUse if a new certificate holds a vote of this key that this process did not cast."""
    if s.me is None or s.watch is not None or not s.config.recalls or certificate.view <= s.own_above:
        return
    if not certificate.signers[s.me // 8] >> s.me % 8 & 1:
        return
    round_ = s.seen(certificate.view)
    mine = round_.mine.get(certificate.kind) if round_ else None
    if mine is None or mine.proposal != certificate.proposal:
        raise KeyInUse(
            f"another process votes with this key: its {certificate.kind.name.lower()} vote of view {certificate.view} "
            "was not cast here. Stop one of the two, and never start the same keys twice"
        )


def heard(s: State, vote: Vote) -> None:
    """Remember the newest vote of each validator, for when it asks."""
    newest = s.voiced.get(vote.signer)
    if newest is None or vote.view > newest.view or (vote.view == newest.view and vote.kind > newest.kind):
        s.voiced[vote.signer] = vote


def heard_all(s: State, certificate: Certificate) -> None:
    """The same for the votes in a certificate."""
    for signer, signature in zip(signers_of(certificate), certificate.signatures, strict=True):
        newest = s.voiced.get(signer)
        if newest is None or certificate.view > newest.view:
            s.voiced[signer] = Vote(
                certificate.kind, certificate.epoch, certificate.view, certificate.proposal, signer, signature
            )
