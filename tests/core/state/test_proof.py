"""
The verifier of state proofs against lies that a server could tell, and the vectors other verifiers can use.

    python -m tests.core.state.test_proof --approve
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from guts_core.codec import from_bytes, to_bytes
from guts_core.names import Root
from guts_core.state.keys import Kind, Scope, key, prefix, tree_key, tree_prefix
from guts_core.state.nodes import EMPTY_ROOT, inner_hash, leaf_hash, value_hash
from guts_core.state.proof import (
    AbsenceProof,
    BadProof,
    CompleteProof,
    InclusionProof,
    Inner,
    Leaf,
    Step,
    verify_absence,
    verify_complete,
    verify_inclusion,
)
from guts_core.state.prover import prove_absence, prove_complete, prove_inclusion
from guts_core.state.tree import Tree
from tests.core.state.oracle import oracle_root

VECTORS = Path(__file__).parents[2] / "conformance" / "state_proofs.json"


def at(first: int, second: int = 0, last: int = 0) -> bytes:
    """A tree key by its first two bytes and its last."""
    return bytes((first, second)) + bytes(62) + bytes((last,))


# The root branches at bit 0; 0x00 and 0x1f share three bits, 0x80 and 0x81 seven, the last two all but one.
RECORDS = {at(0x00): b"zero", at(0x1F): b"one f", at(0x80): b"eight", at(0x81, 1): b"nine", at(0x81, 1, 1): b"ten"}
ROOT = Root(oracle_root(RECORDS))


def leaf(place: bytes) -> bytes:
    return leaf_hash(place, value_hash(RECORDS[place]))


LEFT = inner_hash(3, at(0x00), leaf(at(0x00)), leaf(at(0x1F)))
TWINS = inner_hash(519, at(0x81, 1), leaf(at(0x81, 1)), leaf(at(0x81, 1, 1)))
RIGHT = inner_hash(7, at(0x80), leaf(at(0x80)), TWINS)


def test_hand_made_nodes_lead_to_the_root_of_the_definition() -> None:
    """The attacks below are made of real nodes."""
    assert inner_hash(0, at(0x00), LEFT, RIGHT) == ROOT


def test_absence_with_a_shorter_prefix_than_the_node_has_is_refused() -> None:
    """Were the prefix not hashed, a server could say that 0x81.. diverges where it does not."""
    honest = AbsenceProof((Step(0, LEFT),), Inner(7, b"\x80", leaf(at(0x80)), TWINS))
    verify_absence(ROOT, at(0xC0), honest)

    for bits, shown in ((2, b"\xc0"), (7, b"\xc0"), (8, b"\x80"), (1, b"\x80")):
        lie = AbsenceProof(honest.steps, Inner(bits, shown, leaf(at(0x80)), TWINS))
        with pytest.raises(BadProof):
            verify_absence(ROOT, at(0x80), lie)


def test_absence_that_stops_above_the_record_is_refused() -> None:
    """A node whose prefix begins the key says nothing yet: the walk goes on below it."""
    too_high = AbsenceProof((Step(0, LEFT),), Inner(7, b"\x80", leaf(at(0x80)), TWINS))
    with pytest.raises(BadProof, match="does not diverge"):
        verify_absence(ROOT, at(0x81, 1), too_high)

    the_root = AbsenceProof((), Inner(0, b"", LEFT, RIGHT))
    with pytest.raises(BadProof, match="does not diverge"):
        verify_absence(ROOT, at(0x00), the_root)


def test_absence_by_a_leaf_of_the_other_side_is_refused() -> None:
    """Another real leaf elsewhere proves nothing about this side of the branch."""
    elsewhere = Leaf(at(0x00), value_hash(b"zero"))
    lie = AbsenceProof((Step(0, RIGHT), Step(3, leaf(at(0x1F)))), elsewhere)
    verify_absence(ROOT, at(0x01), lie)

    with pytest.raises(BadProof, match="not on the side"):
        verify_absence(ROOT, at(0x80), lie)


def test_padding_that_is_not_zero_is_refused() -> None:
    """One node has one form; bits after the prefix say nothing and so must be zero."""
    with pytest.raises(BadProof, match="zero padded"):
        verify_absence(ROOT, at(0xC0), AbsenceProof((Step(0, LEFT),), Inner(7, b"\x81", leaf(at(0x80)), TWINS)))
    with pytest.raises(BadProof, match="zero padded"):
        verify_absence(ROOT, at(0xC0), AbsenceProof((Step(0, LEFT),), Inner(7, b"\x80\0", leaf(at(0x80)), TWINS)))


def test_a_complete_set_without_one_of_its_records_is_refused() -> None:
    """The missing record cannot hide in a step: steps branch above the prefix only."""
    twins = [(place, RECORDS[place]) for place in (at(0x81, 1), at(0x81, 1, 1))]
    steps = (Step(0, LEFT), Step(7, leaf(at(0x80))))
    verify_complete(ROOT, b"\x81", twins, CompleteProof(steps, None))

    hidden = CompleteProof((*steps, Step(519, leaf(at(0x81, 1, 1)))), None)
    with pytest.raises(BadProof, match="stands above"):
        verify_complete(ROOT, b"\x81", twins[:1], hidden)
    with pytest.raises(BadProof, match="this root"):
        verify_complete(ROOT, b"\x81", twins[:1], CompleteProof(steps, None))


def test_records_listed_twice_or_out_of_order_are_refused() -> None:
    """A list that is longer than the set is no set."""
    one, two = ((place, RECORDS[place]) for place in (at(0x81, 1), at(0x81, 1, 1)))
    proof = CompleteProof((Step(0, LEFT), Step(7, leaf(at(0x80)))), None)

    for wrong in ([one, one, two], [two, one], [one, two, two]):
        with pytest.raises(BadProof, match="ascend"):
            verify_complete(ROOT, b"\x81", wrong, proof)


def test_a_record_outside_the_prefix_is_refused() -> None:
    """The subtree over both would be a real node, yet not of this prefix."""
    pairs = sorted((place, RECORDS[place]) for place in RECORDS if place[0] & 0x80)

    with pytest.raises(BadProof, match="not under the prefix"):
        verify_complete(ROOT, b"\x81", pairs, CompleteProof((Step(0, LEFT),), None))


def test_emptiness_with_records_listed_and_records_without_are_refused() -> None:
    """A proof is of one of the three forms."""
    end = Inner(7, b"\x80", leaf(at(0x80)), TWINS)
    with pytest.raises(BadProof, match="records are listed"):
        verify_complete(ROOT, b"\xc0", [(at(0xC0), b"")], CompleteProof((Step(0, LEFT),), end))
    with pytest.raises(BadProof, match="empty state"):
        verify_complete(ROOT, b"\xc0", [], CompleteProof((Step(0, LEFT),), None))
    with pytest.raises(BadProof, match="empty state"):
        verify_complete(EMPTY_ROOT, b"\xc0", [], CompleteProof((Step(0, LEFT),), None))


def test_steps_that_do_not_descend_are_refused() -> None:
    """The same branch twice, or an upper one below a lower one, is no walk."""
    for steps in ((Step(0, LEFT), Step(0, LEFT)), (Step(7, TWINS), Step(0, LEFT))):
        with pytest.raises(BadProof, match="stands above"):
            verify_inclusion(ROOT, at(0x80), b"eight", InclusionProof(steps))


def test_an_inner_node_cannot_be_shown_as_a_value() -> None:
    """Leaves and inner nodes are hashed apart, so no record can contain a forged subtree."""
    with pytest.raises(BadProof, match="this root"):
        verify_inclusion(ROOT, at(0x81, 1), TWINS, InclusionProof((Step(0, LEFT), Step(7, leaf(at(0x80))))))


def test_nothing_is_absent_from_nothing_but_everything_is_from_the_empty_state() -> None:
    """Before genesis there is no record, and that needs no proof."""
    verify_absence(EMPTY_ROOT, at(1), AbsenceProof((), None))
    verify_complete(EMPTY_ROOT, b"", [], CompleteProof((), None))
    with pytest.raises(BadProof):
        verify_absence(ROOT, at(1), AbsenceProof((), None))


def test_keys_of_another_length_are_refused() -> None:
    """Only 65-byte keys have places."""
    for wrong in (b"", at(1)[:-1], at(1) + b"\0"):
        with pytest.raises(BadProof, match="65 bytes"):
            verify_absence(EMPTY_ROOT, wrong, AbsenceProof((), None))
    with pytest.raises(BadProof, match="longer"):
        verify_complete(EMPTY_ROOT, bytes(66), [], CompleteProof((), None))


# Vectors.

REPO = bytes(range(32))
STORE_RECORDS = {
    key(Scope.REPOSITORY, REPO, Kind.REF, name): value
    for name, value in ((b"refs/heads/main", b"\x01"), (b"refs/heads/next", b"\x02"), (b"refs/tags/v1", b"\x03"))
} | {
    key(Scope.REPOSITORY, REPO, Kind.REPOSITORY): b"the repository",
    key(Scope.ACCOUNT, bytes(32), Kind.ACCOUNT): b"an account",
    key(Scope.NETWORK, bytes(32), Kind.ACCOUNT_NAME, b"ada"): b"a name",
}


def made_vectors() -> dict[str, Any]:
    records = {tree_key(place): value for place, value in STORE_RECORDS.items()}
    root, pages = Tree(lambda _path: None).apply(EMPTY_ROOT, records)
    tree = Tree(pages.get)
    there = tree_key(key(Scope.REPOSITORY, REPO, Kind.REF, b"refs/heads/main"))
    gone = tree_key(key(Scope.REPOSITORY, REPO, Kind.REF, b"refs/heads/gone"))
    refs, packs, one = (
        tree_prefix(prefix(Scope.REPOSITORY, REPO, kind)) for kind in (Kind.REF, Kind.PACK, Kind.REPOSITORY)
    )
    return {
        "records": {place.hex(): value.hex() for place, value in STORE_RECORDS.items()},
        "tree_keys": {place.hex(): tree_key(place).hex() for place in STORE_RECORDS},
        "root": root.hex(),
        "inclusion": {
            "key": there.hex(),
            "value": records[there].hex(),
            "proof": to_bytes(prove_inclusion(tree, root, there)).hex(),
        },
        "absence": {"key": gone.hex(), "proof": to_bytes(prove_absence(tree, root, gone)).hex()},
        "complete": [
            {
                "about": about,
                "prefix": under.hex(),
                "records": [
                    [place.hex(), value.hex()] for place, value in sorted(records.items()) if place.startswith(under)
                ],
                "proof": to_bytes(prove_complete(tree, root, under)).hex(),
            }
            for about, under in (("three refs", refs), ("no packs", packs), ("one repository", one), ("all", b""))
        ],
    }


def test_the_vectors_are_what_we_make_and_verify() -> None:
    """The format of hashes and proofs does not move unseen: others verify with code of their own."""
    vectors = json.loads(VECTORS.read_text())
    assert vectors == made_vectors()

    root = Root(bytes.fromhex(vectors["root"]))
    records = {vectors["tree_keys"][place]: value for place, value in vectors["records"].items()}
    assert oracle_root({bytes.fromhex(place): bytes.fromhex(value) for place, value in records.items()}) == root
    _verify_vectors(root, vectors)


def _verify_vectors(root: Root, vectors: dict[str, Any]) -> None:
    there, gone = vectors["inclusion"], vectors["absence"]
    proof = from_bytes(InclusionProof, bytes.fromhex(there["proof"]))
    verify_inclusion(root, bytes.fromhex(there["key"]), bytes.fromhex(there["value"]), proof)
    verify_absence(root, bytes.fromhex(gone["key"]), from_bytes(AbsenceProof, bytes.fromhex(gone["proof"])))
    assert [len(vector["records"]) for vector in vectors["complete"]] == [3, 0, 1, 6]
    for vector in vectors["complete"]:
        pairs = [(bytes.fromhex(place), bytes.fromhex(value)) for place, value in vector["records"]]
        complete = from_bytes(CompleteProof, bytes.fromhex(vector["proof"]))
        verify_complete(root, bytes.fromhex(vector["prefix"]), pairs, complete)


if __name__ == "__main__" and sys.argv[1:] == ["--approve"]:
    VECTORS.write_text(json.dumps(made_vectors(), indent=2) + "\n")
