"""
The rules that this code can execute, and what differs between them (``architecture.md`` 3, Versions).

What differs asks ``Context.rules``; which rules hold is part of an epoch, and the operators' to decide.
"""

from __future__ import annotations

KNOWN_RULES = (0, 1, 2)
# From these on a new branch becomes the default branch when that does not exist.
HEAD_FOLLOWS_NEW_BRANCHES = 1
# From these on keys that wait for their epoch give way to newer ones.
WAITING_KEYS_GIVE_WAY = 2
