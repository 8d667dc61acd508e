"""One table from codes of ``guts_core.errors`` to HTTP statuses, and what HTTP adds to them."""

from __future__ import annotations

from attrs import field, frozen

from guts_core.chain.mempool import Busy
from guts_core.chain.pruned import Pruned
from guts_core.errors import (
    Conflict,
    Corrupt,
    GutsError,
    Invalid,
    LimitExceeded,
    Malformed,
    NotAllowed,
    NotFound,
    PeerFault,
    Refused,
    Unauthenticated,
    Unavailable,
)
from guts_core.forge.quota import QuotaExhausted
from guts_core.names import TxId

# A leaf answers like the nearest of its ancestors that stands here.
STATUSES: dict[type[GutsError], int] = {
    Invalid: 422,
    Pruned: 410,
    NotFound: 404,
    Unauthenticated: 401,
    NotAllowed: 403,
    Conflict: 409,
    QuotaExhausted: 429,
    Busy: 429,
    LimitExceeded: 422,
    Refused: 422,
    Unavailable: 503,
    Malformed: 400,
    PeerFault: 400,
    Corrupt: 500,
    GutsError: 500,
}
RETRY_SECONDS = 5


@frozen
class FieldError:
    """One thing wrong with a request, in GitHub's shape."""

    resource: str
    field: str
    code: str  # missing_field, invalid, already_exists, custom
    message: str


class InvalidFields(Invalid):
    """A request body with these things wrong, all of them."""

    code = "invalid-fields"

    def __init__(self, *errors: FieldError) -> None:
        super().__init__("Validation Failed")
        self.errors = errors


class BadRequest(Refused):
    """The request cannot be read at all."""

    code = "bad-request"


class TooSlow(Refused):
    """The request's body comes in a trickle that would hold a turn of others."""

    code = "too-slow"


class TooManyAtOnce(Unavailable):
    """A bounded resource of this node is in use."""

    code = "too-many-at-once"


class TooManyRequests(Refused):
    """One client or account asks more often than this node answers it."""

    code = "too-many-requests"

    def __init__(self, retry_seconds: int) -> None:
        self.retry_seconds = max(retry_seconds, 1)
        super().__init__(f"too many requests from you: this node answers again in {self.retry_seconds} s")


class NotFinal(GutsError):
    """The transaction is not final within the wait; it may still happen."""

    code = "not-final"

    def __init__(self, tx_id: TxId, missing_validators: int) -> None:
        self.tx_id = tx_id
        why = ""
        if missing_validators:
            are = "validator is" if missing_validators == 1 else "validators are"
            why = f": {missing_validators} more {are} needed for agreement"
        super().__init__(
            f"not final in time{why}; it may still happen. Ask for transaction {tx_id.hex()} before you try again"
        )


_HTTP_ONLY: dict[type[GutsError], int] = {BadRequest: 400, TooSlow: 408, NotFinal: 504, TooManyRequests: 429}


@frozen
class Answer:
    """What a request that failed is answered with."""

    status: int
    message: str
    code: str  # stable, for programs
    headers: dict[str, str] = field(factory=dict)
    errors: tuple[FieldError, ...] = ()


def status_of(error: type[GutsError]) -> int:
    """The HTTP status of an error class."""
    return next(_HTTP_ONLY.get(cls) or STATUSES[cls] for cls in error.__mro__ if cls in _HTTP_ONLY or cls in STATUSES)


def answer_to(error: GutsError) -> Answer:
    """The status, words and headers for an error."""
    status = status_of(type(error))
    headers: dict[str, str] = {}
    if isinstance(error, NotFinal):
        headers["Guts-Transaction"] = error.tx_id.hex()
    if isinstance(error, Unavailable | Busy):
        headers["Retry-After"] = str(RETRY_SECONDS)
    if isinstance(error, TooManyRequests):
        headers["Retry-After"] = str(error.retry_seconds)
    errors = error.errors if isinstance(error, InvalidFields) else ()
    # What broke on our side is in the log; the words may name files.
    message = "this node found damage in its own data; its operator has been told" if status == 500 else str(error)
    return Answer(status, message, error.code, headers, errors)
