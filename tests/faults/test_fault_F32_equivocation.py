"""F32: a leader offers two blocks in one view. One is notarized at most, and who did it is on record."""

from __future__ import annotations

import pytest

from guts_core.simplex.messages import Kind
from tests.core.simplex.simplex_world import F, N, World, X


@pytest.mark.parametrize("kind", [N, F])
def test_fault_F32_a_certificate_convicts_who_said_something_else_here(kind: Kind) -> None:
    """The half that was shown the other block holds one of the two votes, and meets the other in a certificate."""
    world = World()
    shown, rival = world.block(1), world.block(1, word=b"other")
    world.hear(1, shown)
    if kind is F:
        world.hear(1, world.vote(1, F, 1, shown.proposal))

    world.hear(2, world.certificate(kind, 1, rival.proposal, signers=(1, 2, 3)))

    pairs = world.engine.evidence()
    assert [(one.signer, one.kind, one.proposal, two.proposal) for one, two in pairs] == [
        (1, kind, shown.proposal, rival.proposal)
    ]
    assert [(report.first, report.second) for report in world.reported] == pairs


def test_fault_F32_a_nullification_convicts_who_finalized() -> None:
    """Both kinds that no honest validator casts together, one of them heard only inside a certificate."""
    world = World()
    world.hear(3, world.vote(3, F, 1, world.block(1).proposal))

    world.hear(2, world.certificate(X, 1, signers=(1, 2, 3)))

    assert [(one.signer, one.kind, two.kind) for one, two in world.engine.evidence()] == [(3, F, X)]


def test_fault_F32_a_certificate_convicts_nobody_who_kept_the_rules() -> None:
    """To notarize a block and then give its view up is what the protocol asks for; said again is said once."""
    world = World()
    block = world.block(1)
    world.hear(1, block)
    world.hear(2, world.vote(2, N, 1, block.proposal))

    world.hear(3, world.certificate(X, 1), world.certificate(N, 1, block.proposal))

    assert world.engine.evidence() == []
