"""
Several validators on this machine: made once, started as processes, watched, stopped.

Each node is exactly ``guts node run``, in a session of its own; killing its pid ends all of it and
nothing restarts it.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from guts_core.errors import GutsError, Unavailable
from guts_core.forge.params import Params
from guts_core.simplex.quorum import FaultModel

from . import network as networks
from .network import Network, Plan, Seat
from .node_directory import NodeDirectory
from .outcomes import Misconfigured, Usage
from .ports import P2P_PORT_FIRST, choosing_ports, free_ports, http_ports, is_free, require_free
from .processes import Started, log_tail, running, spawn, stop

if TYPE_CHECKING:
    from guts_http.client import Client, Status

# What `devnet start` promises; a node needs about a second of processor time to load.
READY_SECONDS = 30.0
# Peers that run are connected long before.
ALONE_SECONDS = 4.0
# Asked nicely first; `stop` as a whole stays below its promise of ten seconds.
STOP_SECONDS = 6.0
# Ctrl-C in the foreground promises five.
INTERRUPT_SECONDS = 3.0
POLL_SECONDS = 0.05
STATUS_SECONDS = 1.0


@frozen
class Wish:
    """What ``devnet start`` was asked for; None where nothing was said."""

    validators: int | None
    fault_model: FaultModel | None
    http_port: int | None
    account: str
    params: Params


@frozen
class NodeState:
    """A node as seen from outside: its process, and what it says itself when it answers."""

    seat: Seat
    pid: int | None
    status: Status | None

    @property
    def height(self) -> int | None:
        """Its last finalized block."""
        return None if self.status is None else self.status.height

    @property
    def peers(self) -> int | None:
        """How many validators it is connected to."""
        return None if self.status is None else self.status.peers


def start(directory: Path, wish: Wish) -> Network:
    """Make or resume the network, start what does not run, and wait until every node is ready."""
    with choosing_ports():
        network = _resume(directory, wish) if networks.exists(directory) else _make(directory, wish)
        for seat in network.file.seats:
            require_plain(network.node(seat))
        stopped = [seat for seat in network.file.seats if not running_node(network, seat)]
        try:
            for seat in stopped:
                start_process(network, seat)
            wait_ready(network, network.file.seats, alone_too=False)
        except BaseException:
            # Half a network is no answer: what this start began, it ends.
            stop([found for seat in stopped if (found := running_node(network, seat))], INTERRUPT_SECONDS)
            raise
    return network


def _make(directory: Path, wish: Wish) -> Network:
    count = 4 if wish.validators is None else wish.validators
    http = http_ports(count, wish.http_port)
    p2p = free_ports(count, P2P_PORT_FIRST)
    seats = tuple(Seat(index, *ports) for index, ports in enumerate(zip(http, p2p, strict=True)))
    fault_model = wish.fault_model or FaultModel.BYZANTINE
    return networks.create(directory, Plan("devnet", wish.account, fault_model, wish.params, seats))


def _resume(directory: Path, wish: Wish) -> Network:
    network = networks.load(directory)
    file = network.file
    if wish.validators not in (None, len(file.seats)):
        raise Usage(f"{directory} holds a network of {len(file.seats)} validators, not {wish.validators}")
    if wish.fault_model is not None and wish.fault_model.name.lower() != file.fault_model:
        raise Usage(f"{directory} holds a network with fault model {file.fault_model}")
    stopped = [seat for seat in file.seats if not running_node(network, seat)]
    if len(stopped) == len(file.seats):
        return moved_if_taken(network, wish.http_port)
    if wish.http_port not in (None, file.seats[0].http_port):
        raise Usage(f"{directory}: nodes run at other ports", f"guts devnet stop --dir {shlex.quote(str(directory))}")
    for seat in stopped:
        require_ports(seat)
    return network


def moved_if_taken(network: Network, http_port: int | None) -> Network:
    """
    A network of which nothing runs, at the HTTP ports it had or at those asked for, which must be free.

    Nobody but the nodes knows the ports they talk to each other at: those may move where taken.
    """
    seats = network.file.seats
    http = [seat.http_port for seat in seats]
    if http_port is None:
        require_free(http)
    else:
        http = http_ports(len(seats), http_port)
    p2p = [seat.p2p_port for seat in seats]
    if not all(is_free(port) for port in p2p):
        p2p = free_ports(len(seats), P2P_PORT_FIRST)
    if (http, p2p) == ([seat.http_port for seat in seats], [seat.p2p_port for seat in seats]):
        return network
    return network.with_ports(http, p2p)


def running_node(network: Network, seat: Seat) -> Started | None:
    """The node's process, if it was started here and still runs."""
    return running(network.node(seat).pid_file)


def node_command(network: Network, seat: Seat) -> list[str]:
    """The command line that a node is."""
    directory = str(network.node(seat).path.resolve())
    listen = ["--http", f"127.0.0.1:{seat.http_port}", "--p2p", seat.p2p]
    program = [sys.executable, "-P", "-m", "guts_cli", "node", "run"]
    return [*program, "--dir", directory, "--genesis", str(network.genesis.resolve()), *listen]


def start_process(network: Network, seat: Seat) -> Started:
    """Start one node in the background."""
    node = network.node(seat)
    return spawn(node_command(network, seat), node.log, node.pid_file)


def require_ports(seat: Seat) -> None:
    """Misconfigured names the port another program has taken."""
    require_free([seat.http_port, seat.p2p_port])


def require_plain(node: NodeDirectory) -> None:
    """Misconfigured when a node of a local network is to serve TLS: its commands speak plain HTTP on loopback."""
    loaded = node.settings()
    if loaded.config.http.tls_cert:
        raise Misconfigured(
            f"{loaded.origin('http.tls_cert')}: tls_cert is set, and `guts up` and `guts devnet` speak plain HTTP to "
            "their own nodes: take it away, or put the node on the network by `guts node run`",
            f"guts node config --dir {shlex.quote(str(node.path))}",
        )


def wait_ready(network: Network, seats: Sequence[Seat], *, alone_too: bool = True) -> None:
    """
    Until every node is ready and can agree; Unavailable, with its last words, when one ended or time is up.

    With ``alone_too`` one that has started is enough after a while: the others that it needs may not run.
    """
    from guts_http.client import open_client  # noqa: PLC0415 -- a third of a second to load, wanted only here

    deadline = time.monotonic() + READY_SECONDS
    enough = time.monotonic() + ALONE_SECONDS
    for seat in seats:
        with open_client(seat.url) as client:
            while not (client.is_ready() and _has_quorum(client)):
                if alone_too and time.monotonic() > enough and client.is_started():
                    break
                _check_waiting(network, seat, deadline)
                time.sleep(POLL_SECONDS)


def _has_quorum(client: Client) -> bool:
    status = client.status()
    return status.peers + 1 >= status.quorum


def _check_waiting(network: Network, seat: Seat, deadline: float) -> None:
    node = network.node(seat)
    if not running_node(network, seat):
        raise Unavailable(f"node {seat.index} ended before it was ready; the end of {node.log}:\n{log_tail(node.log)}")
    if time.monotonic() > deadline:
        raise Unavailable(f"node {seat.index} is not ready after {READY_SECONDS:.0f} s; its log is {node.log}")


def stop_all(network: Network, seconds: float = STOP_SECONDS) -> list[int]:
    """Stop every node that was started here; returns the indexes of those that ran."""
    found = [(seat.index, running_node(network, seat)) for seat in network.file.seats]
    alive = [(index, started) for index, started in found if started]
    stop([started for _, started in alive], seconds)
    return [index for index, _ in alive]


def look(network: Network) -> list[NodeState]:
    """Every node now, asked at the same time so that a silent one costs one wait and not the sum."""
    with ThreadPoolExecutor(max_workers=len(network.file.seats)) as pool:
        return list(pool.map(lambda seat: _look_at(network, seat), network.file.seats))


def _look_at(network: Network, seat: Seat) -> NodeState:
    from guts_http.client import open_client  # noqa: PLC0415 -- see wait_ready

    started = running_node(network, seat)
    if started is None:
        return NodeState(seat, None, None)
    try:
        with open_client(seat.url, seconds=STATUS_SECONDS) as client:
            return NodeState(seat, started.pid, client.status())
    except GutsError:
        return NodeState(seat, started.pid, None)


def node_row(network: Network, seat: Seat, pid: int | None) -> dict[str, object]:
    """A node as the contract with scripts names it."""
    directory = str(network.node(seat).path.resolve())
    return {"index": seat.index, "http": seat.url, "p2p": seat.p2p, "pid": pid, "dir": directory}


def network_row(network: Network) -> dict[str, object]:
    """The object that ``devnet start --json`` prints."""
    file = network.file
    pids = [started.pid if started else None for started in (running_node(network, seat) for seat in file.seats)]
    return {
        "chain_id": file.chain_id,
        "genesis": str(network.genesis.resolve()),
        "fault_model": file.fault_model,
        "account": file.account,
        "token": network.token(),
        "nodes": [node_row(network, seat, pid) for seat, pid in zip(file.seats, pids, strict=True)],
    }


def watch(network: Network, tell: Callable[[list[NodeState]], None], every_seconds: float) -> None:
    """Tell the state of every node, again and again, until the caller is interrupted or none runs."""
    while True:
        states = look(network)
        tell(states)
        if all(state.pid is None for state in states):
            return
        time.sleep(every_seconds)
