"""F32: a leader offers two blocks in one view. One is notarized at most, and who did it is on record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import evolve

from guts_core.chain.block import header_of
from guts_core.codec import Tag, encode, from_bytes, kinds, to_bytes, to_value
from guts_core.forge import queries
from guts_core.forge.params import Params
from guts_core.identity import KeyPair
from guts_core.names import BlockHash
from guts_core.simplex.messages import Kind, Proposal, Propose
from guts_core.simplex.ports import Instant
from guts_http.app import create_app
from guts_net.handle import RunningNode
from guts_net.peers import Urgency
from guts_net.peers.limits import kind_in
from tests.core.simplex import simplex_world
from tests.core.simplex.simplex_world import F, N, X
from tests.http.http_world import open_server
from tests.net.world import World, found, wait_until


@pytest.mark.parametrize("kind", [N, F])
def test_fault_F32_a_certificate_convicts_who_said_something_else_here(kind: Kind) -> None:
    """The half that was shown the other block holds one of the two votes, and meets the other in a certificate."""
    world = simplex_world.World()
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
    world = simplex_world.World()
    world.hear(3, world.vote(3, F, 1, world.block(1).proposal))

    world.hear(2, world.certificate(X, 1, signers=(1, 2, 3)))

    assert [(one.signer, one.kind, two.kind) for one, two in world.engine.evidence()] == [(3, F, X)]


def test_fault_F32_a_certificate_convicts_nobody_who_kept_the_rules() -> None:
    """To notarize a block and then give its view up is what the protocol asks for; said again is said once."""
    world = simplex_world.World()
    block = world.block(1)
    world.hear(1, block)
    world.hear(2, world.vote(2, N, 1, block.proposal))

    world.hear(3, world.certificate(X, 1), world.certificate(N, 1, block.proposal))

    assert world.engine.evidence() == []


class Equivocating:
    """
    What a running node says, but for its proposals: the last of the others is shown another block.

    The two that see the first one certify it; of the second nothing comes back, or the liar's own node would stop.
    """

    def __init__(self, node: RunningNode, signer: KeyPair) -> None:
        self._node, self._signer = node._node, signer
        self._send = node._network.send
        self._rivals: dict[int, Propose | None] = {}
        node._network.send = self.send  # type: ignore[method-assign]  # a liar is an honest node with another mouth

    @property
    def views(self) -> list[int]:
        """Those in which it showed two blocks."""
        return [view for view, rival in self._rivals.items() if rival is not None]

    def send(self, index: int, data: bytes, urgency: Urgency, *, wake: bool = True) -> None:
        """As the node's links do."""
        if index == 2 and kind_in(data) == kinds.PROPOSE:
            said = from_bytes(Propose, data)
            view = said.proposal.view
            if view not in self._rivals:
                self._rivals[view] = self._rival(said)
            data = data if (rival := self._rivals[view]) is None else to_bytes(rival)
        self._send(index, data, urgency, wake=wake)

    def _rival(self, said: Propose) -> Propose | None:
        old = said.proposal
        parent = Proposal(old.epoch, old.parent_view, 0, BlockHash(bytes(32)), old.parent_hash)
        built = self._node.ledger.propose(parent, old.view, Instant(0, header_of(said.body).time + 1))
        if built is None:
            return None
        proposal = evolve(old, block_hash=built[0])
        content = encode((int(N), old.epoch, old.view, to_value(proposal)))
        signature = self._signer.sign(Tag.SIGN_VOTE, self._node.chain_id, content)
        return Propose(
            proposal, built[1], said.justification, evolve(said.vote, proposal=proposal, signature=signature)
        )


async def test_fault_F32_what_an_equivocating_leader_did_stands_on_record_and_in_the_api(tmp_path: Path) -> None:
    """Two nodes see one block, the third the other: it finds out, reports it, and all have it on record."""
    world = found(tmp_path, 4, params=Params(delta_ms=100, retry_ms=200, heartbeat_ms=150))
    async with world.running() as nodes:
        liar, honest = Equivocating(nodes[3], world.seats[3].keys["vote"]), nodes[:3]
        await wait_until(lambda: all(node.read(lambda view: queries.conviction(view, 0, 3)) for node in honest))
        shown = [await _evidence(node, world) for node in honest]
        assert shown[0] == shown[1] == shown[2]
        assert [(one["epoch"], one["seat"], one["name"], one["kinds"]) for one in shown[0]] == [
            (0, 3, "node3", ["notarize", "notarize"])
        ]
        assert shown[0][0]["view"] in liar.views
        height = max(node.height for node in honest)
        await wait_until(lambda: all(node.height > height + 4 for node in honest))
        for at in range(1, height):
            stored = [node._database.block_at(at) for node in honest]
            assert len({block.block_hash for block in stored if block is not None}) == 1


async def _evidence(node: RunningNode, world: World) -> Any:
    """What its door shows."""
    app = create_app(node, node.settings.directory / "chain.db", world.genesis)
    async with open_server(app, finish=False) as server, httpx.AsyncClient(base_url=server.url, timeout=180) as http:
        return (await http.get("/api/guts/v1/network/evidence")).json()
