"""``guts up``."""

from __future__ import annotations

import getpass
import shlex
from pathlib import Path

import click
import trio

from guts_cli import network as networks
from guts_cli import view
from guts_cli.config import Address, Given
from guts_cli.devnet import moved_if_taken, network_row, require_plain, running_node
from guts_cli.first_token import ensure_token
from guts_cli.home import user_home
from guts_cli.network import DEVNET_PARAMS, Network, Plan, Seat
from guts_cli.outcomes import EXIT_OK, InTheWay, Usage, show_object
from guts_cli.pinned import pin_local
from guts_cli.ports import LOOPBACK, P2P_PORT_FIRST, choosing_ports, free_ports, http_ports
from guts_cli.processes import record_self
from guts_cli.serve import Serving, run_node
from guts_cli.shape import command, wants_json
from guts_core.errors import Invalid
from guts_core.names import account_name
from guts_core.simplex.quorum import FaultModel

FALLBACK_ACCOUNT = "owner"


@command()
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep everything here.  [default: GUTS_HOME, that is ~/.guts]",
)
@click.option("--http-port", type=int, help="Serve here.  [default: a free port from 8080 up]")
@click.option("--account", help="Your name on the network.  [default: your login name]")
def up(directory: Path | None, http_port: int | None, account: str | None) -> int:
    """Start a network of one node, here and now, and say how to push to it.

    The first start makes keys, a genesis, an account and a token; later ones go on where it ended.
    Ctrl-C stops it. It can grow to more validators later.
    """
    path = user_home().path if directory is None else directory
    network = _resume(path, http_port) if networks.exists(path) else _make(path, http_port, account)
    seat = network.file.seats[0]
    node = network.node(seat)
    require_plain(node)
    listen = str(Address(LOOPBACK, seat.http_port))
    ports = (Given("http.listen", listen, "network.json"), Given("p2p.listen", seat.p2p, "network.json"))
    config = node.settings(ports).config
    as_json = wants_json()

    async def ready(serving: Serving) -> None:
        # In a thread: it talks to this very process over HTTP, as every client does.
        await trio.to_thread.run_sync(ensure_token, network)
        pin_local(network)
        record_self(node.pid_file)
        _tell(network, serving, as_json)

    run_node(node, node.adopt_genesis(network.genesis), config, ready)
    return EXIT_OK


def _make(path: Path, http_port: int | None, account: str | None) -> Network:
    with choosing_ports():
        seat = Seat(0, http_ports(1, http_port)[0], free_ports(1, P2P_PORT_FIRST)[0])
    name = account_name(account) if account else _login_name()
    return networks.create(path, Plan("local", name, FaultModel.BYZANTINE, DEVNET_PARAMS, (seat,)))


def _resume(path: Path, http_port: int | None) -> Network:
    network = networks.load(path)
    if len(network.file.seats) > 1:
        following = f"guts devnet start --dir {shlex.quote(str(path))}"
        raise Usage(f"{path} holds a network of {len(network.file.seats)} nodes; `guts up` runs one", following)
    started = running_node(network, network.file.seats[0])
    if started is not None:
        url = network.file.seats[0].url
        raise InTheWay(f"this network runs already: {url}, process {started.pid}", "guts status")
    with choosing_ports():
        return moved_if_taken(network, http_port)


def _login_name() -> str:
    try:
        return account_name(getpass.getuser().lower())
    except (Invalid, OSError, KeyError):
        return FALLBACK_ACCOUNT


def _tell(network: Network, serving: Serving, as_json: bool) -> None:
    if as_json:
        show_object(network_row(network))
        return
    click.echo(f"guts is up: {serving.url}  (you are {network.file.account}; data in {network.path})\n")
    click.echo(view.commands_to_try(network).rstrip())
    click.echo("\nCtrl-C stops it.")
