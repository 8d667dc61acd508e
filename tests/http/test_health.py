"""What makes a node unready or degraded, case by case, and the three probes at a live node."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from attrs import evolve

from guts_core.node.port import AskStatus, Status
from guts_http.api.operations import routes_with
from guts_http.health import BEHIND_BLOCKS_MAX, STARTING, UNREACHABLE, reasons
from guts_http.metrics import Metrics
from guts_http.port import ask
from tests.http.node_world import open_world

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "http.md").read_text()
WELL = Status(
    chain_id=bytes(32),
    node_id=bytes(32),
    validator_index=0,
    height=7,
    view=8,
    epoch=0,
    validators=4,
    quorum=3,
    peers=2,
    missing_packs=0,
    missing_texts=0,
    time=1,
    final_age_ms=1,
    private_reads=True,
    mempool=0,
    peer_statuses=(),
    halted=None,
    disk_free=10,
    disk_reserve=10,
    clock=1,
    uptime_ms=1,
    started=True,
    behind=BEHIND_BLOCKS_MAX,
    led=0,
    missed=0,
    packs_damaged=0,
    scrub_rounds=0,
)
CASES = {
    "stopped": (evolve(WELL, halted="rules 9"), True, "agreement has stopped: rules 9"),
    "damaged": (evolve(WELL, damage="chain.db is damaged"), True, "chain.db is damaged"),
    "starting": (evolve(WELL, started=False), True, STARTING.message),
    "no-quorum": (evolve(WELL, peers=1), False, "1 more validator is needed"),
    "behind": (evolve(WELL, behind=BEHIND_BLOCKS_MAX + 1), True, "up to 65 blocks behind"),
    "disk-low": (evolve(WELL, disk_free=9), False, "takes no writes of clients"),
    "missing-packs": (evolve(WELL, missing_packs=2), False, "2 packs are still on their way"),
}


@pytest.mark.parametrize("code", CASES)
def test_each_reason_has_its_code_and_words(code: str) -> None:
    """One thing wrong is one reason; which of them take a node out of rotation is decided here."""
    status, grave, words = CASES[code]
    (found,) = reasons(status)

    assert (found.code, found.grave) == (code, grave)
    assert words in found.message


def test_all_reasons_are_told_the_gravest_first() -> None:
    """An operator mends a node once, not reason by reason."""
    found = reasons(evolve(WELL, disk_free=0, peers=0, halted="x"))

    assert [reason.code for reason in found] == ["stopped", "no-quorum", "disk-low"]
    assert reasons(WELL) == ()
    assert reasons(evolve(WELL, validators=1, quorum=1, peers=0)) == ()
    assert [reason.code for reason in reasons(evolve(WELL, validator_index=None))] == ["no-quorum"]


def test_the_page_knows_every_code() -> None:
    """Programs go by codes."""
    section = PAGE.partition("### livez")[2].partition("\n## ")[0]

    assert set(re.findall(r"^\| `([a-z-]+)` \| (?:200|503)", section, re.MULTILINE)) == {*CASES, UNREACHABLE.code}
    assert {"/livez", "/startupz", "/readyz", "/metrics"} < {route.path for route in routes_with(Metrics()).declared}


async def test_a_node_tells_its_reasons_and_comes_back(tmp_path: Path) -> None:
    """Ready with a quorum; without one fit for reads, and it says that it is for no more."""
    async with open_world(tmp_path, validators=2) as node:
        while (ready := await node.http.get("/readyz")).json()["status"] != "ready":
            assert ready.json()["reasons"]
        await node.others[0].stop()
        while (await ask(node.port, AskStatus())).peers:  # type: ignore[union-attr]  # a Status
            pass
        alone, started, live = [await node.http.get(path) for path in ("/readyz", "/startupz", "/livez")]

    assert ready.json() == {"status": "ready", "height": ready.json()["height"], "peers": 1, "reasons": []}
    assert (alone.status_code, started.status_code, live.status_code) == (200, 200, 200)
    assert alone.json()["status"] == "degraded"
    assert [reason["code"] for reason in alone.json()["reasons"]] == ["no-quorum"]
