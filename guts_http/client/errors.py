"""What can go wrong between a client and a node, beside the node's own refusals (``guts_core.errors``)."""

from __future__ import annotations

from typing import ClassVar

from guts_core.errors import PeerFault, Unavailable
from guts_core.names import TxId


class Unreachable(Unavailable):
    """
    No node answered.

    ``was_sent`` says whether the request may have arrived: then a write may have happened all the same.
    """

    code: ClassVar[str] = "unreachable"

    def __init__(self, message: str, *, was_sent: bool = False) -> None:
        super().__init__(message)
        self.was_sent = was_sent


class NotFinal(Unavailable):
    """
    A write is not final within the wait, and may still happen: ask ``wait_final(tx_id)`` before trying again.

    ``tx_id`` is None when the node was gone before it could say which transaction it made.
    """

    code: ClassVar[str] = "not-final"

    def __init__(self, message: str, tx_id: TxId | None) -> None:
        super().__init__(message)
        self.tx_id = tx_id


class UnexpectedAnswer(PeerFault):
    """What answered is no Guts node, or one that does not keep to the documented shapes."""

    code: ClassVar[str] = "unexpected-answer"
