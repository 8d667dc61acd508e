"""``GET /api/guts/v1/proof``: proofs over HTTP, and who gets which."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from guts_core.chain.transaction import transaction_id
from guts_core.codec import to_bytes
from guts_core.forge.actions import CreateRepository, SetCollaborator
from guts_core.forge.ids import repository_id
from guts_core.forge.records import ObjectFormat, Role, Scope
from guts_core.proof import (
    HeadersQuestion,
    ProvenHeaders,
    ProvenRef,
    ProvenRefs,
    ProvenTransaction,
    RefsQuestion,
    Verified,
    verify,
)
from guts_core.proof.questions import about_ref
from tests.http.node_world import Node, a_history, bearing, git, open_world

PATH = "/api/guts/v1/proof"


async def get(node: Node, token: str | None = None, **params: str) -> httpx.Response:
    return await node.http.get(PATH, params=params, headers=bearing(token) if token else {})


def shown(node: Node, response: httpx.Response) -> Verified:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/cbor"
    return verify(response.content, node.genesis)


def creation(name: str, *, private: bool, salt: bytes = bytes(32)) -> CreateRepository:
    return CreateRepository(name, salt, private, "refs/heads/main", ObjectFormat.SHA1, "all", None)


async def test_refs_are_proven_to_anyone(tmp_path: Path) -> None:
    """A branch by its own name or its full one, an absent one, all of them, whatever case the names are in."""
    async with open_world(tmp_path) as node:
        token = await node.token("alice")
        await node.create(token, "Hello")
        work = await a_history(tmp_path / "work")
        await git(work, "push", "-q", node.remote("alice/Hello.git", "alice", token), "HEAD:main", "HEAD:dev")
        tip = (await git(work, "rev-parse", "HEAD")).out.strip()
        main = await get(node, repo="alice/Hello", ref="main")
        full = await get(node, repo="Alice/hello", ref="refs/heads/main")
        none = await get(node, repo="alice/Hello", ref="gone")
        every = await get(node, repo="alice/Hello", refs="all")

    value = verify(main.content, node.genesis, about_ref("alice", "hello", "main"))
    assert isinstance(value.answer, ProvenRef)
    assert value.answer.oid is not None
    assert value.answer.oid.hex() == tip
    assert value.answer.repository.name == "Hello"
    assert int(main.headers["guts-height"]) == value.height
    assert full.content == main.content
    absent = shown(node, none).answer
    assert isinstance(absent, ProvenRef)
    assert absent.oid is None
    listed = verify(every.content, node.genesis, RefsQuestion("alice", "hello")).answer
    assert isinstance(listed, ProvenRefs)
    assert [(ref.name, ref.oid.hex()) for ref in listed.refs] == [("refs/heads/dev", tip), ("refs/heads/main", tip)]


async def test_a_transaction_is_proven_with_its_receipt(tmp_path: Path) -> None:
    """Who signed it, what became of it, and one thing that it did."""
    async with open_world(tmp_path) as node:
        signed = node.signed("alice", creation("hello", private=False))
        assert (await node.submit(signed)).status_code == 201
        digits = transaction_id(signed.body).hex()
        whole = await get(node, tx=digits)
        part = await get(node, tx=digits, activity="0")
        beyond = await get(node, tx=digits, activity="1")
        unknown = await get(node, tx="00" * 32)
        headers = await get(node, headers="1-1")
        header = await get(node, header="1")

    answer = shown(node, whole).answer
    assert isinstance(answer, ProvenTransaction)
    assert to_bytes(answer.signed) == to_bytes(signed)
    assert answer.receipt.error is None
    assert answer.activity is None
    one = shown(node, part).answer
    assert isinstance(one, ProvenTransaction)
    assert type(one.activity).__name__ == "RepositoryCreated"
    assert beyond.status_code == 422
    assert unknown.status_code == 404
    assert unknown.json()["message"] == f"no block here holds transaction {'00' * 32}"
    run = verify(headers.content, node.genesis, HeadersQuestion(1, 1)).answer
    assert run == shown(node, header).answer
    assert isinstance(run, ProvenHeaders)


async def test_what_is_private_is_proven_to_those_who_may_read_it(tmp_path: Path) -> None:
    """A proof is a read: without the permission there is nothing, in the words of every other read."""
    async with open_world(tmp_path) as node:
        alice, bob = await node.token("alice"), await node.token("bob", Scope.READ)
        made = node.signed("alice", creation("secret", private=True))
        await node.submit(made)
        repo = repository_id(node.chain, node.people["alice"].id, bytes(32))
        digits = transaction_id(made.body).hex()

        async def answers(token: str | None) -> list[int]:
            asked = [{"repo": "alice/secret", "ref": "main"}, {"repo": "alice/secret", "refs": "all"}, {"tx": digits}]
            return [(await get(node, token, **params)).status_code for params in asked]

        outsiders = [await answers(None), await answers(bob)]
        owner = await answers(alice)
        invited = node.signed("alice", SetCollaborator(repo, node.people["bob"].id, Role.READ))
        await node.submit(invited)
        member = await answers(bob)
        private = await get(node, bob, repo="alice/secret", refs="all")

    assert outsiders == [[404, 404, 404], [404, 404, 404]]
    assert owner == [200, 200, 200]
    assert member == [200, 200, 200]
    assert private.headers["cache-control"] == "private, no-store"


async def test_a_refused_private_creation_and_a_token_are_shown_to_their_author_alone(tmp_path: Path) -> None:
    """What a transaction names and never came to be, or what its owner noted on a token, is nobody else's."""
    async with open_world(tmp_path) as node:
        alice, bob = await node.token("alice"), await node.token("bob")
        await node.submit(node.signed("alice", creation("taken", private=False)))
        refused = node.signed("alice", creation("taken", private=True, salt=b"2" * 32))
        assert (await node.submit(refused)).status_code == 409
        digits = transaction_id(refused.body).hex()
        found = [(await get(node, token, tx=digits)).status_code for token in (None, bob, alice)]
        proof = await get(node, alice, tx=digits)

    assert found == [404, 404, 200]
    answer = shown(node, proof).answer
    assert isinstance(answer, ProvenTransaction)
    assert answer.receipt.error == "name-taken"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?repo=alice/hello",
        "?repo=hello&ref=main",
        "?repo=alice/hello&refs=some",
        "?repo=alice/hello&ref=main&refs=all",
        "?repo=alice/hello&ref=main&ref=dev",
        "?tx=ab&header=1",
        "?headers=1",
        "?headers=a-b",
        "?header=-1",
        "?header=1&colour=red",
    ],
)
async def test_what_is_no_one_question_is_refused(tmp_path: Path, query: str) -> None:
    """400 says what can be asked."""
    async with open_world(tmp_path) as node:
        answer = await node.http.get(PATH + query)

    assert answer.status_code == 400, answer.text


async def test_questions_that_can_have_no_answer_are_refused_with_words(tmp_path: Path) -> None:
    """Names outside the grammar, headers from nowhere to nowhere, ids that are none."""
    async with open_world(tmp_path) as node:
        early = await get(node, header="1")
        await node.token("alice")
        asked = {
            422: [
                {"repo": "alice/hello", "ref": "a..b"},
                {"tx": "abc"},
                {"headers": "2-1"},
                {"headers": "0-1"},
                {"headers": "1-1000"},
                {"header": "0"},
            ],
            404: [
                {"repo": "alice/none", "ref": "main"},
                {"repo": "nobody/none", "refs": "all"},
                {"header": "999"},
                {"headers": "1-200"},
            ],
        }
        found = {status: [(await get(node, **params)).status_code for params in many] for status, many in asked.items()}

    assert early.status_code == 503
    assert found == {status: [status] * len(many) for status, many in asked.items()}
