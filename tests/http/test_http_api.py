"""The JSON API over a running node: shapes, refusals, and what the contract promises to scripts."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path

import httpx
import pytest
import trio
from attrs import evolve

from guts_core.chain.transaction import transaction_id
from guts_core.forge.actions import CreateRepository
from guts_core.forge.queries import repository_by_name
from guts_core.forge.records import ObjectFormat, Scope
from guts_core.identity import token_of
from guts_http.app import all_routes, create_app
from guts_http.metrics import Metrics
from guts_http.reader import Reader
from guts_http.site import Settings
from tests.http.http_world import open_server
from tests.http.node_world import a_history, bearing, git, open_world

HEX64 = re.compile(r"[0-9a-f]{64}")
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z")


def a_repository(name: str) -> CreateRepository:
    return CreateRepository(name, bytes(32), False, "refs/heads/main", ObjectFormat.SHA1, "all", None)


async def test_a_repository_is_created_shown_and_listed(tmp_path: Path) -> None:
    """201 with Location; what GitHub's clients read is there; the description came through the block."""
    async with open_world(tmp_path) as node:
        token = await node.token("alice")
        created = await node.create(token, "Hello", description="a <b>first</b> one")
        shown = await node.http.get(created.headers["location"])
        listed = await node.http.get("/api/v3/user/repos", headers=bearing(token))

    assert created.status_code == 201
    assert int(created.headers["guts-height"]) > 0
    body = shown.json()
    assert body["full_name"] == "alice/Hello"
    assert body["description"] == "a <b>first</b> one"
    assert body["clone_url"] == f"{node.url}/alice/Hello.git"
    assert body["owner"]["login"] == "alice"
    assert body["default_branch"] == "main"
    assert body["visibility"] == "public"
    assert (body["id"], body["private"], body["ssh_url"]) == (1, False, None)
    assert RFC3339.fullmatch(body["created_at"])
    assert body["permissions"] == {"admin": False, "push": False, "pull": True}
    assert created.json()["permissions"] == {"admin": True, "push": True, "pull": True}
    assert [one["name"] for one in listed.json()] == ["Hello"]


async def test_a_description_is_found_by_another_process(tmp_path: Path) -> None:
    """Not from this door's memory: from the block that carried the text."""
    async with open_world(tmp_path) as node:
        await node.create(await node.token("alice"), "hello", description="words")
        await node.create(await node.token("alice"), "after")
        app = create_app(node.port, node.database, node.genesis)
        async with open_server(app, finish=False) as server, httpx.AsyncClient(base_url=server.url) as fresh:
            shown = await fresh.get("/api/v3/repos/alice/hello")

    assert shown.json()["description"] == "words"


async def test_names_are_found_in_any_case(tmp_path: Path) -> None:
    """One repository a name, whatever its case."""
    async with open_world(tmp_path) as node:
        token = await node.token("alice")
        await node.create(token, "Hello")
        again = await node.create(token, "hELLO")
        shown = await node.http.get("/api/v3/repos/Alice/HELLO")

    assert shown.json()["name"] == "Hello"
    assert again.status_code == 422
    assert again.json()["errors"][0]["code"] == "already_exists"


async def test_everything_wrong_with_a_body_is_said_at_once(tmp_path: Path) -> None:
    """422 in GitHub's shape with all errors; nothing is coerced; unknown fields are ignored here."""
    async with open_world(tmp_path) as node:
        token = await node.token("alice")
        wrong = await node.create(token, "x", private="yes", description=7, auto_init=0, unknown=1)
        missing = await node.http.post("/api/v3/user/repos", json={}, headers=bearing(token))
        named = await node.create(token, "a b")
        broken = await node.http.post("/api/v3/user/repos", content=b"{", headers=bearing(token))
        twice = await node.http.post(
            "/api/v3/user/repos", content=b'{"name": "a", "name": "b"}', headers=bearing(token)
        )
        array = await node.http.post("/api/v3/user/repos", content=b"[]", headers=bearing(token))
        ignored = await node.create(token, "fine", unknown=1, id=7, owner_id=9, created_at="1970")

    body = wrong.json()
    assert wrong.status_code == 422
    assert body["message"] == "Validation Failed"
    assert body["status"] == "422"
    assert "documentation_url" in body
    assert sorted(error["field"] for error in body["errors"]) == ["auto_init", "description", "private"]
    assert missing.json()["errors"][0]["code"] == "missing_field"
    assert named.status_code == 422
    assert [one.status_code for one in (broken, twice, array)] == [400, 400, 400]
    assert ignored.status_code == 201
    assert ignored.json()["id"] == 1


async def test_errors_have_one_shape(tmp_path: Path) -> None:
    """JSON with message, documentation_url and status, also where no handler ran."""
    async with open_world(tmp_path) as node:
        answers = {
            401: await node.http.get("/api/v3/user"),
            404: await node.http.get("/no/such/page/at/all"),
            405: await node.http.post("/api/v3/user"),
            413: await node.http.post("/api/v3/user/repos", content=bytes(2 << 20)),
        }

    for status, answer in answers.items():
        body = answer.json()
        assert answer.status_code == status
        assert body["status"] == str(status)
        assert {"message", "documentation_url"} <= set(body)
        assert "x-request-id" in answer.headers


async def test_clients_of_github_find_the_texts_they_choose_exceptions_by(tmp_path: Path) -> None:
    """What is not there, and a token that is not accepted; the node's own sentence stands beside, and is ours alone."""
    stranger = {"Authorization": f"token {token_of(bytes(32))}"}
    async with open_world(tmp_path) as node:
        missing = (await node.http.get("/api/v3/repos/alice/nothing")).json()
        refused = (await node.http.get("/api/v3/user", headers=stranger)).json()
        unsaid = (await node.http.get("/api/v3/user")).json()
        ours = (await node.http.get("/api/guts/v1/repos/alice/nothing/reflog")).json()

    assert (missing["message"], missing["code"]) == ("Not Found", "not-found")
    assert refused["message"] == "Bad credentials"
    assert unsaid["message"] == "Requires authentication"
    assert missing["detail"] == ours["message"] == "there is no such repository, or you may not read it"
    assert refused["detail"] == "the token is unknown, expired or revoked"
    assert "detail" not in ours


async def test_a_method_that_is_not_served_is_answered_with_those_that_are(tmp_path: Path) -> None:
    """RFC 9110 wants it, and whoever explores by hand is helped."""
    async with open_world(tmp_path) as node:
        answer = await node.http.put("/api/v3/user/repos")

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")


async def test_private_and_missing_are_the_same_404(tmp_path: Path) -> None:
    """The API never challenges for a repository: it is not there."""
    async with open_world(tmp_path) as node:
        await node.create(await node.token("alice"), "hush", private=True)
        bob = await node.token("bob")
        answers = [
            await node.http.get(f"/api/v3/repos/{path}", headers=headers)
            for path in ("alice/hush", "alice/nothing", "nobody/x")
            for headers in ({}, bearing(bob))
        ]

    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1


async def test_a_collaborator_comes_pushes_and_goes(tmp_path: Path) -> None:
    """PUT gives a role, DELETE takes it; each takes effect at once, for git too."""
    async with open_world(tmp_path / "net") as node:
        alice, bob = await node.token("alice"), await node.token("bob")
        await node.create(alice, "hush", private=True)
        work = await a_history(tmp_path)
        remote = node.remote("alice/hush.git", "bob", bob)
        path = "/api/v3/repos/alice/hush/collaborators"
        before = await git(work, "push", remote, "main")
        reading = await node.http.put(f"{path}/bob", json={"permission": "pull"}, headers=bearing(alice))
        cannot = await git(work, "push", remote, "main")
        writing = await node.http.put(f"{path}/bob", headers=bearing(alice))
        can = await git(work, "push", remote, "main")
        people = await node.http.get(path, headers=bearing(bob))
        branches = await node.http.get("/api/v3/repos/alice/hush/branches", headers=bearing(bob))
        own = await node.http.get("/api/v3/user/repos", headers=bearing(bob))
        higher = await node.http.put(f"{path}/bob", json={"permission": "admin"}, headers=bearing(bob))
        other = await node.http.put(f"{path}/carol", headers=bearing(bob))
        leaving = await node.http.delete(f"{path}/bob", headers=bearing(bob))
        after = await node.http.get("/api/v3/repos/alice/hush", headers=bearing(bob))
        head = (await git(work, "rev-parse", "HEAD")).out.strip()

    assert before.code != 0
    assert reading.status_code == 204
    assert "guts-height" in reading.headers
    assert cannot.code != 0
    assert writing.status_code == 204
    assert can.code == 0, can.err
    assert [(one["login"], one["role_name"]) for one in people.json()] == [("alice", "admin"), ("bob", "write")]
    assert people.json()[1]["permissions"] == {"admin": False, "push": True, "pull": True}
    assert [(one["name"], one["commit"]["sha"]) for one in branches.json()] == [("main", head)]
    assert [one["full_name"] for one in own.json()] == ["alice/hush"]
    assert (higher.status_code, other.status_code) == (403, 403)
    assert leaving.status_code == 204
    assert after.status_code == 404


async def test_who_cannot_be_a_collaborator(tmp_path: Path) -> None:
    """Nobody unknown, no unknown role, not the owner, nobody who is none already."""
    async with open_world(tmp_path) as node:
        alice = await node.token("alice")
        await node.create(alice, "hello")
        path = "/api/v3/repos/alice/hello/collaborators"
        unknown = await node.http.put(f"{path}/nobody", headers=bearing(alice))
        role = await node.http.put(f"{path}/bob", json={"permission": "king"}, headers=bearing(alice))
        owner = await node.http.put(f"{path}/alice", headers=bearing(alice))
        gone = await node.http.delete(f"{path}/bob", headers=bearing(alice))

    assert [one.status_code for one in (unknown, role, owner, gone)] == [404, 422, 409, 404]


async def test_bad_F_02_a_read_only_token_writes_nothing(tmp_path: Path) -> None:
    """403 with words on every write route."""
    async with open_world(tmp_path) as node:
        alice, reader = await node.token("alice"), await node.token("alice", Scope.READ)
        await node.create(alice, "hello")
        path = "/api/v3/repos/alice/hello/collaborators/bob"
        answers = [
            await node.create(reader, "another"),
            await node.http.put(path, headers=bearing(reader)),
            await node.http.delete(path, headers=bearing(reader)),
        ]

    for answer in answers:
        assert answer.status_code == 403
        assert "its scope is read" in answer.json()["message"]


async def test_bad_F_03_a_token_for_one_repository_reaches_no_other(tmp_path: Path) -> None:
    """Also not in lists."""
    async with open_world(tmp_path) as node:
        alice = await node.token("alice")
        for name in ("one", "two"):
            await node.create(alice, name, private=True)
        with closing(Reader(node.database, node.genesis)) as reader, reader.snapshot() as snapshot:
            one = repository_by_name(snapshot, "alice", "one")
        assert one is not None
        narrow = await node.token("alice", repos=[one.id])
        listed = await node.http.get("/api/v3/user/repos", headers=bearing(narrow))
        other = await node.http.get("/api/v3/repos/alice/two", headers=bearing(narrow))

    assert [found["name"] for found in listed.json()] == ["one"]
    assert other.status_code == 404


async def test_bad_F_05_no_get_changes_anything(tmp_path: Path) -> None:
    """Every GET route, by an account that may do all: the state root stays."""
    async with open_world(tmp_path) as node:
        alice = await node.token("alice")
        await node.create(alice, "hello")
        before = (await node.http.get("/api/guts/v1/status")).json()
        named = {"<owner>": "alice", "<name>": "hello", "<height>": "1"}
        for route in all_routes(Metrics()):
            if route.method == "GET":
                path = re.sub("<.*?>", lambda found: named.get(found[0], "00" * 32), route.path)
                answer = await node.http.get(path, headers=bearing(alice))
                assert answer.status_code in (200, 400, 404, 409), path
        after = (await node.http.get("/api/guts/v1/status")).json()

    assert before["state_root"] == after["state_root"]


async def test_lists_come_in_pages(tmp_path: Path) -> None:
    """Link headers lead through them."""
    async with open_world(tmp_path) as node:
        alice = await node.token("alice")
        for name in ("a", "b", "c"):
            await node.create(alice, name)
        first = await node.http.get("/api/v3/user/repos?per_page=2", headers=bearing(alice))
        second = await node.http.get(first.links["next"]["url"], headers=bearing(alice))
        bad = await node.http.get("/api/v3/user/repos?page=0", headers=bearing(alice))

    assert [one["name"] for one in first.json()] == ["a", "b"]
    assert [one["name"] for one in second.json()] == ["c"]
    assert "next" not in second.links
    assert bad.status_code == 400


async def test_the_status_is_what_scripts_rely_on(tmp_path: Path) -> None:
    """Names and types of the contract; the roots belong to the height."""
    async with open_world(tmp_path) as node:
        await node.token("alice")
        status = (await node.http.get("/api/guts/v1/status")).json()
        block = (await node.http.get(f"/api/guts/v1/blocks/{status['height']}")).json()
        above = await node.http.get(f"/api/guts/v1/blocks/{status['height'] + 1000}")
        zero = await node.http.get("/api/guts/v1/blocks/0")
        validators = (await node.http.get("/api/guts/v1/validators")).json()
        account = (await node.http.get("/api/guts/v1/accounts/alice")).json()

    for name in ("chain_id", "state_root", "block_hash"):
        assert HEX64.fullmatch(status[name])
    for name in ("height", "view", "validators", "quorum", "peers", "missing_packs", "rules"):
        assert type(status[name]) is int
    for name in ("final", "time"):
        assert RFC3339.fullmatch(status[name])
    assert status["fault_model"] == "byzantine"
    assert status["chain_id"] == node.chain.hex()
    assert block["state_root"] == status["state_root"]
    assert block["hash"] == status["block_hash"]
    assert block["certificate"]["signers"] == [0]
    assert (above.status_code, zero.status_code) == (404, 404)
    assert [one["name"] for one in validators] == ["node0"]
    assert account["id"] == node.people["alice"].id.hex()
    assert account["keys"] == [node.people["alice"].key.public_key.hex()]


async def test_before_the_first_block_genesis_is_shown(tmp_path: Path) -> None:
    """Height 0 is a state like any other."""
    async with open_world(tmp_path) as node:
        status = (await node.http.get("/api/guts/v1/status")).json()
        account = await node.http.get("/api/guts/v1/accounts/bob")

    assert status["height"] == 0
    assert status["block_hash"] == node.chain.hex()
    assert account.status_code == 200


async def test_a_transaction_is_submitted_once_and_asked_for(tmp_path: Path) -> None:
    """The same bytes again are the same answer; what it refused is an error with words."""
    async with open_world(tmp_path) as node:
        signed = node.signed("alice", a_repository("hello"))
        first = await node.submit(signed)
        again = await node.submit(signed)
        asked = await node.http.get(first.headers["location"])
        taken = await node.submit(node.signed("alice", a_repository("hello")))
        garbage = await node.http.post(
            "/api/guts/v1/transactions", content=b"garbage", headers={"content-type": "application/cbor"}
        )
        kind = await node.http.post("/api/guts/v1/transactions", content=b"garbage")
        unknown = await node.http.get(f"/api/guts/v1/transactions/{'00' * 32}")
        no_id = await node.http.get("/api/guts/v1/transactions/xyz")

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json() == asked.json()
    assert first.json()["id"] == transaction_id(signed.body).hex()
    assert taken.status_code == 409
    assert [one.status_code for one in (garbage, kind, unknown, no_id)] == [400, 400, 404, 400]


async def test_why_something_private_was_refused_is_told_to_who_may_know_of_it(tmp_path: Path) -> None:
    """Ids of transactions stand in public blocks; the words of a receipt may name branches, or repositories."""
    async with open_world(tmp_path) as node:
        alice, bob = await node.token("alice"), await node.token("bob")
        await node.create(alice, "hush", private=True)
        refused = await node.submit(node.signed("alice", evolve(a_repository("hush"), private=True)))
        [done] = (await node.http.get("/api/guts/v1/blocks?limit=1")).json()[0]["transactions"]
        path = f"/api/guts/v1/transactions/{done['id']}"
        answers = [
            (await node.http.get(path, headers=headers)).json() for headers in ({}, bearing(bob), bearing(alice))
        ]

    assert refused.json()["message"] == "repository name hush is taken under this account"
    assert [one["error"] for one in answers] == ["name-taken"] * 3
    assert [one["message"] for one in answers] == [None, None, refused.json()["message"]]


async def test_a_read_can_wait_for_a_height(tmp_path: Path) -> None:
    """Guts-Min-Height: at once when it is there, 503 with words when it does not come."""
    settings = Settings(min_height_seconds=0.1)
    async with open_world(tmp_path, settings) as node:
        created = await node.create(await node.token("alice"), "hello")
        path, height = "/api/v3/repos/alice/hello", int(created.headers["guts-height"])
        there = await node.http.get(path, headers={"Guts-Min-Height": str(height)})
        ahead = await node.http.get(path, headers={"Guts-Min-Height": str(height + 10**6)})
        words = await node.http.get(path, headers={"Guts-Min-Height": "soon"})

    assert (there.status_code, ahead.status_code, words.status_code) == (200, 503, 400)
    assert "retry-after" in ahead.headers
    assert str(height + 10**6) in ahead.json()["message"]


async def test_without_a_quorum_writes_tell_what_may_still_happen(tmp_path: Path) -> None:
    """504 with the transaction's id; git fails per ref with the same words; public reads go on."""
    settings = Settings(wait_ms=500)
    async with open_world(tmp_path / "net", settings, validators=2, private_read_grace_seconds=1.0) as node:
        with trio.fail_after(180):
            alice = await node.token("alice")
            await node.create(alice, "open")
            await node.create(alice, "hush", private=True)
            await node.others[0].stop()
            while (await node.http.get("/api/guts/v1/status")).json()["peers"]:
                pass
            created = await node.create(alice, "late")
            asked = await node.http.get(f"/api/guts/v1/transactions/{created.headers['guts-transaction']}")
            pushed = await git(await a_history(tmp_path), "push", node.remote("alice/open.git", "alice", alice), "main")
            while (await node.http.get("/api/guts/v1/status")).json()["private_reads"]:
                pass
            public = await node.http.get("/api/v3/repos/alice/open")
            private = await node.http.get("/api/v3/repos/alice/hush", headers=bearing(alice))
            listed = await node.http.get("/api/v3/user/repos", headers=bearing(alice))
            cloned = await git(tmp_path, "clone", "-q", node.remote("alice/open.git"), "copy")
            hidden = await git(tmp_path, "clone", "-q", node.remote("alice/hush.git", "alice", alice), "hush")

    assert created.status_code == 504
    assert "it may still happen" in created.json()["message"]
    assert created.headers["guts-transaction"] in created.json()["message"]
    assert asked.json()["phase"] == "pending"
    assert pushed.code == 1
    assert "may still happen" in pushed.err
    assert public.status_code == 200
    assert private.status_code == 503
    assert "cannot know who may still read" in private.json()["message"]
    assert listed.status_code == 503
    assert cloned.code == 0, cloned.err
    assert hidden.code != 0


async def test_what_operators_ask_for(tmp_path: Path) -> None:
    """Liveness, readiness, figures."""
    async with open_world(tmp_path) as node:
        await node.token("alice")
        live = await node.http.get("/livez")
        ready = await node.http.get("/readyz")
        figures = (await node.http.get("/metrics")).text

    assert (live.status_code, ready.status_code) == (200, 200)
    assert "guts_node_height 1.0" in figures
    assert 'guts_http_requests_total{door="api",method="POST",status="201"} 1.0' in figures


async def test_the_page_escapes_and_allows_nothing(tmp_path: Path) -> None:
    """A hostile Host header stays text, and the policy allows no script and nothing from outside."""
    async with open_world(tmp_path) as node:
        page = await node.http.get("/")
        hostile = await node.http.get("/", headers={"host": 'x"><script>alert(1)</script>'})

    assert page.status_code == 200
    assert node.url in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script" not in hostile.text


async def test_requests_are_told_of_without_secrets(tmp_path: Path) -> None:
    """Id, status and time of each request; never its query or its token."""
    async with open_world(tmp_path) as node:
        token = await node.token("alice")
        answer = await node.http.get("/api/v3/user?x=secret", headers=bearing(token))

    access = node.accesses[-1]
    assert (access.method, access.path, access.status) == ("GET", "/api/v3/user", 200)
    assert access.request_id == answer.headers["x-request-id"]
    assert "secret" not in json.dumps([repr(one) for one in node.accesses])
    assert token not in repr(node.accesses)


@pytest.mark.parametrize("headers", [{"x-forwarded-host": "evil"}, {"forwarded": "host=evil"}])
async def test_bad_E_01_forwarded_headers_are_ignored(tmp_path: Path, headers: dict[str, str]) -> None:
    """Nobody was told to trust them."""
    async with open_world(tmp_path) as node:
        await node.create(await node.token("alice"), "hello")
        shown = await node.http.get("/api/v3/repos/alice/hello", headers=headers)

    assert "evil" not in shown.text
