"""Mistakes in agreement, each by the smallest change that makes it (``consensus.md`` 7.6 and 9)."""

from __future__ import annotations

from itertools import count

import pytest

from guts_core.codec import Tag, array_of, digest, encode, to_bytes
from guts_core.errors import Malformed
from guts_core.names import ChainId
from guts_core.sim import crypto
from guts_core.sim.replica import Leaf, Replica, page_of
from guts_core.simplex import ancestry, catchup, fence, voting
from guts_core.simplex.budget import RATES, Rate
from guts_core.simplex.certificates import signers_of
from guts_core.simplex.committee import Committee
from guts_core.simplex.effects import Persist
from guts_core.simplex.intake import on_propose
from guts_core.simplex.journal import LogRecord, LogVote, write
from guts_core.simplex.messages import Certificate, Kind, Proposal, Propose, Vote
from guts_core.simplex.round import Round
from guts_core.simplex.state import State
from guts_core.simplex.tally import Said, Tally
from guts_core.simplex.views import is_absent

Patch = pytest.MonkeyPatch
_RECENT_VIEWS = 8


# ---- counting ----


def a_quorum_of_two_of_four(patch: Patch) -> None:
    """Half of four."""
    patch.setattr("guts_core.simplex.committee.quorum", lambda _n, _model: 2)


def messages_counted_for_signers(patch: Patch) -> None:
    """A vote that is said again counts again."""
    right, genuine = Tally.of, voting._genuine

    def add(self: Tally, signer: int, proposal: Proposal | None, signature: bytes, *, checked: bool) -> int:
        self._said.setdefault(signer, (proposal, signature))
        if checked:
            self._checked.add(signer)
        self._equal[proposal] = self._equal.get(proposal, 0) + 1
        return self._equal[proposal]

    def repeated(s: State, like: Vote, tally: Tally) -> list[tuple[int, bytes]]:
        genuine(s, like, tally)
        return tally.signatures(like.proposal) * s.committee.quorum

    def unlike(self: Tally, signer: int) -> Said | None:
        said = right(self, signer)
        return None if said is None else (said[0], b"")

    patch.setattr(Tally, "add", add)
    patch.setattr(Tally, "of", unlike)
    patch.setattr("guts_core.simplex.voting._genuine", repeated)


def a_signer_counted_for_each_signature(patch: Patch) -> None:
    """A certificate with one signer and his signature three times."""

    def padded(committee: Committee, certificate: Certificate) -> list[int]:
        signers = signers_of(certificate)
        if not signers or len(certificate.signatures) < committee.quorum or signers[-1] >= committee.size:
            raise Malformed("too few signatures")
        return (signers * committee.size)[: len(certificate.signatures)]

    patch.setattr("guts_core.simplex.certificates._checked_signers", padded)
    patch.setattr("guts_core.simplex.fence.signers_of", lambda one: signers_of(one) * len(one.signatures))
    patch.setattr("guts_core.simplex.fence.zip", lambda *both, **_strict: zip(*both, strict=False), raising=False)


def certificates_taken_unchecked(patch: Patch) -> None:
    """Whoever brings one is believed."""
    patch.setattr("guts_core.simplex.intake.check", lambda _committee, _certificate, _known: None)


def votes_counted_unchecked(patch: Patch) -> None:
    """Nobody looks at a signature before the vote is part of a certificate."""

    def believed(_s: State, tally: Tally, _like: Vote, signer: int, _signature: bytes) -> bool:
        tally.vouch(signer)
        return True

    patch.setattr("guts_core.simplex.voting.is_genuine", believed)


# ---- what is signed ----


def _signs(patch: Patch, *, kind: bool = True, epoch: bool = True) -> None:
    def content(self: Committee, said: Kind, view: int, proposal: Proposal | None) -> bytes:
        named = encode(None) if proposal is None else to_bytes(proposal)
        kinds = encode(int(said) if kind or proposal is None else int(Kind.NOTARIZE))
        return array_of((kinds, encode(self.epoch if epoch else 1), encode(view), named))

    patch.setattr(Committee, "content", content)


def a_signature_without_kind(patch: Patch) -> None:
    """A vote to notarize is one to finalize."""
    _signs(patch, kind=False)


def a_vote_without_epoch(patch: Patch) -> None:
    """What was signed in another epoch counts in this one."""
    _signs(patch, epoch=False)


def a_signature_without_chain(patch: Patch) -> None:
    """What was signed for another network counts in this one."""
    right = crypto._Secret.mac

    def mac(self: crypto._Secret, tag: Tag, _chain: ChainId, body: bytes) -> bytes:
        return right(self, tag, ChainId(bytes(32)), body)

    patch.setattr(crypto._Secret, "mac", mac)


def a_hash_without_parent_and_view(patch: Patch) -> None:
    """The body of one block stands for a block elsewhere."""

    def is_bound(_self: object, proposal: Proposal, body: bytes) -> bool:
        return page_of(body) is not None and digest(Tag.HEADER, body) == proposal.block_hash

    patch.setattr(Replica, "is_bound", is_bound)


# ---- own votes ----


def _asks_nobody(patch: Patch) -> None:
    """A start that asks others what they heard of its key would learn what its log forgot."""
    patch.setattr("guts_core.simplex.fence.begin", lambda _state: None)


def votes_that_are_not_persisted(patch: Patch) -> None:
    """The log knows of everything but own votes, and nobody else is asked for them."""
    _asks_nobody(patch)

    def forgetful(self: State, entry: LogRecord, *, sync: bool = False) -> None:
        if not isinstance(entry, LogVote):
            self.emit(Persist(write(entry), sync))

    patch.setattr(State, "log", forgetful)


def votes_sent_before_they_are_synced(patch: Patch) -> None:
    """They are written, and nobody waits for the disk, nor asks others after a restart."""
    _asks_nobody(patch)

    def hasty(self: State, entry: LogRecord, *, sync: bool = False) -> None:
        self.emit(Persist(write(entry), sync and not isinstance(entry, LogVote)))

    patch.setattr(State, "log", hasty)


def finalizing_after_a_nullify(patch: Patch) -> None:
    """The view was given up, and its block finalized."""
    right = Round.may_cast

    def careless(self: Round, kind: Kind) -> bool:
        return kind not in self.mine if kind is Kind.FINALIZE else right(self, kind)

    patch.setattr(Round, "may_cast", careless)


def a_second_notarize_in_one_view(patch: Patch) -> None:
    """The leader's last word counts, not its first."""
    right = Round.may_cast

    def fickle(self: Round, kind: Kind) -> bool:
        if kind is not Kind.NOTARIZE or kind not in self.mine:
            return right(self, kind)
        return Kind.NULLIFY not in self.mine and self.mine[kind].proposal != self.proposal

    def propose_again(s: State, peer: int, said: Propose) -> None:
        held = s.seen(said.proposal.view)
        if held is not None:
            held.proposal = None
        on_propose(s, peer, said)

    patch.setattr(Round, "may_cast", fickle)
    patch.setattr("guts_core.simplex.intake.on_propose", propose_again)
    patch.setattr("guts_core.simplex.intake.convict", lambda _state, _vote: False)


def a_floor_that_moves_back(patch: Patch) -> None:
    """A restart believes the database, whatever the log swore that it holds."""
    patch.setattr("guts_core.simplex.recovery._replay_floor", lambda _state, _final, _certificate: None)


# ---- parents ----


def followers_that_ignore_skipped_views(patch: Patch) -> None:
    """Only the skipping leader shows it: no honest leader would propose so."""
    patch.setattr("guts_core.simplex.progress.is_justified", lambda _state, _proposal: True)


def leaders_and_followers_that_ignore_skipped_views(patch: Patch) -> None:
    """The newest block is the parent, whatever lies between."""

    def newest(s: State, view: int) -> tuple[Proposal, list[Certificate]]:
        for at in range(view - 1, s.final.view, -1):
            round_ = s.seen(at)
            block = round_.block if round_ else None
            if block is not None and block.proposal is not None:
                return block.proposal, [block]
        return s.final, []

    followers_that_ignore_skipped_views(patch)
    patch.setattr("guts_core.simplex.progress.parent_for", newest)


def a_parent_accepted_because_it_is_recent(patch: Patch) -> None:
    """Certified it must be, but not the newest one."""

    def recent(s: State, proposal: Proposal) -> bool:
        if ancestry.is_justified(s, proposal):
            return True
        return s.final.view <= proposal.parent_view and proposal.view - proposal.parent_view <= _RECENT_VIEWS

    patch.setattr("guts_core.simplex.progress.is_justified", recent)


# ---- helping ----


def no_retry_and_no_help(patch: Patch) -> None:
    """On a network that loses nothing after the heal it would not be seen."""

    def silent(s: State) -> None:
        s.retry_at = s.now.monotonic + s.config.retry_us

    patch.setattr("guts_core.simplex.intake.help_peer", lambda _state, _peer, _view: None)
    patch.setattr("guts_core.simplex.catchup.retry", silent)


def catching_up_only_when_a_view_times_out(patch: Patch) -> None:
    """In a healthy network no view does."""
    right = catchup.is_stuck
    patch.setattr(
        "guts_core.simplex.catchup.is_stuck", lambda s: right(s) and s.now.monotonic > s.entered + 3 * s.delta
    )


def a_bar_that_goes_on_into_the_next_epoch(patch: Patch) -> None:
    """Once real: views that others had left in the old epoch, above its last block, come again in the new one."""
    right = fence.inherit

    def inherit(s: State, before: State) -> None:
        right(s, before)
        s.barred = before.barred

    patch.setattr("guts_core.simplex.fence.inherit", inherit)


# ---- execution and memory ----


def execution_that_is_not_deterministic(patch: Patch) -> None:
    """Now and then a state depends on how often this process computed one."""
    calls = count()
    right = Replica._after

    def after(self: Replica[bytes], state: bytes, commands: tuple[bytes, ...]) -> bytes:
        reached = right(self, state, commands)
        return digest(Tag.STATE_NODE, reached) if next(calls) % 97 == 0 else reached

    patch.setattr(Replica, "_after", after)


def commands_executed_twice(patch: Patch) -> None:
    """What an ancestor holds is proposed, and accepted, again."""

    def forgets(_self: object, _leaf: Leaf[bytes], _commands: object) -> set[bytes]:
        return set()

    patch.setattr(Replica, "_used", forgets)


def buffers_without_bounds(patch: Patch) -> None:
    """Votes for any view to come are kept."""
    patch.setattr("guts_core.simplex.intake.FUTURE_VIEWS_MAX", 1 << 64)


# ---- limits and time ----


def budgets_below_what_honest_peers_need(patch: Patch) -> None:
    """Of each sort one message a second is heard of a peer."""
    for sort, rate in RATES.items():
        patch.setitem(RATES, sort, Rate(1, rate.size))


def patience_that_never_grows(patch: Patch) -> None:
    """Views are as long as was told, whatever comes of them."""
    patch.setattr(State, "delta", property(lambda self: self.config.delta_us))


def somebody_never_heard_who_is_waited_for(patch: Patch) -> None:
    """Once real: only who was heard before could be silent."""
    patch.setattr(
        "guts_core.simplex.views.is_absent", lambda s, leader: s.numbers[leader] in s.heard and is_absent(s, leader)
    )
