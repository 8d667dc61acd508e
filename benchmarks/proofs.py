"""
What a proof costs whoever makes it and whoever checks it: bytes and milliseconds, over a state of 10^5 records.

The network is four validators that signed one header; the state holds accounts with repositories of
three refs each. Each proof is of another repository, made from the tree and checked from bytes alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TypeVar

from attrs import frozen

from guts_core.chain.block import Block
from guts_core.chain.commit import StoredBlock, StoredReceipt
from guts_core.chain.genesis import Genesis, InitialAccount, chain_id, genesis_hash
from guts_core.chain.header import EPOCH, RULES, Header, block_hash, validators_hash
from guts_core.codec import Tag, to_bytes
from guts_core.forge import paths
from guts_core.forge.params import Params
from guts_core.forge.records import (
    Account,
    AccountNameHolder,
    ObjectFormat,
    Ref,
    Repository,
    RepositoryNameHolder,
    ValidatorEntry,
)
from guts_core.identity import Ed25519Verifier, KeyPair
from guts_core.names import AccountId, NodeId, Oid, RefName, RepoId, Root, TxId
from guts_core.proof import Question, verify
from guts_core.proof.prove import prove
from guts_core.proof.questions import about_ref, about_refs
from guts_core.proof.source import Source
from guts_core.simplex.certificates import assemble
from guts_core.simplex.committee import Committee
from guts_core.simplex.messages import Kind, Proposal
from guts_core.simplex.quorum import FaultModel
from guts_core.state.keys import tree_key
from guts_core.state.nodes import EMPTY_ROOT
from guts_core.state.tree import Tree
from guts_core.state.view import Pair

from .figures import Figure, figure
from .run import VALIDATORS, Run

# What a browser or a git helper can be asked to do before it shows a page or takes a ref.
VERIFY_MS_MAX = 50.0
# Less than a page of memory, and three packets: a proof can ride beside an answer.
REF_BYTES_MAX = 4096
RECORDS = 100_000
MANY_REFS = 1000
TIME = 1_800_000_000_000
REFS = ("refs/heads/main", "refs/heads/feature", "refs/tags/v1")
# A repository, its name, and its refs.
RECORDS_PER_REPOSITORY = 2 + len(REFS)
REPOSITORIES_PER_ACCOUNT = 10
FILL_BATCH = 20_000
T = TypeVar("T")


def measure(run: Run) -> list[Figure]:
    """Size of the proof of a ref, and the time to make and to check it and the complete set of a large repository."""
    state = large_state(RECORDS)
    rounds = run.times(200, 50)
    questions = state.questions(rounds)
    proofs, made = _timed(lambda question: prove(state.source, question), questions)
    _, checked = _timed(lambda data: verify(data, state.genesis), proofs)
    sizes = [float(len(data)) for data in proofs]
    every = prove(state.source, state.large)
    _, whole = _timed(lambda data: verify(data, state.genesis), [every] * run.times(20, 5))
    told = f"of {RECORDS:,} records, n={VALIDATORS}"
    return [
        figure(
            f"proof of one ref, {told}",
            "B",
            [max(sizes)],
            bar=REF_BYTES_MAX,
            note=f"the largest of {rounds}; the smallest is {min(sizes):.0f} B",
        ),
        figure(f"verifying it, {told}", "ms", checked, bar=VERIFY_MS_MAX),
        figure(f"making it, {told}", "ms", made),
        figure(
            f"verifying all {MANY_REFS:,} refs of a repository",
            "ms",
            whole,
            bar=VERIFY_MS_MAX,
            note=f"a file of {len(every):,} B",
        ),
    ]


def _timed(action: Callable[..., T], arguments: Sequence[object]) -> tuple[list[T], list[float]]:
    results, times = [], []
    for argument in arguments:
        start = perf_counter()
        results.append(action(argument))
        times.append((perf_counter() - start) * 1000)
    return results, times


@frozen
class LargeState:
    """A state of many records under one certified header."""

    genesis: Genesis
    source: Source
    names: tuple[tuple[str, str], ...]  # owner and name of every repository
    large: Question  # all refs of the one repository that has many

    def questions(self, count: int) -> list[Question]:
        """One ref of so many repositories, the same in every run."""
        dice = random.Random(count)
        return [about_ref(owner, name, dice.choice(REFS)) for owner, name in dice.choices(self.names, k=count)]


def large_state(records: int) -> LargeState:
    """So many records, and a repository of a thousand refs beside them."""
    keys = [KeyPair(bytes([index + 1]) * 32) for index in range(3 * VALIDATORS)]
    genesis = _genesis(keys)
    written, names = _records(records)
    owner, name = names[0]
    written |= _many_refs(_repo(0))
    tree, root = _Pages(), EMPTY_ROOT
    items = sorted(written.items())
    for first in range(0, len(items), FILL_BATCH):
        root = tree.write(root, dict(items[first : first + FILL_BATCH]))
    source = Source(chain_id(genesis), _Chain(written, tree, _block(genesis, keys, root)))
    return LargeState(genesis, source, tuple(names[1:]), about_refs(owner, name))


def _genesis(keys: Sequence[KeyPair]) -> Genesis:
    accounts, seats = [], []
    for index in range(VALIDATORS):
        vote, node, operator = keys[3 * index : 3 * index + 3]
        account = InitialAccount(f"operator{index}", operator.public_key, bytes(32), is_operator=True)
        accounts.append(account)
        seats.append(ValidatorEntry(index, vote.public_key, NodeId(node.public_key), account.id, f"node{index}"))
    return Genesis("bench", TIME, FaultModel.BYZANTINE, Params(), tuple(seats), tuple(accounts), ())


def _repo(at: int) -> RepoId:
    return RepoId(at.to_bytes(32, "big"))


def _records(count: int) -> tuple[dict[bytes, bytes], list[tuple[str, str]]]:
    written: dict[bytes, bytes] = {}
    names = []
    for at in range(count // RECORDS_PER_REPOSITORY):
        account, owner, name = at // REPOSITORIES_PER_ACCOUNT, f"account-{at // REPOSITORIES_PER_ACCOUNT}", f"repo-{at}"
        holder, repo = AccountId(account.to_bytes(32, "big")), _repo(at)
        names.append((owner, name))
        written[paths.account_name(owner)] = to_bytes(AccountNameHolder(holder))
        written[paths.account(holder)] = to_bytes(Account(holder, owner, (bytes(32),), account, TIME, None, False))
        written[paths.repository_name(holder, name)] = to_bytes(RepositoryNameHolder(repo, is_redirect=False))
        written[paths.repository(repo)] = to_bytes(_repository(repo, holder, name))
        for ref in REFS:
            written[paths.ref(repo, ref)] = to_bytes(Ref(RefName(ref), Oid(bytes(20))))
    return written, names


def _repository(repo: RepoId, owner: AccountId, name: str) -> Repository:
    big = 1 << 32  # counters of a repository in use take this many bytes
    return Repository(
        id=repo, number=big, owner=owner, name=name, private=False, default_branch=REFS[0],
        object_format=ObjectFormat.SHA1, placement="all", description=bytes(32), generation=big, removals=big,
        objects_epoch=big, packs=big, bytes_stored=big, refs=big, created=TIME, updated=TIME, pushed=TIME, deleted=None,
    )  # fmt: skip


def _many_refs(repo: RepoId) -> dict[bytes, bytes]:
    names = [f"refs/heads/branch-{at}" for at in range(MANY_REFS - len(REFS))]
    return {paths.ref(repo, name): to_bytes(Ref(RefName(name), Oid(bytes(20)))) for name in names}


def _block(genesis: Genesis, keys: Sequence[KeyPair], root: Root) -> StoredBlock:
    chain = chain_id(genesis)
    header = Header(
        RULES, chain, EPOCH, 1, 1, 0, genesis_hash(chain), TIME + 1, bytes(32), root, bytes(32), bytes(32),
        validators_hash(genesis.validators),
    )  # fmt: skip
    proposal = Proposal(EPOCH, header.view, header.parent_view, header.parent_hash, block_hash(header))
    committee = Committee(chain, EPOCH, genesis.vote_keys, genesis.fault_model, Ed25519Verifier())
    body = committee.content(Kind.FINALIZE, header.view, proposal)
    votes = [(at, keys[3 * at].sign(Tag.SIGN_VOTE, chain, body)) for at in range(committee.quorum)]
    certificate = assemble(committee, Kind.FINALIZE, header.view, proposal, votes)
    return StoredBlock(1, proposal.block_hash, to_bytes(proposal), to_bytes(Block(header, ())), to_bytes(certificate))


class _Pages:
    """The pages of the tree, in memory."""

    def __init__(self) -> None:
        self.stored: dict[bytes, bytes | None] = {}

    def write(self, root: Root, records: dict[bytes, bytes]) -> Root:
        changes = {tree_key(key): value for key, value in records.items()}
        root, pages = Tree(self.stored.get).apply(root, changes)
        self.stored |= pages
        return root


class _Chain:
    """A ``CommittedChain`` of one block."""

    def __init__(self, records: dict[bytes, bytes], tree: _Pages, block: StoredBlock) -> None:
        self._records, self._tree, self._only = records, tree, block
        self._sorted = sorted(records)

    def get(self, key: bytes) -> bytes | None:
        return self._records.get(key)

    def scan(self, prefix: bytes, after: bytes = b"", limit: int = 1000) -> list[Pair]:
        found = [key for key in self._sorted if key.startswith(prefix) and key > after]
        return [(key, self._records[key]) for key in found[:limit]]

    def page(self, path: bytes) -> bytes | None:
        return self._tree.stored.get(path)

    def height(self) -> int:
        return 1

    def first_block(self) -> int:
        return 1

    def base(self) -> None:
        return None

    def block_at(self, height: int) -> StoredBlock | None:
        return self._only if height == 1 else None

    def certified_from(self, height: int) -> StoredBlock | None:
        return self.block_at(height)

    def newest_certified(self) -> StoredBlock | None:
        return self._only

    def header_hashes(self, first: int, count: int) -> list[bytes]:
        return [bytes(self._only.block_hash)][first - 1 : first - 1 + count]

    def epoch_end(self, epoch: int) -> bytes | None:  # noqa: ARG002 -- all of it is one epoch
        return None

    def receipt(self, tx_id: TxId) -> StoredReceipt | None:  # noqa: ARG002 -- it holds no transactions
        return None
