"""What ``guts verify`` says of a proof that is true: for people, and for programs."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, assert_never

import attrs

from guts_core.forge.activities import Activity
from guts_core.forge.records import Ref, Repository
from guts_core.proof import (
    Final,
    PacksQuestion,
    Proven,
    ProvenHeaders,
    ProvenPacks,
    ProvenRef,
    ProvenRefs,
    ProvenTransaction,
    Question,
    RefQuestion,
    RefsQuestion,
    Verified,
)

_KINDS: dict[type, str] = {
    ProvenRef: "ref",
    ProvenRefs: "refs",
    ProvenPacks: "packs",
    ProvenTransaction: "transaction",
    ProvenHeaders: "headers",
}
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def as_object(verified: Verified) -> dict[str, object]:
    """The object that ``--json`` prints."""
    final, answer = verified.final, verified.answer
    shown: dict[str, object] = dict.fromkeys(("repository", "oid", "refs", "packs", "transaction", "headers"))
    return {
        "kind": _KINDS[type(answer)],
        "question": str(verified.question),
        **shown,
        **_answer(answer),
        "height": final.height,
        "time": _time(final.time),
        "block": final.block_hash.hex(),
        "certified_height": final.certified_height,
        "epoch": final.epoch,
        "rules": final.rules,
        "network": {"name": final.network, "chain_id": final.chain_id.hex()},
        "signers": list(final.signers),
        "validators": final.validators,
        "quorum": final.quorum,
        "fault_model": final.fault_model.name.lower(),
        "trust": final.words,
    }


def as_text(verified: Verified, now_ms: int) -> str:
    """What people read: the answer, when it was so, and on whose word."""
    return "\n".join([*_lines(verified), *_final_lines(verified.final, now_ms)])


def _final_lines(final: Final, now_ms: int) -> list[str]:
    return [
        f"  height   {final.height}, final at {_time(final.time)} ({_age(now_ms - final.time)})",
        f"  network  {final.network} ({final.chain_id.hex()})",
        f"  epoch    {final.epoch}, rules {final.rules}",
        f"  {final.words}",
    ]


def _lines(verified: Verified) -> list[str]:
    answer = verified.answer
    match answer:
        case ProvenRef(repository, ref, oid):
            what = f"proven absent at height {verified.height}" if oid is None else oid.hex()
            return [f"{_named(verified.question, repository)}@{ref}  {what}"]
        case ProvenRefs(repository, refs):
            listed = [f"  {ref.oid.hex()}  {ref.name}" for ref in refs]
            many = {0: "no refs", 1: "exactly this ref:"}.get(len(refs), f"exactly these {len(refs)} refs:")
            return [f"{_named(verified.question, repository)} has {many}", *listed]
        case ProvenPacks(repository, refs, packs):
            stored = [f"  {pack.digest.hex()}  {pack.size} bytes, {pack.objects} objects" for pack in packs]
            only = [f"  {ref.oid.hex()}  {ref.name}" for ref in refs]
            what = f"exactly these {len(refs)} refs and {len(packs)} packs:"
            return [f"{_named(verified.question, repository)} has {what}", *only, *stored]
        case ProvenTransaction():
            return _transaction_lines(answer)
        case ProvenHeaders(headers):
            return [
                f"headers {headers[0].height} to {headers[-1].height}, the last one {verified.final.block_hash.hex()}"
            ]
        case _:
            assert_never(answer)


def _named(question: Question, repository: Repository) -> str:
    """The repository as it was asked for, with the name it has now where that is another."""
    assert isinstance(question, RefQuestion | RefsQuestion | PacksQuestion)
    is_former = repository.name.lower() != question.name
    return f"{question.owner}/{question.name}" + (f" (now called {repository.name})" if is_former else "")


def _transaction_lines(answer: ProvenTransaction) -> list[str]:
    body, receipt = answer.signed.body, answer.receipt
    ended = "took effect" if receipt.error is None else f"was refused: {receipt.error}: {receipt.message}"
    shown = receipt.activities if answer.activity is None else (answer.activity,)
    return [
        f"transaction {receipt.tx_id.hex()} {ended}",
        f"  author   {body.author.hex()}",
        *(f"  key      {signature.public_key.hex()}" for signature in answer.signed.signatures),
        *(f"  {type(activity).__name__}  {_words(activity)}" for activity in shown),
    ]


def _words(activity: Activity) -> str:
    return ", ".join(f"{name} {value}" for name, value in _fields(activity).items())


# ---- for programs ----


def _answer(answer: Proven) -> dict[str, object]:
    match answer:
        case ProvenRef(repository, _, oid):
            return {**_repository(repository), "oid": None if oid is None else oid.hex()}
        case ProvenRefs(repository, refs):
            return {**_repository(repository), "refs": [_ref(ref) for ref in refs]}
        case ProvenPacks(repository, refs, packs):
            listed = {"refs": [_ref(ref) for ref in refs], "packs": [_fields(pack) for pack in packs]}
            return {**_repository(repository), **listed}
        case ProvenTransaction():
            return {"transaction": _transaction(answer)}
        case ProvenHeaders(headers):
            return {"headers": [_fields(header) for header in headers]}
        case _:
            assert_never(answer)


def _repository(repository: Repository) -> dict[str, object]:
    return {"repository": {"id": repository.id.hex(), "name": repository.name, "private": repository.private}}


def _ref(ref: Ref) -> dict[str, object]:
    return {"ref": ref.name, "oid": ref.oid.hex()}


def _transaction(answer: ProvenTransaction) -> dict[str, object]:
    body, receipt = answer.signed.body, answer.receipt
    return {
        "id": receipt.tx_id.hex(),
        "author": body.author.hex(),
        "via": None if body.via is None else _fields(body.via),
        "keys": [signature.public_key.hex() for signature in answer.signed.signatures],
        "actions": [_activity(action) for action in body.actions],
        "index": answer.index,
        "error": receipt.error,
        "message": receipt.message,
        "activities": [_activity(activity) for activity in receipt.activities],
        "activity": None if answer.activity is None else _activity(answer.activity),
    }


def _activity(record: Any) -> dict[str, object]:
    return {"kind": type(record).__name__, **_fields(record)}


def _fields(record: Any) -> dict[str, object]:
    """A record by the names of its fields: bytes in hexadecimal, numbers with names as these."""
    return attrs.asdict(record, value_serializer=lambda _record, _field, value: _plain(value))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return value.name.lower() if isinstance(value, IntEnum) else value


def _time(milliseconds: int) -> str:
    whole = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"


def _age(milliseconds: int) -> str:
    seconds = milliseconds // 1000
    if seconds < 0:
        return "in the future by this machine's clock"
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= size), _UNITS[-1])
    return f"{seconds // size} {unit} ago"
