"""
What can be wrong with a proof file: each is false, and says what about it is.

All are ``BadProof``: whoever made the file is to blame, be it the node that was asked or what the
bytes went through.
"""

from __future__ import annotations

from guts_core.state.proof import BadProof


class NotAProof(BadProof):
    """The bytes are no proof file, or not exactly one."""

    code = "not-a-proof"


class UnknownVersion(BadProof):
    """A proof file, or the network in it, of a later build."""

    code = "unknown-proof-version"


class OtherNetwork(BadProof):
    """A proof of another network than the genesis is of."""

    code = "other-network"


class OtherQuestion(BadProof):
    """A proof that may be true, of something else than was asked."""

    code = "other-question"


class BadCertificate(BadProof):
    """No quorum of the network's validators signed that."""

    code = "bad-certificate"


class BadChain(BadProof):
    """The headers do not lead from what is shown to what was certified."""

    code = "bad-chain"


class BadEpoch(BadProof):
    """The ends of epochs do not lead from genesis to the validators who signed."""

    code = "bad-epoch"


class BadPath(BadProof):
    """A record, a transaction or a receipt that does not stand under its header."""

    code = "bad-path"


class TooOld(BadProof):
    """A true proof of longer ago than is asked for."""

    code = "too-old"


class Incomplete(BadProof):
    """What is said to be all refs is not all, or more."""

    code = "incomplete-set"
