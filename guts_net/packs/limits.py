"""
What this node spends on a push, each number with its reason (``reliability.md`` C01-C03, C13).

What a pack may hold is the same on every node: ``guts_core.git.pack_limits``.
"""

from __future__ import annotations

# PACK, version, count and the SHA-1 trailer.
PACK_BYTES_LEAST = 32
# Indexing less than this takes a fraction of a second.
LARGE_PACK_BYTES = 4 << 20
# index-pack does about 10 MiB a second on one busy core; what takes longer is built to.
CHECK_SECONDS_LEAST = 120.0
CHECK_SECONDS_PER_MIB = 2.0

# Computing time of a check, which unlike the clock does not depend on what else the machine does: an honest
# pack takes 0.1 to 0.5 s a MiB, a bomb is as large as it says and takes what it can get.
CHECK_CPU_SECONDS_LEAST = 10
CHECK_CPU_SECONDS_PER_MIB = 4


def check_seconds(size: int) -> float:
    """How long git may take over a pack of this size."""
    return CHECK_SECONDS_LEAST + CHECK_SECONDS_PER_MIB * size / (1 << 20)


def check_cpu_seconds(size: int) -> int:
    """How much computing git may do for a pack of this size."""
    return CHECK_CPU_SECONDS_LEAST + CHECK_CPU_SECONDS_PER_MIB * -(-size // (1 << 20))
