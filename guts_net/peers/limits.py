"""How often a peer may say what (``consensus.md`` 6, Rate limits), and how long we wait between dials."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from guts_core.codec import kinds
from guts_core.errors import PeerFault


@frozen
class Rate:
    """Messages a second for long, and at once."""

    per_second: float
    burst: int


# Formula: what an honest peer can say at 400 views a second (2.5 ms each, faster than any fsync),
# times four. Votes come as 3 kinds and their certificates; proposals and catch-up once a view.
VOTES = Rate(per_second=10_000, burst=40_000)
PROPOSALS = Rate(per_second=1_600, burst=3_200)
CATCH_UP = Rate(per_second=1_600, burst=3_200)
# A gateway forwards what its users submit; quotas in the state hold the users.
TRANSACTIONS = Rate(per_second=4_000, burst=16_000)
# Ten rounds a second, the shortest interval there is, and all members moving at once.
ADDRESSES = Rate(per_second=20, burst=400)
OTHER = Rate(per_second=1_000, burst=4_000)
RATES = {
    kinds.VOTE: VOTES,
    kinds.CERTIFICATE: VOTES,
    kinds.PROPOSE: PROPOSALS,
    kinds.FETCH: CATCH_UP,
    kinds.SUPPLY: CATCH_UP,
    kinds.SUBMIT: TRANSACTIONS,
    kinds.WITNESSED: TRANSACTIONS,
    kinds.PEERS_KNOWN: ADDRESSES,
    kinds.PEER_INFOS: ADDRESSES,
}


@frozen
class PeerLimits:
    """What an operator may set of the p2p door."""

    # More than all peers of the largest network dialling at once; beyond it the oldest gives way, so
    # that connections which say nothing cannot keep honest ones out.
    handshakes: int = 512
    # What a full mempool of small transactions makes in seconds; the oldest are dropped.
    queue_bytes: int = 8 << 20
    # Long enough to make guessing useless, short enough that a repaired node is back in one coffee.
    ban_seconds: float = 600.0
    # Nodes that the state does not know, where anybody may follow: two connections each.
    guests: int = 64


DEFAULT_LIMITS = PeerLimits()


# Refusals of hostile connections are logged this often; the counters count all of them.
REFUSALS_LOGGED = Rate(per_second=1, burst=20)

# The first dial after a loss comes at once; on loopback a network of restarted processes stands in
# well under a second. The longest wait is what an operator may notice after a repair.
BACKOFF_FIRST_SECONDS = 0.05
BACKOFF_MOST_SECONDS = 5.0


class TokenBucket:
    """Says whether one more message is within a rate."""

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate, self._tokens, self._at = rate, float(rate.burst), now
        self.refused = 0  # since the bucket was last full

    def take(self, now: float) -> bool:
        """One token, if there is one."""
        self._tokens = min(self._rate.burst, self._tokens + (now - self._at) * self._rate.per_second)
        self._at = now
        if self._tokens >= self._rate.burst:
            self.refused = 0
        if self._tokens < 1:
            self.refused += 1
            return False
        self._tokens -= 1
        return True


class Allowance:
    """The buckets of one peer, one for each class of message."""

    def __init__(self, now: float) -> None:
        self._buckets = {id(rate): TokenBucket(rate, now) for rate in (*RATES.values(), OTHER)}

    def permits(self, message: bytes, now: float) -> bool:
        """False: drop it. Raises PeerFault when the peer went on for a whole burst more."""
        rate = RATES.get(kind_in(message), OTHER)
        bucket = self._buckets[id(rate)]
        if bucket.take(now):
            return True
        if bucket.refused > rate.burst:
            raise PeerFault(f"it goes on above {rate.per_second:.0f} messages a second of one class")
        return False


class Backoff:
    """Waits between dials: doubling, with jitter so that nodes started together spread out."""

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy, self._next = entropy, BACKOFF_FIRST_SECONDS

    def reset(self) -> None:
        """The peer was there: start over."""
        self._next = BACKOFF_FIRST_SECONDS

    def next_seconds(self) -> float:
        """Between half and all of the current step."""
        step = self._next
        self._next = min(BACKOFF_MOST_SECONDS, step * 2)
        return step * (0.5 + int.from_bytes(self._entropy(2), "big") / (1 << 17))


def kind_in(message: bytes) -> int:
    """The kind of a canonical record from its first bytes; 0 if it is none (decoding will refuse it)."""
    if len(message) < 3 or not 0x82 <= message[0] <= 0x97:
        return 0
    if message[1] < 24:
        return message[1]
    if message[1] == 0x18:
        return message[2]
    return 0
