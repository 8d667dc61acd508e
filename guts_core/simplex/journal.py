"""
The log's records and what they mean after a restart (``consensus.md`` 1.9).

Order in the log is order of promise: a body stands before the own vote for it, a certificate
before the votes it allowed. The disk adapter frames records with length and checksum, cuts a torn
tail, and refuses a bad record followed by good ones. It may at any time replace the whole file by
``Engine.snapshot_records()`` (written beside, synced, renamed).
"""

from __future__ import annotations

from typing import Annotated

from attrs import frozen

from guts_core.codec import Family, Limit, kind_of, kinds, record, to_bytes
from guts_core.codec.fields import AChainId, APublicKey
from guts_core.errors import Corrupt, Malformed

from .messages import BODY_BYTES_MAX, Certificate, Proposal, Vote


@record(kinds.LOG_START)
@frozen
class LogStart:
    """Whose log this is: another chain's or another validator's log is never replayed."""

    chain_id: AChainId
    epoch: int
    public_key: APublicKey | None  # None: a node without a vote


@record(kinds.LOG_VOTE)
@frozen
class LogVote:
    """An own vote, durable before anyone heard it."""

    vote: Vote


@record(kinds.LOG_BODY)
@frozen
class LogBody:
    """A block this validator votes for: a quorum of logs holds every acknowledged block."""

    proposal: Proposal
    body: Annotated[bytes, Limit(most=BODY_BYTES_MAX)]


@record(kinds.LOG_CERTIFICATE)
@frozen
class LogCertificate:
    """A verified certificate; losing it costs a question to a peer."""

    certificate: Certificate


@record(kinds.LOG_FLOOR)
@frozen
class LogFloor:
    """The application has durably committed this block: nothing at or below its view is needed, ever again."""

    final: Proposal
    certificate: Certificate | None


@record(kinds.LOG_EVIDENCE)
@frozen
class LogEvidence:
    """Two votes that convict their signer."""

    first: Vote
    second: Vote


@record(kinds.LOG_FENCE)
@frozen
class LogFence:
    """Votes in views up to this one may be forgotten here; None: so many are, and nobody has told yet up to which."""

    epoch: int
    view: int | None


LogRecord = LogStart | LogVote | LogBody | LogCertificate | LogFloor | LogEvidence | LogFence
_MEMBERS = (LogStart, LogVote, LogBody, LogCertificate, LogFloor, LogEvidence, LogFence)
_RECORDS = Family(_MEMBERS)
# The second byte of a canonical record is its kind (kinds 24..255 take two bytes: 0x18, kind).
_HEADS = frozenset(kind_of(member) for member in _MEMBERS)


def epoch_of(entry: LogRecord) -> int:
    """The epoch that a record belongs to."""
    match entry:
        case LogStart(_, epoch, _):
            return epoch
        case LogVote(vote):
            return vote.epoch
        case LogBody(proposal, _):
            return proposal.epoch
        case LogCertificate(certificate):
            return certificate.epoch
        case LogFloor(final, _):
            return final.epoch
        case LogEvidence(first, _):
            return first.epoch
        case LogFence(epoch, _):
            return epoch


def belongs(data: bytes) -> bool:
    """Whether a log record is the engine's; the same file also holds records of other rooms."""
    return len(data) > 2 and data[1] == 0x18 and data[2] in _HEADS


def read(data: bytes) -> LogRecord:
    """The record of these bytes; raises Corrupt, because we wrote them."""
    try:
        found: LogRecord = _RECORDS.from_bytes(data)
    except Malformed as error:
        raise Corrupt(f"a record of the vote log is not what was written: {error}") from error
    return found


def write(entry: LogRecord) -> bytes:
    """The bytes of a record."""
    return to_bytes(entry)
