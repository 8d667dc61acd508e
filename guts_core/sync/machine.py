"""
Joining from a snapshot: a state machine that trusts nobody (``reliability.md`` J13, F37, F38).

Four things are fetched, each proven before the next follows from it: the ends of all epochs, from genesis
to the newest that anybody can show; the manifest of a snapshot at one of them; its pieces, from many peers
at once, and the blocks of the hour before; then the state is made anew and its root compared with the
header. A height is what was proven, never what was claimed. Who lies is named and asked no more; who is
slow is asked less. What has come is kept by name and checked again after a crash.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto
from typing import TypeVar, assert_never

from attrs import evolve, frozen

from guts_core.chain.genesis import Genesis
from guts_core.codec import from_bytes, to_bytes
from guts_core.errors import Malformed, PeerFault
from guts_core.identity import Verifier
from guts_core.names import Root

from .download import Download, check_manifest
from .messages import (
    ANSWERS,
    Answer,
    ManifestSupplied,
    ManifestWanted,
    PastSupplied,
    PastWanted,
    Question,
    StateOffers,
    StateOffersWanted,
    StatePiece,
    StatePieceWanted,
    Steps,
    StepsWanted,
    SyncAbsent,
)
from .orders import Ask, Build, Drop, Forget, Install, Keep, Order
from .peers import ANSWER_US, SILENCES_MAX, Asked, Peer, Peers
from .records import PastRun, ProvenSteps, StateManifest, manifest_digest
from .route import Route

T = TypeVar("T")
# Names sort in the order in which what was kept is given back: each is checked by those before it.
STEPS_NAME, MANIFEST_NAME, PIECE_NAME, PAST_NAME = "1-steps", "2-manifest", "3-piece", "4-past"
# Offers are asked for again while there is nothing better to do.
OFFERS_AGAIN_US = 5_000_000
# The first to answer may be the one that is behind: so long others may still name a newer snapshot.
PATIENCE_US = 2_000_000
# So few blocks are fetched and executed sooner than a state, and leave the past where it is.
GAP_BLOCKS = 256


class Phase(Enum):
    """What is being done."""

    OFFERS = auto()  # nobody has shown a snapshot yet
    EPOCHS = auto()
    PIECES = auto()
    BUILDING = auto()
    DONE = auto()


@frozen
class Progress:
    """How far it is, for a person who waits."""

    phase: Phase
    done: int
    total: int
    height: int | None  # of the snapshot
    peers: int


class StateSync:
    """``heard``, ``silent``, ``came``, ``left``, ``tick`` and ``built`` say what happened; all return orders."""

    def __init__(
        self, genesis: Genesis, verifier: Verifier, kept: Iterable[tuple[str, bytes]] = (), own_height: int = 0
    ) -> None:
        self._own_height = own_height
        self.room_bytes: int | None = None  # what this node's disk has room for, where whoever drives this knows it
        self.route = Route(genesis, verifier)
        self.download: Download | None = None
        self._lies: set[bytes] = set()  # manifests that turned out to be none
        self._peers = Peers()
        self._asked_at: int | None = None
        self._first_told: int | None = None
        self._building = self._done = False
        self._resume(kept)

    # ---- what happened ----

    def came(self, peer: int, now: int) -> list[Order]:
        """A link to a peer stands."""
        self._peers.came(peer)
        found = self._peers.get(peer)
        if found is None or self._done:
            return []
        return [*self._ask(found, StateOffersWanted(0), now), *self._go_on(now)]

    def left(self, peer: int, now: int) -> list[Order]:
        """A link is gone; what was asked there is asked elsewhere."""
        self._peers.left(peer)
        return self._go_on(now)

    def heard(self, peer: int, answer: Answer, now: int) -> list[Order]:
        """A peer answered; an answer that was not asked for changes nothing."""
        found = self._peers.get(peer)
        asked = found.asked.pop(answer.number, None) if found else None
        if found is None or asked is None or self._done:
            return []
        try:
            if not isinstance(answer, ANSWERS[type(asked.question)]):
                raise Malformed(f"{type(answer).__name__} in answer to {type(asked.question).__name__}")
            out = self._take(found, asked.question, answer, now)
        except PeerFault as error:
            return [*self._drop(peer, str(error)), *self._go_on(now)]
        found.silences = 0
        return [*out, *self._go_on(now)]

    def silent(self, peer: int, number: int, now: int) -> list[Order]:
        """A question will have no answer."""
        found = self._peers.get(peer)
        if found is None or found.asked.pop(number, None) is None:
            return []
        found.silences += 1
        late = self._drop(peer, "answers nothing") if found.silences >= SILENCES_MAX else []
        return [*late, *self._go_on(now)]

    def tick(self, now: int) -> list[Order]:
        """The deadline passed."""
        out: list[Order] = []
        for peer, number in self._peers.late(now):
            out += self.silent(peer.number, number, now)
        return out + self._go_on(now)

    def built(self, root: Root | None, now: int) -> list[Order]:
        """What root the pieces have; None when they make no state at all."""
        assert self.download is not None
        self._building = False
        header = self.download.boundary
        if root == header.state_root:
            self._done = True
            return [Install()]
        why = f"the snapshot of height {header.height} has another state than the header of that height"
        liars = self._lie(self.download.digest, why)
        return [*liars, *self._give_up(), *self._go_on(now)]

    # ---- what is asked about it ----

    @property
    def dropped(self) -> dict[int, str]:
        """Peers that are asked no more, and why."""
        return dict(self._peers.dropped)

    @property
    def progress(self) -> Progress:
        """How far it is."""
        peers = len(self._peers.all())
        if self.download is None:
            claimed = max((peer.told.epoch for peer in self._peers.all() if peer.told), default=0)
            phase = Phase.EPOCHS if claimed > self.route.epoch else Phase.OFFERS
            return Progress(phase, self.route.epoch, max(claimed, self.route.epoch), None, peers)
        phase = Phase.DONE if self._done else Phase.BUILDING if self._building else Phase.PIECES
        return Progress(phase, self.download.done, self.download.total, self.download.boundary.height, peers)

    def is_needless(self, now: int) -> bool:
        """
        Whether those who were heard have nothing that is worth it: blocks one by one are the shorter way.

        A node that falls for liars here is behind and asks again; it never believes anything for it.
        """
        late = self._first_told is not None and now >= self._first_told + PATIENCE_US
        told = [peer.told for peer in self._peers.all() if peer.told is not None]
        if self.download is not None or not late or any(one.epoch > self.route.epoch for one in told):
            return False
        return bool(told) and self._choice(None) is None

    def next_deadline(self) -> int | None:
        """When to call ``tick``, in monotonic microseconds."""
        if self._done:
            return None
        times = [self._peers.next_deadline()]
        if self.download is None:
            times.append(None if self._asked_at is None else self._asked_at + OFFERS_AGAIN_US)
            asked = any(_has_asked(peer, ManifestWanted) for peer in self._peers.all())
            if self._first_told is not None and not asked and self._choice(None):
                times.append(self._first_told + PATIENCE_US)
        return min((time for time in times if time is not None), default=None)

    # ---- answers ----

    def _take(self, peer: Peer, question: Question, answer: Answer, now: int) -> list[Order]:
        match answer:
            case StateOffers():
                return self._offered(peer, answer, now)
            case Steps():
                return self._stepped(peer, _of(StepsWanted, question), answer)
            case ManifestSupplied():
                return self._described(peer, _of(ManifestWanted, question), answer.manifest)
            case StatePiece():
                return self._got_piece(_of(StatePieceWanted, question), answer.data)
            case PastSupplied():
                return self._got_past(_of(PastWanted, question), answer.run)
            case SyncAbsent():
                return self._absent(peer, question)
            case _:
                assert_never(answer)

    def _offered(self, peer: Peer, told: StateOffers, now: int) -> list[Order]:
        peer.told = told
        if self._first_told is None:
            self._first_told = now
        return []

    def _stepped(self, peer: Peer, wanted: StepsWanted, answer: Steps) -> list[Order]:
        if not answer.steps:
            self._check_claim(peer)
            return []
        taken = self.route.take(wanted.first, answer.steps)
        return [] if taken is None else [Keep(f"{STEPS_NAME}-{taken.first:08}", to_bytes(taken))]

    def _check_claim(self, peer: Peer) -> None:
        """Who said that more epochs ended has shown them, or is not asked again (F38)."""
        if peer.told is not None and peer.told.epoch > self.route.epoch:
            raise PeerFault(f"says that it is in epoch {peer.told.epoch}, and shows the end of {self.route.epoch} only")

    def _described(self, peer: Peer, wanted: ManifestWanted, manifest: StateManifest) -> list[Order]:
        if self.download is not None or wanted.digest in self._lies:
            return []
        if manifest_digest(manifest) != wanted.digest:
            raise PeerFault("sent another manifest than it offered")
        told = next((one for one in peer.told.offers if one.digest == wanted.digest), None) if peer.told else None
        if told is not None and told.height != manifest.height:
            raise PeerFault(f"offered for height {told.height} the snapshot of height {manifest.height}")
        header = self.route.header(manifest.epoch)
        try:
            check_manifest(manifest, header, self.room_bytes)
        except PeerFault as error:
            return self._lie(wanted.digest, str(error))
        assert header is not None
        self.download = Download(manifest, header)
        return [Keep(MANIFEST_NAME, to_bytes(manifest))]

    def _got_piece(self, wanted: StatePieceWanted, data: bytes) -> list[Order]:
        if self.download is None or wanted.digest != self.download.digest:
            return []
        is_new = self.download.take_piece(wanted.index, data)
        return [Keep(f"{PIECE_NAME}-{wanted.index:08}", data)] if is_new else []

    def _got_past(self, wanted: PastWanted, run: PastRun) -> list[Order]:
        if self.download is None or self.download.past.wanted != wanted.top:
            return []
        taken = self.download.take_past(run)
        return [Keep(f"{PAST_NAME}-{self.download.runs - 1:08}", to_bytes(taken))]

    def _absent(self, peer: Peer, question: Question) -> list[Order]:
        """It has not got what it may have had; of a snapshot it is not asked again."""
        match question:
            case StepsWanted():
                self._check_claim(peer)
            case ManifestWanted() | StatePieceWanted():
                peer.absent.add(question.digest)
            case PastWanted():
                peer.absent.update(() if self.download is None else (self.download.digest,))
            case StateOffersWanted():
                peer.told = None
            case _:
                assert_never(question)
        return []

    # ---- what to do next ----

    def _go_on(self, now: int) -> list[Order]:
        if self._done or self._building:
            return []
        if self.download is not None:
            return self._fetch(self.download, now)
        return [*self._ask_again(now), *self._follow_epochs(now), *self._choose(now)]

    def _ask_again(self, now: int) -> list[Order]:
        if self._asked_at is not None and now < self._asked_at + OFFERS_AGAIN_US:
            return []
        first, self._asked_at = self._asked_at is None, now
        if first:
            return []  # each is asked when its link comes
        return self._ask_all(now)

    def _follow_epochs(self, now: int) -> list[Order]:
        """One is asked at a time, of those who claim more than is proven."""
        if any(_has_asked(peer, StepsWanted) for peer in self._peers.all()):
            return []
        for peer in self._peers.all():
            if peer.told is not None and peer.told.epoch > self.route.epoch:
                return self._ask(peer, StepsWanted(0, self.route.epoch), now)
        return []

    def _choose(self, now: int) -> list[Order]:
        digest = self._choice(now)
        if digest is None or any(_has_asked(peer, ManifestWanted) for peer in self._peers.all()):
            return []
        offering = [peer for peer in self._peers.all() if peer.offers(digest)]
        return self._ask(offering[0], ManifestWanted(0, digest), now)

    def _choice(self, now: int | None) -> bytes | None:
        """The snapshot to fetch (``Peers.choice``); without a time, the one that there would be after a while."""
        late = now is None or (self._first_told is not None and now >= self._first_told + PATIENCE_US)
        least = self._own_height + (0 if self._peers.are_pruned_above(self._own_height) else GAP_BLOCKS)
        return self._peers.choice(self.route.ends_above(least), self._lies, self.route.epoch, late=late)

    def _fetch(self, download: Download, now: int) -> list[Order]:
        if download.is_complete:
            self._building = True
            return [Build()]
        peers = self._peers.all()
        if peers and all(peer.told is not None and not peer.offers(download.digest) for peer in peers):
            return [*self._give_up(), *self._ask_all(now)]
        out: list[Order] = []
        for question in download.wanted([one.question for peer in peers for one in peer.asked.values()]):
            free = next((one for one in self._peers.all() if one.is_free and one.offers(download.digest)), None)
            if free is None:
                break
            out += self._ask(free, question, now)
        return out

    def _give_up(self) -> list[Order]:
        """This snapshot will not become whole: it was a lie, or all who had it made newer ones since."""
        self.download = None
        return [Forget()]

    def _ask_all(self, now: int) -> list[Order]:
        self._asked_at = now
        asking = [peer for peer in self._peers.all() if not _has_asked(peer, StateOffersWanted)]
        return [order for peer in asking for order in self._ask(peer, StateOffersWanted(0), now)]

    # ---- liars ----

    def _drop(self, number: int, reason: str) -> list[Order]:
        if self._peers.get(number) is None:
            return []
        self._peers.drop(number, reason)
        return [Drop(number, reason)]

    def _lie(self, digest: bytes, reason: str) -> list[Order]:
        """No honest node offers it: all who do are dropped."""
        self._lies.add(digest)
        liars = [peer.number for peer in self._peers.all() if peer.offers(digest)]
        return [order for number in liars for order in self._drop(number, reason)]

    def _ask(self, peer: Peer, question: Question, now: int) -> list[Order]:
        numbered = evolve(question, number=self._peers.next_number())
        peer.asked[numbered.number] = Asked(numbered, now + ANSWER_US)
        return [Ask(peer.number, numbered)]

    # ---- after a crash ----

    def _resume(self, kept: Iterable[tuple[str, bytes]]) -> None:
        """
        Take up what was kept, in order of names; what does not fit is fetched again.

        Each thing is checked as if it had just come.
        """
        for name, data in kept:
            try:
                self._take_up(name, data)
            except (PeerFault, ValueError):
                continue

    def _take_up(self, name: str, data: bytes) -> None:
        what, _, index = name.rpartition("-")
        if what == STEPS_NAME:
            known = from_bytes(ProvenSteps, data)
            self.route.take(known.first, known.steps)
        elif name == MANIFEST_NAME:
            manifest = from_bytes(StateManifest, data)
            header = self.route.header(manifest.epoch)
            check_manifest(manifest, header)
            assert header is not None
            self.download = Download(manifest, header)
        elif what == PIECE_NAME and self.download is not None:
            self.download.take_piece(int(index), data)
        elif what == PAST_NAME and self.download is not None and int(index) == self.download.runs:
            self.download.take_past(from_bytes(PastRun, data))


def _has_asked(peer: Peer, kind: type[Question]) -> bool:
    return any(isinstance(asked.question, kind) for asked in peer.asked.values())


def _of(cls: type[T], question: object) -> T:
    """The question that an answer of a checked type belongs to."""
    assert isinstance(question, cls)
    return question
