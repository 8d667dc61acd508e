"""A node's directory: settings, keys, seat, lock, doors, disk, files, clock, votes, certificate."""

from __future__ import annotations

import resource
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from guts_cli.advice import MIB, advice
from guts_cli.config import BadConfiguration, Config, check_doors
from guts_cli.keys import NODE_KEY, OPERATOR_KEY, VOTE_KEY, read_pair
from guts_cli.open_files import files_wanted
from guts_cli.own_node import OwnNode
from guts_cli.ports import is_free
from guts_core.chain.genesis_json import genesis_from_json
from guts_core.errors import Unavailable
from guts_http.client import Status
from guts_http.tls import Certificate
from guts_net import forks
from guts_net.disk import LocalDisk
from guts_net.journal import records_in
from guts_net.space import RESERVE_BYTES_MOST, RESERVE_SHARE

from .certificate import validity
from .finding import Finding, looked, well, wrong
from .part import part_of

# Renewals are made a month before the end; one that did not come by now needs somebody.
CERTIFICATE_DAYS = 14
HOW_TO = "docs/how-to/operate-a-node.md"


def look_at_node(path: Path) -> Iterator[Finding]:
    """Everything, one thing after another; without good settings the rest has nothing to stand on."""
    there = _quoted(path)
    found = list(looked("config", partial(_config, path), f"guts node config --dir {there} --show"))
    yield from found
    if not all(one.ok for one in found):
        return
    own = OwnNode.at(path)
    config = own.config
    run = f"guts node run --dir {there}"
    yield from _fork(path)
    yield from looked("public address", partial(_doors, config), f"guts node config --dir {there}")
    yield from looked("keys", partial(_keys, own), f"restore DIR/keys from your backup: {HOW_TO}")
    yield from looked("genesis", partial(_genesis, own), f"{run} --genesis FILE")
    yield from looked("node", partial(_running, own), run)
    yield from looked("disk", partial(_disk, path, config), f"make room on the disk of {path}")
    yield from looked("open files", partial(_files, config), "ulimit -n 65536")
    yield from looked("vote log", partial(_votes, path), f"do not start this node: read {HOW_TO}")
    if config.http.tls_cert:
        yield from looked("certificate", partial(_certificate, path, config), "renew the certificate")


def _config(path: Path) -> Iterator[Finding]:
    own = OwnNode.at(path)
    try:
        config = own.config
    except BadConfiguration as error:
        for problem in error.problems:
            yield wrong("config", problem, f"change it in {own.directory.config_file}, or in the place it names")
        return
    yield well("config", f"{own.directory.config_file} is good; the node calls itself {config.node.name}")


def _fork(path: Path) -> Iterator[Finding]:
    words = forks.told(path)
    if words is not None:
        yield wrong("fork", words, f"decide with the other operators: {HOW_TO}")


def _doors(config: Config) -> Iterator[Finding]:
    check_doors(config)
    address = config.http.listen
    if config.http_address.is_loopback:
        yield well("public address", f"{address} is reached from this machine only")
    elif config.http.insecure:
        yield well("public address", f"{address} is open to others without TLS, because http.insecure says so")
    else:
        yield well("public address", f"{address} is protected")


def _keys(own: OwnNode) -> Iterator[Finding]:
    # Once a lost or rotated key has a successor, that is the one that counts: the seat tells which (``part``).
    votes = [path.name for path in own.directory.vote_key_files()]
    names = [NODE_KEY, *(votes or [VOTE_KEY])]
    # An operator's key is used by hand only and may be kept elsewhere.
    if (own.directory.keys / OPERATOR_KEY).exists():
        names.append(OPERATOR_KEY)
    bad = [found for name in names for found in looked("keys", partial(_key, own.directory.keys / name), HOW_TO)]
    yield from bad
    if not bad:
        yield well("keys", f"{', '.join(names)}: readable by you alone")


def _key(path: Path) -> Iterator[Finding]:
    if not path.exists():
        yield wrong("keys", f"{path} is gone", f"restore it from your backup, or have a new one: {HOW_TO}")
    else:
        read_pair(path)


def _genesis(own: OwnNode) -> Iterator[Finding]:
    file = genesis_from_json(own.directory.adopt_genesis(None).read_text())
    yield part_of(own.directory, file)


def _running(own: OwnNode) -> Iterator[Finding]:
    holder = own.holder
    if holder is None:
        yield from _ports(own)
        return
    yield well("node", f"process {holder} runs it")
    yield from looked("answers", partial(_answers, own, holder), f"look into {own.directory.log}")


def _ports(own: OwnNode) -> Iterator[Finding]:
    config, path = own.config, own.directory.path
    taken = False
    for option, address in (("--http", config.http_address), ("--p2p", config.p2p_address)):
        if address.port and not is_free(address.port, address.host):
            taken = True
            words = f"{address} is taken by another program"
            yield wrong("ports", words, f"guts node run --dir {_quoted(path)} {option} HOST:PORT")
    if not taken:
        yield well("ports", f"{config.http_address} and {config.p2p_address} are free; the node does not run")


def _answers(own: OwnNode, holder: str) -> Iterator[Finding]:
    try:
        with own.open() as client:
            status = client.status()
    except Unavailable as error:
        raise Unavailable(f"process {holder} runs the node, but nothing answers at {own.url}: {error}") from error
    if status.node != own.directory.node_key().public_key:
        following = f"guts node config --dir {_quoted(own.directory.path)} --show"
        yield wrong("answers", f"another node answers at {own.url}", following)
        return
    yield well("answers", f"{own.url} at height {status.height}")
    yield from _advised(own, status)


def _advised(own: OwnNode, status: Status) -> Iterator[Finding]:
    """Clock, peers, lag, turns to lead: as ``guts node status`` judges them."""
    given = advice(status)
    look = f"guts node status --dir {_quoted(own.directory.path)}"
    if given.code == "well":
        clocks = [abs(one.clock_ms) for one in status.connections if one.clock_ms is not None]
        words = f"clocks of peers within {max(clocks) / 1000:.1f} s" if clocks else "no peer tells the time"
        yield well("clock", words)
        yield well("network", f"{status.peers} of {status.validators - 1} peers; all is well")
    else:
        yield wrong("clock" if "clock" in given.code else "network", given.sentence, given.next or look)


def _disk(path: Path, config: Config) -> Iterator[Finding]:
    disk, wish = LocalDisk(), config.limits.disk_reserve_mib
    free = disk.free_bytes(path)
    least = min(RESERVE_BYTES_MOST, disk.total_bytes(path) // RESERVE_SHARE)
    reserve = least if isinstance(wish, str) else wish * MIB
    if free < reserve:
        words = f"{free // MIB} MiB are free and {reserve // MIB} MiB are kept for agreement: writes are refused"
        yield wrong("disk", words, f"make room on the disk of {path}, or --set limits.disk_reserve_mib=N")
    else:
        yield well("disk", f"{free // MIB} MiB free, {reserve // MIB} MiB kept for agreement")


def _files(config: Config) -> Iterator[Finding]:
    wanted, (_, hard) = files_wanted(config), resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        words = f"a process may have {hard} files open, and [limits] lets in as much as {wanted} files are needed for"
        following = f"ulimit -n {wanted} (systemd: LimitNOFILE={wanted}), or a lower limits.connections"
        yield wrong("open files", words, following)
    else:
        yield well("open files", f"as many as the limits need ({wanted})")


def _votes(path: Path) -> Iterator[Finding]:
    log = path / "votes.log"
    if not log.exists():
        yield well("vote log", "none yet")
    else:
        yield well("vote log", f"{records_in(log)} records, whole")


def _certificate(path: Path, config: Config) -> Iterator[Finding]:
    chain = path / config.http.tls_cert
    Certificate(chain, path / config.http.tls_key)
    begin, end = validity(chain)
    now = datetime.now(UTC)
    renew = f"renew {chain}; the node reads it again by itself"
    if now < begin:
        yield wrong("certificate", f"{chain} is not valid before {begin:%Y-%m-%d %H:%M} UTC", renew)
    elif now > end:
        yield wrong("certificate", f"{chain} expired at {end:%Y-%m-%d %H:%M} UTC", renew)
    elif end - now < timedelta(days=CERTIFICATE_DAYS):
        yield wrong("certificate", f"{chain} expires at {end:%Y-%m-%d %H:%M} UTC", renew)
    else:
        yield well("certificate", f"{chain} is good until {end:%Y-%m-%d}")


def _quoted(path: Path) -> str:
    """As a shell takes it."""
    return shlex.quote(str(path))
