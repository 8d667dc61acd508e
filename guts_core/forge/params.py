"""Parameters that the whole network agrees on: part of genesis, changed by governance only."""

from __future__ import annotations

from enum import IntEnum

from attrs import frozen

from guts_core.codec import kinds, record

# Replay ids are kept until they expire, so this bounds that table: a constant of the rules.
EXPIRY_MS_MAX = 60 * 60 * 1000
# Who deletes the wrong repository notices within a day; nodes hold its packs for so long. Of the rules too.
RESTORE_MS = 24 * 60 * 60 * 1000
# The largest legal transaction: 1,000 updates of 255-byte refs fit; block caps never go below it.
TRANSACTION_BYTES_MAX = 512 * 1024
# Evidence counts for the epoch it is about and so many after it; seats that are over are kept for that.
EVIDENCE_EPOCHS = 2
# Operators meet within a week or propose again. Of the rules.
DECISION_LIFETIME_MS = 7 * 24 * 60 * 60 * 1000


class Registration(IntEnum):
    """Who may sponsor a new account."""

    INVITE = 1  # any account, within its quota
    OPEN = 2  # reserved
    APPROVAL = 3  # operators only


class Followers(IntEnum):
    """
    Who may replicate the chain without voting.

    OPEN is for links alone: any node is taken as a guest, after all members. No state knows it, so it has no
    number and no name, no token can name it as gateway, and it passes no pushes on; who wants that is admitted.
    """

    ADMITTED = 1
    OPEN = 2


@record(kinds.PARAMS)
@frozen
class Params:
    """Defaults suit a network on one continent; a devnet shortens the timings."""

    registration: Registration = Registration.INVITE
    followers: Followers = Followers.ADMITTED
    delta_ms: int = 500  # simplex's bound on one message delay
    retry_ms: int = 2_000
    heartbeat_ms: int = 30_000  # an idle leader proposes an empty block this late
    epoch_ms: int = 24 * 60 * 60 * 1000
    block_bytes_max: int = 1 << 20
    updates_max: int = 1_000
    refs_per_repository_max: int = 50_000
    repositories_per_account_max: int = 10_000
    quota_window_ms: int = 60 * 60 * 1000
    quota_transactions: int = 20_000  # per account and window
    quota_bytes: int = 20 << 30  # pack and text bytes per account and window
    merge_engine: str = "libgit2"
