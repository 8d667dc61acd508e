"""``guts node status``."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from guts_cli.acting import open_network
from guts_cli.advice import MIB, Advice, Awaited, advice
from guts_cli.outcomes import Said, Usage
from guts_cli.own_node import OwnNode
from guts_cli.shape import command
from guts_cli.tolerance import tolerates
from guts_core.errors import Unavailable
from guts_net import forks

if TYPE_CHECKING:
    from guts_http.client import Client, Connection, Status


@command()
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="The node in this directory, on this machine.",
)
@click.option("--node", metavar="URL", help="The node at this URL.  [default: one of the context's]")
def status(directory: Path | None, node: str | None) -> Said:
    """Show how a node is: its part, its lag, its peers, its disk, and the one thing to do about it.

    Turns to lead are counted from the node's start: who misses many is slow or absent.
    """
    if directory is not None and node is not None:
        raise Usage("--dir names a node and --node another: leave one away")
    url, found, awaited = (
        _of_directory(directory) if directory is not None else _of_network(node or os.environ.get("GUTS_NODE"))
    )
    given = advice(found, awaited)
    return Said(_data(url, found, given), _text(url, found, given), given.next)


def _of_directory(directory: Path) -> tuple[str, Status, tuple[Awaited, ...]]:
    own = OwnNode.at(directory)
    if own.holder is None:
        ended = forks.told(directory)
        if ended is not None:
            words = f"the node in {directory} does not run: {ended}"
            raise NotRunning(words, f"guts doctor --dir {shlex.quote(str(directory))}")
        raise NotRunning(f"the node in {directory} does not run", f"guts node run --dir {shlex.quote(str(directory))}")
    try:
        with own.open() as client:
            return _asked(client)
    except Unavailable as error:
        words = f"the node in {directory} runs (process {own.holder}) and does not answer: {error}"
        raise NotRunning(words, f"guts doctor --dir {shlex.quote(str(directory))}") from error


class NotRunning(Unavailable):
    """Nobody is there to be asked."""

    def __init__(self, message: str, next_step: str) -> None:
        super().__init__(message)
        self.next_step = next_step


def _of_network(node: str | None) -> tuple[str, Status, tuple[Awaited, ...]]:
    with open_network(node) as network:
        return _asked(network.client)


def _asked(client: Client) -> tuple[str, Status, tuple[Awaited, ...]]:
    """Where it is, how it is, and the decisions that wait for a vote of the operator of its seat."""
    status = client.status()
    if status.validator_index is None:
        return client.base, status, ()
    operator = next((seat.operator for seat in client.epoch().seats if seat.node_key == status.node), None)
    waiting = [one for one in client.decisions() if one.state == "open"]
    awaited = (one for one in waiting if operator is not None and operator not in (*one.approve, *one.reject))
    return client.base, status, tuple(Awaited(one.number, one.says, str(operator)) for one in awaited)


_OTHER_ROLES = {
    "retired": "retired: it has no vote and no part any more, and what it holds may grow old",
    "stranger": "follower of a network that does not know it",
}


def role(found: Status) -> str:
    """What part it has in its network."""
    if found.validator_index is None and found.role == "validator":
        return "validator whose key has no vote in this epoch"
    if found.validator_index is None:
        return _OTHER_ROLES.get(found.role, "follower")
    return f"validator {found.validator_index + 1} of {found.validators}"


def _data(url: str, found: Status, given: Advice) -> dict[str, Any]:
    from guts_http.client import as_json  # noqa: PLC0415 -- the help of this module loads no client

    shown = as_json(found)
    names = (
        "network", "chain_id", "node", "version", "rules", "fault_model", "epoch", "height", "final", "behind", "view",
        "validators", "quorum", "peers", "started", "uptime_seconds", "led", "missed", "missing_packs",
        "missing_texts", "mempool", "packs_damaged", "damage", "halted", "held_back", "disk_free", "disk_reserve",
        "private_reads",
    )  # fmt: skip
    advised = {"code": given.code, "sentence": given.sentence, "next": given.next}
    kept = {name: shown[name] for name in names}
    borne = tolerates(found.validators, found.fault_model)
    return {
        "url": url,
        "role": role(found),
        **kept,
        "tolerates": borne,
        "connections": shown["connections"],
        "advice": advised,
    }


def _text(url: str, found: Status, given: Advice) -> str:
    lag = "level with the others" if found.behind == 0 else f"up to {found.behind} blocks behind"
    missing = f"{found.missing_packs} packs and {found.missing_texts} texts are still on their way"
    rows = [
        ("node", f"{url}, {role(found)}"),
        ("network", f"{found.network} ({found.chain_id.hex()[:12]}), {found.fault_model.name.lower()}"),
        ("epoch", f"{found.epoch}; {tolerates(found.validators, found.fault_model)}"),
        ("version", f"{found.version}, rules {found.rules}, up {_span(found.uptime_seconds)}"),
        ("height", f"{found.height}, {lag}"),
        ("turns to lead", _turns(found.led, found.missed)),
        ("data", missing if found.missing_packs or found.missing_texts else "whole"),
        ("disk", f"{found.disk_free // MIB} MiB free, {found.disk_reserve // MIB} MiB kept; {_damage(found)}"),
        ("agreement", f"takes {found.quorum} of {found.validators}; {found.peers} others are connected"),
        *(("", _peer(one)) for one in found.connections),
    ]  # fmt: skip
    lines = [f"{name:14} {value}" for name, value in rows]
    return "\n".join([*lines, "", given.sentence])


def _turns(led: int, missed: int) -> str:
    return f"{led} taken, {missed} missed"


def _damage(found: Status) -> str:
    if found.damage is not None:
        return found.damage
    return f"{found.packs_damaged} packs had changed" if found.packs_damaged else "no damage found"


def _peer(one: Connection) -> str:
    if not one.connected:
        return f"{one.name:16} not connected               {_turns(one.led, one.missed)}"
    trip = "" if one.round_trip_us is None else f"{one.round_trip_us / 1000:.1f} ms"
    clock = "" if one.clock_ms is None else f"clock {round(one.clock_ms / 1000, 1) + 0.0:+.1f} s"
    return f"{one.name:16} {trip:>9}  {clock:15}  {_turns(one.led, one.missed)}"


def _span(seconds: int) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
