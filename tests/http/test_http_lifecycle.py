"""Settings, deletion and return of repositories over HTTP, and who may do each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from guts_core.forge.actions import RenameRepository, SetCollaborator
from guts_core.forge.queries import repository_by_name
from guts_core.forge.records import Role, Scope
from guts_core.names import RepoId
from guts_http.reader import Reader
from tests.http.node_world import Node, a_history, bearing, git, open_world

REPO, OURS = "/api/v3/repos/alice/hello", "/api/guts/v1/repos/alice/hello"
DELETED = "/api/guts/v1/deleted-repositories"


def id_of(node: Node, owner: str, name: str) -> RepoId:
    with Reader(node.database, node.genesis).snapshot() as snapshot:
        found = repository_by_name(snapshot, owner, name)
    assert found is not None
    return found.id


async def patch(node: Node, token: str, **fields: object) -> httpx.Response:
    return await node.http.patch(REPO, json=fields, headers=bearing(token))


# ---- settings ----


async def test_a_repository_is_changed_as_a_whole_in_one_transaction(tmp_path: Path) -> None:
    """Name, description, visibility and default branch; what is not said stays."""
    async with open_world(tmp_path) as node:
        token = await node.token("alice")
        await node.create(token, "hello", description="first")
        changed = await patch(
            node, token, name="World", description="second", private=True, default_branch="trunk", unknown=7
        )
        shown = await node.http.get("/api/v3/repos/alice/world", headers=bearing(token))
        height = int(changed.headers["guts-height"])
        block = await node.http.get(f"/api/guts/v1/blocks/{height}")
        cleared = await node.http.patch(
            "/api/v3/repos/alice/world", json={"description": None, "visibility": "public"}, headers=bearing(token)
        )

    assert changed.status_code == 200
    body = changed.json()
    assert (body["full_name"], body["private"], body["default_branch"]) == ("alice/World", True, "trunk")
    assert (body["description"], shown.json()["description"]) == ("second", "second")
    assert len(block.json()["transactions"]) == 1
    assert (cleared.json()["description"], cleared.json()["private"]) == (None, False)
    assert cleared.json()["default_branch"] == "trunk"


async def test_what_is_so_already_is_no_transaction(tmp_path: Path) -> None:
    async with open_world(tmp_path) as node:
        token = await node.token("alice")
        created = await node.create(token, "hello")
        same = await patch(node, token, name="hello", private=False, visibility="public", default_branch="main")
        nothing = await patch(node, token)
        status = await node.http.get("/api/guts/v1/status")

    assert (same.status_code, nothing.status_code) == (200, 200)
    assert "guts-height" not in same.headers
    assert status.json()["height"] == int(created.headers["guts-height"])


async def test_everything_wrong_with_a_change_is_said_at_once_and_nothing_is_changed(tmp_path: Path) -> None:
    """Types first, for they leave nothing to judge; then names, lengths, branches and contradictions together."""
    async with open_world(tmp_path) as node:
        token = await node.token("alice")
        await node.create(token, "hello", private=True)
        await node.create(token, "Taken")
        work = await a_history(tmp_path)
        await git(work, "push", node.remote("alice/hello", "alice", token), "main")
        types = await patch(node, token, name=7, private="no", default_branch=None, description=[])
        values = await patch(
            node,
            token,
            name="taken",
            private=True,
            visibility="public",
            default_branch="nope",
            description="x" * 262_145,
        )
        named = await patch(node, token, name="a b", visibility="internal", default_branch="a..b")
        array = await node.http.patch(REPO, content=b"[]", headers=bearing(token))
        shown = await node.http.get(REPO, headers=bearing(token))

    def wrong(response: httpx.Response) -> dict[str, str]:
        assert response.status_code == 422
        return {error["field"]: error["code"] for error in response.json()["errors"]}

    assert wrong(types) == dict.fromkeys(("name", "private", "default_branch", "description"), "invalid")
    assert wrong(values) == {
        "name": "already_exists",
        "visibility": "invalid",
        "default_branch": "invalid",
        "description": "invalid",
    }
    assert wrong(named) == dict.fromkeys(("name", "visibility", "default_branch"), "invalid")
    assert array.status_code == 400
    assert (shown.json()["name"], shown.json()["private"]) == ("hello", True)


# ---- old names ----


async def test_a_renamed_repository_is_reached_under_its_old_name(tmp_path: Path) -> None:
    """Git is served; a read of GitHub's API is sent on, with its query; ours is answered; writes work."""
    async with open_world(tmp_path) as node:
        token = await node.token("alice")
        await node.create(token, "hello")
        work = await a_history(tmp_path)
        await git(work, "push", node.remote("alice/hello", "alice", token), "main")
        await patch(node, token, name="World")
        moved = await node.http.get(f"{REPO}/branches?per_page=7")
        followed = await node.http.get(REPO, follow_redirects=True)
        ours = await node.http.get(f"{OURS}/reflog?ref=main")
        cloned = await git(tmp_path, "clone", node.remote("alice/hello"), "old-name")
        (work / "more").write_text("x")
        await git(work, "add", ".")
        await git(work, "commit", "-qm", "more")
        pushed = await git(work, "push", node.remote("Alice/Hello.git", "alice", token), "main")
        written = await patch(node, token, description="by its old name")
        any_case = await node.http.get("/api/v3/repos/alice/world")

    assert moved.status_code == 301
    assert moved.headers["location"] == f"{node.url}/api/v3/repos/alice/World/branches?per_page=7"
    assert followed.json()["full_name"] == "alice/World"
    assert (ours.status_code, written.status_code, any_case.status_code) == (200, 200, 200)
    assert written.json()["description"] == "by its old name"
    assert (cloned.code, pushed.code) == (0, 0), pushed.err


async def test_an_old_name_tells_nobody_of_a_private_repository(tmp_path: Path) -> None:
    """Where it leads is what may not be known."""
    async with open_world(tmp_path) as node:
        token = await node.token("alice")
        await node.create(token, "hello", private=True)
        await patch(node, token, name="secret")
        answers = [await node.http.get(REPO), await node.http.get(REPO, headers=bearing(await node.token("bob")))]
        own = await node.http.get(REPO, headers=bearing(token))

    assert [answer.status_code for answer in answers] == [404, 404]
    assert own.status_code == 301
    assert own.headers["cache-control"] == "private, no-store"


# ---- deletion and return ----


async def test_a_deleted_repository_is_gone_for_git_and_api_and_comes_back(tmp_path: Path) -> None:
    """With every commit, for whoever cloned it before, and for the node's next start."""
    async with open_world(tmp_path) as node:
        token, ending = await node.token("alice"), await node.token("alice", Scope.DELETE_REPO)
        await node.create(token, "hello", description="it was good")
        work = await a_history(tmp_path)
        await git(work, "push", node.remote("alice/hello", "alice", token), "main")
        deleted = await node.http.delete(f"{OURS}?confirm=alice/hello", headers=bearing(ending))
        gone = [
            await node.http.get(path, headers=bearing(token)) for path in (REPO, f"{REPO}/branches", f"{OURS}/reflog")
        ]
        listed = await node.http.get("/api/v3/user/repos", headers=bearing(token))
        cloned = await git(tmp_path, "clone", node.remote("alice/hello", "alice", token), "no")
        waiting = await node.http.get(DELETED, headers=bearing(token))
        restored = await node.http.post(deleted.json()["restore_url"], headers=bearing(ending))
        again = await git(tmp_path, "clone", node.remote("alice/hello"), "yes")
        log = await node.http.get(f"{OURS}/reflog")
        empty = await node.http.get(DELETED, headers=bearing(token))

    assert deleted.status_code == 200
    assert {"id", "name", "full_name", "private", "deleted", "restorable_until", "restore_url"} == set(deleted.json())
    assert [answer.status_code for answer in gone] == [404, 404, 404]
    assert listed.json() == []
    assert cloned.code != 0
    assert waiting.json() == [deleted.json()]
    assert (restored.status_code, restored.json()["full_name"]) == (200, "alice/hello")
    assert restored.json()["description"] == "it was good"
    assert again.code == 0, again.err
    assert (await git(tmp_path / "yes", "rev-parse", "HEAD")).out == (await git(work, "rev-parse", "HEAD")).out
    assert len(log.json()) == 1
    assert empty.json() == []


async def test_clients_of_githubs_api_delete_without_a_second_word(tmp_path: Path) -> None:
    """204; the name is free at once, a push creates another one there, and the return finds it taken."""
    async with open_world(tmp_path) as node:
        token, ending = await node.token("alice"), await node.token("alice", Scope.DELETE_REPO)
        await node.create(token, "hello")
        deleted = await node.http.delete(REPO, headers=bearing(ending))
        work = await a_history(tmp_path)
        pushed = await git(work, "push", node.remote("alice/hello", "alice", token), "main")
        shown = await node.http.get(REPO)
        [waiting] = (await node.http.get(DELETED, headers=bearing(token))).json()
        taken = await node.http.post(f"{DELETED}/{waiting['id']}/restore", headers=bearing(ending))

    assert (deleted.status_code, deleted.content) == (204, b"")
    assert int(deleted.headers["guts-height"]) > 0
    assert pushed.code == 0, pushed.err
    assert shown.json()["id"] == 2
    assert taken.status_code == 409
    assert "taken" in taken.json()["message"]


@pytest.mark.parametrize("said", ["", "?confirm=", "?confirm=Hello", "?confirm=hell", "?confirm=alice"])
async def test_our_own_route_wants_the_name_said_twice(tmp_path: Path, said: str) -> None:
    async with open_world(tmp_path) as node:
        await node.create(await node.token("alice"), "hello")
        refused = await node.http.delete(OURS + said, headers=bearing(await node.token("alice", Scope.DELETE_REPO)))
        shown = await node.http.get(REPO)

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "confirm"
    assert shown.status_code == 200


@pytest.mark.parametrize("named", ["", "xy", "00", "ab" * 32, "\u00e9" * 64])
async def test_an_id_that_names_no_deleted_repository_is_not_found(tmp_path: Path, named: str) -> None:
    """Nor one that stands."""
    async with open_world(tmp_path) as node:
        ending = await node.token("alice", Scope.DELETE_REPO)
        await node.create(await node.token("alice"), "hello")
        standing = id_of(node, "alice", "hello").hex()
        answers = [
            await node.http.post(f"{DELETED}/{which}/restore", headers=bearing(ending)) for which in (named, standing)
        ]

    assert [answer.status_code for answer in answers] == [404, 404]


async def test_a_push_under_way_to_a_deleted_repository_is_refused(tmp_path: Path) -> None:
    """Its client is told now, not when the transaction expires."""
    async with open_world(tmp_path) as node:
        token, ending = await node.token("alice"), await node.token("alice", Scope.DELETE_REPO)
        await node.create(token, "hello")
        await node.submit(
            node.signed("alice", SetCollaborator(id_of(node, "alice", "hello"), node.people["bob"].id, Role.WRITE))
        )
        work = await a_history(tmp_path)
        bob = await node.token("bob")
        await node.http.delete(REPO, headers=bearing(ending))
        pushed = await git(work, "push", node.remote("alice/hello", "bob", bob), "main")

    assert pushed.code != 0
    assert "not found" in pushed.err


# ---- who may ----

ROUTES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "change": ("PATCH", REPO, {"json": {"description": "x"}}),
    "delete": ("DELETE", REPO, {}),
    "confirm": ("DELETE", f"{OURS}?confirm=hello", {}),
    "log": ("GET", f"{OURS}/reflog", {}),
    "deleted": ("GET", DELETED, {}),
    "tokens": ("GET", "/api/guts/v1/tokens", {}),
    "keys": ("GET", "/api/guts/v1/keys", {}),
    "end": ("DELETE", f"/api/guts/v1/tokens/{'00' * 32}", {}),
}
# In the order of ROUTES. 404 of "log": nothing was pushed; of "end": no such token; both mean "you may ask".
STATUSES = {
    "anonymous": "401 401 401 404 401 401 401 401",
    "owner, read token": "403 403 403 404 200 200 200 404",
    "owner, repo token": "200 403 403 404 200 200 200 404",
    "owner, token for another repository": "403 403 403 404 200 403 403 404",
    "admin": "200 403 403 404 200 200 200 404",
    "writer": "403 403 403 404 200 200 200 404",
    "reader": "403 403 403 404 200 200 200 404",
    "stranger": "403 403 403 404 200 200 200 404",
}
PRIVATE = {
    **STATUSES,
    "anonymous": "404 404 404 404 401 401 401 401",
    "owner, token for another repository": "404 404 404 404 200 403 403 404",
    "stranger": "404 404 404 404 200 200 200 404",
}


@pytest.mark.parametrize("private", [False, True])
async def test_who_may_do_what(tmp_path: Path, private: bool) -> None:
    """Every new route, by everyone, to a public and a private repository; nothing was deleted by it."""
    async with open_world(tmp_path) as node:
        token = await node.token("alice")
        await node.create(token, "hello", private=private)
        await node.create(token, "other", private=private)
        repo, other = id_of(node, "alice", "hello"), id_of(node, "alice", "other")
        tokens = {
            "anonymous": None,
            "owner, read token": await node.token("alice", Scope.READ),
            "owner, repo token": token,
            "owner, token for another repository": await node.token("alice", repos=[other]),
        }
        found = {who: await asked_all(node, tokens[who]) for who in tokens}
        carol = await node.token("carol")
        found["stranger"] = await asked_all(node, carol)
        for who, role in (("reader", Role.READ), ("writer", Role.WRITE), ("admin", Role.ADMIN)):
            await node.submit(node.signed("alice", SetCollaborator(repo, node.people["carol"].id, role)))
            found[who] = await asked_all(node, carol)
        shown = await node.http.get(REPO, headers=bearing(token))

    assert found == (PRIVATE if private else STATUSES)
    assert shown.status_code == 200


async def asked_all(node: Node, token: str | None) -> str:
    headers = {} if token is None else bearing(token)
    statuses = [
        (await node.http.request(method, path, headers=headers, **more)).status_code
        for method, path, more in ROUTES.values()
    ]
    return " ".join(map(str, statuses))


async def test_who_may_restore(tmp_path: Path) -> None:
    """The owner with a token for it; an administrator who deleted it may not know of it any more."""
    async with open_world(tmp_path) as node:
        token, ending = await node.token("alice"), await node.token("alice", Scope.DELETE_REPO)
        await node.create(token, "hello")
        repo = id_of(node, "alice", "hello")
        await node.submit(node.signed("alice", SetCollaborator(repo, node.people["bob"].id, Role.ADMIN)))
        bob = await node.token("bob", Scope.DELETE_REPO)
        deleted = await node.http.delete(REPO, headers=bearing(bob))
        elsewhere = await node.http.get(DELETED, headers=bearing(await node.token("bob")))
        path = f"{DELETED}/{repo.hex()}/restore"
        statuses = {}
        for who, header in {
            "nobody": {},
            "admin": bearing(bob),
            "stranger": bearing(await node.token("carol", Scope.DELETE_REPO)),
            "owner, repo token": bearing(token),
            "owner": bearing(ending),
            "owner again": bearing(ending),
        }.items():
            statuses[who] = (await node.http.post(path, headers=header)).status_code

    assert deleted.status_code == 204
    assert elsewhere.json() == []
    assert statuses == {
        "nobody": 404,
        "admin": 404,
        "stranger": 404,
        "owner, repo token": 403,
        "owner": 200,
        "owner again": 404,
    }


# ---- the log of a ref ----


async def test_a_refs_log_tells_who_moved_it_when_and_through_which_node(tmp_path: Path) -> None:
    """From finalized history: created, forwarded, forced, deleted, created again; the newest first."""
    async with open_world(tmp_path) as node:
        token = await node.token("alice")
        work = await a_history(tmp_path)
        remote = node.remote("alice/hello", "alice", token)
        await git(work, "push", remote, "main")
        await git(work, "push", remote, "HEAD~1:refs/heads/topic")
        await git(work, "push", remote, "HEAD:topic")
        await git(work, "push", "-f", remote, "HEAD~1:topic")
        await git(work, "push", remote, ":topic")
        again = await git(work, "push", remote, "HEAD:topic")
        short = await node.http.get(f"{OURS}/reflog?ref=topic")
        full = await node.http.get(f"{OURS}/reflog?ref=refs/heads/topic&per_page=2&page=2")
        head = await node.http.get(f"{OURS}/reflog")
        never = await node.http.get(f"{OURS}/reflog?ref=nope")
        [first] = (await node.http.get("/api/guts/v1/tokens", headers=bearing(token))).json()
        new, old = [(await git(work, "rev-parse", which)).out.strip() for which in ("HEAD", "HEAD~1")]
        known = await node.http.get(f"/api/guts/v1/transactions/{short.json()[0]['tx_id']}")

    assert again.code == 0, again.err
    assert [(one["relation"], one["old"], one["new"]) for one in short.json()] == [
        ("created", None, new),
        ("deleted", old, None),
        ("forced", new, old),
        ("fast_forward", old, new),
        ("created", None, old),
    ]
    newest = short.json()[0]
    assert list(newest) == [
        "ref", "old", "new", "relation", "height", "index", "time", "author", "credential", "gateway", "tx_id",
    ]  # fmt: skip
    assert (newest["author"], newest["gateway"], newest["credential"]) == ("alice", "node0", first["id"])
    assert (newest["ref"], newest["height"], newest["index"]) == (
        "refs/heads/topic",
        known.json()["height"],
        known.json()["index"],
    )
    assert full.json() == short.json()[2:4]
    assert set(re.findall(r'\?([^>]*)>; rel="(\w+)"', full.headers["link"])) == {
        ("ref=refs%2Fheads%2Ftopic&per_page=2&page=3", "next"),
        ("ref=refs%2Fheads%2Ftopic&per_page=2&page=1", "prev"),
        ("ref=refs%2Fheads%2Ftopic&per_page=2&page=1", "first"),
    }
    assert [one["ref"] for one in head.json()] == ["refs/heads/main"]
    assert never.status_code == 404


# ---- tokens and keys ----


async def test_own_tokens_are_listed_without_anything_secret(tmp_path: Path) -> None:
    """The newest first, ended ones too; a page at a time."""
    async with open_world(tmp_path) as node:
        old = await node.token("alice", Scope.READ)
        await node.create(await node.token("alice"), "hello")
        repo = id_of(node, "alice", "hello")
        limited = await node.token("alice", repos=[repo])
        await node.token("bob")
        now = await node.token("alice")
        await node.submit(node.signed("alice", RenameRepository(repo, "world")))
        listed = await node.http.get("/api/guts/v1/tokens", headers=bearing(now))
        paged = await node.http.get("/api/guts/v1/tokens?per_page=3&page=2", headers=bearing(now))

    tokens = listed.json()
    assert len(tokens) == 4
    assert [one["current"] for one in tokens] == [True, False, False, False]
    assert [one["scopes"] for one in tokens] == [["repo"], ["repo"], ["repo"], ["read"]]
    assert tokens[1]["repositories"] == [{"id": repo.hex(), "full_name": "alice/world"}]
    assert {(one["active"], one["revoked"], *one["gateways"]) for one in tokens} == {(True, False, "node0")}
    assert paged.json() == tokens[3:]
    assert not any(secret in listed.text for secret in (old, limited, now))


async def test_a_token_ends_itself_and_no_other(tmp_path: Path) -> None:
    """Also one that may do nothing else; others need a key that no node is ever handed."""
    async with open_world(tmp_path) as node:
        mine, leaked = await node.token("alice"), await node.token("alice", Scope.DELETE_REPO)
        bobs = await node.token("bob")
        own = {
            one["current"]: one["id"]
            for one in (await node.http.get("/api/guts/v1/tokens", headers=bearing(mine))).json()
        }
        path = f"/api/guts/v1/tokens/{own[False]}"
        other = await node.http.delete(path, headers=bearing(mine))
        strangers = await node.http.delete(path, headers=bearing(bobs))
        bad = await node.http.delete("/api/guts/v1/tokens/xyz", headers=bearing(mine))
        ended = await node.http.delete(path, headers=bearing(leaked))
        again = await node.http.delete(path, headers=bearing(leaked))
        listed = await node.http.get("/api/guts/v1/tokens", headers=bearing(mine))

    assert other.status_code == 403
    assert f"guts token revoke {own[False]}" in other.json()["message"]
    assert (strangers.status_code, bad.status_code) == (404, 404)
    assert (ended.status_code, ended.content) == (204, b"")
    assert again.status_code == 401
    assert [(one["revoked"], one["active"]) for one in listed.json()] == [(True, False), (False, True)]


async def test_own_keys_are_listed_with_their_numbers(tmp_path: Path) -> None:
    async with open_world(tmp_path) as node:
        listed = await node.http.get("/api/guts/v1/keys", headers=bearing(await node.token("alice")))

    key = node.people["alice"].key.public_key.hex()
    assert listed.json() == {"account": "alice", "count": 1, "most": 16, "keys": [{"number": 1, "key": key}]}
