"""F35: a leader whose blocks are wrong in every way that is known. Refused, and told before anything is executed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from attrs import Factory, define, evolve, field, frozen

from guts_core.chain.admission import Candidate
from guts_core.chain.block import ITEMS_MAX, Block, tx_root
from guts_core.chain.execution import execute
from guts_core.chain.genesis import Genesis, chain_id
from guts_core.chain.header import block_hash
from guts_core.chain.ledger import CLOCK_TOLERANCE_MS
from guts_core.chain.memory import MemoryStore
from guts_core.chain.receipt import Receipt
from guts_core.chain.transaction import Item, Text, transaction_id
from guts_core.codec import Tag, encode, from_bytes, to_bytes, to_value
from guts_core.errors import Malformed
from guts_core.forge.params import TRANSACTION_BYTES_MAX, Params
from guts_core.identity import Ed25519Verifier
from guts_core.names import BlockHash, ChainId, Root
from guts_core.node.effects import Disconnect, Effect, SendPeer
from guts_core.node.messages import PEER_MESSAGES
from guts_core.node.node import Node, NodeConfig
from guts_core.simplex.messages import Kind, Proposal, Propose, Vote
from tests.core.chain.chain_world import a_genesis, creation, key, salt
from tests.core.node.node_world import Seat, World

VILLAIN, HONEST = 3, (0, 1, 2)
ITEMS = 5
VIEWS_SECONDS = 30
# The least that a network may set: what is larger still travels as a message.
BLOCK_BYTES_MAX = TRANSACTION_BYTES_MAX + (16 << 10)


@define
class Counting:
    """Checks signatures, and remembers under which transactions."""

    checked: list[bytes] = Factory(list)
    real: Ed25519Verifier = Factory(Ed25519Verifier)

    def verify(self, public_key: bytes, tag: Tag, chain: ChainId, body: bytes, signature: bytes) -> bool:
        """As the real one."""
        if tag is Tag.SIGN_TX:
            self.checked.append(body)
        return self.real.verify(public_key, tag, chain, body, signature)


@define
class Parliament(World):
    """Three honest nodes and one that shows others a spoilt block in the place of its own, once for each spoiler."""

    genesis: Genesis = field(factory=lambda: a_genesis(params=Params(block_bytes_max=BLOCK_BYTES_MAX)))
    counting: Counting = field(factory=Counting)
    spoil: Callable[[Propose], Propose] | None = None
    spoilt: list[Propose] = field(factory=list)
    final: list[bytes] = field(factory=list)  # transactions that clients had ordered

    def new_seat(self, index: int, store: MemoryStore) -> Seat:
        """Who is honest counts together."""
        verifier = Ed25519Verifier() if index == VILLAIN else self.counting
        return Seat(Node(NodeConfig(self.genesis, index, key(f"vote {index}"), verifier), store), store)

    def _perform(self, index: int, effect: Effect) -> None:
        if index == VILLAIN and self.spoil is not None and isinstance(effect, SendPeer):
            said = PEER_MESSAGES.from_bytes(effect.data)
            if isinstance(said, Propose):
                self.spoilt.append(self.spoil(said))
                self.spoil = None
                effect = evolve(effect, data=to_bytes(self.spoilt[-1]))
        World._perform(self, index, effect)

    def signs(self, proposal: Proposal, body: bytes, said: Propose) -> Propose:
        """The leader's vote for what it shows."""
        chain = chain_id(self.genesis)
        content = encode((int(Kind.NOTARIZE), proposal.epoch, proposal.view, to_value(proposal)))
        signature = key(f"vote {VILLAIN}").sign(Tag.SIGN_VOTE, chain, content)
        vote = Vote(Kind.NOTARIZE, proposal.epoch, proposal.view, proposal, VILLAIN, signature)
        return Propose(proposal, body, said.justification, vote)

    def play(self, spoil: Callable[[Propose], Propose]) -> Propose:
        """Blocks go on until the villain has led and said this; then until all that follows is over."""
        self.spoil = spoil
        while self.spoil is not None:
            self.write()
        self.write()
        return self.spoilt[-1]

    def write(self) -> None:
        """Something new, final at all who are honest, within the time that a few failed views take."""
        signed = self.signed(creation(f"repo-{self._salts}"))
        self.final.append(to_bytes(signed.body))
        tx_id = self.submit(0, signed)
        for _ in range(VIEWS_SECONDS):
            self.pass_time(1_000)
            if not any(self.seats[index].node.ledger.is_pending(tx_id) for index in HONEST):
                return
        raise AssertionError("nothing is final any more")

    def items(self, count: int = ITEMS) -> tuple[Item, ...]:
        """Good transactions that nobody else has."""
        return tuple(Item(self.signed(creation(f"never-{self._salts}")), None, ()) for _ in range(count))


@frozen
class Bad:
    """How a block is wrong, and what telling so may cost three nodes."""

    name: str
    change: Callable[[Parliament, Propose], Propose]
    executed: int = 0
    checked: int = 0  # signatures


def with_items(world: Parliament, said: Propose, items: tuple[Item, ...], **header: Any) -> Propose:
    """Its block with other transactions, and a header that is right but for what is told."""
    block = from_bytes(Block, said.body)
    whole = evolve(block.header, **({"tx_root": tx_root(items)} | header))
    proposal = evolve(
        said.proposal, block_hash=block_hash(whole), parent_hash=whole.parent_hash, parent_view=whole.parent_view
    )
    return world.signs(proposal, to_bytes(evolve(block, header=whole, items=items)), said)


def field_of(name: str, change: Callable[[Any], Any], executed: int = 0) -> Bad:
    """One field of its header is wrong, above good transactions."""

    def spoil(world: Parliament, said: Propose) -> Propose:
        old = getattr(from_bytes(Block, said.body).header, name)
        return with_items(world, said, world.items(), **{name: change(old)})

    return Bad(name, spoil, executed, executed)


def other_hash(_: object) -> bytes:
    return b"\x07" * 32


def another_parent_in_the_header(world: Parliament, said: Propose) -> Propose:
    made = with_items(world, said, world.items(), parent_hash=BlockHash(b"\x07" * 32))
    return world.signs(evolve(made.proposal, parent_hash=said.proposal.parent_hash), made.body, said)


def oversized(world: Parliament, said: Propose) -> Propose:
    texts = [Text(salt(f"text {at}"), "x" * (200 << 10)) for at in range(3)]
    items = [Item(world.signed(creation(f"never-{at}", text)), None, (text,)) for at, text in enumerate(texts)]
    made = with_items(world, said, tuple(items))
    assert BLOCK_BYTES_MAX < len(made.body) < 1 << 20
    return made


def unsigned(world: Parliament, said: Propose) -> Propose:
    """As many tiny ones as go into a block, of which nobody signed any."""
    (one,) = world.items(1)
    forged = evolve(one.signed.signatures[0], signature=bytes(64))
    bodies = [evolve(one.signed.body, salt=salt(f"tiny {at}")) for at in range(BLOCK_BYTES_MAX // 300)]
    items = tuple(Item(evolve(one.signed, body=body, signatures=(forged,)), None, ()) for body in bodies)
    return with_items(world, said, items)


def too_many(world: Parliament, said: Propose) -> Propose:
    """More places than a block may have, in few bytes each."""
    count = 100_000
    assert count > ITEMS_MAX
    body = said.body[:-1] + b"\x9a" + count.to_bytes(4, "big") + bytes(count)
    return world.signs(evolve(said.proposal, block_hash=BlockHash(b"\x07" * 32)), body, said)


def twice_in_it(world: Parliament, said: Propose) -> Propose:
    items = world.items()
    return with_items(world, said, (*items, items[0]))


def once_more(world: Parliament, said: Propose) -> Propose:
    """After good ones, one that is final already."""
    store = world.seats[0].store
    bodies = [stored.body for height in range(1, store.height() + 1) if (stored := store.block_at(height))]
    final = next(item for body in reversed(bodies) for item in from_bytes(Block, body).items)
    assert store.is_replay(transaction_id(final.signed.body))
    return with_items(world, said, (*world.items(), final))


BAD = (
    field_of("state_root", lambda _: Root(b"\x07" * 32), executed=ITEMS * len(HONEST)),
    field_of("receipts_root", other_hash, executed=ITEMS * len(HONEST)),
    field_of("tx_root", other_hash),
    field_of("history_root", other_hash),
    field_of("parent_hash", other_hash),
    field_of("parent_view", lambda view: view - 1),
    Bad("another parent in the header", another_parent_in_the_header),
    field_of("height", lambda height: height + 1),
    field_of("chain_id", other_hash),
    field_of("epoch", lambda epoch: epoch + 1),
    field_of("rules", lambda rules: rules + 1),
    field_of("view", lambda view: view + 4),
    field_of("time", lambda time: time - 60_000),
    field_of("time", lambda time: time + CLOCK_TOLERANCE_MS + 60_000),
    Bad("oversized", oversized),
    Bad("tiny and unsigned", unsigned, checked=len(HONEST)),
    Bad("too many", too_many),
    Bad("twice in the block", twice_in_it),
    Bad("once more", once_more),
)


def test_fault_F35_no_bad_block_is_voted_for_nor_executed_before_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each costs its readers what a look costs; only a wrong result has to be computed, once, to be seen."""
    world = Parliament()
    executed: list[bytes] = []

    def counted(candidate: Candidate, *rest: Any) -> Receipt:
        receipt = execute(candidate, *rest)
        executed.append(candidate.body_bytes)
        return receipt

    monkeypatch.setattr("guts_core.chain.judge.execute", counted)
    world.a_repository("first")
    for bad in BAD:
        heights = [world.heights[index] for index in HONEST]
        made = world.play(partial(bad.change, world))

        told = _transactions_of(made) - set(world.final)
        assert sum(body in told for body in executed) <= bad.executed, bad.name
        assert sum(body in told for body in world.counting.checked) <= bad.checked, bad.name
        assert [_voted_for(world.seats[index], made) for index in HONEST] == [False] * 3, bad.name
        assert all(world.heights[index] > before for index, before in zip(HONEST, heights, strict=True)), bad.name
        assert _refused(world, made), bad.name

    assert len({world.seats[index].node.ledger.head.state_root for index in HONEST}) == 1


def _transactions_of(said: Propose) -> set[bytes]:
    """Of a bad block; one that nobody can read has none."""
    try:
        return {to_bytes(item.signed.body) for item in from_bytes(Block, said.body).items}
    except Malformed:
        return set()


def _voted_for(seat: Seat, said: Propose) -> bool:
    votes = (vote for vote in seat.said_of(Vote) if vote.kind is not Kind.NULLIFY)
    return any(vote.proposal == said.proposal for vote in votes)


def _refused(world: World, said: Propose) -> bool:
    """The view was given up by a quorum, or its leader lost the link."""
    gave_up = [
        any(vote.kind is Kind.NULLIFY and vote.view == said.proposal.view for vote in world.seats[index].said_of(Vote))
        for index in HONEST
    ]
    hung_up = [any(one.peer == VILLAIN for one in world.seats[index].wanted_of(Disconnect)) for index in HONEST]
    return all(gave_up) or all(hung_up)
