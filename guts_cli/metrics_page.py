"""``docs/reference/metrics.md``, made from the table of metrics."""

from __future__ import annotations

from guts_http.metrics import FAMILIES, Family

_HEAD = """\
# Metrics

Made from the code by `python -m guts_cli.config.reference --write`; a test compares them, and another compares
this page with what a running node shows.

`GET /metrics` answers in Prometheus's text format, to anybody: let a proxy keep it to those who shall see it. Times
are in seconds, sizes in bytes. Counters end in `_total` and begin at zero with each start of the node; a summary has
`_count` and `_sum`, a histogram `_bucket` as well; what the doors count has `_created`, the time of its first count.
Labels are bounded: validators are those of the genesis, doors are `git`, `api` and `page`, unknown methods are
`other`, and a request whose client has gone has the status `gone`.
When the node behind the doors does not answer, `guts_node_up` is 0 and the others stay as they were.

What to be woken by: `guts_node_up` 0; `guts_node_halted` or `guts_node_damaged` 1; `guts_node_peers + 1` below
`guts_node_quorum`; `guts_node_disk_free_bytes` below twice `guts_node_disk_reserve_bytes`. What to look at by day:
[operate-a-node](../how-to/operate-a-node.md).
"""
_PROCESS = """
## Of the process

On Linux, of the process that serves: `process_cpu_seconds_total` (counter), and the gauges `process_open_fds`,
`process_max_fds`, `process_resident_memory_bytes`, `process_virtual_memory_bytes` and `process_start_time_seconds`.
"""
_TITLES = (("guts_http_", "Of the HTTP doors"), ("guts_peer_", "Of the links to other validators"), ("", "Of the node"))


def metrics_page() -> str:
    """The page."""
    left, sections = list(FAMILIES), []
    for prefix, title in _TITLES:
        ours = [family for family in left if family.name.startswith(prefix)]
        left = [family for family in left if family not in ours]
        sections.append(f"\n## {title}\n\n{_table(ours)}")
    return _HEAD + "".join(reversed(sections)) + _PROCESS


def _table(families: list[Family]) -> str:
    rows = [f"| `{one.name}` | {one.type} | {_labels(one)} | {one.words} |" for one in families]
    return "\n".join(["| metric | type | labels | |", "|---|---|---|---|", *rows]) + "\n"


def _labels(family: Family) -> str:
    return ", ".join(f"`{label}`" for label in family.labels)
