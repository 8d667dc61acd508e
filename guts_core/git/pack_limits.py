"""
What the objects of a push may be, each number with its reason (``reliability.md`` C01-C07).

The same on every node: an attester with another number would not vouch for what others do. At its own door
a node may take less (``PackLimits``), never more: nobody would vouch for it.
"""

from __future__ import annotations

from attrs import frozen

# What GitHub takes in one push; larger histories go in by several.
PACK_BYTES_MAX = 2 << 30
# Linux has ten million after 20 years; index-pack needs some 200 bytes of memory for each.
OBJECTS_MAX = 5_000_000
# Whoever checks out one file needs so much memory and disk at once; larger ones belong into LFS.
BLOB_BYTES_MAX = 512 << 20
# A directory that no listing shows any more; the largest of Linux has 2,500, and git reads a tree whole (C04).
TREE_ENTRIES_MAX = 500_000
# Such a tree with names of 200 bytes.
TREE_BYTES_MAX = 128 << 20
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


@frozen
class PackLimits:
    """What the objects of one push may be at one node's door; the defaults are what validators vouch for."""

    objects: int = OBJECTS_MAX
    blob_bytes: int = BLOB_BYTES_MAX
    tree_entries: int = TREE_ENTRIES_MAX
    tree_depth: int = TREE_DEPTH_MAX
    delta_depth: int = DELTA_DEPTH_MAX
    parents: int = PARENTS_MAX
    commit_bytes: int = COMMIT_BYTES_MAX
    inflated_bytes: int = INFLATED_BYTES_MAX

    def inflated_bytes_max(self, size: int) -> int:
        """What the objects of a pack of this size may come to."""
        return min(self.inflated_bytes, INFLATED_BYTES_FREE + INFLATED_RATIO_MAX * size)


# What every validator asks of every pack.
OF_VALIDATORS = PackLimits()
