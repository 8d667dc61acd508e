"""F51: nodes are upgraded one by one, rules are voted, and who was not upgraded stops with words."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from attrs import define, evolve, field

from guts_cli.outcomes import EXIT_CODES
from guts_core.chain import compose
from guts_core.chain.genesis import chain_id
from guts_core.chain.trail import EpochStep
from guts_core.codec import from_bytes, to_bytes
from guts_core.forge import queries
from guts_core.forge.actions import Action, ProposeDecision, SetDefaultBranch, VoteDecision
from guts_core.forge.decisions import ChangeRules, DecisionState
from guts_core.identity import KeyPair
from guts_core.names import AccountId, RefName, RepoId
from guts_core.node.port import Outcome, SubmitTransaction
from guts_core.state.view import View
from guts_net.handle import RunningNode
from guts_net.pump import UnknownRules
from guts_net.runtime import open_node
from tests.net.world import PARAMS, WAIT_MS, Packed, World, a_commit, ask, found, push, wait_until

OLD, NEW = (0,), (0, 1)
EPOCH_MS = 2_000
# Three epochs and a bit: the next epoch to begin is not yet the one.
AHEAD_MS = 6_500
NOWHERE = RefName("refs/heads/nowhere")


@define
class Fleet:
    """Four validators, each stopped, started, and with a build of its own."""

    world: World
    nursery: trio.Nursery
    nodes: dict[int, RunningNode] = field(factory=dict)
    last_words: dict[int, str] = field(factory=dict)
    _scopes: dict[int, trio.CancelScope] = field(factory=dict)
    _ended: dict[int, trio.Event] = field(factory=dict)

    async def start(self, index: int, rules_known: tuple[int, ...]) -> None:
        """With a build that knows these rules."""
        self._scopes[index], self._ended[index] = trio.CancelScope(), trio.Event()
        await self.nursery.start(self._live, index, rules_known)

    async def stop(self, index: int) -> None:
        """As its operator does, before another build is installed."""
        self._scopes[index].cancel()
        await self.ended(index)

    async def ended(self, index: int) -> None:
        """It came to its end by itself, or because it was told to."""
        with trio.fail_after(180):
            await self._ended[index].wait()

    async def _live(self, index: int, rules_known: tuple[int, ...], task_status: trio.TaskStatus[None]) -> None:
        try:
            with self._scopes[index]:
                async with open_node(evolve(self.world.settings(index), rules_known=rules_known)) as node:
                    self.nodes[index] = node
                    task_status.started()
                    await trio.sleep_forever()
        except* UnknownRules as group:
            self.last_words[index] = words_of(group)
        finally:
            self.nodes.pop(index, None)
            self._ended[index].set()

    def anyone(self) -> RunningNode:
        """A node that runs."""
        return next(iter(self.nodes.values()))

    def all_say(self, what: Callable[[View], object], expected: object) -> bool:
        """Every running node has this answer in its committed state."""
        return all(node.read(what) == expected for node in self.nodes.values())

    async def act(self, author: AccountId, key: KeyPair, action: Action) -> None:
        """One transaction by an account, final."""
        chain = chain_id(self.world.genesis)
        body = compose.by_account(chain, author, (action,), int(time.time() * 1000) + WAIT_MS, os.urandom(32))
        signed = to_bytes(compose.sign_with_account_key(body, key))
        outcome = await ask(self.anyone(), SubmitTransaction(signed, (), WAIT_MS))
        assert isinstance(outcome, Outcome)
        assert outcome.error is None, outcome

    async def vote_rules(self, rules: int, not_before: int) -> None:
        """Three of four operators want them: more than two thirds."""
        operators = [
            (account.id, seat.keys["operator"])
            for account, seat in zip(self.world.genesis.accounts, self.world.seats, strict=False)
        ]
        await self.act(*operators[0], ProposeDecision(ChangeRules(rules, not_before), now=False))
        for author, key in operators[1:3]:
            await self.act(author, key, VoteDecision(1, approve=True))

    async def push(self, packed: Packed, branch: str, repo: RepoId | None = None) -> None:
        """A new branch, or with it a new repository, over any node."""
        report = await push(self.anyone(), self.world, "r", packed, repo, branch)
        assert [ref.error for ref in report.refs] == [None], report


def words_of(group: BaseExceptionGroup[UnknownRules]) -> str:
    """The one sentence with which a node ended."""
    one: BaseException = group
    while isinstance(one, BaseExceptionGroup):
        one = one.exceptions[0]
    assert isinstance(one, UnknownRules)
    assert EXIT_CODES[one.code] == 78
    return str(one)


@asynccontextmanager
async def four_old_nodes(path: Path) -> AsyncIterator[Fleet]:
    """Four that know the first rules alone; epochs of two seconds."""
    world = found(path, 4, params=evolve(PARAMS, epoch_ms=EPOCH_MS))
    async with trio.open_nursery() as nursery:
        fleet = Fleet(world, nursery)
        for index in range(4):
            await fleet.start(index, OLD)
        assert (await world.give_credential(fleet.anyone())).error is None
        yield fleet
        nursery.cancel_scope.cancel()


async def a_repository_without_head(fleet: Fleet, packed: Packed) -> RepoId:
    """Its default branch was set before anybody pushed it: where the rules differ."""
    await fleet.push(packed, "main")
    repository = fleet.anyone().read(lambda view: queries.repository_by_name(view, "alice", "r"))
    assert repository is not None
    await fleet.act(fleet.world.alice_id, fleet.world.alice, SetDefaultBranch(repository.id, NOWHERE))
    return repository.id


def default_branch(repo: RepoId) -> Callable[[View], object]:
    """Where a repository's HEAD points."""

    def reader(view: View) -> object:
        repository = queries.repository(view, repo)
        return repository and repository.default_branch

    return reader


def has_branch(repo: RepoId, branch: str) -> Callable[[View], object]:
    """Whether a push arrived."""
    return lambda view: queries.ref(view, repo, f"refs/heads/{branch}") is not None


def rules(view: View) -> object:
    """Those in force."""
    return queries.epoch(view).rules


def heads(fleet: Fleet) -> set[tuple[int, bytes]]:
    """Height and state root at every node."""
    return {(head.height, head.state_root) for head in (node._node.ledger.head for node in fleet.nodes.values())}


def began(fleet: Fleet, epoch: int) -> int:
    """The time of the block that ended the epoch before, which all have."""
    end = fleet.anyone()._node.ledger.step(epoch - 1)
    assert end is not None
    return from_bytes(EpochStep, end).header.time


async def test_fault_F51_nodes_upgraded_one_by_one_turn_to_new_rules_together(tmp_path: Path) -> None:
    """Pushes go on all the while; until the voted epoch nothing changes, and from it on all answer the same."""
    packed = a_commit(tmp_path / "work")
    async with four_old_nodes(tmp_path) as fleet:
        repo = await a_repository_without_head(fleet, packed)
        for index in range(4):
            await fleet.stop(index)
            await fleet.push(packed, f"while-{index}-is-down", repo)
            await fleet.start(index, NEW)
        not_before = fleet.anyone()._node.ledger.head.time + AHEAD_MS
        await fleet.vote_rules(1, not_before)
        await fleet.push(packed, "before", repo)
        await wait_until(lambda: fleet.all_say(has_branch(repo, "before"), True))
        assert fleet.all_say(rules, 0)
        assert fleet.all_say(default_branch(repo), NOWHERE)

        await wait_until(lambda: fleet.all_say(rules, 1))
        decided = fleet.anyone().read(lambda view: queries.decision(view, 1))
        assert decided is not None
        assert decided.state == DecisionState.APPLIED
        assert decided.epoch is not None
        assert began(fleet, decided.epoch - 1) < not_before <= began(fleet, decided.epoch)
        await fleet.push(packed, "after", repo)
        await wait_until(lambda: fleet.all_say(default_branch(repo), "refs/heads/after"))
        assert fleet.last_words == {}


async def test_fault_F51_a_node_that_was_not_upgraded_stops_with_words_and_goes_on_after_its_upgrade(
    tmp_path: Path,
) -> None:
    """It executed the boundary and nothing above; a restart of the same build stops again."""
    packed = a_commit(tmp_path / "work")
    async with four_old_nodes(tmp_path) as fleet:
        repo = await a_repository_without_head(fleet, packed)
        for index in range(3):
            await fleet.stop(index)
            await fleet.start(index, NEW)
        await fleet.vote_rules(1, 0)
        await fleet.ended(3)
        assert "rules 1 began with epoch" in fleet.last_words[3]
        assert "this build knows rules 0: install a build that knows them and start again" in fleet.last_words[3]
        await fleet.push(packed, "after", repo)
        del fleet.last_words[3]
        await fleet.start(3, OLD)
        await fleet.ended(3)
        assert "rules 1 began with epoch" in fleet.last_words.pop(3)

        await fleet.start(3, NEW)
        stopped_at = fleet.nodes[3].height
        await wait_until(lambda: fleet.all_say(default_branch(repo), "refs/heads/after"))
        await wait_until(lambda: len(roots := heads(fleet)) == 1 and min(roots)[0] > stopped_at)
        assert fleet.last_words == {}
