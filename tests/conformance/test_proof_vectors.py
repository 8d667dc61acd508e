"""
Golden proofs: true and false files with what a verifier has to say of each, and the reference's example.

They are for other verifiers as much as for ours. A change of any record in them is approved, after a
look at the difference, by

    python -m tests.conformance.test_proof_vectors --approve
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from guts_core.chain.genesis import Genesis
from guts_core.chain.trail import EpochStep, proposal_of
from guts_core.chain.transaction import transaction_id
from guts_core.codec import decode, encode, from_bytes, to_bytes
from guts_core.names import ChainId, Root
from guts_core.proof import (
    ActivityQuestion,
    HeaderQuestion,
    HeadersQuestion,
    ProvenHeaders,
    ProvenPacks,
    ProvenRef,
    ProvenRefs,
    ProvenTransaction,
    Question,
    RefQuestion,
    TransactionQuestion,
    Verified,
    verify,
)
from guts_core.proof.format import ProofFile
from guts_core.proof.questions import about_packs, about_ref, about_refs
from guts_core.simplex.messages import Kind, Proposal
from guts_core.state.proof import BadProof
from tests.conformance.proof_example import example
from tests.core.chain.chain_world import a_genesis
from tests.core.proof.epoch_world import EpochNetwork, a_long_scene, certificate_by
from tests.core.proof.epoch_world import short_epochs as a_long_scene_genesis
from tests.core.proof.proof_world import ProofNetwork, a_scene, certificate

VECTORS = Path(__file__).with_name("proof_vectors.json")
REFERENCE = Path(__file__).parents[2] / "docs/reference/proof-format.md"
EXAMPLE = re.compile(r"(?<=<!-- example -->\n```\n).*?(?=\n```\n<!-- end of example -->)", re.DOTALL)
APPROVE = "changed: look at it, then python -m tests.conformance.test_proof_vectors --approve"

MAIN = about_ref("alice", "hello", "main")
ALL = about_refs("alice", "hello")


@cache
def vectors() -> dict[str, Any]:
    """The file as this build makes it."""
    network = ProofNetwork()
    pushed = TransactionQuestion(transaction_id(a_scene(network).pushed.body))
    asked: dict[str, Question] = {
        "ref": MAIN,
        "absent ref": about_ref("alice", "hello", "gone"),
        "all refs": ALL,
        "all refs and packs": about_packs("alice", "hello"),
        "transaction": pushed,
        "activity": ActivityQuestion(pushed.tx_id, 1),
        "headers": HeadersQuestion(2, 4),
        "old header": HeaderQuestion(2),
    }
    true = {name: network.prove(question) for name, question in asked.items()}
    network.is_certifying = False
    network.step()
    height = network.ledgers[0].head.height
    network.is_certifying = True
    network.step()
    true["header below a certified one"] = network.prove(HeadersQuestion(height, height))
    false = {name: change(network, true) for name, change in LIES.items()}
    return {**_of_network(network, true, false), "epochs": _over_epochs()}


def _over_epochs() -> dict[str, Any]:
    """Of a network where in each epoch another seat took a new key, and the second ended by an empty block."""
    scene = a_long_scene(3)
    network = scene.network
    assert isinstance(network, EpochNetwork)
    true = {"ref": network.prove(MAIN), "old header": network.prove(HeaderQuestion(2))}
    quiet = a_long_scene(1, is_quiet=True).network
    true["end of an epoch"] = quiet.prove(HeaderQuestion(quiet.ledgers[0].head.height))
    false = {name: _of("ref", _finality(forge))(network, true) for name, forge in WALKS.items()}
    return _of_network(network, true, false)


def _of_network(network: ProofNetwork, true: dict[str, bytes], false: dict[str, bytes]) -> dict[str, Any]:
    genesis = network.genesis
    return {
        "genesis": to_bytes(genesis).hex(),
        "other_genesis": to_bytes(a_genesis(5)).hex(),
        "true": {name: {"proof": data.hex(), **_said(verify(data, genesis))} for name, data in true.items()},
        "false": {name: {"proof": data.hex(), "code": _code(data, genesis)} for name, data in false.items()},
    }


def _said(shown: Verified) -> dict[str, Any]:
    final = shown.final
    signed = {
        "height": final.height,
        "time": final.time,
        "block": final.block_hash.hex(),
        "epoch": final.epoch,
        "signers": list(final.signers),
    }
    match shown.answer:
        case ProvenRef(_, ref, oid):
            return {**signed, "ref": ref, "oid": None if oid is None else oid.hex()}
        case ProvenRefs(_, refs):
            return {**signed, "refs": {ref.name: ref.oid.hex() for ref in refs}}
        case ProvenPacks(_, refs, packs):
            listed = [[pack.digest.hex(), pack.idx_digest.hex()] for pack in packs]
            return {**signed, "refs": {ref.name: ref.oid.hex() for ref in refs}, "packs": listed}
        case ProvenTransaction(_, receipt, index, activity):
            told = {"error": receipt.error, "index": index, "activities": len(receipt.activities)}
            return {**signed, **told, "activity": None if activity is None else to_bytes(activity).hex()}
        case ProvenHeaders(headers):
            return {**signed, "headers": [header.height for header in headers]}


def _code(data: bytes, genesis: Genesis) -> str:
    with pytest.raises(BadProof) as caught:
        verify(data, genesis)
    return caught.value.code


# ---- the lies ----

Lie = Callable[[ProofNetwork, dict[str, bytes]], bytes]


def _of(name: str, change: Callable[[ProofFile, ProofNetwork], ProofFile]) -> Lie:
    return lambda network, true: to_bytes(change(from_bytes(ProofFile, true[name]), network))


def _finality(change: Callable[[Any, ProofNetwork], Any]) -> Callable[[ProofFile, ProofNetwork], ProofFile]:
    return lambda file, network: evolve(file, finality=change(file.finality, network))


def _answer(change: Callable[[Any], Any]) -> Callable[[ProofFile, ProofNetwork], ProofFile]:
    return lambda file, _network: evolve(file, answer=change(file.answer))


def _notarized(finality: Any, network: ProofNetwork) -> Any:
    named = finality.certificate.proposal
    assert isinstance(named, Proposal)
    return evolve(finality, certificate=certificate(network, named, kind=Kind.NOTARIZE))


def _too_few(finality: Any, _network: ProofNetwork) -> Any:
    short = evolve(finality.certificate, signers=b"\x03", signatures=finality.certificate.signatures[:2])
    return evolve(finality, certificate=short)


def _with_a_step(finality: Any, network: ProofNetwork) -> Any:
    step = EpochStep(finality.header, (), finality.certificate, network.genesis.validators)
    return evolve(finality, epochs=(step,))


def _version(true: dict[str, bytes]) -> bytes:
    value = decode(true["ref"])
    assert isinstance(value, tuple)
    return encode((value[0], 1, *value[2:]))


LIES: dict[str, Lie] = {
    "changed header": _of(
        "ref",
        _finality(lambda finality, _: evolve(finality, header=evolve(finality.header, state_root=Root(bytes(32))))),
    ),
    "certificate that notarizes only": _of("ref", _finality(_notarized)),
    "certificate of two": _of("ref", _finality(_too_few)),
    "signature swapped": _of(
        "ref",
        _finality(
            lambda finality, _: evolve(
                finality,
                certificate=evolve(finality.certificate, signatures=finality.certificate.signatures[::-1]),
            )
        ),
    ),
    "step left out": _of(
        "ref", _answer(lambda answer: evolve(answer, account=evolve(answer.account, walk=answer.account.walk[34:])))
    ),
    "another value": _of(
        "ref", _answer(lambda answer: evolve(answer, ref=evolve(answer.ref, value=answer.ref.value[:-1] + b"\x00")))
    ),
    "ref said to be absent": _of("ref", _answer(lambda answer: evolve(answer, ref=None))),
    "subject swapped": _of(
        "ref", lambda file, _: evolve(file, question=RefQuestion("alice", "hello", "refs/heads/feature"))
    ),
    "question out of form": _of(
        "ref", lambda file, _: evolve(file, question=RefQuestion("alice", "HELLO", "refs/heads/main"))
    ),
    "ref left out of all": _of("all refs", _answer(lambda answer: evolve(answer, refs=answer.refs[1:]))),
    "refs out of order": _of("all refs", _answer(lambda answer: evolve(answer, refs=answer.refs[::-1]))),
    "receipt changed": _of(
        "transaction", _answer(lambda answer: evolve(answer, receipt=evolve(answer.receipt, activities=())))
    ),
    "signature left out": _of(
        "transaction",
        _answer(lambda answer: evolve(answer, signed=evolve(answer.signed, signatures=answer.signed.signatures[:1]))),
    ),
    "gap in headers": _of("headers", _answer(lambda answer: evolve(answer, below=answer.below[:1]))),
    "way through another history": _of(
        "old header", _finality(lambda finality, _: evolve(finality, history=finality.history[::-1]))
    ),
    "network of another": _of("ref", lambda file, _: evolve(file, network=ChainId(bytes(32)))),
    "end of an epoch that did not end": _of("ref", _finality(_with_a_step)),
    "later version": lambda _network, true: _version(true),
    "bytes after the end": lambda _network, true: true["ref"] + b"\x00",
    "cut off": lambda _network, true: true["ref"][:-1],
    "nothing": lambda _network, _true: b"",
}


def _steps(change: Callable[[tuple[EpochStep, ...]], tuple[EpochStep, ...]]) -> Callable[[Any, Any], Any]:
    return lambda finality, _network: evolve(finality, epochs=change(finality.epochs))


def _second(change: Callable[[EpochStep, tuple[EpochStep, ...]], EpochStep]) -> Callable[[Any, Any], Any]:
    return _steps(lambda steps: (steps[0], change(steps[1], steps), steps[2]))


def _signed(step: EpochStep, steps: tuple[EpochStep, ...], **how: Any) -> EpochStep:
    """The end of epoch 1 with a certificate for what it now says, by its own validators."""
    top = step.children[-1] if step.children else step.header
    genesis = a_long_scene_genesis()
    return evolve(step, certificate=certificate_by(genesis, 1, steps[0].validators, proposal_of(top), **how))


WALKS: dict[str, Callable[[Any, Any], Any]] = {
    "no ends of epochs": _steps(lambda _: ()),
    "first missing": _steps(lambda steps: steps[1:]),
    "last missing": _steps(lambda steps: steps[:-1]),
    "swapped": _steps(lambda steps: (steps[1], steps[0], steps[2])),
    "one too many": _steps(lambda steps: (*steps, steps[2])),
    "another set": _second(lambda step, steps: evolve(step, validators=steps[0].validators)),
    "number jumps": _second(lambda s, all_: _signed(evolve(s, children=(), header=evolve(s.header, epoch=2)), all_)),
    "signed by the set before": _second(
        lambda step, steps: _signed(step, steps, keys_of=a_long_scene_genesis().validators)
    ),
    "too few signers": _second(lambda step, steps: _signed(step, steps, signers=(0, 1))),
    "child that is not empty": _second(
        lambda s, all_: _signed(evolve(s, children=(evolve(s.children[0], tx_root=bytes(32)),)), all_)
    ),
    "rules of a later build": _second(
        lambda s, all_: _signed(evolve(s, children=(), header=evolve(s.header, rules=99)), all_)
    ),
}


# ---- what is approved ----


def _stored() -> dict[str, Any]:
    stored: dict[str, Any] = json.loads(VECTORS.read_text())
    return stored


def _believed_by(vectors: dict[str, Any], name: str = "genesis") -> Genesis:
    return from_bytes(Genesis, bytes.fromhex(vectors[name]))


def test_the_proofs_are_the_approved_ones() -> None:
    """Other verifiers read these bytes: they change on purpose or not at all."""
    assert _stored() == vectors(), APPROVE


@pytest.mark.parametrize("part", ["", "epochs"])
def test_a_true_vector_is_believed(part: str) -> None:
    """By the genesis in the file alone, and by no other."""
    stored = _stored()[part] if part else _stored()
    for vector in stored["true"].values():
        data = bytes.fromhex(vector["proof"])

        assert vector == {"proof": vector["proof"], **_said(verify(data, _believed_by(stored)))}
        assert _code(data, _believed_by(stored, "other_genesis")) == "other-network"


@pytest.mark.parametrize("name", sorted(LIES))
def test_a_false_vector_is_refused(name: str) -> None:
    """With the code that says what is wrong."""
    vector = _stored()["false"][name]

    assert _code(bytes.fromhex(vector["proof"]), _believed_by(_stored())) == vector["code"]


@pytest.mark.parametrize("name", sorted(WALKS))
def test_a_false_walk_over_epochs_is_refused(name: str) -> None:
    """With the code that says what is wrong."""
    stored = _stored()["epochs"]
    vector = stored["false"][name]

    assert _code(bytes.fromhex(vector["proof"]), _believed_by(stored)) == vector["code"]


def test_the_example_of_the_reference_is_true() -> None:
    """The listing in the documentation is of a proof that verifies, byte for byte."""
    shown = EXAMPLE.findall(REFERENCE.read_text())

    assert shown == [example()], APPROVE


def _approve() -> None:
    VECTORS.write_text(json.dumps(vectors(), indent=1) + "\n")
    text = REFERENCE.read_text()
    REFERENCE.write_text(EXAMPLE.sub(lambda _: example(), text))


if __name__ == "__main__" and "--approve" in sys.argv:
    _approve()
