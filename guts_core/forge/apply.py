"""
Execution of one action: the only door through which the forge's state changes.

A "no" is raised as a leaf of ``Refused`` and may leave writes behind in the overlay: a transaction's
actions are atomic together, so its overlay is discarded whole by the caller.
"""

from __future__ import annotations

from typing import assert_never

from guts_core.state.view import Overlay

from .accounts import register
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
from .activities import Activity
from .collaborators import remove_collaborator, set_collaborator
from .context import Availability, Context
from .credentials import create_credential, revoke_credential
from .evidence import report_evidence
from .followers import admit_follower, remove_follower
from .governance import propose_decision, rotate_seat, vote_decision
from .keys import add_key, remove_key
from .lifecycle import delete_repository, rename_repository, restore_repository
from .manifests import needs_availability
from .refs import update_refs
from .repositories import create_repository, describe_repository, set_default_branch, set_visibility
from .texts import erase

__all__ = ["Availability", "Context", "apply", "needs_witness"]


def apply(action: Action, state: Overlay, context: Context) -> tuple[Activity, ...]:
    """What happened, with all of it written to the overlay; raises a subclass of Refused."""
    match action:
        case Register():
            return register(action, state, context)
        case CreateCredential():
            return create_credential(action, state, context)
        case RevokeCredential():
            return revoke_credential(action, state, context)
        case AddKey():
            return add_key(action, state, context)
        case RemoveKey():
            return remove_key(action, state, context)
        case CreateRepository():
            return create_repository(action, state, context)
        case DescribeRepository():
            return describe_repository(action, state, context)
        case SetDefaultBranch():
            return set_default_branch(action, state, context)
        case SetVisibility():
            return set_visibility(action, state, context)
        case RenameRepository():
            return rename_repository(action, state, context)
        case DeleteRepository():
            return delete_repository(action, state, context)
        case RestoreRepository():
            return restore_repository(action, state, context)
        case SetCollaborator():
            return set_collaborator(action, state, context)
        case RemoveCollaborator():
            return remove_collaborator(action, state, context)
        case RefUpdate():
            return update_refs(action, state, context)
        case ProposeDecision():
            return propose_decision(action, state, context)
        case VoteDecision():
            return vote_decision(action, state, context)
        case RotateSeat():
            return rotate_seat(action, state, context)
        case AdmitFollower():
            return admit_follower(action, state, context)
        case RemoveFollower():
            return remove_follower(action, state, context)
        case ReportEvidence():
            return report_evidence(action, state, context)
        case Erase():
            return erase(action, state, context)
        case _:
            assert_never(action)


def needs_witness(actions: tuple[Action, ...]) -> bool:
    """Whether a transaction of these actions may only stand in a block beside a witness."""
    return any(isinstance(action, RefUpdate) and needs_availability(action.manifest) for action in actions)
