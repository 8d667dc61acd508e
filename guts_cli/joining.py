"""
A node that joins a network which runs already: its directory, its pin, and how it gets in.

Nothing that the asked node says is believed but after the chain id was compared: from there on all that comes
is proven from genesis.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import trio
from attrs import evolve, frozen

from guts_core.chain.genesis_json import GenesisFile, genesis_from_json, to_json
from guts_core.errors import Conflict, Refused
from guts_core.forge.params import Followers
from guts_core.names import NodeId
from guts_core.sync.machine import Phase, Progress
from guts_http.client import Client, Place
from guts_net import state_sync
from guts_net.beginning import begin
from guts_net.disk import LocalDisk
from guts_net.lock import hold_lock
from guts_net.logs import Log
from guts_net.state_sync import Synced
from guts_net.tcp import TcpTransport

from .adapters import node_settings
from .commands.genesis import grouped
from .config import Config, config_text
from .keys import NODE_KEY, VOTE_KEY, new_pair, write_pair
from .node_directory import NodeDirectory
from .operating import follower_request
from .outcomes import Usage
from .public_files import write_public

# An operator types one command; nobody waits for the answer to come a second sooner.
ADMISSION_SECONDS = 1.0
CHAIN_ID_DIGITS = 64
WHY_NOT_YES = (
    "--yes cannot confirm a network that nobody named: any node could show a genesis of its own, and all that it says "
    "would fit. Get the chain id from somebody who runs or uses the network"
)


class OtherNetwork(Conflict):
    """What the node shows is not the network that was meant."""

    code = "other-network"


@frozen
class Joining:
    """One node on its way into a network."""

    directory: NodeDirectory
    file: GenesisFile
    config: Config

    def prepare(self, places: tuple[Place, ...]) -> None:
        """Keys, settings and genesis, each made once; where nodes are is taken over anew."""
        directory = self.directory
        if directory.genesis.exists():
            held = genesis_from_json(directory.genesis.read_text())
            if held.chain_id != self.file.chain_id:
                raise Conflict(f"{directory.path} belongs to network {held.genesis.name}, {held.chain_id.hex()[:12]}")
        for name in (NODE_KEY, VOTE_KEY):
            if not (directory.keys / name).exists():
                write_pair(directory.keys / name, new_pair())
        mine = NodeId(directory.node_key().public_key)
        found = tuple(
            f"{one.node_id.hex()}@{where}" for one in places if one.node_id != mine for where in one.addresses
        )
        known = tuple(dict.fromkeys((*self.config.p2p.bootstrap, *found)))
        config = evolve(self.config, p2p=evolve(self.config.p2p, bootstrap=known))
        written = ("node.name", "http.listen", "p2p.listen", "p2p.bootstrap")
        write_public(directory.config_file, config_text(config, written))
        is_new = not (directory.path / "chain.db").exists()
        write_public(directory.genesis, to_json(self.file))
        if is_new:
            state_sync.want(directory.path, LocalDisk())

    def wait_until_admitted(self, client: Client, tell: Callable[[str], None]) -> None:
        """Return when the network takes connections of this node."""
        mine = self.directory.node_key()
        if self._is_member(client):
            return
        request = follower_request(self.file.chain_id, self.config.node.name, mine)
        tell(
            "this network admits the nodes that follow it. One of its operators types:\n\n"
            f"  guts network admit {request} --name {self.config.node.name}\n\n"
            "This command goes on when that is done; Ctrl-C and the same command later does as well."
        )
        while not self._is_member(client):
            time.sleep(ADMISSION_SECONDS)

    def _is_member(self, client: Client) -> bool:
        mine = self.directory.node_key().public_key
        if any(one.node_key == mine for one in client.followers()):
            return True
        epoch = client.epoch()
        is_open = epoch.params.get("followers") == Followers.OPEN.name.lower()
        return is_open or any(one.node_id == mine for one in client.validators())

    def sync(self) -> Synced | None:
        """Fetch and verify a snapshot, with a sign of it; None where there is none, and blocks will do."""
        settings = node_settings(self.directory, self.directory.genesis, self.directory.settings().config)
        self.directory.log.parent.mkdir(parents=True, exist_ok=True)
        with _shown() as show, hold_lock(self.directory.path / "node.lock"), settings.open_logs():

            async def run() -> Synced | None:
                return await begin(settings, LocalDisk(), TcpTransport(), Log("join"), show)

            return trio.run(run)


def chosen_genesis(shown: GenesisFile, pin: str | None, file: Path | None, *, yes: bool) -> GenesisFile:
    """The genesis to join, of which somebody said that it is the one meant."""
    if file is not None:
        wanted = genesis_from_json(file.read_bytes())
        if wanted.chain_id != shown.chain_id:
            raise OtherNetwork(f"the node is of network {shown.chain_id.hex()}, {file} is {wanted.chain_id.hex()}")
        return wanted
    if pin is not None:
        if pin.replace(" ", "").lower() != shown.chain_id.hex():
            raise OtherNetwork(f"the node is of network {shown.chain_id.hex()}, and you named {pin}")
        return shown
    command = f"the same command with --chain-id HEX ({CHAIN_ID_DIGITS} digits) or --genesis FILE"
    if yes:
        raise Usage(WHY_NOT_YES, command)
    if not sys.stdin.isatty():
        raise Usage("which network? Its chain id is what everything else is checked against", command)
    words = f"network {shown.genesis.name} has the chain id\n\n  {grouped(shown.chain_id.hex())}\n"
    click.echo(words + "\nCompare it with somebody who runs or uses the network, not with this node.", err=True)
    if not click.confirm("Is it the same?", err=True):
        raise Refused("nothing was made")
    return shown


@contextmanager
def _shown() -> Iterator[Callable[[Progress], None]]:
    """A bar on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _progress: None
        return
    from rich.console import Console  # noqa: PLC0415 -- a tenth of a second to load, for slow things only
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415 -- as above
    from rich.progress import Progress as Bar  # noqa: PLC0415 -- as above

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("looking for nodes", total=None)

        def show(now: Progress) -> None:
            total = now.total if now.phase is Phase.PIECES else None
            bar.update(task, description=words_of(now), completed=now.done, total=total)

        yield show


def words_of(progress: Progress) -> str:
    """What is being done, in a few words."""
    match progress.phase:
        case Phase.OFFERS:
            return f"asking {progress.peers} nodes" if progress.peers else "looking for nodes"
        case Phase.EPOCHS:
            return f"epoch {progress.done} of {progress.total}"
        case Phase.PIECES:
            return f"state of height {progress.height} from {progress.peers} nodes"
        case Phase.BUILDING:
            return "making the state and comparing its root"
        case Phase.DONE:
            return "verified"


def run_command(directory: Path) -> str:
    """What is typed from now on to start the node."""
    return f"guts node run --dir {shlex.quote(str(directory))}"
