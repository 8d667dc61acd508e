"""
What the objects of a push may be, each number with its reason (``reliability.md`` C01-C07).

The same on every node: an attester with another number would not vouch for what others do.
"""

from __future__ import annotations

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


def inflated_bytes_max(size: int) -> int:
    """What the objects of a pack of this size may come to."""
    return min(INFLATED_BYTES_MAX, INFLATED_BYTES_FREE + INFLATED_RATIO_MAX * size)
