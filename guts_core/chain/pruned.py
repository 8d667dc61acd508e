"""A node may let go of old blocks: what it says of those."""

from __future__ import annotations

from guts_core.errors import NotFound

# In a store's meta: the history of all headers below the lowest block, and perhaps of some that are here.
BASE = "base"


class Pruned(NotFound):
    """It was here, and is no more: nodes that keep everything still have it."""

    code = "pruned"


def pruned(height: int, first: int) -> Pruned:
    """Of a block below the lowest that is here."""
    return Pruned(f"block {height} is pruned below {first}: this node keeps none that are older, others may")
