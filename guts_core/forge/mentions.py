"""Which repositories a transaction is about, and whether anybody may know of all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never

from guts_core.names import AccountId, ChainId, RepoId
from guts_core.state.view import View

from . import queries
from .actions import (
    Action,
    AddKey,
    AdmitFollower,
    CreateCredential,
    CreateRepository,
    DeleteRepository,
    DescribeRepository,
    Erase,
    ProposeDecision,
    RefUpdate,
    Register,
    RemoveCollaborator,
    RemoveFollower,
    RemoveKey,
    RenameRepository,
    ReportEvidence,
    RestoreRepository,
    RevokeCredential,
    RotateSeat,
    SetCollaborator,
    SetDefaultBranch,
    SetVisibility,
    VoteDecision,
)
from .ids import repository_id


def mentioned(actions: Sequence[Action], author: AccountId, chain_id: ChainId) -> list[RepoId]:
    """The repositories that these actions of an author name, the one that they create included."""
    return [repo for action in actions for repo in _of(action, author, chain_id)]


def is_about_public(view: View, actions: Sequence[Action], author: AccountId, chain_id: ChainId) -> bool:
    """Whether every repository that is named is there for everybody, or is to be made so by these actions."""
    made = {
        repository_id(chain_id, author, action.salt)
        for action in actions
        if isinstance(action, CreateRepository) and not action.private
    }
    for repo in mentioned(actions, author, chain_id):
        found = queries.repository(view, repo)
        if found is None and repo not in made:
            return False
        if found is not None and found.private:
            return False
    return True


def _of(action: Action, author: AccountId, chain_id: ChainId) -> Iterable[RepoId]:
    match action:
        case CreateRepository():
            return (repository_id(chain_id, author, action.salt),)
        case RefUpdate():
            return (action.manifest.repo,)
        case CreateCredential():
            return action.repos or ()
        case (
            DescribeRepository()
            | SetDefaultBranch()
            | SetVisibility()
            | RenameRepository()
            | DeleteRepository()
            | RestoreRepository()
            | SetCollaborator()
            | RemoveCollaborator()
            | Erase()
        ):
            return (action.repo,)
        case (
            Register()
            | RevokeCredential()
            | AddKey()
            | RemoveKey()
            | ProposeDecision()
            | VoteDecision()
            | RotateSeat()
            | AdmitFollower()
            | RemoveFollower()
            | ReportEvidence()
        ):
            return ()
        case _:
            assert_never(action)
