"""A proof file taken apart byte by byte, for the reference and for whoever writes another verifier."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import Any

import attrs

from guts_core.chain.genesis import chain_id
from guts_core.chain.header import block_hash
from guts_core.codec import encode, from_bytes, to_value
from guts_core.forge import paths
from guts_core.forge.records import AccountNameHolder
from guts_core.identity import Ed25519Verifier
from guts_core.proof.format import Lookup, ProofFile, RefAnswer
from guts_core.proof.questions import about_ref
from guts_core.proof.repository import PARTING_BITS, refs_root
from guts_core.simplex.committee import Committee
from guts_core.state.keys import tree_key
from guts_core.state.nodes import inner_hash, leaf_hash, value_hash
from tests.core.chain.chain_world import a_genesis
from tests.core.proof.proof_world import ProofNetwork, a_scene

SHOWN_BYTES = 8
QUESTION = about_ref("alice", "hello", "main")


def network() -> ProofNetwork:
    """One validator, one repository, two refs: as small as a proof of a ref gets."""
    return a_scene(ProofNetwork(a_genesis(1), signers=(0,)), ("refs/heads/dev", "refs/heads/main")).network


def example() -> str:
    """The listing that stands in the reference."""
    made = network()
    data = made.prove(QUESTION)
    file = from_bytes(ProofFile, data)
    lines = [*_listing(file, "", 0, 0), f"{len(data):04d}  end", "", *_by_hand(made, file)]
    return "\n".join(lines)


def _listing(record: Any, name: str, offset: int, depth: int) -> Iterator[str]:
    """One line for each field: where it begins, what it is called, what it says."""
    value = to_value(record)
    assert isinstance(value, tuple)
    yield _line(offset, depth, name, f"{type(record).__name__} [{value[0]}, {value[1]}, ...]")
    at = offset + len(_head(len(value))) + len(encode(value[0])) + len(encode(value[1]))
    for field, encoded in zip(attrs.fields(type(record)), value[2:], strict=True):
        yield from _field(getattr(record, field.name), field.name, at, depth + 1)
        at += len(encode(encoded))


def _field(value: Any, name: str, at: int, depth: int) -> Iterator[str]:
    if attrs.has(type(value)):
        yield from _listing(value, name, at, depth)
    elif isinstance(value, tuple):
        yield _line(at, depth, name, f"{len(value)} items")
        at += len(_head(len(value)))
        for number, item in enumerate(value):
            yield from _field(item, str(number), at, depth + 1)
            at += len(encode(to_value(item) if attrs.has(type(item)) else item))
    else:
        yield _line(at, depth, name, _plain(value))


def _head(items: int) -> bytes:
    return encode(tuple([0] * items))[: -items or None]


def _line(at: int, depth: int, name: str, words: str) -> str:
    return f"{at:04d}  {'  ' * depth}{name}{' ' if name else ''}{words}"


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        shown = value[:SHOWN_BYTES].hex()
        return f"{len(value)} bytes {shown}{'..' if len(value) > SHOWN_BYTES else ''}"
    if isinstance(value, IntEnum):
        return f"{int(value)} ({value.name.lower()})"
    return "null" if value is None else repr(value)


def _by_hand(made: ProofNetwork, file: ProofFile) -> Iterator[str]:
    """What a verifier computes, in the order of the description."""
    answer, final = file.answer, file.finality
    assert isinstance(answer, RefAnswer)
    assert isinstance(answer.ref, Lookup)
    genesis = made.genesis
    yield f"chain id of the genesis          {chain_id(genesis).hex()}"
    yield f"hash of the header               {block_hash(final.header).hex()}"
    committee = Committee(chain_id(genesis), 0, genesis.vote_keys, genesis.fault_model, Ed25519Verifier())
    signed = committee.content(final.certificate.kind, final.certificate.view, final.certificate.proposal)
    yield f"what validators signed           {len(signed)} bytes {signed[:SHOWN_BYTES].hex()}.. after tag and chain id"
    key = tree_key(paths.account_name("alice"))
    yield f"tree key of the name alice       {key.hex()}"
    hashed = leaf_hash(key, value_hash(answer.account.value))
    yield f"its leaf                         {hashed.hex()}"
    for step in reversed(answer.account.steps):
        side = key[step.bits >> 3] >> (7 - (step.bits & 7)) & 1
        left, right = (step.other, hashed) if side else (hashed, step.other)
        hashed = inner_hash(step.bits, key, left, right)
        yield f"up to the node of {step.bits:3} bits         {hashed.hex()}"
    yield f"that is the state root           {final.header.state_root.hex()}"
    account = from_bytes(AccountNameHolder, answer.account.value).account
    yield f"tree key of the name hello       {tree_key(paths.repository_name(account, 'hello')).hex()}"
    refs = refs_root(answer.repository.steps)
    assert refs is not None
    yield f"root of refs, at {PARTING_BITS} bits         {refs.hex()}"
