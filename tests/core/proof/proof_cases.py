"""One scene of a network, its proofs, and what a forger does to them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from attrs import evolve

from guts_core.chain.genesis import Genesis
from guts_core.chain.transaction import transaction_id
from guts_core.codec import from_bytes, to_bytes
from guts_core.proof import (
    Question,
    TransactionQuestion,
)
from guts_core.proof.format import (
    ProofFile,
)
from guts_core.proof.questions import about_ref, about_refs
from tests.core.proof.proof_world import Scene, a_scene

MAIN = about_ref("alice", "hello", "main")
GONE = about_ref("alice", "hello", "gone")
ALL = about_refs("alice", "hello")


@cache
def scene() -> Scene:
    return a_scene()


@cache
def genesis() -> Genesis:
    return scene().network.genesis


def pushed() -> TransactionQuestion:
    return TransactionQuestion(transaction_id(scene().pushed.body))


@cache
def proof_of(question: Question) -> bytes:
    return scene().network.prove(question)


def changed(question: Question, change: Callable[[ProofFile], ProofFile]) -> bytes:
    """The proof after somebody had a hand in it, its bytes canonical again."""
    return to_bytes(change(from_bytes(ProofFile, proof_of(question))))


def altered(record: Any, **fields: Any) -> Any:
    return evolve(record, **fields)


def turned(data: bytes) -> bytes:
    """The same bytes but for one bit."""
    return bytes((data[0] ^ 1,)) + data[1:]
