"""Texts over HTTP: shown with their words, erased without a trace of them, absent and erased told apart."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from guts_core.chain.commit import TextName
from guts_core.chain.texts import DIRECTORY, file_of
from guts_core.chain.transaction import Item, Text
from guts_core.codec import to_bytes
from guts_core.forge.actions import CreateRepository, DescribeRepository, SetCollaborator
from guts_core.forge.ids import repository_id
from guts_core.forge.queries import repository_by_name
from guts_core.forge.records import ObjectFormat, Role, Scope
from guts_core.names import RepoId
from guts_http.reader import Reader
from tests.http.node_world import Node, bearing, open_world

WORDS = "words that somebody may regret"


def texts_url(repo: str, text: Text | None = None) -> str:
    return f"/api/guts/v1/repos/{repo}/texts" + (f"/{text.commitment.hex()}" if text else "")


def a_text(words: str = WORDS) -> Text:
    return Text(os.urandom(32), words)


def repo_of(node: Node, owner: str, name: str) -> RepoId:
    reader = Reader(node.database, node.genesis)
    with reader.snapshot() as snapshot:
        found = repository_by_name(snapshot, owner, name)
    reader.close()
    assert found is not None
    return found.id


def file(node: Node, repo: RepoId, text: Text) -> Path:
    return node.database.parent / DIRECTORY / file_of(TextName(repo, text.commitment))


def holders_of(directory: Path, words: str) -> set[str]:
    """The names of the files that hold these words."""
    return {path.name for path in directory.rglob("*") if path.is_file() and words.encode() in path.read_bytes()}


async def described(node: Node, text: Text, *, private: bool = False) -> RepoId:
    """Alice's repository with this description, submitted as the CLI does: signed elsewhere, the text beside."""
    salt = os.urandom(32)
    action = CreateRepository("hello", salt, private, "refs/heads/main", ObjectFormat.SHA1, "all", text.commitment)
    response = await posted(node, Item(node.signed("alice", action), None, (text,)))
    assert response == (201, None), response
    return repository_id(node.chain, node.people["alice"].id, salt)


async def posted(node: Node, item: object) -> tuple[int, str | None]:
    """The status of posting this, and the words of its refusal."""
    headers = {"content-type": "application/cbor"}
    response = await node.http.post("/api/guts/v1/transactions", content=to_bytes(item), headers=headers)
    return response.status_code, None if response.status_code == 201 else response.json()["message"]


async def test_a_text_is_submitted_beside_its_transaction_and_shown(tmp_path: Path) -> None:
    """Item bytes where a transaction has texts, the transaction's alone where it has none: one content type."""
    text = a_text()
    async with open_world(tmp_path) as node:
        repo = await described(node, text)
        shown = (await node.http.get("/api/v3/repos/alice/hello")).json()
        one = await node.http.get(texts_url("alice/hello", text))
        listed = await node.http.get(texts_url("alice/hello"))

        assert file(node, repo, text).read_bytes() == to_bytes(text)
    assert shown["description"] == WORDS
    expected = {"commitment": text.commitment.hex(), "author": "alice", "state": "present", "in_use": True}
    assert one.json() == {**expected, "text": WORDS}
    assert listed.json() == [expected]


async def test_a_text_that_is_missing_or_unasked_for_is_refused_before_it_is_ordered(tmp_path: Path) -> None:
    text, other = a_text(), a_text("other words")
    async with open_world(tmp_path) as node:
        action = CreateRepository(
            "hello", bytes(32), False, "refs/heads/main", ObjectFormat.SHA1, "all", text.commitment
        )
        signed = node.signed("alice", action)
        lacking = await posted(node, signed)
        foreign = await posted(node, Item(signed, None, (text, other)))

    assert lacking == (422, "a text that the transaction commits to is not here")
    assert foreign == (422, "a text matches no commitment of the transaction, or stands twice")


async def test_an_erased_text_is_gone_and_said_to_be_erased(tmp_path: Path) -> None:
    """By token of its author: the commitment stays, the words are in no answer and in no file."""
    text = a_text()
    async with open_world(tmp_path) as node:
        repo = await described(node, text)
        token = await node.token("alice")
        erased = await node.http.delete(texts_url("alice/hello", text), headers=bearing(token))
        again = await node.http.delete(texts_url("alice/hello", text), headers=bearing(token))
        one = await node.http.get(texts_url("alice/hello", text))
        shown = await node.http.get("/api/v3/repos/alice/hello")

        assert not file(node, repo, text).exists()
    assert (erased.status_code, again.status_code) == (204, 204)
    assert int(erased.headers["guts-height"]) > 0
    assert (one.json()["state"], one.json()["text"], one.json()["in_use"]) == ("erased", None, True)
    assert (shown.status_code, shown.json()["description"]) == (200, None)


async def test_an_absent_text_is_no_erased_one(tmp_path: Path) -> None:
    """Come back later, says 503; a list of repositories is shown all the same."""
    text = a_text()
    async with open_world(tmp_path) as node:
        repo = await described(node, text)
        file(node, repo, text).unlink()
        one = await node.http.get(texts_url("alice/hello", text))
        shown = await node.http.get("/api/v3/repos/alice/hello")
        file(node, repo, text).write_bytes(to_bytes(a_text("not the one")))
        damaged = await node.http.get(texts_url("alice/hello", text))

    assert (one.status_code, damaged.status_code) == (503, 503)
    assert "being fetched" in one.json()["message"]
    assert int(one.headers["retry-after"]) > 0
    assert (shown.status_code, shown.json()["description"]) == (200, None)


async def test_who_may_not_erase_is_told_why_and_nothing_happens(tmp_path: Path) -> None:
    """Nobody unknown, no reader, no writer; an administrator may."""
    text = a_text()
    async with open_world(tmp_path) as node:
        repo = await described(node, text)
        for name, role in (("bob", Role.WRITE), ("carol", Role.ADMIN)):
            action = SetCollaborator(repo, node.people[name].id, role)
            assert (await node.submit(node.signed("alice", action))).status_code == 201
        unknown = await node.http.delete(texts_url("alice/hello", text))
        writer = await node.http.delete(texts_url("alice/hello", text), headers=bearing(await node.token("bob")))
        reading = await node.token("alice", Scope.READ)
        reader = await node.http.delete(texts_url("alice/hello", text), headers=bearing(reading))
        still = await node.http.get(texts_url("alice/hello", text))
        admin = await node.http.delete(texts_url("alice/hello", text), headers=bearing(await node.token("carol")))

    assert (unknown.status_code, writer.status_code, reader.status_code) == (401, 403, 403)
    assert "may not erase this text" in writer.json()["message"]
    assert still.json()["state"] == "present"
    assert admin.status_code == 204


async def test_texts_of_a_private_repository_are_as_hidden_as_it_is(tmp_path: Path) -> None:
    text = a_text()
    async with open_world(tmp_path) as node:
        await described(node, text, private=True)
        token = await node.token("bob")
        answers = [
            await node.http.get(texts_url("alice/hello", text)),
            await node.http.get(texts_url("alice/hello", text), headers=bearing(token)),
            await node.http.get(texts_url("alice/hello"), headers=bearing(token)),
            await node.http.delete(texts_url("alice/hello", text), headers=bearing(token)),
        ]
        own = await node.http.get(texts_url("alice/hello", text), headers=bearing(await node.token("alice")))

    assert [answer.status_code for answer in answers] == [404] * 4
    assert all(WORDS not in answer.text for answer in answers)
    assert own.json()["text"] == WORDS


@pytest.mark.parametrize(("name", "status"), [("00" * 32, 404), ("zz" * 32, 400), ("00", 400)])
async def test_a_text_is_named_by_its_whole_commitment(tmp_path: Path, name: str, status: int) -> None:
    async with open_world(tmp_path) as node:
        await described(node, a_text())
        found = await node.http.get(f"/api/guts/v1/repos/alice/hello/texts/{name}")

    assert found.status_code == status


async def test_texts_are_listed_in_pages_with_older_descriptions_among_them(tmp_path: Path) -> None:
    """What was replaced is still there, and can be found to be erased."""
    texts = [a_text(f"version {number}") for number in range(3)]
    async with open_world(tmp_path) as node:
        repo = await described(node, texts[0])
        for text in texts[1:]:
            action = DescribeRepository(repo, text.commitment)
            assert (await posted(node, Item(node.signed("alice", action), None, (text,))))[0] == 201
        first = await node.http.get(texts_url("alice/hello"), params={"per_page": 2})
        second = await node.http.get(first.links["next"]["url"])

    found = {one["commitment"]: one["in_use"] for one in first.json() + second.json()}
    assert list(found) == sorted(text.commitment.hex() for text in texts)
    assert [found[text.commitment.hex()] for text in texts] == [False, False, True]
    assert "next" not in second.links


async def test_a_text_stands_in_no_log_and_no_database(tmp_path: Path) -> None:
    """Only the file holds it, and the vote log until its next compaction."""
    text = a_text("a canary of " + os.urandom(12).hex())
    async with open_world(tmp_path) as node:
        await described(node, text)
        await node.http.get(texts_url("alice/hello", text))

    holding = holders_of(tmp_path, text.text)
    assert {name for name in holding if not name.startswith(text.commitment.hex())} <= {"votes.log"}
    assert any(name.startswith(text.commitment.hex()) for name in holding)
