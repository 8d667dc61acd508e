"""``guts network validators | entry | rotate | admit | followers | dismiss``: the nodes of a network."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from guts_cli.acting import open_network
from guts_cli.commands.network_decisions import NODE
from guts_cli.keys import NODE_KEY, OPERATOR_KEY, VOTE_KEY, new_pair, read_pair, write_pair
from guts_cli.node_directory import NodeDirectory
from guts_cli.operating import (
    Council,
    candidacy_json,
    follower_from_request,
    follower_request,
    open_council,
    operator_options,
    seat_of,
)
from guts_cli.outcomes import InTheWay, Missing, Said, Usage, counted
from guts_cli.public_files import write_public
from guts_cli.shape import command
from guts_cli.tolerance import tolerates
from guts_core.chain.compose import rotate_seat
from guts_core.forge.actions import RemoveFollower
from guts_core.identity import KeyPair
from guts_core.names import account_name
from guts_http.client import as_json
from guts_http.client.council import EpochSeat

KEY_FILE = click.Path(dir_okay=False, path_type=Path)


@command()
@NODE
def validators(*, node: str | None) -> Said:
    """Show who votes, until when, and what waits for the next epoch."""
    with open_network(node) as network:
        epoch, fault_model = network.client.epoch(), network.client.status().fault_model
    lines = [f"epoch {epoch.number}, rules {epoch.rules}, until {epoch.ends:%Y-%m-%d %H:%M:%S} UTC at the latest"]
    lines += [f"  {seat.number:3}  {seat.name}  ({seat.operator})" for seat in epoch.seats]
    lines += [f"  then: {one.move} {one.name}" for one in epoch.waiting_seats]
    if epoch.waiting_rules is not None:
        lines.append(f"  then: rules {epoch.waiting_rules['rules']}")
    borne = tolerates(len(epoch.seats), fault_model)
    lines += [f"{counted(epoch.changes_per_epoch, 'seat')} may change per epoch", borne]
    return Said({**as_json(epoch), "tolerates": borne}, "\n".join(lines), "guts network show")


@command()
@click.option(
    "--dir", "directory", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path), help="The node."
)
@click.option("--name", help="What the node is to be called.  [default: as in its config.toml]")
@click.option("--operator", metavar="ACCOUNT", help="For a seat: the account that answers for the node.")
@click.option("--out", type=KEY_FILE, help="The file for a seat.  [default: NAME.entry.json]")
@NODE
def entry(*, directory: Path, name: str | None, operator: str | None, out: Path | None, node: str | None) -> Said:
    """Make what a node needs to be admitted to a network that runs already.

    With --operator an entry file for a seat (`guts network propose add`), signed by the node's vote key and
    network key; without, a request to follow without voting (`guts network admit`), to be pasted. Neither
    holds a secret, and both count on this network alone.
    """
    home = NodeDirectory(directory)
    name = account_name(name or home.settings().config.node.name)
    with open_network(node) as network:
        if operator is None:
            request = follower_request(network.chain_id, name, home.node_key())
            text = f"an operator of the network types:\n\n  guts network admit {request} --name {name}"
            return Said({"name": name, "request": request}, text, "guts network followers")
        account = network.client.account(operator)
        made = candidacy_json(network.chain_id, name, account.id, home.vote_key(), home.node_key())
    path = out or Path(f"{name}.entry.json")
    if path.exists():
        raise InTheWay(f"{path} exists already", "the same command with --out FILE")
    write_public(path, made)
    data = {"name": name, "operator": account.name, "entry": str(path)}
    return Said(data, f"entry of {name} in {path}", f"guts network propose add {shlex.quote(str(path))}")


@command()
@click.option(
    "--dir",
    "directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The node, on this machine: its new vote key is made in DIR/keys, and it goes over to that by itself.",
)
@click.option("--vote-key", type=KEY_FILE, help="The new key that votes; made there unless the file exists.")
@click.option("--node-key", type=KEY_FILE, help="The new network key; made there unless the file exists.")
@click.option("--validator", metavar="NAME", help="Which one, where you answer for several.")
@operator_options
def rotate(
    *,
    directory: Path | None,
    vote_key: Path | None,
    node_key: Path | None,
    validator: str | None,
    node: str | None,
    account: str | None,
    operator_key: Path | None,
) -> Said:
    """Give your validator other keys from the next epoch on. Nobody votes on that.

    The new keys sign that you hold them. Keep the old ones in place until the epoch has ended: they count
    until then, and never again.
    """
    home = None if directory is None else NodeDirectory(directory)
    if vote_key is None and node_key is None:
        if home is None:
            raise Usage("which key? --dir DIR, --vote-key FILE, --node-key FILE", "guts network rotate --dir DIR")
        vote_key = home.next_vote_key()
    if home is not None and operator_key is None and (home.keys / OPERATOR_KEY).exists():
        operator_key = home.keys / OPERATOR_KEY
    with open_council(node, account, operator_key) as council:
        seat = _own(council, validator) if home is None else _of_node(council, home)
        vote, spoken = _pair(vote_key), _pair(node_key)
        council.act(rotate_seat(council.chain_id, seat.number, vote, spoken))
    keys = {"vote_key": vote, "node_key": spoken}
    data = {"validator": seat.name, **{role: pair.public_key.hex() for role, pair in keys.items() if pair}}
    lines = [f"{seat.name} has other keys from the next epoch on"]
    lines += [_place(path, home) for path in (vote_key, node_key) if path]
    return Said(data, "\n".join(lines), "guts network validators")


def _place(path: Path, home: NodeDirectory | None) -> str:
    """What becomes of a new key's file."""
    if home is not None and path.parent == home.keys:
        if not (home.keys / VOTE_KEY).exists():
            run = f"guts node run --dir {shlex.quote(str(home.path))}"
            return f"  {path} is found there by its node, which has no vote until then: `{run}` unless it runs"
        return f"  {path} is found there by its node; keep {VOTE_KEY} beside it until the epoch has ended"
    if path.name == NODE_KEY and path.parent.name == "keys":
        return f"  {path} is in its place: start the node with it, and others talk with it from then on"
    return f"  {path} goes to DIR/keys of its node then, which is started again"


def _pair(path: Path | None) -> KeyPair | None:
    """The key of a file; a new one, stored before anybody hears of it."""
    if path is None:
        return None
    if not path.exists():
        write_pair(path, new_pair())
    return read_pair(path)


def _of_node(council: Council, home: NodeDirectory) -> EpochSeat:
    """The seat of the node in a directory."""
    mine = home.node_key().public_key
    for seat in council.client.epoch().seats:
        if seat.node_key == mine:
            return seat
    raise Missing(f"the node in {home.path} has no seat", "guts network validators")


def _own(council: Council, name: str | None) -> EpochSeat:
    epoch = council.client.epoch()
    if name is not None:
        return seat_of(epoch, name)
    own = [seat for seat in epoch.seats if seat.operator == council.key.name]
    if len(own) > 1:
        names = ", ".join(seat.name for seat in own)
        raise Usage(f"{council.key.name} answers for {names}", "the same command with --validator NAME")
    if not own:
        raise Missing(f"{council.key.name} answers for no validator", "guts network validators")
    return own[0]


@command()
@click.argument("request")
@click.option("--name", required=True, help="What the node is called, as in its request.")
@operator_options
def admit(*, request: str, name: str, node: str | None, account: str | None, operator_key: Path | None) -> Said:
    """Let a node follow the network without voting; you answer for it.

    REQUEST is what `guts network entry --dir DIR` printed on the node's machine. A follower holds the whole
    chain, serves reads and clones, and passes writes on.
    """
    with open_council(node, account, operator_key) as council:
        council.act(follower_from_request(request, account_name(name)))
        found = next(one for one in council.client.followers() if one.name == name)
    return Said(as_json(found), f"{name} follows as node {found.number}", "guts network followers")


@command()
@NODE
def followers(*, node: str | None) -> Said:
    """List the nodes that follow without voting."""
    with open_network(node) as network:
        found = network.client.followers()
    words = "\n".join(f"{one.number:3}  {one.name}  ({one.operator})" for one in found) or "nobody follows this network"
    return Said({"followers": [as_json(one) for one in found]}, words, "guts network validators")


@command()
@click.argument("name")
@operator_options
def dismiss(*, name: str, node: str | None, account: str | None, operator_key: Path | None) -> Said:
    """Let the follower NAME (or its number) have no part in the network any more.

    Its keys are never accepted again: to come back, a node makes new ones.
    """
    with open_council(node, account, operator_key) as council:
        found = [one for one in council.client.followers() if name in (one.name, str(one.number))]
        if not found:
            raise Missing(f"there is no follower {name}", "guts network followers")
        council.act(RemoveFollower(found[0].number))
    return Said(as_json(found[0]), f"{found[0].name} follows no more", "guts network followers")
