"""``/metrics`` of a running node: what the page promises, in Prometheus's manner, and moved by a push."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from guts_http.metrics import FAMILIES
from tests.http.node_world import Node, a_history, git, open_world

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "metrics.md").read_text()
UNITS = ("seconds", "bytes")
OTHER_UNITS = re.compile(r"_(ms|us|milliseconds|minutes|hours|kib|mib|kilobytes|megabytes|percent)(_|$)")
# One sample of each metric that a push through this node must move.
MOVED = (
    "guts_node_height",
    "guts_node_view",
    "guts_node_blocks_total",
    'guts_node_transactions_total{result="done"}',
    'guts_node_leader_slots_total{outcome="led"}',
    "guts_node_commit_seconds_count",
    "guts_node_commit_seconds_sum",
    "guts_node_vote_log_sync_seconds_count",
    "guts_node_vote_log_sync_seconds_sum",
    "guts_node_vote_log_bytes",
    "guts_node_signature_checks_total",
    'guts_node_pushes_total{result="done"}',
    "guts_node_packs_total",
    "guts_node_pack_bytes_total",
    "guts_node_git_child_seconds_count",
    "guts_node_git_child_seconds_sum",
    "guts_node_uptime_seconds",
    "guts_peer_messages_sent_total",
    "guts_peer_messages_received_total",
    "guts_peer_sent_bytes_total",
    "guts_peer_received_bytes_total",
    "guts_http_requests_total",
    "guts_http_sent_bytes_total",
    'guts_http_request_seconds_count{door="git"}',
    'guts_http_request_seconds_sum{door="git"}',
)
# What says something of a healthy node without anybody doing anything.
THERE = (
    "guts_node_up",
    "guts_build_info",
    "guts_node_validators",
    "guts_node_quorum",
    "guts_node_peers",
    "guts_node_disk_free_bytes",
    "guts_node_disk_reserve_bytes",
    "guts_node_scrub_steps_total",
    "guts_peer_connected",
    "guts_peer_round_trip_seconds",
)


async def _shown(node: Node) -> str:
    return (await node.http.get("/metrics")).text


def _samples(text: str) -> dict[str, float]:
    """Sums of samples: by name, and by name with each of its labels."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            names = [sample.name, *(f'{sample.name}{{{label}="{said}"}}' for label, said in sample.labels.items())]
            for name in names:
                found[name] = found.get(name, 0) + sample.value
    return found


async def test_a_push_moves_what_it_must_and_nothing_is_shown_that_the_page_does_not_name(tmp_path: Path) -> None:
    """A metric that stays at zero while its thing happens is worse than none."""
    work = await a_history(tmp_path)
    async with open_world(tmp_path, validators=2) as node:
        token = await node.token("alice")
        before = _samples(await _shown(node))
        pushed = await git(work, "push", "-q", node.remote("alice/hello.git", "alice", token), "main")
        odd = await node.http.request("BREW", "/api/v3/repos/alice/none")
        text = await _shown(node)

    after = _samples(text)
    assert pushed.code == 0, pushed.err
    assert odd.status_code in (404, 405)
    assert 'method="BREW"' not in text
    assert [name for name in MOVED if not after[name] > before.get(name, 0)] == []
    assert [name for name in THERE if not after[name]] == []
    assert after["guts_node_pack_bytes_total"] > 100
    _check_manner(text)


def _check_manner(text: str) -> None:
    """What ``promtool check metrics`` says, and that the page names exactly what is shown."""
    typed = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    helped = dict(re.findall(r"^# HELP (\S+) (.+)$", text, re.MULTILINE))
    created = {name for name in typed if name.endswith("_created")}
    ours = {name: kind for name, kind in typed.items() if name.startswith("guts_") and name not in created}
    paged = dict(re.findall(r"^\| `(guts_\w+)` \| (\w+) \|", PAGE, re.MULTILINE))

    assert ours == paged == {family.name: family.type for family in FAMILIES}
    assert set(typed) == set(helped)
    assert {name for name in typed if name.startswith("process_")} <= set(re.findall(r"process_\w+", PAGE))
    for name, kind in ours.items():
        assert re.fullmatch(r"guts_[a-z][a-z_]*[a-z]", name), name
        assert name.endswith("_total") == (kind == "counter"), name
        assert not OTHER_UNITS.search(name), name
        if kind in ("summary", "histogram"):
            assert name.endswith(UNITS), name
    for metric in re.findall(r"^(\w+)\{([^}]*)\}", text, re.MULTILINE):
        labels = set(re.findall(r'(\w+)="', metric[1]))
        stem = metric[0].removesuffix("_created")
        known = next((f.labels for f in FAMILIES if stem.startswith(f.name.removesuffix("_total"))), ())
        assert labels <= {*known, "le"}, metric


async def test_without_its_node_the_doors_say_so_and_keep_the_last_figures(tmp_path: Path) -> None:
    """A scrape that fails says less than one that tells what is wrong."""
    async with open_world(tmp_path) as node:
        up = _samples(await _shown(node))

        async def gone() -> None:
            raise OSError("the node is gone")

        node.port.open = gone  # type: ignore[method-assign, assignment]  # its process ended
        down = _samples(await _shown(node))
        ready, started = await node.http.get("/readyz"), await node.http.get("/startupz")

    assert (up["guts_node_up"], down["guts_node_up"]) == (1, 0)
    assert down["guts_node_height"] == up["guts_node_height"]
    assert {reason["code"] for each in (ready, started) for reason in each.json()["reasons"]} == {"no-node"}
    assert (ready.status_code, started.status_code) == (503, 503)
