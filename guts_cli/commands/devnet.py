"""``guts devnet start | stop | status | start-node``."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from pathlib import Path
from types import FrameType

import click

from guts_cli import devnet, network, view
from guts_cli.first_token import ensure_token
from guts_cli.home import user_home
from guts_cli.network import DEVNET_PARAMS, VALIDATORS_MAX, Network, with_timings
from guts_cli.outcomes import EXIT_OK, Said, counted, show_object
from guts_cli.pinned import pin_local
from guts_cli.processes import record_self
from guts_cli.progress import working
from guts_cli.shape import command, wants_json
from guts_core.names import account_name
from guts_core.simplex.quorum import FaultModel


def _directory_here() -> Path:
    """The network that GUTS_HOME was set to, from whatever directory; otherwise that of this directory."""
    home = user_home().path
    return home if "GUTS_HOME" in os.environ and network.exists(home) else Path(".guts-devnet")


DIRECTORY = click.option(
    "--dir",
    "directory",
    default=_directory_here,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the network is kept.  [default: GUTS_HOME where that is set to one, else .guts-devnet]",
)
TABLE_SECONDS = 1.0


@command()
@click.option("--validators", type=click.IntRange(1, VALIDATORS_MAX), help="How many nodes.  [default: 4]")
@DIRECTORY
@click.option("--http-port", type=int, help="First of as many ports.  [default: free ones from 8080 up]")
@click.option(
    "--fault-model", type=click.Choice([model.name.lower() for model in FaultModel]), help="For a new network."
)
@click.option("--account", default="alice", show_default=True, help="The account a new network begins with.")
@click.option("--delta-ms", type=int, help="For a new network: how long a message may take.")
@click.option("--retry-ms", type=int, help="For a new network: how often to ask again.")
@click.option("--heartbeat-ms", type=int, help="For a new network: an idle network's empty block comes this late.")
@click.option("--detach", is_flag=True, help="Return when all nodes are ready; they go on in the background.")
def start(
    *,
    validators: int | None,
    directory: Path,
    http_port: int | None,
    fault_model: str | None,
    account: str,
    detach: bool,
    **timings: int | None,
) -> Said | int:
    """Start a network of validators on this machine, or resume the one in DIR.

    Four validators tolerate one that lies or fails. Each is a process of its own and serves git over
    HTTP; push to any, clone from any. Without --detach this stays, shows a table, and Ctrl-C stops them.
    """
    params = with_timings(DEVNET_PARAMS, timings)
    model = FaultModel[fault_model.upper()] if fault_model else None
    wish = devnet.Wish(validators, model, http_port, account_name(account), params)
    # From here on SIGTERM is Ctrl-C: whoever stops this process stops the nodes it started.
    signal.signal(signal.SIGTERM, _interrupt)
    if not wants_json():
        click.echo(f"starting the network in {directory} ...", err=True)
    with working("waiting until every node is ready"):
        started = devnet.start(directory, wish)
        ensure_token(started)
    pin_local(started)
    said = Said(devnet.network_row(started), _welcome(started), f"guts devnet stop --dir {shlex.quote(str(directory))}")
    if detach:
        return said
    return _stay(started, said)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _welcome(started: Network) -> str:
    table = view.plain_table(devnet.look(started))
    validators = counted(len(started.file.seats), "validator")
    chain = f"network {started.file.chain_id[:12]}, {validators}, {started.file.fault_model}"
    return f"{chain}\n\n{table}\n\n{view.commands_to_try(started).rstrip()}"


def _stay(started: Network, said: Said) -> int:
    """Show the table until Ctrl-C, then stop every node."""
    try:
        if wants_json():
            show_object(said.data)
            devnet.watch(started, lambda _states: None, TABLE_SECONDS)
            return EXIT_OK
        click.echo(view.commands_to_try(started))
        click.echo("Ctrl-C stops all nodes; their logs are in " + str(started.path / "node*/logs/node.log") + "\n")
        with view.open_view() as tell:
            devnet.watch(started, tell, TABLE_SECONDS)
    except KeyboardInterrupt:
        click.echo("\nstopping ...", err=True)
    finally:
        devnet.stop_all(started, devnet.INTERRUPT_SECONDS)
    return EXIT_OK


@command()
@DIRECTORY
def stop(directory: Path) -> Said:
    """Stop every node that was started in DIR; what they stored stays.

    Nodes that do not run are no error, and no other process is touched.
    """
    with working("waiting until every node has ended"):
        stopped = devnet.stop_all(network.load(directory))
    words = f"stopped {len(stopped)} nodes" if stopped else "no node was running"
    return Said({"stopped": stopped}, words, f"guts devnet start --dir {shlex.quote(str(directory))}")


@command()
@DIRECTORY
def status(directory: Path) -> Said:
    """Show every node of the network in DIR."""
    found = network.load(directory)
    states = devnet.look(found)
    rows = [_status_row(found, state) for state in states]
    data = {**devnet.network_row(found), "nodes": rows}
    del data["token"]
    down = [state.seat.index for state in states if state.pid is None]
    following = (
        f"guts devnet start-node --dir {shlex.quote(str(directory))} --index {down[0]} --detach"
        if down
        else "guts status"
    )
    return Said(data, view.plain_table(states), following)


def _status_row(found: Network, state: devnet.NodeState) -> dict[str, object]:
    from guts_http.client import as_json  # noqa: PLC0415 -- the help of this module loads no client

    known = {} if state.status is None else as_json(state.status)
    said = {name: known.get(name) for name in ("height", "view", "peers", "state_root", "missing_packs")}
    return {**devnet.node_row(found, state.seat, state.pid), "running": state.pid is not None, **said}


@command(name="start-node")
@DIRECTORY
@click.option("--index", type=int, required=True, help="Which node: 0 is the first.")
@click.option("--detach", is_flag=True, help="Return when it is ready; otherwise stay in the foreground.")
def start_node(directory: Path, index: int, detach: bool) -> Said | None:
    """Start one node of the network in DIR that was stopped or killed: exactly `guts node run`."""
    found = network.load(directory)
    seat = found.seat(index)
    devnet.require_plain(found.node(seat))
    running = devnet.running_node(found, seat)
    if not detach and running is None:
        argv = devnet.node_command(found, seat)
        record_self(found.node(seat).pid_file)
        os.execv(sys.executable, argv)  # noqa: S606 -- our own interpreter and argv
    if running is None:
        devnet.require_ports(seat)
        running = devnet.start_process(found, seat)
    with working("waiting until the node is ready"):
        devnet.wait_ready(found, [seat])
    data = devnet.node_row(found, seat, running.pid)
    return Said(data, f"node {index} is ready at {seat.url}", f"guts devnet status --dir {shlex.quote(str(directory))}")
