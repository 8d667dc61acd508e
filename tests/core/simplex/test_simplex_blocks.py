"""The walk from a block down to the finalized tip ends, whatever the application takes for a block."""

from __future__ import annotations

from guts_core.names import BlockHash
from guts_core.simplex.blocks import Blocks
from guts_core.simplex.messages import Proposal

FINAL, A, B = (BlockHash(bytes([number]) * 32) for number in range(3))
TIP = Proposal(0, 1, 0, BlockHash(b""), FINAL)


def held(*proposals: Proposal) -> Blocks:
    blocks = Blocks()
    for proposal in proposals:
        blocks.put(proposal, b"body")
    return blocks


def test_a_branch_leads_to_the_tip() -> None:
    walk = held(Proposal(0, 2, 1, FINAL, A), Proposal(0, 4, 2, A, B)).walk(B, TIP)

    assert walk.connects
    assert [block.proposal.block_hash for block in walk.run] == [A, B]


def test_blocks_that_are_each_others_parents_are_a_dead_branch() -> None:
    """An application that does not bind a body to its place lets one block stand in for another."""
    walk = held(Proposal(0, 4, 3, B, A), Proposal(0, 5, 4, A, B)).walk(B, TIP)

    assert walk.dead
    assert walk.run == []


def test_a_block_that_is_its_own_parent_is_a_dead_branch() -> None:
    assert held(Proposal(0, 5, 4, A, A)).walk(A, TIP).dead
