"""What goes wrong in one seed, drawn before the run and kept as data, so that it can be cut down and replayed."""

from __future__ import annotations

from attrs import frozen

from guts_core.simplex.ports import Instant

SECOND = 1_000_000
CHAOS_US, HEAL_US = 6 * SECOND, 5 * SECOND
# A named tuple is made by a function of its own, which takes as long as reading the clocks: each event has one.
_instant = tuple.__new__
_EPOCH_MS = 1_700_000_000_000
# Retry and help are tested only while something is still lost.
HEAL_LOSS_PER_MILLE = 50
# What nodes are told a message may take when all is well.
HEAL_DELAY_US = 50_000


# ---- processes and clocks ----


@frozen
class Crash:
    """
    After ``at``, at the ``boundary``-th thing that a node does (``anywhere``), or of its writes, its process ends.

    It comes back after ``down`` with its wall clock off by ``jump_ms``, until somebody sets it when the network heals.
    """

    node: int
    at: int
    boundary: int
    down: int
    anywhere: bool = False
    jump_ms: int = 0


@frozen
class Pause:
    """A process that stands still, and then goes on as if nothing had been."""

    node: int
    at: int
    length: int


@frozen
class Loss:
    """A process that ends at ``at`` and never comes back."""

    node: int
    at: int


@frozen
class Clock:
    """A node's clocks against true time."""

    start: int  # monotonic us at true time 0
    wall_ms: int  # wall clock skew
    drift_ppm: int  # how much faster its monotonic clock runs

    def shows(self, time: int, jump_ms: int) -> Instant:
        """Both clocks at a true time, its wall clock having jumped by so much."""
        monotonic = self.start + time + time * self.drift_ppm // 1_000_000
        return _instant(Instant, (monotonic, _EPOCH_MS + time // 1000 + self.wall_ms + jump_ms, None))

    def true(self, monotonic: int) -> int:
        """The first true time at which its monotonic clock shows at least this."""
        passed = monotonic - self.start
        return max(0, -(-passed * 1_000_000 // (1_000_000 + self.drift_ppm)))


# ---- links ----


@frozen
class Partition:
    """Between ``since`` and ``until`` nothing passes from ``left`` to the others (or back, unless one-way)."""

    since: int
    until: int
    left: frozenset[int]
    one_way: bool

    def cuts(self, time: int, sender: int, receiver: int) -> bool:
        """Whether a message said now is lost to it."""
        if not self.since <= time < self.until:
            return False
        inside = sender in self.left
        if inside == (receiver in self.left):
            return False
        return inside or not self.one_way


@frozen
class Cut:
    """Links, by sender and receiver, on which nothing passes; with a period they flap: every other half of it."""

    since: int
    until: int
    links: frozenset[tuple[int, int]]
    period: int = 0

    def cuts(self, time: int, sender: int, receiver: int) -> bool:
        """Whether a message said now is lost to it."""
        if not self.since <= time < self.until or (sender, receiver) not in self.links:
            return False
        return not self.period or (time - self.since) * 2 // self.period % 2 == 0


@frozen
class Clog:
    """A link that holds everything back until it is free again."""

    since: int
    until: int
    sender: int
    receiver: int


@frozen
class Script:
    """
    In one view, who hears what: ``said`` (one of ``links.SORTS``, "" for all) by ``sender`` (-1: anyone).

    What anybody else would have heard is lost.
    """

    view: int
    said: str
    sender: int
    receivers: frozenset[int]


@frozen
class Trick:
    """
    A network that reads along. ``name`` is one of ``links.TRICKS``, ``every`` the views in which it is played.

    "last vote": at ``nodes``, the vote that completes a quorum is held back for ``hold``.
    "one certificate": only one node sees the notarization, and then nobody hears of it for ``hold``.
    """

    name: str
    every: int
    nodes: frozenset[int]
    hold: int


# ---- disks ----


@frozen
class SlowDisk:
    """A disk whose every sync takes so much longer for a while."""

    node: int
    since: int
    until: int
    extra: int


@frozen
class FullDisk:
    """A disk that takes no byte more: the first write fails and ends the process, which starts again when it may."""

    node: int
    since: int
    until: int


@frozen
class Rot:
    """At ``at`` the power fails, and a bit of the part of the log that was closed long ago has turned."""

    node: int
    at: int
    bit: int


@frozen
class Restore:
    """
    At ``at`` an operator puts back a copy that is ``age`` old: of the "database", of the "log" (lost), or of "both".

    An old database is caught up on. Where the log is lost or old too, the others tell which votes they heard, and the
    node votes again above its fence.
    """

    node: int
    at: int
    age: int
    what: str


Fault = Crash | Pause | Loss | Partition | Cut | Clog | Script | Trick | SlowDisk | FullDisk | Rot | Restore


@frozen
class Plan:
    """Everything that is drawn."""

    crashes: tuple[Crash, ...]
    partitions: tuple[Partition, ...]
    clocks: tuple[Clock, ...]
    delay_us: tuple[int, int]
    loss_per_mille: int
    duplicates_per_mille: int
    late_per_mille: int  # messages held back up to half a second: reordering
    sync_us: tuple[int, int]
    work_us: int  # between two clients' wishes
    commit_us: tuple[int, int]  # of a block to the database; the next one begins when it ended
    chaos_us: int = CHAOS_US
    heal_us: int = HEAL_US
    cuts: tuple[Cut, ...] = ()
    clogs: tuple[Clog, ...] = ()
    scripts: tuple[Script, ...] = ()
    tricks: tuple[Trick, ...] = ()
    pauses: tuple[Pause, ...] = ()
    losses: tuple[Loss, ...] = ()
    slow_disks: tuple[SlowDisk, ...] = ()
    full_disks: tuple[FullDisk, ...] = ()
    rots: tuple[Rot, ...] = ()
    restores: tuple[Restore, ...] = ()
    has_tail: bool = False  # delays are spread about evenly, or with a lognormal tail beyond the upper bound
    bytes_per_second: int = 0  # of a link; 0: as many as one likes
    is_beyond: bool = False  # more goes wrong than agreement promises to bear: then liveness is not asked for

    @classmethod
    def calm(cls, nodes: int) -> Plan:
        """Nothing goes wrong: links of a millisecond or two, quick disks, equal clocks. To be evolved."""
        return cls(
            crashes=(),
            partitions=(),
            clocks=(Clock(0, 0, 0),) * nodes,
            delay_us=(1_000, 2_000),
            loss_per_mille=0,
            duplicates_per_mille=0,
            late_per_mille=0,
            sync_us=(100, 500),
            work_us=40_000,
            commit_us=(500, 2_000),
        )

    @property
    def gone(self) -> frozenset[int]:
        """Nodes that are not expected to take part in the end."""
        return frozenset([*(loss.node for loss in self.losses), *(rot.node for rot in self.rots)])
