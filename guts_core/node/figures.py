"""
What a node counts, and as what Prometheus shows it: one table for the node, the doors and the reference page.

Times are counted in microseconds and shown in seconds.
"""

from __future__ import annotations

from enum import Enum

from attrs import frozen


class Shape(Enum):
    """What a number does over time."""

    COUNTER = "counter"  # grows, and begins at zero with each start
    GAUGE = "gauge"
    SUMMARY = "summary"  # how often something was done (_count), and how long all of that took (_sum)


@frozen
class Known:
    """One number: its key, the metric and label it becomes, and what it says."""

    key: str
    metric: str  # without the _total of counters
    shape: Shape
    words: str
    label: tuple[str, str] | None = None


def _counter(key: str, metric: str, words: str, label: tuple[str, str] | None = None) -> Known:
    return Known(key, metric, Shape.COUNTER, words, label)


def _split(key: str, metric: str, words: str, name: str, *values: str) -> tuple[Known, ...]:
    return tuple(_counter(f"{key}.{value}", metric, words, (name, value)) for value in values)


def _gauge(key: str, metric: str, words: str) -> Known:
    return Known(key, metric, Shape.GAUGE, words)


def _summary(key: str, metric: str, words: str) -> Known:
    return Known(key, metric, Shape.SUMMARY, words)


FIGURES: tuple[Known, ...] = (
    _counter("blocks", "guts_node_blocks", "Blocks finalized, executed and written"),
    *_split("transactions", "guts_node_transactions", "Transactions in those blocks", "result", "done", "refused"),
    _summary("commits", "guts_node_commit_seconds", "Writing a final block, durably"),
    _summary("log_syncs", "guts_node_vote_log_sync_seconds", "Making votes durable before they are said"),
    _gauge("log_bytes", "guts_node_vote_log_bytes", "Size of the vote log"),
    _counter("signatures", "guts_node_signature_checks", "Signatures checked"),
    _counter("equivocations", "guts_node_equivocations", "Proofs that a validator signed two contradicting votes"),
    *_split("pushes", "guts_node_pushes", "Pushes taken from clients", "result", "done", "partial", "refused"),
    *_split("checks", "guts_node_pack_checks", "Pushes of other nodes, judged", "result", "done", "refused"),
    _counter("packs", "guts_node_packs", "Packs stored"),
    _counter("pack_bytes", "guts_node_pack_bytes", "Bytes of packs stored"),
    _summary("git_children", "guts_node_git_child_seconds", "git child processes that looked at packs"),
    _gauge("mempool_bytes", "guts_node_mempool_bytes", "Size of the transactions that wait for a block"),
    _gauge("pending_age", "guts_node_pending_age_seconds", "Age of the oldest of those that could stand in one"),
    _gauge("block_cap", "guts_node_block_cap_bytes", "How large a block it proposes: less after one that was lost"),
    _gauge("waiting", "guts_node_waiting_clients", "Clients that wait for finality"),
    _counter("messages_sent", "guts_peer_messages_sent", "Messages said to other validators"),
    _counter("messages_received", "guts_peer_messages_received", "Messages heard from other validators"),
    _counter("messages_dropped", "guts_peer_messages_dropped", "Messages given up because a peer reads too slowly"),
    _counter("messages_refused", "guts_peer_messages_refused", "Messages of peers that said too much"),
    *_split(
        "excess",
        "guts_peer_messages_over_budget",
        "Messages of agreement above what one peer is heard a second, and answers to nothing",
        "sort",
        "questions",
        "certificates",
        "proposals",
        "answers",
    ),
    _counter("bytes_sent", "guts_peer_sent_bytes", "Bytes sent to other validators"),
    _counter("bytes_received", "guts_peer_received_bytes", "Bytes received from other validators"),
    _counter("dials", "guts_peer_dials", "Connections tried"),
    _counter("dials_failed", "guts_peer_dials_failed", "Connections tried in vain"),
    _counter("handshakes_refused", "guts_peer_handshakes_refused", "Strangers turned away at the p2p door"),
    _counter("bans", "guts_peer_bans", "Validators shut out for a while because they lied"),
    _counter("discovery_learned", "guts_peer_addresses_learned", "Newer addresses of members, believed"),
    *(
        _counter(
            f"discovery_{key}", "guts_peer_addresses_dropped", "What was told of addresses, not believed", ("why", why)
        )
        for key, why in (
            ("stale", "stale"),
            ("unknown", "unknown"),
            ("from_the_future", "future"),
            ("poisoned", "poisoned"),
            ("no_room", "no_room"),
        )
    ),
    _counter("discovery_unanswered", "guts_peer_address_questions_unanswered", "Questions that came too often"),
    _counter("discovery_started_over", "guts_peer_address_restarts", "Looks for the network at other addresses"),
    _counter("chunks_timed_out", "guts_peer_chunks_timed_out", "Pieces of packs or texts that did not come in time"),
    _counter("scrub_steps", "guts_node_scrub_steps", "Steps of the scrubber"),
    _counter("scrub_rounds", "guts_node_scrub_rounds", "Whole readings of the disk"),
    _counter("scrub_packs", "guts_node_scrub_packs", "Packs read again by the scrubber"),
    _counter("loop_stalls", "guts_node_loop_stalls", "Times the event loop did not get on for more than a second"),
    _counter("scrub_damaged_packs", "guts_node_scrub_damaged_packs", "Packs found damaged"),
)
BY_KEY = {known.key: known for known in FIGURES}
