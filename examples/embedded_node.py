"""
A forge inside a plain program: a node in a thread, with its HTTP doors, that stock git clones from.

    python examples/embedded_node.py [DIRECTORY]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from guts_core import actions
from guts_core.forge import queries
from guts_core.forge.records import ObjectFormat
from guts_http.doors import doors
from guts_net import running_node


def main(directory: Path) -> int:
    """Found a network of one, create a repository on it, clone it; the same again finds it there."""
    with running_node(directory / "node", account="me", doors=doors("127.0.0.1:0")) as node:
        if node.read(lambda view: queries.repository_by_name(view, "me", "hello")) is None:
            hello = actions.CreateRepository(
                name="hello",
                salt=os.urandom(32),
                private=False,
                default_branch="refs/heads/main",
                object_format=ObjectFormat.SHA1,
                placement="all",
                description=None,
            )
            print("created at height", node.act(hello).height)
        print("network", node.chain_id.hex()[:12], "at height", node.status().height)
        clone = ["git", "clone", "--quiet", f"{node.doors}/me/hello.git", str(directory / "hello")]
        code = subprocess.run(clone, check=False).returncode
    print("cloned" if code == 0 else "git failed")
    return code


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(main(Path(sys.argv[1])))
    with tempfile.TemporaryDirectory() as scratch:
        sys.exit(main(Path(scratch)))
