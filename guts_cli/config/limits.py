"""
Every bound, in one table: what this node's operator may set, what its network agreed on, and what is
fixed by the rules. ``docs/reference/limits.md`` is made from it, and ``guts doctor`` prints it.
"""

from __future__ import annotations

from enum import Enum

from attrs import frozen

from guts_core.chain import block, compose, receipt, transaction
from guts_core.codec import cbor
from guts_core.forge import manifests, records
from guts_core.forge.params import EXPIRY_MS_MAX, TRANSACTION_BYTES_MAX, Params
from guts_core.git import chunks, fetch_request, pack_limits, pkt_line, refs
from guts_core.link import frames
from guts_core.node import messages, port, push_parts
from guts_core.simplex import bounds

from .kinds import Value
from .sections import SETTINGS, Config

_PAGE_HEAD = """\
# Limits

Made from the code by `python -m guts_cli.config.reference --write`; a test compares them.

Three kinds of bounds hold for what comes in from outside. Those of a node its operator may set:
[configuration.md](configuration.md), sections `[limits]` and `[push]`. Those of a network all its nodes must agree on,
so they stand in its genesis. Those of the rules are the same everywhere, because a node with another
number would call valid what others refuse.
"""


class Whose(Enum):
    """Who may change a limit."""

    NODE = "its operator, in `[limits]` and `[push]`"
    NETWORK = "genesis"
    RULES = "nobody"


@frozen
class LimitRow:
    """One bound: its name, value and unit, who may change it, and why it is so."""

    name: str
    value: Value
    unit: str
    whose: Whose
    reason: str


@frozen
class _Fixed:
    name: str
    value: int
    unit: str
    reason: str


# Parameters of a network that bound something; the others are timings and choices.
_OF_PARAMS = {
    "block_bytes_max": ("bytes", "A block with its texts; never less than the largest legal transaction."),
    "updates_max": ("refs", "Refs that one push moves at once; more are split, or refused when atomic."),
    "refs_per_repository_max": ("refs", "Each is a record that every node holds."),
    "repositories_per_account_max": ("repositories", "A name taken is taken from everybody."),
    "quota_window_ms": ("milliseconds", "The quotas below count within so much of block time."),
    "quota_transactions": ("transactions", "Of one account in the window: spam is held by quotas, not by fees."),
    "quota_bytes": ("bytes", "Packs and texts of one account in the window; a text counts as 262,144."),
}

FIXED = (
    _Fixed(
        "transaction",
        TRANSACTION_BYTES_MAX,
        "bytes",
        "A thousand updates of refs with the longest names fit.",
    ),
    _Fixed("text", transaction.TEXT_BYTES_MAX, "bytes", "A long description with its markup."),
    _Fixed("texts of a transaction", transaction.TEXTS_MAX, "texts", "One for each action."),
    _Fixed("actions of a transaction", transaction.ACTIONS_MAX, "actions", "They succeed or fail together."),
    _Fixed(
        "signatures of a transaction",
        transaction.SIGNATURES_MAX,
        "signatures",
        "As many as validators may be, and the author's own.",
    ),
    _Fixed(
        "life of a transaction", EXPIRY_MS_MAX, "milliseconds", "Ids are kept so long to recognize what comes twice."
    ),
    _Fixed("life of a transaction made by a node", compose.LIFETIME_MS, "milliseconds", "Time for a slow network."),
    _Fixed("life of a push", compose.PUSH_LIFETIME_MS, "milliseconds", "Validators pull and check its pack first."),
    _Fixed(
        "transactions of a block",
        block.ITEMS_MAX,
        "transactions",
        "The bytes of a block bind first: a signed transaction has 200 at least.",
    ),
    _Fixed("words of a refusal", receipt.MESSAGE_BYTES_MAX, "bytes", "They stand in the block for ever."),
    _Fixed(
        "validators",
        records.VALIDATORS_MAX,
        "validators",
        "Beyond them another format of certificates would come first.",
    ),
    _Fixed("nesting of a record", cbor.DEPTH_MAX, "levels", "Deeper than any record; a decoder must not overflow."),
    _Fixed("ref name", refs.REF_NAME_BYTES_MAX, "bytes", "A file name on every system."),
    _Fixed("parts of a ref name", manifests.REF_COMPONENTS_MAX, "parts", "Each is a directory of whoever clones."),
    _Fixed(
        "pack", pack_limits.PACK_BYTES_MAX, "bytes", "What GitHub takes in one push; larger histories go in by several."
    ),
    _Fixed("objects in a pack", pack_limits.OBJECTS_MAX, "objects", "git needs some 200 bytes of memory for each."),
    _Fixed(
        "file",
        pack_limits.BLOB_BYTES_MAX,
        "bytes",
        "Whoever checks it out needs so much memory and disk at once.",
    ),
    _Fixed(
        "entries of a tree", pack_limits.TREE_ENTRIES_MAX, "entries", "Git reads a tree whole; Linux has 2,500 at most."
    ),
    _Fixed("tree", pack_limits.TREE_BYTES_MAX, "bytes", "So many entries with names of 200 bytes."),
    _Fixed(
        "chain of deltas", pack_limits.DELTA_DEPTH_MAX, "deltas", "Each link costs every reader an inflate and a copy."
    ),
    _Fixed("depth of a tree", pack_limits.TREE_DEPTH_MAX, "directories", "Deeper paths fit on hardly any disk."),
    _Fixed("parents of a commit", pack_limits.PARENTS_MAX, "parents", "The largest merge of Linux has 66."),
    _Fixed("commit or tag", pack_limits.COMMIT_BYTES_MAX, "bytes", "What shows history reads it whole."),
    _Fixed(
        "objects of a push",
        pack_limits.INFLATED_BYTES_MAX,
        "bytes",
        "Inflated; also a gibibyte and 1,000 times the pack. Linux is 72 GiB.",
    ),
    _Fixed("wants of a fetch", fetch_request.WANTS_MAX, "lines", "Every ref of the largest repository."),
    _Fixed("haves of a fetch", fetch_request.HAVES_MAX, "lines", "Clients give up long before."),
    _Fixed(
        "commands of a push",
        push_parts.PUSH_COMMANDS_MAX,
        "refs",
        "What a node holds of a push before it is judged; `push.commands` is less by default.",
    ),
    _Fixed("packet of git", pkt_line.PACKET_BYTES_MAX, "bytes", "Git's own."),
    _Fixed("chunk of a pack", chunks.CHUNK_BYTES, "bytes", "What one message between nodes carries and proves."),
    _Fixed(
        "pack sent with its announcement", messages.INLINE_PACK_BYTES_MAX, "bytes", "A commit arrives in one message."
    ),
    _Fixed("frame between nodes", frames.MESSAGE_BYTES_MAX, "bytes", "A proposal of the largest size with its proof."),
    _Fixed("frame of the port", port.FRAME_BYTES_MAX, "bytes", "A transaction with its texts."),
    _Fixed(
        "views ahead that votes are kept for",
        bounds.FUTURE_VIEWS_MAX,
        "views",
        "Who is further behind is moved on by certificates.",
    ),
    _Fixed(
        "blocks held by a node that is behind",
        bounds.SYNC_BLOCKS_MAX,
        "blocks",
        "Held while catching up, before the walk back remembers places only.",
    ),
)


def limits_table(config: Config, params: Params | None = None) -> tuple[LimitRow, ...]:
    """Every limit that holds for a node with this configuration, in a network with these parameters."""
    agreed = Params() if params is None else params
    own = [
        LimitRow(one.key, config.get(one.key), getattr(one.kind, "unit", ""), Whose.NODE, one.reason)
        for one in SETTINGS.values()
        if one.section in ("limits", "push")
    ]
    network = [
        LimitRow(name, getattr(agreed, name), unit, Whose.NETWORK, reason)
        for name, (unit, reason) in _OF_PARAMS.items()
    ]
    rules = [LimitRow(one.name, one.value, one.unit, Whose.RULES, one.reason) for one in FIXED]
    return (*own, *network, *rules)


def limits_page() -> str:
    """``docs/reference/limits.md``: those that are not settings."""
    rows = limits_table(Config())
    network = _table("parameter", [row for row in rows if row.whose is Whose.NETWORK])
    rules = _table("what", [row for row in rows if row.whose is Whose.RULES])
    return (
        f"{_PAGE_HEAD}\n## Of a network\n\nParameters of its genesis, with their defaults.\n\n{network}"
        f"\n## Of the rules\n\n{rules}"
    )


def _table(head: str, rows: list[LimitRow]) -> str:
    lines = [f"| {_code(row)} | {row.value:,} {row.unit} | {row.reason} |" for row in rows]
    return "\n".join([f"| {head} | most | reason |", "|---|---|---|", *lines]) + "\n"


def _code(row: LimitRow) -> str:
    return f"`{row.name}`" if row.whose is Whose.NETWORK else row.name
