"""Why no block may hold a transaction, here and now: each reason with its code (``admission`` finds them)."""

from __future__ import annotations

from guts_core.errors import Conflict, Invalid, LimitExceeded, NotAllowed, Refused, Unauthenticated
from guts_core.forge.quota import QuotaExhausted


class Inadmissible(Refused):
    """A transaction that no block may hold, here and now."""

    code = "inadmissible"


class BadForm(Inadmissible, Invalid):
    """Its parts do not belong together."""

    code = "bad-form"


class TooLarge(Inadmissible, LimitExceeded):
    """It would not fit into a block with its texts."""

    code = "too-large"


class WrongChain(Inadmissible, Invalid):
    """It was made for another network."""

    code = "wrong-chain"


class TransactionExpired(Inadmissible, Conflict):
    """Its time is over: nothing will come of it any more."""

    code = "transaction-expired"


class ExpiresTooLate(Inadmissible, Invalid):
    """It would have to be remembered for too long."""

    code = "expires-too-late"


class Replayed(Inadmissible, Conflict):
    """It stands in the chain already."""

    code = "replayed"


class UnknownAccount(Inadmissible, Unauthenticated):
    """Nobody of that id is here."""

    code = "unknown-account"


class UnknownCredential(Inadmissible, Unauthenticated):
    """No such credential, or one of another account."""

    code = "unknown-credential"


class CredentialEnded(Inadmissible, Unauthenticated):
    """The credential was revoked or has expired."""

    code = "credential-ended"


class GatewayNotListed(Inadmissible, NotAllowed):
    """The credential does not let this node speak for it."""

    code = "gateway-not-listed"


class WrongSignatures(Inadmissible, Unauthenticated):
    """The signatures are not exactly the required ones."""

    code = "wrong-signatures"


class WitnessMissing(Inadmissible, Conflict):
    """It waits for a quorum to hold its pack."""

    code = "witness-missing"


class WitnessWrong(Inadmissible, Invalid):
    """What it carries as a witness is none."""

    code = "witness-wrong"


class TextMissing(Inadmissible, Invalid):
    """It commits to a text that did not come with it."""

    code = "text-missing"


class TextUnexpected(Inadmissible, Invalid):
    """It carries a text that it does not commit to."""

    code = "text-unexpected"


class CannotPay(Inadmissible, QuotaExhausted):
    """The account that would pay has used up its window."""

    code = QuotaExhausted.code


# For the edges, which see codes: which class, and so which status, a code stands for.
REFUSALS: dict[str, type[Inadmissible]] = {
    refusal.code: refusal
    for refusal in (
        Inadmissible,
        BadForm,
        TooLarge,
        WrongChain,
        TransactionExpired,
        ExpiresTooLate,
        Replayed,
        UnknownAccount,
        UnknownCredential,
        CredentialEnded,
        GatewayNotListed,
        WrongSignatures,
        WitnessMissing,
        WitnessWrong,
        TextMissing,
        TextUnexpected,
        CannotPay,
    )
}
