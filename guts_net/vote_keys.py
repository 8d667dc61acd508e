"""
The vote keys in a node's directory, and what its operator reads where the one that counts is gone.

``keys/vote.key`` is the first; keys that follow lie beside it as ``vote-*.key``, and the epoch says which one votes. A
node whose key is lost goes on without a vote as soon as it has a key that can be its next one: it serves, follows and
forwards, and the new key votes from the epoch on that seats it, without another start.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

from guts_core.errors import Invalid
from guts_core.forge import queries
from guts_core.forge.records import ValidatorEntry
from guts_core.identity import KeyPair
from guts_core.node.node import Node

from .logs import Log
from .settings import KEY_FILES, key_in

_NEXT_EPOCH = "once `guts network rotate` has brought one, `guts network propose end-epoch` has the next epoch begin"


def read_vote_key(directory: Path) -> KeyPair | None:
    """The first vote key, unless it is lost."""
    path = directory / "keys" / KEY_FILES["vote"]
    return key_in(path, "vote") if path.exists() else None


def read_more_vote_keys(directory: Path) -> tuple[KeyPair, ...]:
    """Vote keys beside ``vote.key``, in files ``vote-*.key``: one of them takes over with the epoch that seats it."""
    return tuple(key_in(path, "vote") for path in sorted((directory / "keys").glob("vote-*.key")))


def newer_vote_keys(directory: Path, log: Log) -> Callable[[], tuple[KeyPair, ...]]:
    """The same for a node that runs, which no bad file ends: it is told in the log."""

    def found() -> tuple[KeyPair, ...]:
        try:
            return read_more_vote_keys(directory)
        except Invalid as error:
            log.warning("vote_key_unreadable", reason=str(error))
            return ()

    return found


def check_vote_key(node: Node, node_key: KeyPair, directory: Path) -> None:
    """
    Raise Invalid where this node has a seat and no key that votes in it, nor one that can be its next.

    It would keep silent, untold. A key beside ``vote.key`` of which the state does not know may have come in a
    block that this node has not seen yet.
    """
    mine = unheld_seat(node, node_key)
    if mine is None:
        return
    view, first, more = node.ledger.view(), read_vote_key(directory), read_more_vote_keys(directory)
    held = {key.public_key for key in (*more, *([first] if first else []))}
    if _rotation(node, mine) in held:
        return
    if all(queries.node_key_holder(view, key.public_key) is not None for key in more):
        raise Invalid(f"{_lack(node, mine, directory, first)}: {_way_out(node, directory)}")


def _lack(node: Node, mine: ValidatorEntry, directory: Path, first: KeyPair | None) -> str:
    path = directory / "keys" / KEY_FILES["vote"]
    if first is None:
        return f"the key with which validator {mine.name} votes is lost: {path} is not there"
    epoch = node.ledger.network.epoch
    return f"validator {mine.name} votes with another key in epoch {epoch} than {path} and vote-*.key beside it"


def _way_out(node: Node, directory: Path) -> str:
    """Every command where there is no backup."""
    if len(node.vote_keys) == 1:
        return "put its backup there; without one nothing can be decided any more, as it is the only validator"
    there = shlex.quote(str(directory))
    return (
        f"put its backup there; or type `guts network rotate --dir {there} --node URL` with the URL of another node, "
        f"which makes a new key, then `guts node run --dir {there}`, which runs without a vote until the next epoch "
        "(`guts network propose end-epoch --node URL` has it begin) and votes with the new key from there on"
    )


def silence(node: Node, node_key: KeyPair) -> str | None:
    """Why a node that has a seat does not vote in this epoch, in words, if it is because of its keys."""
    mine = unheld_seat(node, node_key)
    if mine is not None:
        change = _rotation(node, mine)
        if change is not None:
            return f"votes are held back until the next epoch: the key of {mine.name} is lost, and its rotation waits"
        alone = "; no other validator can bring one: only a backup helps" if len(node.vote_keys) == 1 else ""
        words = f"votes are held back: the key of {mine.name} is not in keys/vote.key or keys/vote-*.key"
        return f"{words}{alone or f' ({_NEXT_EPOCH})'}"
    if node.seat is not None and not node.engine.votes and not node.engine.ended:
        return (
            "votes are held back until the next epoch: the vote log says that this node began this one without a vote"
        )
    return None


def unheld_seat(node: Node, node_key: KeyPair) -> ValidatorEntry | None:
    """The seat of this node, if it has one and not the key that votes in it."""
    if node.seat is not None:
        return None
    return next((seat for seat in node.ledger.network.seats if seat.node_key == node_key.public_key), None)


def _rotation(node: Node, mine: ValidatorEntry) -> bytes | None:
    """The vote key that waits for its epoch."""
    waiting = queries.queue(node.ledger.view()).seats
    return next((one.vote_key for one in waiting if one.number == mine.number and one.vote_key is not None), None)
