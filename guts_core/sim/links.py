"""
The links between simulated nodes: what is planned to go wrong on them, and networks that read along.

Chance has its say last, in ``Fates.carry``; what is decided here follows from the plan and from what was said.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable

from guts_core.simplex.messages import Certificate, Fetch, Kind, Message, Propose, Supply, Vote

from .fates import Delays, Fates
from .faults import SECOND, Cut, Partition, Plan, Trick

_VOTES = {Kind.NOTARIZE: "notarize", Kind.NULLIFY: "nullify", Kind.FINALIZE: "finalize"}
_CERTIFICATES = {Kind.NOTARIZE: "notarization", Kind.NULLIFY: "nullification", Kind.FINALIZE: "finalization"}
# What can be said, for scripts and for coverage.
SORTS = ("propose", *_VOTES.values(), *_CERTIFICATES.values(), "fetch", "supply", "other")
LAST_VOTE, ONE_CERTIFICATE = "last vote", "one certificate"
TRICKS = (LAST_VOTE, ONE_CERTIFICATE)

# In which a notarization shows.
_NOTARIZING, _NOTARIZE = (Vote, Certificate), Kind.NOTARIZE

# How copies of some bytes travel at a time from one node to another: after how long each arrives.
Carry = Callable[[int, int, int, bytes, Message | None], Delays]


def sort_in(message: Message | None) -> str:
    """What sort of message this is."""
    match message:
        case Vote():
            return _VOTES[message.kind]
        case Certificate():
            return _CERTIFICATES[message.kind]
        case Propose():
            return "propose"
        case Fetch():
            return "fetch"
        case Supply():
            return "supply"
        case _:
            return "other"


def view_in(message: Message | None) -> int:
    """The view that a message is about, or 0."""
    match message:
        case Vote() | Certificate():
            return message.view
        case Propose():
            return message.proposal.view
        case _:
            return 0


class Links:
    """All links of one world."""

    def __init__(self, plan: Plan, fates: Fates, quorum: int, faults: Counter[str]) -> None:
        self._plan, self._fates, self._quorum, self._faults = plan, fates, quorum, faults
        self.met: Counter[tuple[str, str, bool]] = Counter()  # fate, sort of message, and whether things still go wrong
        self._scripts = {script.view for script in plan.scripts}
        self._free: dict[tuple[int, int], int] = {}  # when the bytes that are on a link have left it
        self._heard: defaultdict[tuple[int, Kind, int], set[int]] = defaultdict(set)
        self._shown: dict[int, int] = {}  # views whose notarization one node alone may see, and since when
        self._stalls: dict[tuple[int, int], int] = {}  # receiver and view: how long a completing vote is held
        self._shows = [trick for trick in plan.tricks if trick.name == ONE_CERTIFICATE]
        self._holds = [trick for trick in plan.tricks if trick.name == LAST_VOTE]
        # Calm plans have none of what must be looked at message by message.
        self._is_plain = not (plan.scripts or plan.tricks or plan.clogs or plan.bytes_per_second)
        self._cuts: tuple[Partition | Cut, ...] = (*plan.partitions, *plan.cuts)
        self._on: list[Partition | Cut] = []
        self._turn = 0  # when others are cut off than now
        self._late = plan.delay_us[1]
        self._chaos_us, self._draw = plan.chaos_us, fates.carry

    def _look(self, time: int) -> None:
        """Which cuts there are now, and until when."""
        self._on = [cut for cut in self._cuts if cut.since <= time < cut.until]
        turns = [turn for cut in self._cuts for turn in (cut.since, cut.until) if turn > time]
        self._turn = min(turns, default=self._chaos_us)

    def stall(self, receiver: int, view: int, hold: int) -> None:
        """An adaptive adversary holds back what would complete a quorum of this view at a node."""
        self._stalls[receiver, view] = hold
        self._is_plain = False

    def carry(self, time: int, sender: int, receiver: int, data: bytes, message: Message | None) -> Delays:
        """When copies of these bytes arrive, counted from now."""
        is_chaos = time < self._chaos_us
        if is_chaos:
            if time >= self._turn:
                self._look(time)
            for cut in self._on:
                if cut.cuts(time, sender, receiver):
                    self._befell("cut off", message, time)
                    return ()
            if not self._is_plain and self._hides(time, sender, receiver, message):
                return ()
        delays = self._draw(time, sender, receiver, len(data))
        if len(delays) != 1:
            self._befell("duplicated" if delays else "lost", message, time)
        elif delays[0] > self._late:
            self._befell("late", message, time)
        if not is_chaos or self._is_plain or not delays:
            return delays
        extra = self._held(time, sender, receiver, len(data), message)
        return tuple(delay + extra for delay in delays) if extra else delays

    def _befell(self, fate: str, message: Message | None, time: int) -> None:
        self._faults[fate] += 1
        if message is not None:
            self.met[fate, sort_in(message), time < self._chaos_us] += 1

    def passes(self, time: int, sender: int, receiver: int) -> bool:
        """Whether a link is not cut."""
        return time >= self._plan.chaos_us or not any(cut.cuts(time, sender, receiver) for cut in self._cuts)

    # ---- what a reading network hides ----

    def _hides(self, time: int, sender: int, receiver: int, message: Message | None) -> bool:
        if self._scripts and (view := view_in(message)) in self._scripts:
            said = sort_in(message)
            for script in self._plan.scripts:
                applies = script.view == view and script.said in {"", said} and script.sender in {-1, sender}
                if applies and receiver not in script.receivers:
                    self._faults["scripted away"] += 1
                    return True
        return bool(self._shows) and any(
            self._shows_one(time, sender, receiver, message, trick) for trick in self._shows
        )

    def _shows_one(self, time: int, sender: int, receiver: int, message: Message | None, trick: Trick) -> bool:
        """In a view of its own each of some nodes alone gets the notarization, and cannot pass it on."""
        if isinstance(message, _NOTARIZING) and message.kind is _NOTARIZE and message.view % trick.every == 0:
            chosen = self._chosen(trick, message.view)
            since = self._shown.setdefault(message.view, time)
            if time < since + trick.hold and receiver != chosen:
                self._faults["shown to one node only"] += 1
                return True
        return bool(self._shown) and self._is_silenced(time, sender, trick)

    def _is_silenced(self, time: int, sender: int, trick: Trick) -> bool:
        view = max(self._shown)
        return time < self._shown[view] + trick.hold and self._chosen(trick, view) == sender

    @staticmethod
    def _chosen(trick: Trick, view: int) -> int:
        nodes = sorted(trick.nodes)
        return nodes[view // trick.every % len(nodes)]

    # ---- what takes longer ----

    def _held(self, time: int, sender: int, receiver: int, size: int, message: Message | None) -> int:
        extra = self._queued(time, sender, receiver, size) if self._plan.bytes_per_second else 0
        for clog in self._plan.clogs:
            if (clog.sender, clog.receiver) == (sender, receiver) and clog.since <= time < clog.until:
                self._faults["clogged"] += 1
                extra = max(extra, clog.until - time)
        if (self._holds or self._stalls) and isinstance(message, Vote):
            extra = max(extra, self._completing(receiver, message))
        return extra

    def _queued(self, time: int, sender: int, receiver: int, size: int) -> int:
        """Bytes wait for those before them."""
        rate = self._plan.bytes_per_second
        link = sender, receiver
        begins = max(time, self._free.get(link, 0))
        self._free[link] = ends = begins + size * SECOND // rate
        self._faults["waited for other bytes"] += begins > time
        return ends - time

    def _completing(self, receiver: int, vote: Vote) -> int:
        """How long the vote that would complete a quorum at this node is held: others then do, or nobody does."""
        hold = self._stalls.get((receiver, vote.view), 0)
        for trick in self._holds:
            if receiver in trick.nodes and vote.view % trick.every == 0:
                hold = max(hold, trick.hold)
        if not hold:
            return 0
        heard = self._heard[receiver, vote.kind, vote.view]
        # The receiver's own vote counts too, so one less than a quorum from others completes it.
        if len(heard | {vote.signer}) < self._quorum - 1:
            heard.add(vote.signer)
            return 0
        self._faults["quorum held back"] += 1
        return hold
