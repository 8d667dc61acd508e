"""What clients bring waits for its turn behind agreement, a few in each step, within bounds."""

from __future__ import annotations

from attrs import evolve

from guts_core.chain.transaction import Item, SignedTransaction, transaction_id
from guts_core.codec import to_bytes
from guts_core.forge.actions import ProposeDecision, VoteDecision
from guts_core.forge.decisions import EndEpoch
from guts_core.names import AccountId, TxId
from guts_core.node.effects import Effect, Refuse, SendPeer
from guts_core.node.events import PeerDisconnected, PeerSaid, Ticked, TransactionSubmitted
from guts_core.node.intake import (
    OWN_MAX,
    PEER_BYTES_MAX,
    STEP_TRANSACTIONS,
    TURN_TRANSACTIONS,
    URGENT_MAX,
    URGENT_OF_AUTHOR,
    URGENT_TURN,
    Brought,
    Intake,
    is_urgent,
)
from guts_core.node.messages import PEER_MESSAGES, Submit
from tests.core.chain.chain_world import Network, creation, salt
from tests.core.chain.test_chain_governance import a_report
from tests.core.node.node_world import World


def wishes(world: World, count: int) -> list[TransactionSubmitted]:
    """So many of a client."""
    return [TransactionSubmitted(Item(world.signed(creation(f"r{at}")), None, ()), None) for at in range(count)]


def governing(signed: SignedTransaction) -> TransactionSubmitted:
    """What a client brings of an operator's."""
    return TransactionSubmitted(Item(signed, None, ()), None)


def submits(effects: list[Effect]) -> list[Submit]:
    """What peers are told of them."""
    said = [PEER_MESSAGES.from_bytes(effect.data) for effect in effects if isinstance(effect, SendPeer)]
    return [message for message in said if isinstance(message, Submit)]


def test_a_step_judges_some_of_what_came_and_the_next_one_follows_at_once() -> None:
    """None is lost, and their order is that in which they came."""
    world = World()
    node, now = world.seats[0].node, world.instant
    brought = wishes(world, 2 * TURN_TRANSACTIONS + 1)

    steps = [node.receive_all(brought, now)]
    while (deadline := node.next_deadline()) is not None and deadline <= now.monotonic:
        steps.append(node.receive_all([Ticked()], now))

    counts = [sum(len(submit.items) for submit in submits(effects)) for effects in steps]
    assert counts == [TURN_TRANSACTIONS, TURN_TRANSACTIONS, 1]
    assert [item for effects in steps for submit in submits(effects) for item in submit.items] == [
        event.item for event in brought
    ]


def test_agreement_does_not_wait_behind_transactions() -> None:
    """What came after a flood of them is heard in the same step, in which few of them are judged."""
    world = World()
    node = world.seats[0].node
    flood = [PeerSaid(peer, to_bytes(Submit((event.item,)))) for peer in (1, 2, 3) for event in wishes(world, 99)]
    world.cut = {0}
    world.submit(1, world.signed(creation("hello")))
    world.pass_time(5_000)
    newest = world.seats[1].node.engine.finalization
    assert newest is not None

    node.receive_all([*flood, PeerSaid(1, to_bytes(newest))], world.instant)

    assert node.engine.finalization == newest
    assert 0 < len(node.ledger.mempool) <= STEP_TRANSACTIONS


def test_sources_take_turns_and_a_flood_of_one_holds_up_no_other() -> None:
    """A message of each peer, and as much of own clients, however much one of them brought."""
    world = World()
    intake = Intake()
    items = [event.item for event in wishes(world, 40)]
    flood = [PeerSaid(1, to_bytes(Submit((item,)))) for item in items]
    own = wishes(world, 2)
    other = PeerSaid(2, to_bytes(Submit((items[0],))))
    everything: list[Brought] = [*flood, *own, other]
    for event in everything:
        assert intake.put(event) is None

    assert intake.take() == [flood[0], *own, other]
    assert intake.take() == [flood[1]]
    intake.lost(1)
    assert not intake


def test_a_step_ends_with_the_message_that_makes_it_enough() -> None:
    """The next one goes on with whose turn it is."""
    intake, items = Intake(), tuple(event.item for event in wishes(World(), STEP_TRANSACTIONS))
    large = [PeerSaid(peer, to_bytes(Submit(items))) for peer in (1, 2)]
    for event in large:
        intake.put(event)

    assert intake.take() == large[:1]
    assert intake.take() == large[1:]


def test_beyond_its_room_own_clients_are_refused_and_peers_are_not_heard() -> None:
    """They may bring it again; and one message is heard, however large."""
    world = World()
    intake = Intake()
    (own,) = wishes(world, 1)
    for _ in range(OWN_MAX):
        assert intake.put(own) is None
    refused = intake.put(own)
    assert refused is not None
    assert (refused[0], refused[1].code) == (transaction_id(own.item.signed.body), "busy")

    said = to_bytes(Submit((own.item,)))
    fit = PEER_BYTES_MAX // len(said)
    for _ in range(fit + 5):
        assert intake.put(PeerSaid(1, said)) is None
    heard = [event for _ in range(fit + 5) for event in intake.take() if isinstance(event, PeerSaid)]
    assert len(heard) == fit
    huge = PeerSaid(1, said + bytes(PEER_BYTES_MAX))
    intake.put(huge)
    assert huge in intake.take()


def refusals(effects: list[Effect]) -> list[tuple[TxId, str]]:
    """What clients are told."""
    return [(effect.tx_id, effect.code) for effect in effects if isinstance(effect, Refuse)]


def test_what_waits_already_or_is_final_is_not_refused_for_want_of_room() -> None:
    """Whoever waits for it would be told no about what happens; its own turn, or its commit, is the answer."""
    world = World()
    node = world.seats[0].node
    final, pending = (TransactionSubmitted(Item(world.signed(creation(name)), None, ()), None) for name in "fp")
    world.submit(0, final.item.signed)
    world.pass_time(1_000)
    assert node.ledger.is_final(transaction_id(final.item.signed.body))
    world.cut = {0}
    world.submit(0, pending.item.signed)
    *flood, beyond = wishes(world, OWN_MAX + 1)

    effects = node.receive_all([*flood, final, pending, flood[-1], beyond], world.instant)

    assert refusals(effects) == [(transaction_id(beyond.item.signed.body), "busy")]


def test_what_waits_for_its_turn_is_known_to_the_node() -> None:
    """Whoever asks for it, or brings it again, is told that it is on its way: until it is judged, and then after."""
    world = World()
    node = world.seats[0].node
    brought = wishes(world, TURN_TRANSACTIONS + 1)
    last = transaction_id(brought[-1].item.signed.body)
    assert not node.knows(last)

    node.receive_all([*brought, brought[-1]], world.instant)
    assert not node.ledger.is_pending(last)
    assert node.knows(last)

    node.receive(Ticked(), world.instant)
    assert node.ledger.is_pending(last)
    intake = Intake()
    for _ in range(2):
        intake.put(brought[-1])
    assert last in intake
    assert intake.take() == [brought[-1]] * 2
    assert last not in intake


def test_governing_waits_behind_no_flood() -> None:
    """Where nothing else has room an operator's word has, and is judged in the next step."""
    world = World()
    node = world.seats[0].node
    word = governing(world.signed(ProposeDecision(EndEpoch(), now=False)))

    effects = node.receive_all([*wishes(world, OWN_MAX), word], world.instant)

    assert refusals(effects) == []
    assert node.ledger.is_pending(transaction_id(word.item.signed.body))


def test_what_calls_itself_governing_holds_little_and_takes_a_quarter_of_a_step() -> None:
    """Nobody has looked at its signatures yet: the rest of it waits as everything else does."""
    world = World()
    intake = Intake()
    signed = world.signed(VoteDecision(1, approve=True))
    first: list[Brought] = []
    rest: list[Brought] = []
    for at in range(URGENT_MAX // URGENT_OF_AUTHOR + 1):
        author = AccountId(salt(f"author {at}"))
        bodies = [evolve(signed.body, author=author, salt=salt(f"{n}")) for n in range(URGENT_OF_AUTHOR + 1)]
        words = [governing(evolve(signed, body=body)) for body in bodies]
        has_room = URGENT_OF_AUTHOR if len(first) < URGENT_MAX else 0
        first += words[:has_room]
        rest += words[has_room:]
        assert [intake.put(event) for event in words] == [None] * len(words)

    assert len(first) == URGENT_MAX
    assert intake.take() == [*first[:URGENT_TURN], *rest]
    for at in range(URGENT_TURN, URGENT_MAX, URGENT_TURN):
        assert intake.take() == first[at : at + URGENT_TURN]
    assert not intake


def test_evidence_is_as_urgent_as_governing_and_nothing_beside_them_is() -> None:
    """As a mempool has it: what comes along with an operator's word waits for its turn, and the word with it."""
    world = World()
    vote = VoteDecision(1, approve=True)

    assert is_urgent(a_report(Network()).body)
    assert is_urgent(world.signed(vote, vote).body)
    assert not is_urgent(world.signed(vote, creation("along")).body)


def test_what_a_lost_peer_brought_is_let_go() -> None:
    """It says again what waits when it links anew."""
    world = World()
    node = world.seats[0].node
    said = [PeerSaid(1, to_bytes(Submit((event.item,)))) for event in wishes(world, 3)]

    node.receive_all([*said, PeerDisconnected(1)], world.instant)

    assert len(node.ledger.mempool) == 0
    assert node.next_deadline() != 0
