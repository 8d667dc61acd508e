"""
Random trees of blocks over real rules: whichever branch becomes final, every node has one state.

One ledger sees all branches and executes each block once; another hears only what is final; a
third restarts from its disk after every block.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from guts_core.chain.ledger import Ledger
from guts_core.chain.memory import MemoryStore
from guts_core.chain.transaction import SignedTransaction
from guts_core.forge import queries
from guts_core.forge.actions import Action, RemoveCollaborator, SetCollaborator, SetVisibility
from guts_core.forge.records import Role
from guts_core.identity import Ed25519Verifier
from guts_core.simplex.messages import Proposal
from guts_core.simplex.ports import Verdict
from guts_core.state.keys import tree_key
from guts_core.state.nodes import EMPTY_ROOT
from guts_core.state.tree import Tree
from tests.core.chain.chain_world import Network, Person, a_genesis, creation, flush, repo_id

NAMES = ("one", "two")
ALL = 1_000_000
GENESIS = a_genesis(2)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["submit", "submit", "submit", "build", "build", "build", "finalize", "finalize", "commit"]),
        st.integers(0, 1_000_000),
    ),
    min_size=20,
    max_size=80,
)


def an_action(network: Network, actor: Person, other: Person, choice: int) -> Action:
    """Something small over a tiny domain, so that transactions collide."""
    name = NAMES[choice % 2]
    repo = repo_id(network.genesis, actor, name)
    return (
        creation(name),
        creation(name),
        SetVisibility(repo, private=bool(choice % 3)),
        SetCollaborator(repo, other.id, Role(1 + choice % 3)),
        RemoveCollaborator(repo, other.id),
    )[choice // 2 % 5]


def a_transaction(network: Network, choice: int) -> SignedTransaction:
    """By one of two accounts, sometimes in an order that must fail."""
    people = (network.operator(0), network.operator(1))
    actor, other = people[choice % 2], people[1 - choice % 2]
    count = 1 + choice % 2
    return network.by_key(actor, *[an_action(network, actor, other, choice // (3 + at)) for at in range(count)])


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_one_state_whatever_the_order_of_blocks(steps: list[tuple[str, int]]) -> None:
    """Overlays, dropped branches, late commits and restarts leave no trace in the state root."""
    network = Network(GENESIS, size=1)
    witness, store = network.ledgers[0], network.stores[0]
    follower, follower_store = Ledger(GENESIS, MemoryStore(), Ed25519Verifier()), MemoryStore()
    restarted_store = MemoryStore()
    alive: list[tuple[Proposal, Proposal, bytes]] = []
    final = witness.final_point()

    for kind, choice in steps:
        network.pass_time(1 + choice % 50)
        if kind == "submit":
            witness.admit(network.item(a_transaction(network, choice)), network.instant)
        elif kind == "build":
            parents = [final, *(proposal for _, proposal, _ in alive)]
            alive.append(network.propose(parent=parents[choice % len(parents)]))
        elif kind == "finalize" and alive:
            branch = [built for built in alive if built[0] == final]
            _, proposal, body = branch[choice % len(branch)]
            witness.finalize(proposal, body, None)
            assert follower.execute(final, proposal, body) is Verdict.VALID, follower.why_invalid
            follower.finalize(proposal, body, None)
            restarted = Ledger(GENESIS, restarted_store, Ed25519Verifier())
            restarted.finalize(proposal, body, None)
            flush(restarted, restarted_store)
            assert witness.head == follower.head == restarted.head
            # Through any number of overlays a scan sees what a disk would hold.
            assert witness.view().scan(b"", limit=ALL) == restarted_store.scan(b"", limit=ALL)
            final = proposal
            reachable = {final.block_hash}
            for _, built, _ in alive:
                if built.parent_hash in reachable:
                    reachable.add(built.block_hash)
            alive = [built for built in alive if built[1].block_hash in reachable and built[1] != final]
        elif kind == "commit":
            flush(witness, store)

    flush(witness, store)
    flush(follower, follower_store)
    _root_is_that_of_the_records(witness, store)
    assert [store.block_at(h) for h in range(store.height() + 1)] == [
        restarted_store.block_at(h) for h in range(restarted_store.height() + 1)
    ]


def _root_is_that_of_the_records(ledger: Ledger, store: MemoryStore) -> None:
    """The incremental root equals that of a tree built from nothing but the records on disk."""
    if store.height() == 0:
        return
    records = dict(store.scan(b"", limit=ALL))
    root, _ = Tree(lambda _path: None).apply(EMPTY_ROOT, {tree_key(key): value for key, value in records.items()})

    assert root == ledger.head.state_root == store.meta("state_root")
    assert queries.account_by_name(store, "operator-0") is not None
