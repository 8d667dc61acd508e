"""
Every setting of a node: its default, what it may be, and why it is there.

A setting is an attrs field whose metadata holds a ``Setting``; files, environment, flags, the
commented ``config.toml`` and the reference page are all made from these classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import Attribute, evolve, field, fields, frozen

from guts_core.discovery import ADDRESSES_MAX, bootstrap_node
from guts_core.git import pack_limits, receive_pack
from guts_core.names import account_name
from guts_core.node.push_parts import PUSH_COMMANDS_MAX

from .address import HTTP_PORT_DEFAULT, P2P_PORT_DEFAULT, Address, a_place
from .kinds import AUTO, Kind, ListOf, Seconds, Value, Whole, Words, YesNo, a_network, a_path, an_origin, one_of

_METADATA = "guts.setting"
# A century: a machine whose battery is empty believes to live in 1970 or before.
CLOCK_OFFSET_MS_MAX = 100 * 365 * 86_400_000
LOG_LEVELS = ("debug", "info", "warning", "error")


@frozen
class Setting:
    """One setting: where it stands, what it may be, and the reason for its default."""

    section: str
    name: str
    kind: Kind
    default: Value
    reason: str

    @property
    def key(self) -> str:
        """As flags and messages name it."""
        return f"{self.section}.{self.name}"

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"GUTS_{self.section}_{self.name}".upper()


def setting(default: Value, kind: Kind, reason: str) -> Any:
    """A field of a section."""

    def check(_instance: object, _attribute: Attribute[Any], value: object) -> None:
        kind.read(value)

    return field(default=default, validator=check, metadata={_METADATA: (kind, reason)})


_ADDRESS = Words("HOST:PORT, the host an IP address of this machine; port 0 is a free one", Address.parse)
_FILE = Words(
    "the path of a PEM file; a relative one begins at the node's directory, empty is none", a_path, may_be_empty=True
)


@frozen
class NodeSection:
    """The node itself."""

    name: str = setting(
        "node",
        Words("1 to 39 of a-z, 0-9 and '-'", account_name),
        "What the node is called in its own log; the network knows it by the name in the genesis.",
    )
    log_level: str = setting(
        "info", one_of(*LOG_LEVELS), "info tells of every block, request and push; debug is for who looks for a bug."
    )
    private_read_grace_seconds: int = setting(
        600,
        Whole(0, 86_400, "seconds"),
        "How long a node that hears of nothing new still shows private repositories: with more, a cut-off node "
        "shows them for longer after a revocation.",
    )
    keep_blocks_hours: int = setting(
        0,
        Whole(0, 10 * 366 * 24, "hours"),
        "How old blocks and receipts become here; 0 keeps them for ever. State, refs and packs stay in any case, and "
        "so do the blocks that evidence or who joins may need: two epochs.",
    )


@frozen
class HttpSection:
    """The door for git, the API and pages."""

    listen: str = setting(
        f"127.0.0.1:{HTTP_PORT_DEFAULT}", _ADDRESS, "Loopback only, until TLS or a proxy stands in front of it."
    )
    public_url: str = setting(
        "",
        Words("a URL such as https://git.example.org, or empty", an_origin, may_be_empty=True),
        "Where links and clone URLs lead; empty: to where the client called.",
    )
    tls_cert: str = setting("", _FILE, "The certificate and its chain; read again when the file changes.")
    tls_key: str = setting("", _FILE, "The certificate's private key.")
    trusted_proxies: tuple[str, ...] = setting(
        (),
        ListOf("a list of addresses and ranges, such as 127.0.0.1 or 10.0.0.0/8", a_network),
        "Only these may say for whom they ask (X-Forwarded-For, -Proto, -Host): anybody else could pretend.",
    )
    insecure: bool = setting(
        default=False,
        kind=YesNo(),
        reason="Serve a public address without TLS: tokens then travel where others can read them.",
    )


@frozen
class P2pSection:
    """The door for other nodes."""

    listen: str = setting(
        f"127.0.0.1:{P2P_PORT_DEFAULT}", _ADDRESS, "Connections here are encrypted and known by key in any case."
    )
    advertise: tuple[str, ...] = setting(
        (),
        ListOf(f"a list of at most {ADDRESSES_MAX} HOST:PORT", a_place),
        "Where others find this node, told to all and signed; empty: where it listens, if that is one address. "
        "Needed where it listens on all addresses of the machine, or behind a proxy or NAT.",
    )
    bootstrap: tuple[str, ...] = setting(
        (),
        ListOf("a list of KEY@HOST:PORT, the node's key as 64 hex digits", bootstrap_node),
        "Nodes to begin with, tried before the addresses in the genesis file; one that answers tells of the others.",
    )
    gossip_seconds: float = setting(
        50.0,
        Seconds(0, 3_600),
        "How often nodes compare what addresses they know; who moves tells at once. With 0 nothing is told or "
        "believed: the genesis file and bootstrap are all there is.",
    )


@frozen
class ClockSection:
    """The node's clock."""

    offset_ms: int = setting(
        0,
        Whole(-CLOCK_OFFSET_MS_MAX, CLOCK_OFFSET_MS_MAX, "milliseconds"),
        "A rehearsal of a wrong clock: the node takes its wall clock to be off by so much.",
    )


@frozen
class LimitsSection:
    """What clients and peers may ask of this node at most, and what it keeps free."""

    connections: int = setting(
        1_000,
        Whole(1, 100_000, "connections"),
        "All clients together; a file descriptor each, which the node asks the system for when it starts.",
    )
    connections_per_address: int = setting(
        100,
        Whole(1, 100_000, "connections"),
        "One address (IPv6: one /64): an office behind one address fits, a flood leaves nine tenths to others. "
        "A trusted proxy is not counted.",
    )
    connections_per_loopback: int = setting(
        500, Whole(1, 100_000, "connections"), "Programs of this machine itself, which share one address."
    )
    requests_per_second: int = setting(
        200,
        Whole(1, 1_000_000, "requests a second"),
        "One client address, ten times as much for loopback; ten seconds' worth may come at once. Beyond it 429.",
    )
    account_requests_per_second: int = setting(
        1_000,
        Whole(1, 1_000_000, "requests a second"),
        "One account, from wherever it asks; ten seconds' worth may come at once. Beyond it 429.",
    )
    head_bytes: int = setting(
        16_384, Whole(1_024, 1 << 20, "bytes"), "A request's head: cookies of other sites and long tokens fit."
    )
    idle_seconds: float = setting(
        15.0, Seconds(1, 3_600), "A connection without a request, or one whose head does not get on."
    )
    tls_handshake_seconds: float = setting(
        10.0, Seconds(0.1, 60), "An honest handshake is two round trips; a slow one holds a connection's place."
    )
    body_bytes: int = setting(
        1 << 20,
        Whole(1 << 20, 64 << 20, "bytes"),
        "A request of the API: the largest legal transaction with its texts is the largest body.",
    )
    body_idle_seconds: float = setting(30.0, Seconds(0.1, 3_600), "Silence in the middle of a body.")
    answer_seconds: float = setting(
        30.0, Seconds(1, 3_600), "64 KiB of an answer: a client that reads less than 2 KiB/s is given up."
    )
    stop_seconds: float = setting(1.5, Seconds(0, 600), "What requests in flight get after the node is told to stop.")
    wait_seconds: int = setting(
        30, Whole(1, 1_800, "seconds"), "How long a write waits for finality before it answers that it may still be."
    )
    fetches: int = setting(
        32, Whole(1, 10_000, "clones and fetches"), "At once; each is a git child of 20 to 50 MB at work."
    )
    reads: int = setting(
        8,
        Whole(1, 1_000, "histories"),
        "At once, of tags, commits and refs; more git children only wait for each other.",
    )
    pushes: int = setting(64, Whole(1, 10_000, "pushes"), "At once; most of the time they wait for others.")
    turns_percent_per_address: int = setting(
        25,
        Whole(1, 100, "percent"),
        "Of the fetches, reads, pushes, archives and downloads at once, so much is for one address (IPv6: one /64), "
        "one at least, and twice as much for loopback, and of the bytes that are held for slow readers: who takes all "
        "that there is leaves most to others.",
    )
    queue_seconds: float = setting(
        10.0, Seconds(0, 600), "How long a clone or push waits for its turn before it is answered 503."
    )
    pack_mib: int = setting(
        2_048, Whole(1, 2_048, "MiB"), "One push; what is larger than 2 GiB no validator takes, so it may only be less."
    )
    fetch_request_mib: int = setting(
        16, Whole(1, 256, "MiB"), "What a fetch may say it has: 65,536 commits are 3.3 MB."
    )
    shared_answers_mib: int = setting(
        4_096,
        Whole(0, 1 << 20, "MiB"),
        "Files of all answers that several clients share and read at their own pace, twice the largest push. What is "
        "beyond it is not shared: those who are behind are told to come back, and each has a git child of their own.",
    )
    git_children: int = setting(
        8, Whole(2, 256, "processes"), "git children that check pushes; more only wait for each other's disk."
    )
    mempool_mib: int = setting(
        64, Whole(1, 16_384, "MiB"), "Transactions that wait for a block; one account holds a twentieth at most."
    )
    mempool_transactions: int = setting(
        50_000, Whole(20, 10_000_000, "transactions"), "The same by number: small ones cost memory beside their bytes."
    )
    write_lag_seconds: float = setting(
        10.0,
        Seconds(0.1, 86_400),
        "Nothing final for so long while transactions wait: new writes are answered 503 at once.",
    )
    peer_handshakes: int = setting(
        512, Whole(8, 65_536, "connections"), "Unknown connections at the p2p door; beyond it the oldest gives way."
    )
    peer_queue_mib: int = setting(
        8, Whole(1, 1_024, "MiB"), "Transactions that wait to be sent to one peer; the oldest are dropped first."
    )
    peer_ban_seconds: int = setting(
        600, Whole(1, 86_400, "seconds"), "Long enough to make lying useless, short enough for a repaired node."
    )
    log_mib: int = setting(64, Whole(1, 102_400, "MiB"), "One file of the log; then a new one is begun.")
    log_files: int = setting(5, Whole(1, 1_000, "files"), "Older files of the log that are kept.")
    disk_reserve_mib: int | str = setting(
        AUTO,
        Whole(0, 1 << 30, "MiB", may_be_auto=True),
        "With less free space than this, writes of clients are refused, so that the node can go on voting. "
        '"auto" is 5 % of the disk or 1 GiB, whichever is less; 0 is no reserve.',
    )


@frozen
class PushSection:
    """
    What one push may be at this node's door.

    What a pack holds may only be less than the default: no validator vouches for more.
    """

    commands: int = setting(
        receive_pack.COMMANDS_MAX,
        Whole(1, PUSH_COMMANDS_MAX, "refs"),
        "Refs that one push moves: as many as a repository may have by default, so that a mirror goes in by one push. "
        "They are split over transactions; the lines of 50,000 are 5 MB, and 17 MB with the longest names.",
    )
    options: int = setting(
        receive_pack.PUSH_OPTIONS_MAX, Whole(0, 1_000, "options"), "Of `git push -o`; none is known that needs more."
    )
    option_bytes: int = setting(
        receive_pack.PUSH_OPTION_BYTES_MAX, Whole(16, 65_000, "bytes"), "Of one option: a title, not a text."
    )
    objects: int = setting(
        pack_limits.OBJECTS_MAX,
        Whole(1, pack_limits.OBJECTS_MAX, "objects"),
        "Of one push; git needs some 200 bytes of memory for each to index them. Linux has ten million.",
    )
    file_mib: int = setting(
        pack_limits.BLOB_BYTES_MAX >> 20,
        Whole(1, pack_limits.BLOB_BYTES_MAX >> 20, "MiB"),
        "One file: whoever checks it out needs so much memory and disk at once.",
    )
    tree_entries: int = setting(
        pack_limits.TREE_ENTRIES_MAX,
        Whole(1_000, pack_limits.TREE_ENTRIES_MAX, "entries"),
        "Of one directory; the largest of Linux has 2,500, and git reads a directory whole.",
    )
    tree_depth: int = setting(
        pack_limits.TREE_DEPTH_MAX,
        Whole(16, pack_limits.TREE_DEPTH_MAX, "directories"),
        "Deeper paths fit on hardly any disk.",
    )
    delta_depth: int = setting(
        pack_limits.DELTA_DEPTH_MAX,
        Whole(50, pack_limits.DELTA_DEPTH_MAX, "deltas"),
        "In a chain: each link costs every reader an inflate and a copy. git makes 50 unless told otherwise.",
    )
    parents: int = setting(
        pack_limits.PARENTS_MAX,
        Whole(2, pack_limits.PARENTS_MAX, "parents"),
        "Of a commit; the largest merge of Linux has 66.",
    )
    commit_bytes: int = setting(
        pack_limits.COMMIT_BYTES_MAX,
        Whole(1_024, pack_limits.COMMIT_BYTES_MAX, "bytes"),
        "A commit or tag with its message: what shows history reads it whole.",
    )
    inflated_gib: int = setting(
        pack_limits.INFLATED_BYTES_MAX >> 30,
        Whole(1, pack_limits.INFLATED_BYTES_MAX >> 30, "GiB"),
        "All objects of a push, inflated; also a gibibyte and 1,000 times the pack. Linux is 72 GiB.",
    )


@frozen
class Config:
    """Everything an operator may set."""

    node: NodeSection = field(factory=NodeSection)
    http: HttpSection = field(factory=HttpSection)
    p2p: P2pSection = field(factory=P2pSection)
    clock: ClockSection = field(factory=ClockSection)
    limits: LimitsSection = field(factory=LimitsSection)
    push: PushSection = field(factory=PushSection)

    @classmethod
    def of(cls, values: Mapping[str, Value]) -> Config:
        """The defaults but for these, by key; raises Invalid."""
        config = cls()
        for key, value in values.items():
            section, _, name = key.partition(".")
            config = evolve(config, **{section: evolve(getattr(config, section), **{name: value})})
        return config

    def get(self, key: str) -> Value:
        """The value of a setting."""
        section, _, name = key.partition(".")
        value: Value = getattr(getattr(self, section), name)
        return value

    @property
    def http_address(self) -> Address:
        """Where to serve git and the API."""
        return Address.parse(self.http.listen)

    @property
    def p2p_address(self) -> Address:
        """Where to hear other validators."""
        return Address.parse(self.p2p.listen)


SECTIONS: dict[str, type[Any]] = {
    "node": NodeSection,
    "http": HttpSection,
    "p2p": P2pSection,
    "clock": ClockSection,
    "limits": LimitsSection,
    "push": PushSection,
}


def _all_settings() -> Iterator[Setting]:
    for section, cls in SECTIONS.items():
        for attribute in fields(cls):
            kind, reason = attribute.metadata[_METADATA]
            yield Setting(section, attribute.name, kind, attribute.default, reason)


SETTINGS: dict[str, Setting] = {one.key: one for one in _all_settings()}
