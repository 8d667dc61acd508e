"""
A history of blocks, and their execution from genesis: ``python -m tests.faults.replay_blocks FILE`` prints
the state root and receipts root after each. Another interpreter on this machine can be held against it:

    python3.13 -m tests.faults.replay_blocks FILE
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from guts_core.chain.block import Block
from guts_core.chain.ledger import Ledger
from guts_core.chain.memory import MemoryStore
from guts_core.codec import decode, encode, from_bytes, to_bytes
from guts_core.identity import Ed25519Verifier
from guts_core.simplex.messages import Proposal
from guts_core.simplex.ports import Verdict
from tests.core.chain.chain_world import MAIN, Network, a_genesis, a_push, creation, flush, oid, repo_id


def history() -> bytes:
    """Several people, names with letters of other scripts' cases, pushes that win and lose, all as blocks."""
    network = Network()
    people = [network.a_person(name) for name in ("ivan", "alice", "bob")]
    for number, person in enumerate(people):
        for name in ("hello", f"i-{number}", "zebra"):
            network.submit(network.by_token(person, creation(name)))
        network.step()
        repo = repo_id(network.genesis, person, "hello")
        for old, new in ((None, "one"), ("one", "two"), ("one", "three")):
            update = a_push(repo, MAIN, None if old is None else oid(old), oid(new))
            signed = network.by_token(person, update)
            tx_id = network.submit(signed)
            for ledger in network.ledgers:
                ledger.set_witness(tx_id, network.witness(tx_id))
            network.step()
        assert network.status(signed).error is not None, "the last push is stale"
    return encode(tuple((to_bytes(proposal), body) for proposal, body in network.bodies))


def replayed(blocks: bytes) -> list[str]:
    """Each block executed on the one before it; its roots, which it must not have taken on trust."""
    store = MemoryStore()
    ledger = Ledger(a_genesis(), store, Ed25519Verifier())
    roots = []
    pairs: Any = decode(blocks)
    for named, body in pairs:
        proposal = from_bytes(Proposal, named)
        if ledger.execute(ledger.final_point(), proposal, body) is not Verdict.VALID:
            raise SystemExit(f"a block is not valid here: {ledger.why_invalid}")
        ledger.finalize(proposal, body, None)
        flush(ledger, store)
        header = from_bytes(Block, body).header
        roots += [ledger.head.state_root.hex(), header.receipts_root.hex()]
    return roots


if __name__ == "__main__":
    print("\n".join(replayed(Path(sys.argv[1]).read_bytes())))  # noqa: T201  # a program's output
