"""
Who is to blame decides the branch.

* GutsError
    * Refused     -- the caller's fault: Invalid, NotFound, NotAllowed, Unauthenticated, Conflict, LimitExceeded
    * Unavailable -- nobody's fault yet: not enough validators, not synced, not final in time
    * PeerFault   -- a peer's fault: Malformed, BadSignature
    * Corrupt     -- this machine's fault: the disk no longer says what we wrote

Each class carries a ``code``, stable for programs; the edges map codes to HTTP statuses and
exit codes in one table each. Leaves live next to what raises them.
"""

from __future__ import annotations

from typing import ClassVar


class GutsError(Exception):
    """Root of every error that Guts raises on purpose."""

    code: ClassVar[str] = "error"


class Refused(GutsError):
    """The caller asked for something that cannot be; nothing was changed."""

    code = "refused"


class Invalid(Refused):
    """The request itself is not well formed: a name, a number, a length."""

    code = "invalid"


class NotFound(Refused):
    """There is no such thing, or the caller may not know that there is."""

    code = "not-found"


class Unauthenticated(Refused):
    """The caller did not say who they are, or what they showed is not valid."""

    code = "unauthenticated"


class NotAllowed(Refused):
    """The caller is known and may not do this."""

    code = "not-allowed"


class Conflict(Refused):
    """The world moved on: a ref, a name or a state is not what the caller assumed."""

    code = "conflict"


class LimitExceeded(Refused):
    """A named limit or quota stands in the way."""

    code = "limit-exceeded"


class Unavailable(GutsError):
    """It cannot be done or answered now; it may be later, without anyone changing the request."""

    code = "unavailable"


class PeerFault(GutsError):
    """A peer broke the protocol."""

    code = "peer-fault"


class Malformed(PeerFault):
    """Bytes that no honest encoder writes."""

    code = "malformed"


class BadSignature(PeerFault):
    """A signature that does not verify over what it claims to cover."""

    code = "bad-signature"


class Corrupt(GutsError):
    """The disk no longer says what we wrote, or two honest computations differ."""

    code = "corrupt"


class KeyInUse(Corrupt):
    """Another process votes with the key of this one: only one of them may go on."""

    code = "key-in-use"


class ForkSeen(Corrupt):
    """Two quorums signed what excludes each other: no machine may choose between them."""

    code = "fork-seen"
    certificates: tuple[bytes, ...] = ()  # canonical, the one that came last first, as far as they are at hand

    def __init__(self, message: str, certificates: tuple[bytes, ...] = ()) -> None:
        super().__init__(message)
        self.certificates = certificates


def remade(cls: type[GutsError], message: str) -> GutsError:
    """An error as it was raised elsewhere; leaves with constructors of their own have said their words already."""
    error = cls.__new__(cls)
    error.args = (message,)
    return error
