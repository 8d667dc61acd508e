"""
A small forge as a state machine: accounts with keys, repositories, refs, revocations; and who uses it.

It has no line in common with the forge of real nodes or with the models of ``histories``, and shares the
words of the latter: what a run answered is judged by checkers that know nothing of this module.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any, TypeAlias, cast

from attrs import define, evolve, field

from guts_core.codec import Tag, decode, digest, encode
from guts_core.errors import Refused
from guts_core.simplex.quorum import FaultModel

from .fates import dice
from .histories import Forge, History, Position, Violation, total_order
from .report import Report
from .simulate import Simulation, simulate

Entry: TypeAlias = tuple[str, ...]
Records: TypeAlias = Mapping[Entry, str]
# A wish in so many is a contest: several people move one ref at about the same time.
_CONTEST = 4
_RIVALS_MAX = 4
# With fewer all would be about one account, and a search for an order of so many rivals does not end.
_ACCOUNTS_MIN = 4


class Village:
    """Records by key: ("key", account, name) -> "active" or "spent", ("repo", ...), ("ref", ...) -> oid."""

    def initial(self) -> Records:
        """Nobody lives there."""
        return {}

    def apply(self, state: Records, command: bytes) -> Records:
        """The records after; Refused with "denied", "taken", "missing" or "stale"."""
        action, *arguments = cast("tuple[Any, ...]", decode(command))
        return {**state, **_ACTIONS[action](state, *arguments)}

    def root(self, state: Records) -> bytes:
        """A hash of all records in the order of their keys."""
        return digest(Tag.STATE_VALUE, encode(tuple((*key, value) for key, value in sorted(state.items()))))


def wish(action: str, *arguments: str | None) -> bytes:
    """A command."""
    return encode((action, *arguments))


# ---- rules ----

_GONE = ""  # a record stays and is empty: what was once there is told from what never was


def _create_account(state: Records, account: str, key: str) -> Records:
    if ("account", account) in state:
        raise Refused("taken")
    return {("account", account): account, ("key", account, key): "active"}


def _enter(state: Records, account: str, by: str) -> None:
    if state.get(("key", account, by)) != "active":
        raise Refused("denied")


def _add_key(state: Records, account: str, by: str, key: str) -> Records:
    _enter(state, account, by)
    if ("key", account, key) in state:
        raise Refused("taken")
    return {("key", account, key): "active"}


def _revoke_key(state: Records, account: str, by: str, key: str) -> Records:
    _enter(state, account, by)
    if state.get(("key", account, key)) != "active":
        raise Refused("missing")
    return {("key", account, key): "spent"}


def _create_repository(state: Records, account: str, by: str, repo: str) -> Records:
    _enter(state, account, by)
    if state.get(("repo", account, repo), _GONE) != _GONE:
        raise Refused("taken")
    return {("repo", account, repo): repo}


def _delete_repository(state: Records, account: str, by: str, repo: str) -> Records:
    _enter(state, account, by)
    if state.get(("repo", account, repo), _GONE) == _GONE:
        raise Refused("missing")
    refs = [key for key in state if key[:3] == ("ref", account, repo)]
    return {("repo", account, repo): _GONE, **dict.fromkeys(refs, _GONE)}


def _update(state: Records, account: str, by: str, repo: str, ref: str, old: str | None, new: str | None) -> Records:
    _enter(state, account, by)
    if state.get(("repo", account, repo), _GONE) == _GONE:
        raise Refused("missing")
    if state.get(("ref", account, repo, ref), _GONE) != (old or _GONE):
        raise Refused("stale")
    return {("ref", account, repo, ref): new or _GONE}


_ACTIONS: Mapping[str, Callable[..., Records]] = {
    "create_account": _create_account,
    "add_key": _add_key,
    "revoke_key": _revoke_key,
    "create_repository": _create_repository,
    "delete_repository": _delete_repository,
    "update": _update,
}


# ---- people ----


@define
class _Account:
    """What the people believe of one account."""

    name: str
    keys: list[str]
    refs: dict[tuple[str, str], str] = field(factory=dict)
    repos: list[str] = field(factory=list)
    gone: list[str] = field(factory=list)  # keys that were revoked, and are tried again


def wishes(roll: Random, count: int = 48) -> list[bytes]:
    """What people want in one run. New names come up all the time; some wishes cannot be granted."""
    people = _People(roll)
    found: list[bytes] = []
    while len(found) < count:
        found += people.next()
    return found[:count]


class _People:
    """Several accounts, whose people contend for refs and revoke keys that are in use."""

    def __init__(self, roll: Random) -> None:
        self._dice, self._accounts, self._names = roll, cast("list[_Account]", []), _names()

    def next(self) -> Sequence[bytes]:
        """One more wish, or those of several rivals."""
        roll = self._dice
        if len(self._accounts) < _ACCOUNTS_MIN or roll.random() < 0.15:
            return self._settle()
        account = roll.choice(self._accounts)
        if not account.repos or roll.random() < 0.1:
            return self._create(account)
        if roll.random() < 0.3:
            return self._keys(account)
        if roll.random() < 0.05:
            return [wish("delete_repository", account.name, self._key(account), roll.choice(account.repos))]
        return self._push(account)

    def _settle(self) -> Sequence[bytes]:
        """A new account, or one whose name is taken."""
        taken = bool(self._accounts) and self._dice.random() < 0.2
        name = self._dice.choice(self._accounts).name if taken else next(self._names)
        key = next(self._names)
        if not taken:
            self._accounts.append(_Account(name, [key]))
        return [wish("create_account", name, key)]

    def _create(self, account: _Account) -> Sequence[bytes]:
        repo = next(self._names)
        account.repos.append(repo)
        return [wish("create_repository", account.name, self._key(account), repo)]

    def _keys(self, account: _Account) -> Sequence[bytes]:
        if len(account.keys) < 2 or self._dice.random() < 0.5:
            by, key = self._key(account), next(self._names)
            account.keys.append(key)
            return [wish("add_key", account.name, by, key)]
        key = account.keys.pop(self._dice.randrange(len(account.keys)))
        account.gone.append(key)
        revocation = wish("revoke_key", account.name, self._dice.choice(account.keys), key)
        # Whoever holds the key goes on using it, at this very moment and later.
        return [revocation, wish("create_repository", account.name, key, next(self._names)), *self._push(account)]

    def _key(self, account: _Account) -> str:
        """A key that should do; now and then one that was revoked, perhaps at this very moment."""
        if account.gone and self._dice.random() < 0.3:
            return account.gone[-1]
        return self._dice.choice(account.keys)

    def _push(self, account: _Account) -> Sequence[bytes]:
        roll = self._dice
        repo, ref = roll.choice(account.repos), roll.choice(("main", "next"))
        old = account.refs.get((repo, ref))
        rivals = roll.randint(2, _RIVALS_MAX) if roll.randrange(_CONTEST) == 0 else 1
        oids = [next(self._names) for _ in range(rivals)]
        account.refs[repo, ref] = roll.choice(oids)
        return [wish("update", account.name, self._key(account), repo, ref, old, new) for new in oids]


def _names() -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield f"n{number}"


# ---- what they were told ----


def history_of(simulation: Simulation[Any]) -> tuple[History, list[tuple[Position, int]]]:
    """The history of a run of ``Village``, as its clients saw it, and the chain's own order of the operations."""
    history, log = History(), cast("list[tuple[Position, int]]", [])
    for told in sorted(simulation.told, key=lambda told: told.asked_us):
        action, *arguments = cast("tuple[Any, ...]", decode(told.command))
        number = history.invoke(str(told.number), action, *arguments, time=told.asked_us)
        log.append((told.position, number))
        history.complete(number, told.refused or "ok", time=told.final_us, position=told.position)
    return history, sorted(log)


def run_clients(seed: int, nodes: int = 4, fault_model: FaultModel = FaultModel.BYZANTINE) -> Report:
    """One seed with the village's people as clients; what they were told is judged, too."""
    run = simulate(Village(), wishes(dice(seed, "people")), seed=seed, nodes=nodes, fault_model=fault_model)
    answers = Counter(f"final: {told.refused or 'ok'}" for told in run.told)
    report = evolve(run.report, work=dict(sorted(answers.items())))
    if report.problem is not None:
        return report
    history, log = history_of(run)
    try:
        total_order(Forge(), history.operations, log)
    except Violation as violation:
        return evolve(report, problem=f"history: {violation}")
    return report
