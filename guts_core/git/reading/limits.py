"""
What one question about a repository may cost, each number with its reason (``reliability.md`` C04-C07).

Counts come first, for they are the same on every node and in every test: a question that is refused for them
is refused everywhere. Time is a callable that the caller hands in, since the core has no clock.
"""

from __future__ import annotations

# An object takes some 30 us and an entry of a tree 1 us to read: ten seconds of work, and a hundred times a page.
NODES_MAX = 1_000_000
# The trees that a log with a path walks in a large history; what is read is dropped again, so this is work, not memory.
BYTES_MAX = 2 << 30
# What the paths that a walk makes come to: a million entries with 64 bytes each. Names and depths multiply, so
# counting entries does not bound them.
PATH_BYTES_MAX = 64 << 20
# GitHub's limit of a file; two of them are held at once at most, when two versions are compared.
BLOB_BYTES_MAX = 100 << 20
# 500,000 entries of usual length; a tree is held whole.
TREE_BYTES_MAX = 32 << 20
# Longer tags and commits are refused when they are pushed.
TEXT_OBJECT_BYTES_MAX = 1 << 20
# The beginning of a commit that is read: its headers, with 256 parents 13 KB, and a longer message than anybody reads.
COMMIT_BYTES_KEPT = 64 * 1024
# Tags of tags; git's own tests make three.
TAG_DEPTH_MAX = 16
# A file is read so far to tell whether it is binary; a longer one is too large to be compared anyway.
LOOKED_AT_BYTES_MAX = 4 << 20
# libgit2 compares two texts in one go, during which nothing else of this process runs. Its time grows with the square
# of their lines: two texts at both bounds, made to hurt, take 0.05 s, of a mebibyte 8 s. GitHub shows as many lines.
DIFF_BYTES_MAX = 256 << 10
DIFF_LINES_MAX = 20_000
# What a browser shows, and what fits into an answer.
PATCH_BYTES_MAX = 32 << 20
# GitHub shows 300 files of a comparison; a rename of a whole directory must still be told.
CHANGES_MAX = 20_000
# Every pair of an added and a deleted file is compared: a second of work. git stops at the same square of its limit.
RENAME_PAIRS_MAX = 200 * 200
# The contents of the files that may be renames, all together, and how many different lines of them are held while
# they are compared: 150 bytes each.
RENAME_BYTES_MAX = 64 << 20
RENAME_LINES_MAX = 500_000
# An export is streamed, so this is what a client may make one node send.
ARCHIVE_BYTES_MAX = 4 << 30
# git/git has 4,500 files, Linux 85,000; a zip ends with the list of them, which is held while it is written.
ARCHIVE_ENTRIES_MAX = 200_000
# libgit2 walks three trees whole and cannot be stopped on the way: they are walked here first.
MERGE_NODES_MAX = 2_000_000
MERGE_PATH_BYTES_MAX = 2 * PATH_BYTES_MAX
# Each is a merge of its own, of some milliseconds; who has more of them merges or squashes.
REBASE_COMMITS_MAX = 250
