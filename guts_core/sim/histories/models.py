"""
What a store should answer, told in a few lines each and without a line of the node's code.

A model's state is a value: it can be hashed, and a step makes a new one. ``parts`` splits a history into
histories that cannot influence each other; each is checked alone (P-compositionality).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Protocol, TypeAlias

from attrs import evolve, field, frozen

from .history import Operation, Value

Parts: TypeAlias = dict[Hashable, list[Operation]]
Moves: TypeAlias = "tuple[tuple[str, Value, Value], ...]"


class Model(Protocol):
    """A sequential store."""

    @property
    def reads(self) -> frozenset[str]:
        """The actions that change nothing."""

    @property
    def initial(self) -> Hashable:
        """The state before anything happened."""

    def step(self, state: Any, action: str, arguments: tuple[Any, ...]) -> tuple[Hashable, Value]:
        """What an action makes of a state, and what it answers."""

    def parts(self, operations: Iterable[Operation]) -> Parts:
        """Operations that can influence each other, together."""


@frozen
class Refs:
    """
    Refs of repositories, each a register with compare-and-swap, as a ``git push`` moves them.

    ``read(repo, ref)`` answers the oid or None; ``update(repo, ref, old, new)`` answers "ok" or "stale";
    ``push(repo, ((ref, old, new), ...))`` does all or nothing and answers likewise; ``list(repo)`` answers
    every ref with its oid, in order of names, as ``git ls-remote`` does.
    """

    reads: frozenset[str] = frozenset({"read", "list"})
    initial: frozenset[tuple[str, Value]] = frozenset()

    def step(
        self, state: frozenset[tuple[str, Value]], action: str, arguments: tuple[Any, ...]
    ) -> tuple[Hashable, Value]:
        """As Model.step."""
        refs = dict(state)
        if action == "read":
            return state, refs.get(arguments[1])
        if action == "list":
            return state, tuple(sorted(refs.items()))
        moves: Moves = arguments[1] if action == "push" else (arguments[1:],)
        if not _moved(refs, moves):
            return state, "stale"
        return frozenset(refs.items()), "ok"

    def parts(self, operations: Iterable[Operation]) -> Parts:
        """By repository and ref; by repository alone where something looked at, or moved, several at once."""
        listed = list(operations)
        joined = {one.arguments[0] for one in listed if one.action in ("push", "list")}
        parts: Parts = {}
        for one in listed:
            repo = one.arguments[0]
            parts.setdefault(repo if repo in joined else (repo, one.arguments[1]), []).append(one)
        return parts


def _moved(refs: dict[str, Value], moves: Iterable[tuple[str, Value, Value]]) -> bool:
    listed = list(moves)
    if any(refs.get(ref) != old for ref, old, _ in listed):
        return False
    for ref, _, new in listed:
        refs.pop(ref, None)
        if new is not None:
            refs[ref] = new
    return True


@frozen
class Account:
    """One account in the model: keys that count, keys that did, repositories with their refs."""

    exists: bool = False
    keys: frozenset[str] = frozenset()
    spent: frozenset[str] = frozenset()
    repositories: frozenset[tuple[str, frozenset[tuple[str, Value]]]] = field(default=frozenset())

    def refs(self) -> dict[str, frozenset[tuple[str, Value]]]:
        """Refs by repository."""
        return dict(self.repositories)


@frozen
class Forge:
    """
    Accounts with keys that can be revoked, and their repositories; the first argument is the account.

    Writes: ``create_account(account, key)``, ``add_key(account, by, key)``, ``revoke_key(account, by, key)``,
    ``create_repository(account, by, repo)``, ``delete_repository(account, by, repo)``,
    ``update(account, by, repo, ref, old, new)``. They answer "ok", or why not: "denied" (``by`` is no key of
    the account now), "taken", "missing", "stale". Reads: ``keys(account)``, ``repositories(account)`` answer
    names in order, ``read(account, repo, ref)`` an oid or None.
    """

    reads: frozenset[str] = frozenset({"keys", "repositories", "read"})
    initial: Account = Account()

    def step(self, state: Account, action: str, arguments: tuple[Any, ...]) -> tuple[Hashable, Value]:
        """As Model.step."""
        if action in self.reads:
            return state, _ANSWERS[action](state, *arguments[1:])
        if action == "create_account":
            if state.exists:
                return state, "taken"
            return Account(exists=True, keys=frozenset({arguments[1]})), "ok"
        _, by, *rest = arguments
        if by not in state.keys:
            return state, "denied"
        after = _CHANGES[action](state, *rest)
        return (state, after) if isinstance(after, str) else (after, "ok")

    def parts(self, operations: Iterable[Operation]) -> Parts:
        """By account: what stands in another's name is another's."""
        parts: Parts = {}
        for one in operations:
            parts.setdefault(one.arguments[0], []).append(one)
        return parts


def _add_key(state: Account, key: str) -> Account | str:
    if key in state.keys or key in state.spent:
        return "taken"
    return evolve(state, keys=state.keys | {key})


def _revoke_key(state: Account, key: str) -> Account | str:
    if key not in state.keys:
        return "missing"
    return evolve(state, keys=state.keys - {key}, spent=state.spent | {key})


def _create_repository(state: Account, repo: str) -> Account | str:
    refs = state.refs()
    return "taken" if repo in refs else _with(state, {**refs, repo: frozenset()})


def _delete_repository(state: Account, repo: str) -> Account | str:
    refs = state.refs()
    return _with(state, refs) if refs.pop(repo, None) is not None else "missing"


def _update(state: Account, repo: str, ref: str, old: Value, new: Value) -> Account | str:
    refs = state.refs()
    if repo not in refs:
        return "missing"
    inside = dict(refs[repo])
    if not _moved(inside, ((ref, old, new),)):
        return "stale"
    return _with(state, {**refs, repo: frozenset(inside.items())})


def _with(state: Account, refs: Mapping[str, frozenset[tuple[str, Value]]]) -> Account:
    return evolve(state, repositories=frozenset(refs.items()))


def _keys(state: Account) -> Value:
    return tuple(sorted(state.keys))


def _repositories(state: Account) -> Value:
    return tuple(sorted(state.refs()))


def _read(state: Account, repo: str, ref: str) -> Value:
    return dict(state.refs().get(repo, ())).get(ref)


_ANSWERS: Mapping[str, Any] = {"keys": _keys, "repositories": _repositories, "read": _read}
_CHANGES: Mapping[str, Any] = {
    "add_key": _add_key,
    "revoke_key": _revoke_key,
    "create_repository": _create_repository,
    "delete_repository": _delete_repository,
    "update": _update,
}
