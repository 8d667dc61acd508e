"""The one thing to do about a node: case by case, and which comes first."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from attrs import evolve

from guts_cli.advice import Advice, Awaited, advice
from guts_core.names import BlockHash, ChainId, NodeId, Root
from guts_core.simplex.quorum import FaultModel
from guts_http.client import Connection, Status

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "operate-a-node.md").read_text()
NOW = datetime(2030, 1, 1, tzinfo=UTC)
ID = bytes(32)


def peer(index: int, **changes: object) -> Connection:
    """Another validator that is well, but for these."""
    made = Connection(index, f"node-{index}", connected=True, round_trip_us=400, clock_ms=2, led=40, missed=0)
    return evolve(made, **changes)  # type: ignore[arg-type]  # fields by name


PEERS = (peer(1), peer(2), peer(3))
WELL = Status(
    chain_id=ChainId(ID),
    network="our-net",
    height=160,
    block_hash=BlockHash(ID),
    state_root=Root(ID),
    final=NOW,
    time=NOW,
    view=161,
    epoch=0,
    validators=4,
    quorum=3,
    peers=3,
    mempool=0,
    missing_packs=0,
    missing_texts=0,
    fault_model=FaultModel.BYZANTINE,
    version="1",
    rules=0,
    node=NodeId(ID),
    role="validator",
    validator_index=0,
    private_reads=True,
    halted=None,
    disk_free=100 << 30,
    disk_reserve=1 << 30,
    started=True,
    uptime_seconds=9,
    behind=0,
    led=40,
    missed=0,
    damage=None,
    packs_damaged=0,
    outlook="clear",
    held_back=None,
    connections=PEERS,
)
AWAY = (peer(1, connected=False, clock_ms=None), *PEERS[1:])
TWO_AWAY = (*AWAY[:1], peer(2, connected=False, clock_ms=None), PEERS[2])
# In order of importance: of two that hold, the upper one is told.
CASES: tuple[tuple[str, dict[str, object], str], ...] = (
    ("stopped", {"halted": "rules 1"}, "agreement has stopped here: rules 1"),
    ("damaged", {"damage": "chain.db is damaged; move it away"}, "chain.db is damaged; move it away"),
    ("disk-low", {"disk_free": 1 << 20}, "1 MiB are free and 1024 MiB are kept"),
    ("starting", {"started": False}, "replaying its vote log"),
    ("retired", {"role": "retired", "validator_index": None}, "it was voted out"),
    ("unverified", {"outlook": "few", "validator_index": None}, "it reaches 3 of 4 validators"),
    ("unknown-key", {"role": "stranger"}, "does not know its new network key yet"),
    ("alone", {"peers": 0}, "no other validator is connected"),
    ("no-quorum", {"peers": 1, "connections": TWO_AWAY}, "needs 1 more of node-1, node-2"),
    ("held-back", {"held_back": "votes are held back up to view 9: why"}, "held back up to view 9"),
    ("stale", {"outlook": "stale"}, "no newer final block for three heartbeats"),
    ("clock", {"connections": tuple(peer(i, clock_ms=9_000) for i in (1, 2, 3))}, "clock is about 9 s behind"),
    ("behind", {"behind": 65}, "up to 65 blocks behind"),
    ("missing-turns", {"led": 44, "missed": 5}, "missed 5 of its 49 turns"),
    ("no-spare", {"peers": 2, "connections": AWAY}, "node-1 must come back"),
    ("others-miss", {"connections": (peer(1, led=0, missed=5), *PEERS[1:])}, "node-1 miss many turns"),
    ("other-clock", {"connections": (peer(1, clock_ms=-9_000), *PEERS[1:])}, "the clock of node-1 is 9 s behind"),
    ("disk-fails", {"packs_damaged": 2}, "2 packs had changed"),
    ("disk-soon", {"disk_free": 3 << 29}, "nearly full (1536 MiB are free"),
    ("missing-data", {"missing_packs": 1, "missing_texts": 2}, "1 packs and 2 texts are still on their way"),
    ("no-news", {"private_reads": False}, "shows no private repositories"),
)
OTHERS = (
    ("away", evolve(WELL, validators=7, quorum=5, peers=5, connections=AWAY), "node-1 cannot be reached"),
    ("well", WELL, "all is well"),
    ("well", evolve(WELL, led=45, missed=5, behind=64), "all is well"),
    ("well", evolve(WELL, led=0, missed=4), "all is well"),
    ("well", evolve(WELL, validators=1, quorum=1, peers=0, connections=()), "all is well"),
    ("clock", evolve(WELL, connections=tuple(peer(i, clock_ms=-9_000) for i in (1, 2, 3))), "9 s ahead of most"),
    ("other-clock", evolve(WELL, connections=(peer(1, clock_ms=9_000),)), "node-1 is 9 s ahead"),
    ("away", evolve(WELL, validator_index=None, quorum=1, peers=2, connections=AWAY), "node-1 cannot be reached"),
)


@pytest.mark.parametrize(("code", "changes", "words"), CASES)
def test_each_thing_that_is_wrong_has_its_sentence(code: str, changes: dict[str, object], words: str) -> None:
    """One sentence that names the thing."""
    given = advice(evolve(WELL, **changes))  # type: ignore[arg-type]  # fields by name

    assert given.code == code
    assert words in given.sentence
    assert "\n" not in given.sentence


@pytest.mark.parametrize(("code", "status", "words"), OTHERS)
def test_what_is_no_reason_to_worry_is_not_told(code: str, status: Status, words: str) -> None:
    """Bounds, small networks, followers: the sentence is about what matters there."""
    given = advice(status)

    assert given.code == code
    assert words in given.sentence


def test_an_operator_who_is_asked_to_vote_is_told_so() -> None:
    """Below four validators nothing happens without every one of them."""
    asked = (Awaited(7, "add validator cyd, for which cyd answers", "bea"), Awaited(8, "end the epoch", "bea"))

    given = advice(WELL, asked)

    sentence = "decision 7 (add validator cyd, for which cyd answers) waits for the vote of bea"
    assert given == Advice("vote", sentence, "guts network vote 7")
    assert advice(evolve(WELL, behind=65), asked).code == "behind"
    assert advice(evolve(WELL, peers=2, connections=AWAY), asked).code == "vote"


def test_the_most_important_thing_is_told_first() -> None:
    """Whoever is woken does one thing; each case beats every one below it that can hold at the same time."""
    for place, (code, changes, _) in enumerate(CASES):
        for _, below, _ in CASES[place + 1 :]:
            if not changes.keys() & below.keys():
                assert advice(evolve(WELL, **{**below, **changes})).code == code  # type: ignore[arg-type]  # fields by name
    both = evolve(WELL, disk_free=0, damage="x", halted="y", behind=99)
    assert advice(both).code == "stopped"
    assert advice(evolve(both, halted=None)).code == "damaged"
    assert advice(evolve(both, halted=None, damage=None)).code == "disk-low"


def test_the_page_explains_every_advice() -> None:
    """In the same order."""
    table = PAGE.partition("## What the advice means")[2].partition("\n## ")[0]
    explained = re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)
    codes = [code for code, _, _ in CASES]

    assert [code for code in explained if code not in ("away", "vote", "well")] == codes
    assert {"away", "vote", "well"} < set(explained)
