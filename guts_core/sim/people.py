"""
The people of a simulated forge: what they want next, made from what they can see.

Whoever acts reads refs at the gateway they use, as a client does, and may be behind; what exists
they learn from what became final. Everything is drawn from one pair of dice.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TypeVar

from attrs import define, field, frozen

from guts_core.chain import compose
from guts_core.chain.genesis import Genesis, chain_id
from guts_core.chain.transaction import Hand, Item, SignedTransaction, Text, transaction_id
from guts_core.codec import Tag, digest
from guts_core.forge import queries
from guts_core.forge.actions import (
    Action,
    CreateRepository,
    DescribeRepository,
    Erase,
    RefUpdate,
    RemoveCollaborator,
    RevokeCredential,
    SetCollaborator,
    SetDefaultBranch,
    SetVisibility,
)
from guts_core.forge.activities import (
    AccountRegistered,
    Activity,
    CollaboratorRemoved,
    CollaboratorSet,
    CredentialCreated,
    CredentialRevoked,
)
from guts_core.forge.ids import account_id, credential_id, repository_id
from guts_core.forge.records import ObjectFormat, Role, Scope
from guts_core.identity.keys import Signer
from guts_core.names import AccountId, CredentialId, NodeId, RefName, RepoId, TxId
from guts_core.state.view import View

from .crypto import KeyRing
from .objects import Parents
from .owners import KEY_CHANGES_MAX, Keys, Owners, Project
from .pushes import MAIN, Change, Pusher

T = TypeVar("T")

# So many people, and two credentials each: more make no new situation.
PEOPLE_MAX, CREDENTIALS_MAX, PROJECTS_MAX = 6, 10, 4
KEYS = PEOPLE_MAX + CREDENTIALS_MAX + KEY_CHANGES_MAX
# Short lives while the network suffers, so that all that is lost has expired when it ends; ten minutes after.
SHORT_MS, LONG_MS = (500, 3_500), 600_000
_CREDENTIAL_MS = 3_600_000


@define
class Pass:
    """A credential: it works at some gateways, or is signed with locally where there are none."""

    key: Signer
    gateways: tuple[int, ...]

    @property
    def id(self) -> CredentialId:
        """Its id in state."""
        return credential_id(self.key.public_key)


@define
class Person:
    """Somebody with an account, or on the way to one."""

    name: str
    account: AccountId
    passes: dict[CredentialId, Pass] = field(factory=dict)
    ended: dict[CredentialId, Pass] = field(factory=dict)


@frozen
class Desk:
    """Where somebody stands: the gateway, what it shows and holds, and until when the wish shall live."""

    gateway: int
    view: View
    objects: Callable[[RepoId], Parents]
    expires: int


@frozen
class Wish:
    """One transaction that somebody wants, and the pack that it needs."""

    item: Item
    tx_id: TxId
    label: str
    author: AccountId
    pack: bytes | None = None
    change: Change | None = None
    repo: RepoId | None = None


class People:
    """Everybody outside the network."""

    def __init__(self, roll: Random, genesis: Genesis, ring: KeyRing) -> None:
        self._roll, self._ring = roll, ring
        self.chain_id = chain_id(genesis)
        self._size = size = len(genesis.validators)
        self._node_keys = [NodeId(entry.node_key) for entry in genesis.validators]
        self._owners = Owners(roll, self.chain_id)
        self._known = {account.id: Person(account.name, account.id) for account in genesis.accounts}
        for index, account in enumerate(genesis.accounts):
            self._owners.keys[account.id] = Keys([ring.signer(2 * size + index)])
        self._operators = [account.id for account in genesis.accounts if account.is_operator]
        self._coming: dict[AccountId, Person] = {}
        self._passes: dict[CredentialId, Pass] = {}
        self._pusher = Pusher(roll)
        self._keys = 3 * size
        self._salts = self._repositories = 0

    @property
    def projects(self) -> dict[RepoId, Project]:
        """The repositories that exist."""
        return self._owners.projects

    # ---- wishes ----

    def expiry(self, time: int, *, calm: bool) -> int:
        """Until when a wish made now may be granted."""
        return time + (LONG_MS if calm else self._roll.randint(*SHORT_MS))

    def wish(self, desk: Desk) -> Wish | None:
        """What somebody wants of a gateway now, if it can be made of what exists."""
        makers = (
            (8, self._registers, len(self._known) < self._size + PEOPLE_MAX // 2),
            (8, self._creates_credential, len(self._passes) < CREDENTIALS_MAX),
            (2, self._revokes, bool(self._passes)),
            (6, self._creates, len(self.projects) < PROJECTS_MAX),
            (8, self._collaborates, bool(self.projects)),
            (4, self._settles, bool(self.projects)),
            (3, self._erases, bool(self.projects)),
            (3, self._reshapes, bool(self.projects or self._owners.deleted)),
            (4, self._changes_keys, self._owners.may_make_keys),
            (2, self._pushes_to_create, len(self.projects) < PROJECTS_MAX),
            (60, self._pushes, bool(self.projects)),
        )
        possible = [(weight, make) for weight, make, can in makers if can]
        [make] = self._roll.choices([make for _, make in possible], [weight for weight, _ in possible])
        return make(desk)

    def contest(self, desks: list[Desk]) -> list[tuple[Desk, Wish]]:
        """Pushes of different commits to one branch at once, through several gateways."""
        if not self.projects:
            return []
        project = self._one(list(self.projects.values()))
        out = []
        for desk in desks:
            change = self._pusher.advance(tuple(queries.refs(desk.view, project.repo)), RefName(MAIN))
            out.append((desk, self._push(desk, project, change, self._writer(project))))
        return [(desk, wish) for desk, wish in out if wish is not None]

    def again(self, wish: Wish, desk: Desk) -> Wish | None:
        """The same through another gateway, after the first one died."""
        if wish.item.signed.body.via is None and wish.pack is None:
            return wish
        project = None if wish.repo is None else self.projects.get(wish.repo)
        if project is None or wish.change is None:
            return None
        return self._push(desk, project, wish.change, self._known[wish.author])

    def learn(self, activities: tuple[Activity, ...]) -> None:
        """Something became final."""
        for activity in activities:
            self._owners.learn(activity)
            match activity:
                case AccountRegistered():
                    person = self._coming[activity.account]
                    self._known[activity.account] = person
                case CredentialCreated():
                    self._known[activity.account].passes[activity.credential] = self._passes[activity.credential]
                case CredentialRevoked():
                    person = self._known[activity.account]
                    person.ended[activity.credential] = person.passes.pop(activity.credential)
                case CollaboratorSet():
                    writers = self.projects[activity.repo].writers
                    (writers.add if activity.role is not Role.READ else writers.discard)(activity.account)
                case CollaboratorRemoved():
                    self.projects[activity.repo].writers.discard(activity.account)
                case _:
                    pass

    # ---- makers ----

    def _registers(self, desk: Desk) -> Wish | None:
        if len(self._coming) >= PEOPLE_MAX:
            return None
        key, salt = self._key(), self._salt()
        # Now and then a name that somebody else wants too.
        name = f"person-{len(self._coming) - (self._roll.random() < 0.2)}"
        person = Person(name, account_id(self.chain_id, key.public_key, salt))
        self._coming[person.account] = person
        self._owners.keys[person.account] = Keys([key])
        sponsor = self._somebody().account
        signed = compose.register(self.chain_id, name, key, sponsor, self._owners.signer(sponsor), desk.expires, salt)
        return self._wish(signed, "register", person)

    def _creates_credential(self, desk: Desk) -> Wish:
        person, key = self._somebody(), self._key()
        count = self._roll.choice((0, 1, self._size))
        gateways = tuple(self._roll.sample(range(self._size), count))
        made = Pass(key, gateways)
        self._passes[made.id] = made
        action = compose.create_credential(
            self.chain_id,
            person.account,
            key,
            (Scope.REPO,),
            desk.expires + _CREDENTIAL_MS,
            [self._node_keys[gateway] for gateway in gateways],
        )
        return self._by_account(desk, person, (action,), "create credential")

    def _revokes(self, desk: Desk) -> Wish | None:
        holders = [(person, held) for person in self._known.values() for held in person.passes.values()]
        if not holders:
            return None
        person, held = self._one(holders)
        return self._by_account(desk, person, (RevokeCredential(held.id),), "revoke credential")

    def _creates(self, desk: Desk) -> Wish:
        person = self._somebody()
        text = Text(self._salt(), "what it is for") if self._roll.random() < 0.5 else None
        action = self._repository(None if text is None else text.commitment)
        return self._signed(desk, person, (action,), "create repository", () if text is None else (text,))

    def _collaborates(self, desk: Desk) -> Wish:
        project = self._one(list(self.projects.values()))
        owner, other = self._known[project.owner], self._somebody()
        action: Action
        if self._roll.random() < 0.2:
            action = RemoveCollaborator(project.repo, other.account)
        else:
            role = Role.READ if self._roll.random() < 0.2 else Role.WRITE
            action = SetCollaborator(project.repo, other.account, role)
        return self._signed(desk, owner, (action,), "collaborator")

    def _settles(self, desk: Desk) -> Wish:
        project = self._one(list(self.projects.values()))
        owner, choice = self._known[project.owner], self._roll.randrange(3)
        if choice == 0:
            text = Text(self._salt(), "described anew")
            return self._signed(desk, owner, (DescribeRepository(project.repo, text.commitment),), "describe", (text,))
        action: Action = SetVisibility(project.repo, private=self._roll.random() < 0.5)
        if choice == 1:
            action = SetDefaultBranch(project.repo, RefName(self._roll.choice((MAIN, "refs/heads/dev"))))
        return self._signed(desk, owner, (action,), "settings")

    def _erases(self, desk: Desk) -> Wish | None:
        """A text, erased before perhaps: by whoever wants to, mostly the owner, or by the operators together."""
        project = self._one(list(self.projects.values()))
        texts = list(queries.texts(desk.view, project.repo))
        if not texts:
            return None
        text, choice = self._one(texts), self._roll.random()
        if choice < 0.2:
            keys = [(account, self._owners.signer(account)) for account in self._operators]
            ends, salt = desk.expires, self._salt()
            signed = compose.erase_by_operators(self.chain_id, project.repo, text.commitment, keys, ends, salt)
            return self._wish(signed, "erase", self._known[signed.body.author])
        person = self._somebody() if choice < 0.4 else self._known[project.owner]
        return self._signed(desk, person, (Erase(project.repo, text.commitment, ()),), "erase")

    def _reshapes(self, desk: Desk) -> Wish | None:
        wanted = self._owners.reshapes()
        if wanted is None:
            return None
        owner, action, label = wanted
        return self._by_account(desk, self._known[owner], (action,), label)

    def _changes_keys(self, desk: Desk) -> Wish:
        person = self._somebody()
        return self._by_account(desk, person, self._owners.changes_keys(person.account, self._key), "change keys")

    def _pushes_to_create(self, desk: Desk) -> Wish | None:
        person, create = self._somebody(), self._repository(None)
        repo = repository_id(self.chain_id, person.account, create.salt)
        change = self._pusher.advance((), RefName(MAIN))
        manifest = self._pusher.manifest(repo, change, {}, ())
        if manifest is None:
            return None
        wish = self._signed(desk, person, (create, RefUpdate(manifest)), "push to create")
        return self._with_pack(wish, change, None)

    def _pushes(self, desk: Desk) -> Wish | None:
        project = self._one(list(self.projects.values()))
        change = self._pusher.change(tuple(queries.refs(desk.view, project.repo)))
        return None if change is None else self._push(desk, project, change, self._writer(project))

    def _push(self, desk: Desk, project: Project, change: Change, person: Person) -> Wish | None:
        refs = tuple(queries.refs(desk.view, project.repo))
        manifest = self._pusher.manifest(project.repo, change, desk.objects(project.repo), refs)
        if manifest is None:
            return None
        wish = self._signed(desk, person, (RefUpdate(manifest),), f"push: {change.label}")
        return self._with_pack(wish, change, project.repo)

    # ---- parts ----

    def _with_pack(self, wish: Wish, change: Change, repo: RepoId | None) -> Wish:
        return Wish(wish.item, wish.tx_id, wish.label, wish.author, change.pack, change, repo)

    def _repository(self, description: bytes | None) -> CreateRepository:
        self._repositories += 1
        number = self._repositories - (self._roll.random() < 0.1)
        return CreateRepository(
            name=f"project-{number}",
            salt=self._salt(),
            private=self._roll.random() < 0.3,
            default_branch=RefName(MAIN),
            object_format=ObjectFormat.SHA1,
            placement="all",
            description=description,
        )

    def _signed(
        self, desk: Desk, person: Person, actions: tuple[Action, ...], label: str, texts: tuple[Text, ...] = ()
    ) -> Wish:
        """By a credential that works at this gateway, by an account key, and sometimes by one that was revoked."""
        held = [p for p in person.passes.values() if not p.gateways or desk.gateway in p.gateways]
        if person.ended and self._roll.random() < 0.1:
            held = list(person.ended.values())
        if not held or self._roll.random() < 0.3:
            return self._by_account(desk, person, actions, label, texts)
        chosen = self._one(held)
        gateway = desk.gateway if chosen.gateways else None
        node = None if gateway is None else self._node_keys[gateway]
        body = compose.by_credential(
            self.chain_id,
            person.account,
            chosen.key.public_key,
            node,
            Hand.RELAYED if gateway is None else Hand.HANDED,
            actions,
            desk.expires,
            self._salt(),
        )
        node_signer = None if gateway is None else self._ring.signer(self._size + gateway)
        return self._wish(compose.sign_with_credential(body, chosen.key, node_signer), label, person, texts)

    def _by_account(
        self, desk: Desk, person: Person, actions: tuple[Action, ...], label: str, texts: tuple[Text, ...] = ()
    ) -> Wish:
        body = compose.by_account(self.chain_id, person.account, actions, desk.expires, self._salt())
        signed = compose.sign_with_account_key(body, self._owners.signer(person.account))
        return self._wish(signed, label, person, texts)

    def _wish(self, signed: SignedTransaction, label: str, person: Person, texts: tuple[Text, ...] = ()) -> Wish:
        return Wish(Item(signed, None, texts), transaction_id(signed.body), label, person.account)

    def _writer(self, project: Project) -> Person:
        """Who may push; sometimes somebody who may not."""
        if self._roll.random() < 0.05:
            return self._somebody()
        return self._known[self._one(sorted({project.owner, *project.writers}))]

    def _somebody(self) -> Person:
        return self._one(list(self._known.values()))

    def _one(self, items: list[T]) -> T:
        return items[int(self._roll.random() * len(items))]

    def _key(self) -> Signer:
        self._keys += 1
        return self._ring.signer(self._keys - 1)

    def _salt(self) -> bytes:
        self._salts += 1
        return digest(Tag.TRACE, b"salt", self._salts.to_bytes(8, "big"))
