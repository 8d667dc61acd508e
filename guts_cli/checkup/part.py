"""What part a node has in its network by what lies on its disk, and whether the keys for it are there."""

from __future__ import annotations

import shlex

from guts_cli.keys import VOTE_KEY
from guts_cli.node_directory import NodeDirectory
from guts_core.chain.foundation import found_state
from guts_core.chain.genesis_json import GenesisFile
from guts_core.chain.memory import MemoryStore
from guts_core.forge import queries
from guts_core.forge.params import Followers
from guts_core.forge.records import Epoch, NodeRecord, NodeRole, ValidatorEntry
from guts_core.state.view import Overlay, View
from guts_http.reader import Reader
from guts_net.state_sync import is_wanted
from guts_net.vote_keys import read_more_vote_keys, read_vote_key

from .finding import Finding, well, wrong

CHECK = "genesis"
HOW_TO = "docs/how-to/operate-a-node.md"


def part_of(directory: NodeDirectory, file: GenesisFile) -> Finding:
    """By the state that the node has; by genesis where it has none yet."""
    network = f"network {file.genesis.name} ({file.chain_id.hex()[:12]})"
    if is_wanted(directory.path):
        return well(CHECK, f"{network}, whose state is still to be fetched")
    database = directory.path / "chain.db"
    if not database.exists():
        return _in_state(directory, network, _founded(file))
    with Reader(database, file.genesis).snapshot() as snapshot:
        return _in_state(directory, network, snapshot)


def _founded(file: GenesisFile) -> View:
    """The state at height 0."""
    state = Overlay(MemoryStore())
    state.writes.update(found_state(file.genesis).records)
    return state


def _in_state(directory: NodeDirectory, network: str, view: View) -> Finding:
    mine, epoch = directory.node_key().public_key, queries.epoch(view)
    for index, seat in enumerate(epoch.seats):
        if seat.node_key == mine:
            return _seated(directory, network, epoch, index, seat)
    return _without_seat(directory, network, epoch, queries.node_of_key(view, mine))


def _seated(directory: NodeDirectory, network: str, epoch: Epoch, index: int, seat: ValidatorEntry) -> Finding:
    first = read_vote_key(directory.path)
    held = (*([first] if first else []), *read_more_vote_keys(directory.path))
    if seat.vote_key not in {key.public_key for key in held}:
        words = f"validator {seat.name} has another vote key in epoch {epoch.number} than {VOTE_KEY} and vote-*.key"
        return wrong(CHECK, words, f"restore it from your backup, or once for all {_rotate(directory)}: {HOW_TO}")
    return well(CHECK, f"{network}, seat {index + 1} of {len(epoch.seats)}: {seat.name}")


def _rotate(directory: NodeDirectory) -> str:
    return f"guts network rotate --dir {shlex.quote(str(directory.path))} --node URL"


def _without_seat(directory: NodeDirectory, network: str, epoch: Epoch, known: NodeRecord | None) -> Finding:
    if known is not None and known.role is NodeRole.RETIRED:
        words = f"{known.name} has no part in {network} any more, and its keys are never accepted again"
        return wrong(CHECK, words, "guts join URL --dir NEW --name NAME")
    if known is not None:
        return well(CHECK, f"{network}, where {known.name} follows as node {known.number}")
    if epoch.params.followers is Followers.OPEN:
        return well(CHECK, f"{network}, which anybody may follow")
    entry = f"guts network entry --dir {shlex.quote(str(directory.path))}"
    return wrong(CHECK, f"the node's key has no seat in {network}, nor was it admitted as a follower", entry)
