"""Genesis: formed by hand by people who do not trust each other, and checked before anything runs on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from guts_core.chain.foundation import found_state
from guts_core.chain.genesis import (
    Draft,
    Genesis,
    InitialAccount,
    chain_id,
    check,
    check_entry,
    genesis_hash,
    seal,
    sign_entry,
)
from guts_core.chain.genesis_json import (
    DraftFile,
    GenesisFile,
    addresses_of,
    check_address,
    draft_from_json,
    entry_from_json,
    genesis_from_json,
    to_json,
)
from guts_core.codec import from_bytes, to_bytes
from guts_core.errors import Invalid
from guts_core.forge import queries
from guts_core.forge.params import Params
from guts_core.forge.records import VALIDATORS_MAX
from guts_core.identity import Ed25519Verifier
from guts_core.names import AccountId, NodeId
from guts_core.simplex.quorum import FaultModel
from guts_core.state.view import Overlay
from tests.core.chain.chain_world import TIME, Network, a_genesis, entry, gateway, key, salt

VERIFIER = Ed25519Verifier()


def a_file(validators: int = 3) -> GenesisFile:
    """A sealed genesis with where its nodes are."""
    entries = tuple(entry(index) for index in range(validators))
    return GenesisFile(seal(Draft("testnet", TIME), entries, VERIFIER), addresses_of(entries), entries)


def test_a_genesis_is_sealed_from_entries_in_their_order() -> None:
    """Index, vote key, node and operator of each seat come from the entry; drafts bring the rest."""
    extra = InitialAccount("alice", key("alice").public_key, salt("alice"), is_operator=False)
    draft = Draft("testnet", TIME, FaultModel.CRASH, Params(delta_ms=50), (extra,), ("root", "admin", "root"))

    genesis = seal(draft, [entry(2), entry(0)], VERIFIER)

    assert [validator.name for validator in genesis.validators] == ["node-2", "node-0"]
    assert genesis.vote_keys == (key("vote 2").public_key, key("vote 0").public_key)
    assert [account.name for account in genesis.accounts] == ["operator-2", "operator-0", "alice"]
    assert genesis.validators[1].operator == genesis.accounts[1].id
    assert genesis.reserved_names == ("admin", "root")
    assert genesis.fault_model is FaultModel.CRASH
    assert from_bytes(Genesis, to_bytes(genesis)) == genesis


def test_one_operator_may_hold_several_seats() -> None:
    """A devnet, or one company's three machines: the account stands once."""
    mine = entry(0).entry.operator
    entries = []
    for index in range(3):
        body = evolve(entry(index).entry, operator=mine)
        entries.append(sign_entry(body, key(f"vote {index}"), key(f"node {index}"), key("operator 0")))

    genesis = seal(Draft("testnet", TIME), entries, VERIFIER)

    assert genesis.accounts == (mine,)
    assert {validator.operator for validator in genesis.validators} == {mine.id}


@pytest.mark.parametrize("field", ["vote_signature", "node_signature", "operator_signature"])
def test_nobody_enters_keys_they_do_not_hold(field: str) -> None:
    """All three keys sign the whole entry."""
    good = entry(0)
    changes: dict[str, Any] = {field: entry(1).vote_signature}
    wrong = evolve(good, **changes)

    check_entry(good, VERIFIER)
    with pytest.raises(Invalid, match=field.split("_", maxsplit=1)[0]):
        check_entry(wrong, VERIFIER)
    with pytest.raises(Invalid, match="did not sign"):
        seal(Draft("testnet", TIME), [evolve(good, entry=evolve(good.entry, name="other"))], VERIFIER)


def test_an_entry_names_an_operator() -> None:
    """Somebody answers for each seat."""
    body = evolve(entry(0).entry, operator=evolve(entry(0).entry.operator, is_operator=False))

    with pytest.raises(Invalid, match="operator"):
        check_entry(sign_entry(body, key("vote 0"), key("node 0"), key("operator 0")), VERIFIER)


def changed(**fields: Any) -> Callable[[Genesis], Genesis]:
    """A genesis with other fields."""
    return lambda genesis: evolve(genesis, **fields)


def seat(**fields: Any) -> Callable[[Genesis], Genesis]:
    """A genesis whose first seat has other fields."""
    return lambda genesis: evolve(
        genesis, validators=(evolve(genesis.validators[0], **fields), *genesis.validators[1:])
    )


def account(**fields: Any) -> Callable[[Genesis], Genesis]:
    """A genesis whose first account has other fields."""
    return lambda genesis: evolve(genesis, accounts=(evolve(genesis.accounts[0], **fields), *genesis.accounts[1:]))


SMALL_ORDER = (1).to_bytes(32, "little")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (changed(name="Not a name"), "account name"),
        (changed(time=0), "time"),
        (changed(time=2**60), "time"),
        (changed(validators=()), "0 validators"),
        (lambda genesis: evolve(genesis, validators=genesis.validators * VALIDATORS_MAX), "validators"),
        (changed(accounts=()), "0 initial accounts"),
        (changed(reserved_names=("b", "a")), "ascending"),
        (changed(reserved_names=("a", "a")), "ascending"),
        (changed(reserved_names=("A",)), "account name"),
        (changed(reserved_names=("operator-0",)), "reserved"),
        (account(name="-"), "account name"),
        (account(name="operator-1"), "stands twice"),
        (account(is_operator=False), "operator"),
        (account(key=key("operator 1").public_key), "stands twice"),
        (account(key=key("vote 1").public_key), "stands twice"),
        (account(key=SMALL_ORDER), "acceptable"),
        (seat(name="node-1"), "stands twice"),
        (seat(name=""), "account name"),
        (seat(vote_key=key("vote 1").public_key), "stands twice"),
        (seat(vote_key=key("node 0").public_key), "stands twice"),
        (seat(node_key=NodeId(key("operator 2").public_key)), "stands twice"),
        (seat(vote_key=SMALL_ORDER), "acceptable"),
        (seat(node_key=NodeId(b"\xff" * 32)), "acceptable"),
        (seat(operator=AccountId(bytes(32))), "operator"),
        (changed(params=Params(delta_ms=0)), "delta_ms"),
        (changed(params=Params(epoch_ms=0)), "epoch_ms"),
        (changed(params=Params(block_bytes_max=512 * 1024)), "block_bytes_max"),
        (changed(params=Params(block_bytes_max=2 << 20)), "block_bytes_max"),
        (changed(params=Params(quota_window_ms=0)), "quota_window_ms"),
        (changed(params=Params(updates_max=1001)), "updates_max"),
        (changed(params=Params(merge_engine="mine")), "merge engine"),
    ],
)
def test_a_genesis_that_no_network_could_run_with_is_refused(change: Callable[[Genesis], Genesis], words: str) -> None:
    """Found before the first block, with the thing named; afterwards it could not be changed."""
    good = a_genesis(3)

    check(good)
    with pytest.raises(Invalid, match=words):
        check(change(good))


def test_the_chain_id_names_all_of_it() -> None:
    """Any other parameter is another network; addresses are hints and are not."""
    file = a_file()
    moved = evolve(file, addresses={})

    assert chain_id(file.genesis) != chain_id(evolve(file.genesis, time=TIME + 1))
    assert chain_id(file.genesis) != chain_id(evolve(file.genesis, params=Params(retry_ms=1)))
    assert moved.chain_id == file.chain_id == chain_id(genesis_from_json(to_json(file)).genesis)
    assert genesis_hash(file.chain_id) == bytes(file.chain_id)


def test_the_files_say_everything_back() -> None:
    """What a person mails is what the other one reads."""
    file = a_file()
    draft = DraftFile(Draft("testnet", TIME, accounts=(file.genesis.accounts[0],)), file.entries)

    assert genesis_from_json(to_json(file)) == file
    assert genesis_from_json(to_json(file).encode()) == file
    assert draft_from_json(to_json(draft)) == draft
    assert entry_from_json(to_json(file.entries[0])) == file.entries[0]
    assert file.address_of(gateway(1)) == "127.0.0.1:9001"
    assert file.address_of(NodeId(bytes(32))) is None


def edit(change: Callable[[dict[str, Any]], object]) -> str:
    """The text of a genesis file after somebody edited it."""
    value = json.loads(to_json(a_file()))
    change(value)
    return json.dumps(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{",
        "{}",
        "[" * 100_000,
        edit(lambda v: v.update(more=1)),
        edit(lambda v: v["genesis"].update(more=1)),
        edit(lambda v: v["genesis"]["params"].update(more=1)),
        edit(lambda v: v["genesis"].pop("time")),
        edit(lambda v: v["genesis"]["params"].pop("delta_ms")),
        edit(lambda v: v["genesis"].update(time=str(TIME))),
        edit(lambda v: v["genesis"].update(time=float(TIME))),
        edit(lambda v: v["genesis"].update(time=-1)),
        edit(lambda v: v["genesis"].update(time=True)),
        edit(lambda v: v["genesis"].update(name=7)),
        edit(lambda v: v["genesis"].update(fault_model=1)),
        edit(lambda v: v["genesis"].update(fault_model="bft")),
        edit(lambda v: v["genesis"].update(validators="none")),
        edit(lambda v: v["genesis"]["accounts"][0].update(is_operator=1)),
        edit(lambda v: v["genesis"]["accounts"][0].update(key="00")),
        edit(lambda v: v["genesis"]["accounts"][0].update(key="zz" * 32)),
        edit(lambda v: v["genesis"]["accounts"][0].update(salt="AB" * 32)),
        edit(lambda v: v["genesis"]["accounts"][0].update(salt="ab " * 32)),
        edit(lambda v: v["genesis"]["accounts"][0].update(key=None)),
        edit(lambda v: v["addresses"].update({"00" * 32: "127.0.0.1:1"})),
        edit(lambda v: v["addresses"].update({gateway(0).hex(): "nowhere"})),
        edit(lambda v: v["addresses"].update({gateway(0).hex(): 7})),
        edit(lambda v: v.update(addresses=[])),
        to_json(a_file()).replace('"time":', '"time": 1, "time":', 1),
        to_json(a_file()).replace(str(TIME), "NaN", 1),
        to_json(a_file()).replace(str(TIME), "1" + "0" * 5000, 1),
    ],
)
def test_bad_J_05_another_way_to_write_a_genesis_is_refused(text: str) -> None:
    """Unknown, missing and repeated names, other types and forms: the file says one thing or nothing."""
    with pytest.raises(Invalid):
        genesis_from_json(text)


def test_a_file_that_is_too_large_is_not_parsed() -> None:
    """Someone else made it."""
    with pytest.raises(Invalid, match="larger"):
        genesis_from_json(" " * (5 << 20))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "localhost:65535", "[::1]:8080", "forge.example.org:443"])
def test_addresses_are_host_and_port(address: str) -> None:
    """As people write them."""
    check_address(address)


@pytest.mark.parametrize(
    "address", ["", ":1", "host", "host:", "host:0", "host:65536", "::1:80", "host:+1", "host:\u0661"]
)
def test_other_addresses_are_refused(address: str) -> None:
    """Before a node tries to dial them for ever."""
    with pytest.raises(Invalid, match="host:port"):
        check_address(address)


def test_the_first_state_is_what_genesis_says() -> None:
    """Accounts numbered in order, nodes that may be gateways, and the same root each time."""
    genesis = a_genesis(3)
    foundation = found_state(genesis)
    view = Overlay(Network(genesis).ledgers[0].view())

    assert foundation == found_state(genesis)
    assert Network(genesis).ledgers[0].head.state_root == foundation.state_root
    assert foundation.state_root != found_state(a_genesis(4)).state_root
    for index in range(3):
        found = queries.account_by_name(view, f"operator-{index}")
        node = queries.node(view, gateway(index))
        assert found is not None
        assert node is not None
        assert (found.number, found.created, found.sponsor, found.is_operator) == (index + 1, TIME, None, True)
        assert (node.operator, node.name) == (found.id, f"node-{index}")
