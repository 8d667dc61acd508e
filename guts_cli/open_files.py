"""How many files a node may need open at once."""

from __future__ import annotations

from .config import Config

# Pipes of a git child, a conversation with the node, a file that is written.
FILES_PER_CHILD = 8
# Peers, handshakes at the p2p door, databases and logs.
FILES_OF_NODE = 1_000


def files_wanted(config: Config) -> int:
    """As many as its limits let in, and what it needs for itself."""
    limits = config.limits
    children = limits.fetches + limits.pushes + limits.git_children
    return limits.connections + FILES_PER_CHILD * children + FILES_OF_NODE
