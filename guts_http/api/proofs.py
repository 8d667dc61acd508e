"""``/api/guts/v1/proof``: what this node knows, in a form that needs no trust in it (``guts_core.proof``)."""

from __future__ import annotations

import re
from typing import assert_never

from quart import Response, request

from guts_core.errors import Unavailable
from guts_core.forge.permissions import Permission
from guts_core.forge.records import Repository
from guts_core.names import TxId
from guts_core.node.port import AskProof, ProofAnswer
from guts_core.proof import (
    ActivityQuestion,
    HeaderQuestion,
    HeadersQuestion,
    PacksQuestion,
    Question,
    RefQuestion,
    RefsQuestion,
    TransactionQuestion,
)
from guts_core.proof.questions import about_packs, about_ref, about_refs, about_transaction
from guts_http.port import Port, open_conversation
from guts_http.problems import BadRequest
from guts_http.routing import HEIGHT, Access, Asked, Routes, cache_control

from .seen import named_in

routes = Routes()
CONTENT_TYPE = "application/cbor"
WORDS = (
    "ask for repo=OWNER/NAME with ref=REF or refs=all (and packs=all), tx=ID (and activity=N), headers=A-B, or header=H"
)
_HEIGHT = re.compile(r"[0-9]{1,15}", re.ASCII)


@routes.serves("/api/guts/v1/proof", Access.PUBLIC)
async def get_proof(asked: Asked) -> Response:
    """The proof file that answers one question; what the caller may not read is not there."""
    question = _question()
    repositories = _readable(asked, question)
    if any(repository.private for repository in repositories):
        await asked.site.check_private_reads()
    is_about_one = isinstance(question, RefQuestion | RefsQuestion | PacksQuestion)
    height, proof = await _proof(asked.site.port, AskProof(question, repositories[0].id if is_about_one else None))
    response = Response(proof, content_type=CONTENT_TYPE)
    personal = bool(repositories) and not asked.caller.is_anonymous
    response.headers["Cache-Control"] = cache_control(personal=personal)
    response.headers["Vary"] = "Authorization"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers[HEIGHT] = str(height)
    return response


async def _proof(port: Port, question: AskProof) -> tuple[int, bytes]:
    data = bytearray()
    async with open_conversation(port, question) as conversation:
        while True:
            reply = await conversation.hear()
            if not isinstance(reply, ProofAnswer):
                raise Unavailable("the node behind this door answered something else")
            data += reply.data
            if len(data) >= reply.size:
                return reply.height, bytes(data)


# ---- what is asked ----


def _question() -> Question:
    given = request.args.to_dict(flat=False)
    if any(len(values) > 1 for values in given.values()):
        raise BadRequest(f"one question at a time: {WORDS}")
    asked = {name: values[0] for name, values in given.items()}
    match sorted(asked):
        case ["ref", "repo"]:
            return about_ref(*_names(asked["repo"]), asked["ref"])
        case ["refs", "repo"] if asked["refs"] == "all":
            return about_refs(*_names(asked["repo"]))
        case ["packs", "refs", "repo"] if asked["refs"] == asked["packs"] == "all":
            return about_packs(*_names(asked["repo"]))
        case ["tx"]:
            return about_transaction(asked["tx"])
        case ["activity", "tx"]:
            return ActivityQuestion(about_transaction(asked["tx"]).tx_id, _number(asked["activity"]))
        case ["headers"]:
            first, _, last = asked["headers"].partition("-")
            return HeadersQuestion(_number(first), _number(last))
        case ["header"]:
            return HeaderQuestion(_number(asked["header"]))
        case _:
            raise BadRequest(WORDS)


def _names(text: str) -> tuple[str, str]:
    owner, slash, name = text.partition("/")
    if not (owner and slash and name):
        raise BadRequest("repo is OWNER/NAME")
    return owner, name


def _number(text: str) -> int:
    if not _HEIGHT.fullmatch(text):
        raise BadRequest(f"{text[:30]!a} is no whole number: {WORDS}")
    return int(text)


# ---- who may see it ----


def _readable(asked: Asked, question: Question) -> list[Repository]:
    """The repositories that an answer shows, all of which the caller may read; raises NotFound otherwise."""
    with asked.site.reader.snapshot() as snapshot:
        match question:
            case RefQuestion(owner, name) | RefsQuestion(owner, name) | PacksQuestion(owner, name):
                return [asked.site.repository(snapshot, asked.caller, owner, name, Permission.READ_REPOSITORY)]
            case TransactionQuestion() | ActivityQuestion():
                return named_in(asked, snapshot, TxId(question.tx_id))
            case HeadersQuestion() | HeaderQuestion():
                return []
            case _:
                assert_never(question)
