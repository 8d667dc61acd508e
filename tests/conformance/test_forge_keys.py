"""
Where the forge's records stand, and how ids are made: fixed by vectors, because proofs depend on both.

``test_forge_keys.json`` holds the approved values; ``python -m tests.conformance.test_forge_keys`` writes them anew.
"""

from __future__ import annotations

import json
from pathlib import Path

from guts_core.forge import ids, paths
from guts_core.names import AccountId, ChainId, CredentialId, NodeId, RepoId
from guts_core.state.keys import KEY_PREFIX_BYTES, tree_key

VECTORS = Path(__file__).with_suffix(".json")
ALICE, BOB, REPO = AccountId(b"\xa1" * 32), AccountId(b"\xb0" * 32), RepoId(b"\xce" * 32)
KEY, SALT, CHAIN = b"\x01" * 32, b"\x02" * 32, ChainId(b"\x07" * 32)
KEYS = {
    "account name": paths.account_name("Alice"),
    "account key": paths.account_key(KEY),
    "credential": paths.credential(CredentialId(b"\xcd" * 32)),
    "node": paths.node(NodeId(b"\x0d" * 32)),
    "counter": paths.counter(paths.Count.ACCOUNTS),
    "account counter": paths.account_counter(ALICE, paths.Count.REPOSITORIES),
    "node number": paths.node_number(7),
    "node key": paths.node_key(KEY),
    "node name": paths.node_name("Node-1"),
    "epoch": paths.epoch(),
    "past epoch": paths.past_epoch(7),
    "decision": paths.decision(7),
    "queue": paths.queue(),
    "conviction": paths.conviction(7, 2),
    "account": paths.account(ALICE),
    "repository name": paths.repository_name(ALICE, "Site"),
    "affiliation": paths.affiliation(ALICE, REPO),
    "account credential": paths.account_credential(ALICE, 1_800_000_000_000, CredentialId(b"\xcd" * 32)),
    "quota": paths.quota(ALICE),
    "repository": paths.repository(REPO),
    "ref": paths.ref(REPO, "refs/heads/\u00e9"),
    "pack": paths.pack(REPO, 258),
    "pack seat": paths.pack_seat(REPO, b"\x02" * 32),
    "text": paths.text(REPO, b"\x02" * 32),
    "collaborator": paths.collaborator(REPO, BOB),
}
IDS = {
    "account": ids.account_id(CHAIN, KEY, SALT),
    "genesis account": ids.account_id(ids.GENESIS_CHAIN_ID, KEY, SALT),
    "repository": ids.repository_id(CHAIN, ALICE, SALT),
    "credential": ids.credential_id(KEY),
}


def vectors() -> dict[str, dict[str, str]]:
    """What the file must hold."""
    return {
        "keys": {name: key.hex() for name, key in KEYS.items()},
        "places": {name: tree_key(key).hex() for name, key in KEYS.items()},
        "ids": {name: made.hex() for name, made in IDS.items()},
    }


def test_keys_places_and_ids_are_the_approved_ones() -> None:
    """Somebody else's verifier, or this node after an upgrade, looks in the same places."""
    assert json.loads(VECTORS.read_text()) == vectors()


def test_no_two_kinds_of_records_share_a_run_of_keys() -> None:
    """Each kind has its byte in its scope, so a scan of one never meets another."""
    assert len({key[:KEY_PREFIX_BYTES] for key in KEYS.values()}) == len(KEYS)


def test_packs_stand_in_the_order_of_their_numbers() -> None:
    assert paths.pack(REPO, 9) < paths.pack(REPO, 10) < paths.pack(REPO, 258)


def test_the_newest_credential_of_an_account_stands_first() -> None:
    older, newer = (paths.account_credential(ALICE, time, CredentialId(bytes(32))) for time in (255, 256))

    assert newer < older


def test_names_are_filed_without_case() -> None:
    assert paths.account_name("alice") == paths.account_name("ALICE")
    assert paths.repository_name(ALICE, "site") == paths.repository_name(ALICE, "SITE")


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(vectors(), indent=1) + "\n")
