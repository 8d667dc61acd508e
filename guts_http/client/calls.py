"""
Every request a client makes, described once: method, path, query, body, and how to read the answer.

Nothing here sends anything. ``exchange`` turns a description into a conversation and ``sync`` and
``async_trio`` carry it; the functions here become the methods of both clients, docstrings included.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar, assert_never
from urllib.parse import quote, urlencode

from attrs import field, frozen

from guts_core.chain.transaction import Item, SignedTransaction, Text
from guts_core.chain.transaction import transaction_id as id_of
from guts_core.codec import to_bytes
from guts_core.errors import Invalid
from guts_core.names import BlockHash, CredentialId, RepoId, TxId

from . import results
from .shapes import many, one

if TYPE_CHECKING:
    from guts_core.proof.questions import Question

T = TypeVar("T")

PAGE_SIZE = 100  # the most a node gives at once
OURS, _GITHUB = "/api/guts/v1", "/api/v3"


@frozen
class Call(Generic[T]):
    """One request and how its answer is read; ``read`` gets the answer's JSON and the words for what was asked."""

    method: str
    path: str
    read: Callable[[Any, str], T]
    body: bytes | None = field(default=None, repr=False)
    content_type: str = "application/json"
    is_repeatable: bool = False  # sent twice, it still happens once
    is_binary: bool = False  # the answer is bytes, not JSON
    tx_id: TxId | None = None  # what it submits, where the client made that itself

    @property
    def what(self) -> str:
        """What is asked, for messages."""
        return f"{self.method} {self.path.partition('?')[0]}"


@frozen
class Listing(Generic[T]):
    """A list in pages: ``path`` asks for the first, the ``Link`` header leads to the others."""

    path: str
    kind: type[T]

    def page(self, path: str | None = None) -> Call[tuple[T, ...]]:
        """One page."""
        return get(path or self.path, lambda value, what: many(self.kind, value, what))


@frozen
class Wait:
    """Ask for a transaction until its end is known, at most so long."""

    asking: Call[results.Transaction]
    tx_id: TxId
    seconds: float


# ---- the network ----


def status() -> Call[results.Status]:
    """What the node knows and does."""
    return get_one(results.Status, f"{OURS}/status")


def validators() -> Call[tuple[results.Validator, ...]]:
    """The validators of this epoch, in voting order."""
    return get(f"{OURS}/validators", lambda value, what: many(results.Validator, value, what))


def account(name: str) -> Call[results.Account]:
    """The public record of an account; NotFound."""
    return get_one(results.Account, f"{OURS}/accounts/{_part(name)}")


def block(which: int | BlockHash) -> Call[results.Block]:
    """A committed block by height or hash; NotFound above the tip."""
    place = str(which) if isinstance(which, int) else f"hash/{which.hex()}"
    return get_one(results.Block, f"{OURS}/blocks/{place}")


def blocks(before: int | None = None) -> Listing[results.Block]:
    """The committed blocks below a height (None: all), the newest first."""
    return Listing(f"{OURS}/blocks?{_query({'limit': PAGE_SIZE, 'before': before})}", results.Block)


def mempool() -> Call[results.Mempool]:
    """What waits at this node for a block."""
    return get_one(results.Mempool, f"{OURS}/mempool")


def transaction(tx_id: TxId) -> Call[results.Transaction]:
    """What became of a transaction, as far as this node knows; NotFound when it never heard of it."""
    return get_one(results.Transaction, f"{OURS}/transactions/{tx_id.hex()}")


def submit(signed: SignedTransaction, texts: Sequence[Text] = ()) -> Call[results.Transaction]:
    """
    Hand over a signed transaction, with the texts it commits to, and wait until it is final.

    What refuses it raises; NotFinal when the wait was too short. The same one may be submitted again:
    it happens once.
    """
    sent = Item(signed, None, tuple(texts)) if texts else signed
    return Call(
        "POST",
        f"{OURS}/transactions",
        lambda value, what: one(results.Transaction, value, what),
        to_bytes(sent),
        "application/cbor",
        is_repeatable=True,
        tx_id=id_of(signed.body),
    )


def wait_final(tx_id: TxId, seconds: float = 30.0) -> Wait:
    """
    Ask until a transaction is final, and return it when it took effect.

    A refusal raises as ``submit`` would have; Conflict when it expired; NotFinal when ``seconds`` are over.
    """
    return Wait(transaction(tx_id), tx_id, seconds)


def proof(question: Question) -> Call[bytes]:
    """The proof file that answers a question, unchecked: ``guts_core.proof.verify`` tells whether it is true."""
    return Call(
        "GET", f"{OURS}/proof?{_asking(question)}", lambda value, _what: value, is_repeatable=True, is_binary=True
    )


# ---- accounts and repositories; ``repo`` is "owner/name" ----


def user() -> Call[results.User]:
    """The account that the token stands for."""
    return get_one(results.User, f"{_GITHUB}/user")


def my_repositories() -> Listing[results.Repository]:
    """Repositories the token's account owns or collaborates in, as far as the token reaches."""
    return Listing(f"{_GITHUB}/user/repos?{_query({'per_page': PAGE_SIZE})}", results.Repository)


def repository(repo: str) -> Call[results.Repository]:
    """A repository; NotFound when there is none or the caller may not know of it."""
    return get_one(results.Repository, repository_path(repo))


def create_repository(name: str, *, description: str | None = None, private: bool = False) -> Call[results.Repository]:
    """Create a repository under the token's account: the node signs with the token it was handed."""
    wanted = {"name": name, "description": description, "private": private}
    return _write("POST", f"{_GITHUB}/user/repos", wanted, lambda value, what: one(results.Repository, value, what))


def edit_repository(
    repo: str,
    *,
    name: str | None = None,
    description: str | None = None,
    private: bool | None = None,
    default_branch: str | None = None,
) -> Call[results.Repository]:
    """Change what is given, all of it or nothing; an empty description takes it away."""
    given = {"name": name, "description": description, "private": private, "default_branch": default_branch}
    wanted = {key: value for key, value in given.items() if value is not None}
    return _write("PATCH", repository_path(repo), wanted, lambda value, what: one(results.Repository, value, what))


def delete_repository(repo: str) -> Call[results.DeletedRepository]:
    """Delete a repository; the answer tells until when it can be restored. The token needs the scope for it."""
    path = repository_path(repo).replace(_GITHUB, OURS, 1)
    query = _query({"confirm": repo.partition("/")[2]})
    return _write("DELETE", f"{path}?{query}", None, lambda value, what: one(results.DeletedRepository, value, what))


def restore_repository(deleted: RepoId) -> Call[results.Repository]:
    """Bring a deleted repository back; Conflict when its name was taken meanwhile or a day is over."""
    path = f"{OURS}/deleted-repositories/{deleted.hex()}/restore"
    return _write("POST", path, None, lambda value, what: one(results.Repository, value, what))


def deleted_repositories() -> Listing[results.DeletedRepository]:
    """The account's own repositories that were deleted and can still be restored, the newest deletion first."""
    return Listing(f"{OURS}/deleted-repositories?{_query({'per_page': PAGE_SIZE})}", results.DeletedRepository)


def tokens() -> Listing[results.Token]:
    """Every credential the token's account ever made, the newest first."""
    return Listing(f"{OURS}/tokens?{_query({'per_page': PAGE_SIZE})}", results.Token)


def end_token(token: CredentialId) -> Call[None]:
    """End the token that asks; others are ended with an account key (``guts token revoke``)."""
    return _write("DELETE", f"{OURS}/tokens/{token.hex()}", None, _nothing)


def keys() -> Call[results.Keys]:
    """The keys that sign for the token's account."""
    return get_one(results.Keys, f"{OURS}/keys")


def collaborators(repo: str) -> Listing[results.Collaborator]:
    """Who has a role, the owner first; for those who may push."""
    return _listing(f"{repository_path(repo)}/collaborators", results.Collaborator)


def set_collaborator(repo: str, name: str, role: str) -> Call[None]:
    """Give an account a role: ``read``, ``write`` or ``admin``."""
    return _write("PUT", f"{repository_path(repo)}/collaborators/{_part(name)}", {"permission": role}, _nothing)


def remove_collaborator(repo: str, name: str) -> Call[None]:
    """Take an account's role away."""
    return _write("DELETE", f"{repository_path(repo)}/collaborators/{_part(name)}", None, _nothing)


# ---- git ----


def branches(repo: str) -> Listing[results.Branch]:
    """The branches, in order of name."""
    return _listing(f"{repository_path(repo)}/branches", results.Branch)


def branch(repo: str, name: str) -> Call[results.Branch]:
    """A branch; NotFound."""
    return get_one(results.Branch, f"{repository_path(repo)}/branches/{_path(name)}")


def tags(repo: str) -> Listing[results.Tag]:
    """The tags, in order of name, each with the commit it leads to."""
    return _listing(f"{repository_path(repo)}/tags", results.Tag)


def commits(
    repo: str,
    sha: str | None = None,
    *,
    path: str | None = None,
    author: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Listing[results.Commit]:
    """
    The history, the newest first, of a branch, tag or commit (None: the default branch).

    ``path``: what touched this file or directory. ``author``: a part of the name or e-mail address.
    An empty repository is a Conflict, as on GitHub.
    """
    wanted = {"sha": sha, "path": path, "author": author, "since": _time(since), "until": _time(until)}
    return _listing(f"{repository_path(repo)}/commits", results.Commit, wanted)


def commit(repo: str, ref: str) -> Call[results.Commit]:
    """The commit that a branch, a tag or an id (whole, or its first 7 digits or more) leads to; NotFound."""
    return get_one(results.Commit, f"{repository_path(repo)}/commits/{_path(ref)}")


def ref(repo: str, name: str) -> Call[results.GitRef]:
    """A ref by its full name (``refs/heads/main``) or without ``refs/``; NotFound."""
    return get_one(results.GitRef, f"{repository_path(repo)}/git/ref/{_path(name.removeprefix('refs/'))}")


def matching_refs(repo: str, start: str = "") -> Listing[results.GitRef]:
    """The refs whose names begin like this: ``heads/feature/``, ``tags/v``, nothing for all."""
    return _listing(f"{repository_path(repo)}/git/matching-refs/{_path(start.removeprefix('refs/'))}", results.GitRef)


def ref_log(repo: str, ref: str | None = None) -> Listing[results.RefMove]:
    """How a ref moved, newest first: its full name, or a branch's; None: the default branch."""
    path = repository_path(repo).replace(_GITHUB, OURS, 1)
    return _listing(f"{path}/reflog", results.RefMove, {"ref": ref})


def texts(repo: str) -> Listing[results.TextEntry]:
    """Every text that was committed to in a repository, erased ones included, without the words."""
    return _listing(_texts(repo), results.TextEntry)


def text(repo: str, commitment: bytes) -> Call[results.TextEntry]:
    """One text with its words; Unavailable while the node is still fetching them; erased: without."""
    return get_one(results.TextEntry, f"{_texts(repo)}/{commitment.hex()}")


def erase_text(repo: str, commitment: bytes) -> Call[None]:
    """Erase a text for ever, on every node: for its author and administrators. Again is no error."""
    return _write("DELETE", f"{_texts(repo)}/{commitment.hex()}", None, _nothing)


# ---- pieces ----


def ready() -> Call[None]:
    """Whether the node says it can serve."""
    return get("/readyz", _nothing)


def get_one(kind: type[T], path: str) -> Call[T]:
    """Ask for one thing."""
    return get(path, lambda value, what: one(kind, value, what))


def get(path: str, read: Callable[[Any, str], T]) -> Call[T]:
    """Ask for what has a reading of its own."""
    return Call("GET", path, read, is_repeatable=True)


def _write(method: str, path: str, wanted: Mapping[str, object] | None, read: Callable[[Any, str], T]) -> Call[T]:
    return Call(method, path, read, None if wanted is None else json.dumps(wanted).encode())


def _asking(question: Question) -> str:
    from guts_core.proof import questions  # noqa: PLC0415  # whoever asks has it; other commands start sooner

    match question:
        case questions.RefQuestion():
            return _query({"repo": f"{question.owner}/{question.name}", "ref": question.ref})
        case questions.RefsQuestion():
            return _query({"repo": f"{question.owner}/{question.name}", "refs": "all"})
        case questions.PacksQuestion():
            return _query({"repo": f"{question.owner}/{question.name}", "refs": "all", "packs": "all"})
        case questions.TransactionQuestion():
            return _query({"tx": question.tx_id.hex()})
        case questions.ActivityQuestion():
            return _query({"tx": question.tx_id.hex(), "activity": question.index})
        case questions.HeadersQuestion():
            return _query({"headers": f"{question.first}-{question.last}"})
        case questions.HeaderQuestion():
            return _query({"header": question.height})
        case _:
            assert_never(question)


def _listing(path: str, kind: type[T], wanted: Mapping[str, object] | None = None) -> Listing[T]:
    return Listing(f"{path}?{_query({**(wanted or {}), 'per_page': PAGE_SIZE})}", kind)


def _nothing(_value: Any, _what: str) -> None:
    return None


def _query(wanted: Mapping[str, object]) -> str:
    return urlencode({name: value for name, value in wanted.items() if value is not None})


def repository_path(name: str) -> str:
    """Where a repository (``owner/name``) is in GitHub's API; raises Invalid."""
    owner, slash, short = name.partition("/")
    if not (owner and slash and short) or "/" in short:
        raise Invalid(f"repository {name[:150]!a}: owner/name is needed")
    return f"{_GITHUB}/repos/{_part(owner)}/{_part(short)}"


def _texts(repo: str) -> str:
    return f"{repository_path(repo).replace(_GITHUB, OURS, 1)}/texts"


def _part(text: str) -> str:
    """One segment of a path; a name that is none is refused here, since no server could see it."""
    if text in ("", ".", ".."):
        raise Invalid(f"{text!r} is no name")
    return quote(text, safe="")


def _path(text: str) -> str:
    if any(part in (".", "..") for part in text.split("/")):
        raise Invalid(f"{text[:150]!a} is no name")
    return quote(text, safe="/")


def _time(time: datetime | None) -> str | None:
    if time is None:
        return None
    if time.tzinfo is None:
        raise Invalid("a time needs its zone: datetime.now(UTC), for one")
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
