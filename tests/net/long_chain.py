"""A long chain on a node's disk, made by the code that makes every chain: real blocks, votes, ends of epochs."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from attrs import evolve

from guts_core.chain.genesis import chain_id
from guts_core.chain.genesis_json import GenesisFile, genesis_from_json, to_json
from guts_core.chain.ledger import Ledger
from guts_core.codec import Tag, to_bytes
from guts_core.forge.params import Followers, Params
from guts_core.identity import Ed25519Verifier, KeyPair
from guts_core.names import BlockHash, NodeId
from guts_core.simplex.certificates import assemble
from guts_core.simplex.committee import Committee
from guts_core.simplex.journal import LogStart
from guts_core.simplex.messages import Certificate, Kind, Proposal
from guts_core.simplex.ports import End, Instant
from guts_net.disk import LocalDisk
from guts_net.journal import Journal
from guts_net.logs import Log
from guts_net.settings import KEY_FILES, NodeSettings
from guts_net.snapshots import Snapshots
from guts_net.store import ChainDatabase
from tests.ports import free_ports

from .world import World, found

SECOND = 1_000


def a_long_world(path: Path, blocks_an_epoch: int, blocks: int, apart_ms: int = SECOND) -> World:
    """
    A network of one validator that anybody may follow, whose epochs have about so many blocks, so far apart.

    It was founded so long ago that as many blocks lie behind it.
    """
    params = Params(
        delta_ms=200, retry_ms=400, heartbeat_ms=1_000, epoch_ms=blocks_an_epoch * apart_ms, followers=Followers.OPEN
    )
    world = found(path, 1, params=params)
    world.genesis = evolve(world.genesis, time=world.genesis.time - (blocks + 10) * apart_ms)
    addresses = genesis_from_json((path / "genesis.json").read_text()).addresses
    (path / "genesis.json").write_text(to_json(GenesisFile(world.genesis, addresses)))
    return world


async def write_chain(world: World, blocks: int, apart_ms: int = SECOND, directory: Path | None = None) -> int:
    """
    So many final blocks on its disk, in the past, with the snapshots that came on the way; how many epochs ended.

    The same blocks each time, and nothing of votes in the directory of another node.
    """
    home, disk, ended = directory or world.seats[0].directory, LocalDisk(), 0
    with closing(ChainDatabase(home / "chain.db", disk)) as database:
        ledger = Ledger(world.genesis, database, Ed25519Verifier())
        snapshots = Snapshots(home, disk, chain_id(world.genesis), Log("test"))
        for view in range(1, blocks + 1):
            now = world.genesis.time + view * apart_ms
            parent = ledger.final_point()
            built = ledger.propose(parent, view, Instant(now * 1000, now))
            assert built is not None
            proposal = Proposal(ledger.network.epoch, view, parent.view, BlockHash(parent.block_hash), built[0])
            _finalize(ledger, world, proposal, built[1])
            for commit in ledger.take_commits():
                database.commit(commit)
                ledger.committed(commit.height)
                if commit.step is not None:
                    ended += 1
                    await snapshots.make(snapshots.freeze())
    if directory is None:
        _write_votes(world, ended)
    return ended


def _write_votes(world: World, ended: int) -> None:
    """The log of a validator that was there when each epoch began, and voted for nothing that is still open."""
    seat, genesis = world.seats[0], world.genesis
    journal, _ = Journal.open(seat.directory / "votes.log", LocalDisk())
    with closing(journal):
        key = seat.keys["vote"].public_key
        journal.append([to_bytes(LogStart(chain_id(genesis), epoch, key)) for epoch in range(ended + 1)])
        journal.sync()


def _finalize(ledger: Ledger, world: World, proposal: Proposal, body: bytes) -> None:
    certificate = _certificate(world, proposal)
    if ledger.is_last(BlockHash(proposal.block_hash)):
        ledger.finish(proposal, body, certificate, End((), certificate))
    else:
        ledger.finalize(proposal, body, certificate)


def _certificate(world: World, proposal: Proposal) -> Certificate:
    genesis = world.genesis
    committee = Committee(chain_id(genesis), proposal.epoch, genesis.vote_keys, genesis.fault_model, Ed25519Verifier())

    content = committee.content(Kind.FINALIZE, proposal.view, proposal)
    signature = world.seats[0].keys["vote"].sign(Tag.SIGN_VOTE, committee.chain_id, content)
    return assemble(committee, Kind.FINALIZE, proposal.view, proposal, [(0, signature)])


def a_follower(world: World) -> NodeSettings:
    """The settings of one more node, with keys that the genesis does not know."""
    directory = world.path / "follower"
    (directory / "keys").mkdir(parents=True)
    for role in ("node", "vote"):
        (directory / "keys" / KEY_FILES[role]).write_text(KeyPair(bytes((7 + len(role),)) * 32).seed.hex())
    (port,) = free_ports(1)
    settings = evolve(world.settings(0), directory=directory, p2p=f"127.0.0.1:{port}")
    return evolve(settings, log_path=world.path / "follower.log")


def key_of(settings: NodeSettings) -> NodeId:
    """Its network key."""
    return NodeId(KeyPair(bytes.fromhex((settings.directory / "keys" / "node.key").read_text())).public_key)
