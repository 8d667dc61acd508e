"""
What a node files of final blocks beside the state, to answer questions that the state does not: who moved
a ref, and what was deleted when. Made from receipts alone, so that it can be made again from the blocks.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from guts_core.forge.actions import Relation
from guts_core.forge.activities import RefUpdated, RepositoryDeleted, RepositoryRestored
from guts_core.names import AccountId, CredentialId, NodeId, Oid, RefName, RepoId, TxId

from .receipt import Receipt
from .transaction import Transaction


@frozen
class RefMove:
    """One line of a ref's log. At its height and position the ref moved once."""

    repo: RepoId
    ref: RefName
    height: int
    position: int  # of its transaction in the block
    time: int  # of the block
    tx_id: TxId
    author: AccountId
    credential: CredentialId | None  # None: signed with an account key
    gateway: NodeId | None  # None: signed locally
    old: Oid | None
    new: Oid | None
    relation: Relation


@frozen
class Deletion:
    """A repository was deleted at a block time, or is not deleted any more (None)."""

    repo: RepoId
    owner: AccountId
    time: int | None


def ref_moves(
    height: int, time: int, transactions: Iterable[tuple[TxId, Transaction]], receipts: Iterable[Receipt]
) -> tuple[RefMove, ...]:
    """Every ref that a block moved, in order."""
    return tuple(
        _ref_move(height, time, position, tx_id, body, activity)
        for position, ((tx_id, body), receipt) in enumerate(zip(transactions, receipts, strict=True))
        for activity in receipt.activities
        if isinstance(activity, RefUpdated)
    )


def _ref_move(height: int, time: int, position: int, tx_id: TxId, body: Transaction, moved: RefUpdated) -> RefMove:
    return RefMove(
        repo=moved.repo,
        ref=RefName(moved.ref),
        height=height,
        position=position,
        time=time,
        tx_id=tx_id,
        author=body.author,
        credential=None if body.via is None else body.via.credential,
        gateway=None if body.via is None else body.via.gateway,
        old=moved.old,
        new=moved.new,
        relation=moved.relation,
    )


def deletions(time: int, receipts: Iterable[Receipt]) -> tuple[Deletion, ...]:
    """What a block deleted and restored, in order."""
    return tuple(
        Deletion(activity.repo, activity.owner, time if isinstance(activity, RepositoryDeleted) else None)
        for receipt in receipts
        for activity in receipt.activities
        if isinstance(activity, RepositoryDeleted | RepositoryRestored)
    )
