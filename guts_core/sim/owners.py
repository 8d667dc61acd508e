"""
What owners do with what is theirs: repositories renamed, deleted and restored, account keys changed.

``People`` signs and brings what is wished for here. Names are few, so that people get in their own way.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from attrs import define, field

from guts_core.chain import compose
from guts_core.forge.actions import Action, DeleteRepository, RemoveKey, RenameRepository, RestoreRepository
from guts_core.forge.activities import (
    Activity,
    KeyAdded,
    KeyRemoved,
    RepositoryCreated,
    RepositoryDeleted,
    RepositoryRenamed,
    RepositoryRestored,
)
from guts_core.identity.keys import Signer
from guts_core.names import AccountId, ChainId, RepoId

# So many keys are made in one life of a network; more make no new situation.
KEY_CHANGES_MAX = 8
# Beside the names that repositories are created with.
NAMES = ("project-1", "project-2", "elsewhere")


@define
class Project:
    """A repository that was created, deleted or not."""

    repo: RepoId
    owner: AccountId
    name: str
    writers: set[AccountId] = field(factory=set)


@define
class Keys:
    """The keys of one account: what signs now, and what did."""

    active: list[Signer]
    removed: list[Signer] = field(factory=list)


class Owners:
    """Repositories and keys as those who own them know them."""

    def __init__(self, roll: Random, chain_id: ChainId) -> None:
        self._roll, self._chain_id = roll, chain_id
        self.projects: dict[RepoId, Project] = {}
        self.deleted: dict[RepoId, Project] = {}
        self.keys: dict[AccountId, Keys] = {}
        self._made: dict[bytes, Signer] = {}

    @property
    def may_make_keys(self) -> bool:
        """Whether the ring has keys left for this."""
        return len(self._made) < KEY_CHANGES_MAX

    def learn(self, activity: Activity) -> None:
        """Something became final."""
        match activity:
            case RepositoryCreated():
                self.projects[activity.repo] = Project(activity.repo, activity.owner, activity.name)
            case RepositoryRenamed():
                self.projects[activity.repo].name = activity.new
            case RepositoryDeleted():
                self.deleted[activity.repo] = self.projects.pop(activity.repo)
            case RepositoryRestored():
                self.projects[activity.repo] = self.deleted.pop(activity.repo)
            case KeyAdded():
                self.keys[activity.account].active.append(self._made[activity.key])
            case KeyRemoved():
                keys = self.keys[activity.account]
                gone = next(key for key in keys.active if key.public_key == activity.key)
                keys.active.remove(gone)
                keys.removed.append(gone)
            case _:
                pass

    def signer(self, account: AccountId) -> Signer:
        """A key of the account, and now and then one that it has no more."""
        keys = self.keys[account]
        if keys.removed and self._roll.random() < 0.2:
            return self._roll.choice(keys.removed)
        return self._roll.choice(keys.active)

    def reshapes(self) -> tuple[AccountId, Action, str] | None:
        """A repository renamed, deleted or restored; sometimes by a name that it has not."""
        if self.deleted and (not self.projects or self._roll.random() < 0.5):
            project = self._roll.choice(list(self.deleted.values()))
            return project.owner, RestoreRepository(project.repo), "restore"
        if not self.projects:
            return None
        project = self._roll.choice(list(self.projects.values()))
        if self._roll.random() < 0.5:
            return project.owner, RenameRepository(project.repo, self._roll.choice(NAMES)), "rename"
        name = project.name if self._roll.random() < 0.9 else "something else"
        return project.owner, DeleteRepository(project.repo, name), "delete"

    def changes_keys(self, account: AccountId, make: Callable[[], Signer]) -> tuple[Action, ...]:
        """A key added, removed, or one for another."""
        keys, choice = self.keys[account], self._roll.randrange(3)
        if choice == 0:
            return (RemoveKey(self._roll.choice(keys.active).public_key),)
        new = make()
        self._made[new.public_key] = new
        if choice == 1:
            return (compose.add_key(self._chain_id, account, new),)
        return compose.rotate_key(self._chain_id, account, self._roll.choice(keys.active).public_key, new)
