"""
What a node says, believed only as far as it is proven: a proof is fetched over HTTP, checked with the
network's genesis and nothing else, and then tampered with.

    python examples/verify_a_proof.py
"""

from __future__ import annotations

import os
import sys
import tempfile
import urllib.request
from pathlib import Path

from guts_core import BadProof, actions, genesis_from_json, proof
from guts_core.forge.records import ObjectFormat
from guts_http.doors import doors
from guts_net import running_node


def main(place: Path) -> int:
    """0 when the true proof verified and every false one was refused."""
    with running_node(place, doors=doors("127.0.0.1:0")) as node:
        repository = actions.CreateRepository(
            "hello", os.urandom(32), False, "refs/heads/main", ObjectFormat.SHA1, "all", None
        )
        node.act(repository)
        url = f"{node.doors}/api/guts/v1/proof?repo=me/hello&refs=all"
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 -- it is http
            data = answer.read()

    # From here on there is no node and no network: a file, and a genesis that was had from elsewhere.
    genesis = genesis_from_json((place / "genesis.json").read_text()).genesis
    shown = proof.verify(data, genesis, proof.about_refs("me", "hello"))
    if not isinstance(shown.answer, proof.ProvenRefs):
        return 1
    print(f"{len(data)} bytes prove the {len(shown.answer.refs)} refs of me/hello at height {shown.height}")
    print(shown.final.words)

    refused = 0
    for at in range(0, len(data), 7):
        try:
            proof.verify(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], genesis)
        except BadProof:
            refused += 1
    print(f"{refused} of {len(range(0, len(data), 7))} tampered copies were refused")
    return 0 if refused == len(range(0, len(data), 7)) else 1


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        sys.exit(main(Path(scratch)))
