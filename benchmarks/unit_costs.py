"""What physics allows: the unit costs of one finality, measured in the same run (3 fsync + 5 verify + 3 sign)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from guts_core.codec import Tag
from guts_core.identity import KeyPair, verify
from guts_core.names import ChainId
from guts_net.disk import LocalDisk

from .figures import Figure, figure

FSYNCS, VERIFIES, SIGNS = 3, 5, 3
ROUNDS = 200
RECORD_BYTES = 300


def measure(directory: Path) -> list[Figure]:
    """Fsync of a small append, sign, verify; and their sum as the bound of a finality."""
    key, chain = KeyPair(bytes(range(32))), ChainId(bytes(32))
    body = bytes(RECORD_BYTES)
    signature = key.sign(Tag.SIGN_VOTE, chain, body)
    file = LocalDisk().append(directory / "append.log")

    def append() -> None:
        file.write(os.urandom(RECORD_BYTES))
        file.sync()

    syncs = _times(append)
    signs = _times(lambda: key.sign(Tag.SIGN_VOTE, chain, body))
    verifies = _times(lambda: verify(key.public_key, Tag.SIGN_VOTE, chain, body, signature))
    file.close()
    parts = [figure("fsync of a 300 B append", "ms", syncs), figure("Ed25519 sign", "ms", signs)]
    parts.append(figure("Ed25519 verify", "ms", verifies))
    bound = FSYNCS * parts[0].median + SIGNS * parts[1].median + VERIFIES * parts[2].median
    return [*parts, figure("unit-cost bound of a finality", "ms", [bound], note="3 fsync + 5 verify + 3 sign")]


def _times(action: Callable[[], object]) -> list[float]:
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        action()
        times.append((time.perf_counter() - start) * 1000)
    return times
