"""How large a push may be, each number with its reason (``reliability.md`` C01-C03, C13)."""

from __future__ import annotations

# What GitHub takes in one push; larger histories go in by several.
PACK_BYTES_MAX = 2 << 30
# Linux has ten million after 20 years; index-pack needs some 200 bytes of memory for each.
OBJECTS_MAX = 5_000_000
# PACK, version, count and the SHA-1 trailer.
PACK_BYTES_LEAST = 32
# Indexing less than this takes a fraction of a second.
LARGE_PACK_BYTES = 4 << 20
# index-pack does about 10 MiB a second on one busy core; what takes longer is built to.
CHECK_SECONDS_LEAST = 120.0
CHECK_SECONDS_PER_MIB = 2.0

# git cannot be told to make longer chains itself; each link costs every reader an inflate and a copy (C03).
DELTA_DEPTH_MAX = 4_095
# Paths end at 4,096 bytes on most systems, so nobody can check out twice this; git stops at 2,048 (C05).
TREE_DEPTH_MAX = 1_024
# The largest merge of Linux has 66; history walks cost their number (C07).
PARENTS_MAX = 256
# Headers and message of a commit or tag together: what shows or searches history reads it whole (C07).
COMMIT_BYTES_MAX = 1 << 20
# What the objects of one push may come to. Linux is 72 GiB in 1.3 GiB; a file of 5 MB that changed every
# hour for a year is 1,000 times its pack. A zlib bomb alone reaches 1,032 (C01).
INFLATED_BYTES_MAX = 128 << 30
INFLATED_BYTES_FREE = 1 << 30
INFLATED_RATIO_MAX = 1_000
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


def inflated_bytes_max(size: int) -> int:
    """What the objects of a pack of this size may come to."""
    return min(INFLATED_BYTES_MAX, INFLATED_BYTES_FREE + INFLATED_RATIO_MAX * size)
