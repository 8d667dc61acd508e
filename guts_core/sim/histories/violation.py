"""What a checker found: a sentence, and the operations that cannot all be true."""

from __future__ import annotations

from collections.abc import Sequence

from guts_core.errors import GutsError

from .history import Operation


class Violation(GutsError):
    """No order of these operations gives the answers that were told."""

    code = "history-violation"

    def __init__(self, sentence: str, operations: Sequence[Operation], order: Sequence[Operation] = ()) -> None:
        super().__init__(sentence)
        self.operations = tuple(operations)
        self.order = tuple(order)  # the longest beginning of an order that would have been right
