"""A database that cannot even be opened as a chain: told in the words in which the scrubber tells of others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from guts_core.chain.continuity import OtherChain
from guts_core.chain.genesis import Genesis
from guts_core.errors import Corrupt

from .scrub import ALONE_WORDS, REBUILD_WORDS


@contextmanager
def telling_of_damage(genesis: Genesis) -> Iterator[None]:
    """What a node stumbles over before anything was looked at; a genesis file of another network is no damage."""
    try:
        yield
    except OtherChain:
        raise
    except Corrupt as damage:
        words = REBUILD_WORDS if len(genesis.validators) > 1 else ALONE_WORDS
        raise Corrupt(f"chain.db is damaged ({damage}); {words}") from damage
