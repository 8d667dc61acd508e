"""What a joining node knows of those it asks: what they claim, what they owe, and who is asked no more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set as AbstractSet

from attrs import define, field

from .messages import Question, StateOffers

# Two answers of a mebibyte on their way keep a link busy; more would only wait in its queue.
ASKED_MAX = 2
# A piece on a slow line, and a disk that reads it first.
ANSWER_US = 20_000_000
# So often in a row may a peer leave us waiting.
SILENCES_MAX = 3
# One alone may be a liar, and would cost a whole download before it is found out.
ENOUGH = 2


@define
class Asked:
    """A question without an answer."""

    question: Question
    until: int


@define(eq=False)
class Peer:
    """One of those who may have what is wanted."""

    number: int
    told: StateOffers | None = None
    asked: dict[int, Asked] = field(factory=dict)
    silences: int = 0
    absent: set[bytes] = field(factory=set)  # snapshots that it offered and has not any more

    @property
    def is_free(self) -> bool:
        """Whether it may be asked one thing more."""
        return len(self.asked) < ASKED_MAX

    def offers(self, digest: bytes) -> bool:
        """Whether it says that it holds this snapshot."""
        told = self.told
        return told is not None and digest not in self.absent and any(one.digest == digest for one in told.offers)


class Peers:
    """All of them, those first who owe least."""

    def __init__(self) -> None:
        self._known: dict[int, Peer] = {}
        self.dropped: dict[int, str] = {}
        self._numbers = 0

    def came(self, number: int) -> None:
        """Its link stands."""
        if number not in self.dropped:
            self._known.setdefault(number, Peer(number))

    def left(self, number: int) -> list[Question]:
        """Its link is gone: what it owed is to be asked of others."""
        gone = self._known.pop(number, None)
        return [] if gone is None else [asked.question for asked in gone.asked.values()]

    def drop(self, number: int, reason: str) -> list[Question]:
        """Ask it no more."""
        self.dropped[number] = reason
        return self.left(number)

    def get(self, number: int) -> Peer | None:
        """One that is there and not dropped."""
        return self._known.get(number)

    def all(self) -> list[Peer]:
        """Those that are there, those first who owe us least."""
        return sorted(self._known.values(), key=lambda peer: (len(peer.asked), peer.silences, peer.number))

    def choice(self, proven: AbstractSet[int], lies: AbstractSet[bytes], epoch: int, *, late: bool) -> bytes | None:
        """
        The snapshot of the newest proven height that enough peers offer, once all of them were heard.

        ``late``: of those that answered, and one alone will do. None while somebody claims an epoch above
        the proven one: first it has to show that.
        """
        told = [peer for peer in self._known.values() if peer.told is not None]
        if any(peer.told.epoch > epoch for peer in told if peer.told) or (len(told) < len(self._known) and not late):
            return None
        count: Counter[tuple[int, bytes]] = Counter()
        for peer in told:
            for one in set(peer.told.offers if peer.told else ()):
                if one.height in proven and one.digest not in lies | peer.absent:
                    count[one.height, one.digest] += 1
        enough = min(ENOUGH, len(told))
        best = max(count, key=lambda one: (count[one] >= enough, one[0], count[one], one[1]), default=None)
        return None if best is None or (count[best] < enough and not late) else best[1]

    def are_pruned_above(self, height: int) -> bool:
        """Whether most of those who were heard have no block any more that follows this height."""
        told = [peer.told for peer in self._known.values() if peer.told is not None]
        return sum(one.first > height + 1 for one in told) * 2 > len(told)

    def next_number(self) -> int:
        """For a question."""
        self._numbers += 1
        return self._numbers

    def late(self, now: int) -> list[tuple[Peer, int]]:
        """Questions that stayed without an answer too long."""
        return [(peer, number) for peer in self.all() for number, asked in peer.asked.items() if asked.until <= now]

    def next_deadline(self) -> int | None:
        """When the next question has waited too long."""
        return min((asked.until for peer in self._known.values() for asked in peer.asked.values()), default=None)
