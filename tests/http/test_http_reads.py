"""What the API reads of git and of the chain: shapes, pages, refusals, and nothing that no ref shows."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from attrs import evolve

from guts_core.chain.transaction import transaction_id
from guts_core.codec import to_bytes
from guts_core.forge.actions import CreateRepository, SetCollaborator
from guts_core.forge.queries import repository_by_name
from guts_core.forge.records import ObjectFormat, Role, Scope
from guts_http.reader import Reader
from tests.http.node_world import Node, a_history, bearing, git, open_world

REPO = "/api/v3/repos/alice/hello"


def a_repository(name: str) -> CreateRepository:
    return CreateRepository(name, bytes(32), False, "refs/heads/main", ObjectFormat.SHA1, "all", None)


async def pushed(node: Node, work: Path, token: str, *refspecs: str, to: str = "alice/hello") -> None:
    done = await git(work, "push", "-q", node.remote(to, "alice", token), *(refspecs or ("HEAD:main",)))
    assert done.code == 0, done.err


async def ids(work: Path, *arguments: str) -> list[str]:
    done = await git(work, "rev-list", *(arguments or ("HEAD",)))
    return done.out.split()


async def pages(node: Node, path: str, **headers: str) -> list[list[str]]:
    """The ids or names on each page, following the Link header."""
    found, url = [], f"{node.url}{path}"
    while url:
        reply = await node.http.get(url, headers=headers)
        assert reply.status_code == 200, reply.text
        found.append([one.get("sha") or one.get("name") or one.get("ref") for one in reply.json()])
        url = reply.links.get("next", {}).get("url", "")
    return found


def raw_commit(work: Path, content: bytes) -> str:
    """A commit object of exactly these bytes, which no honest tool would write."""
    command = ["git", "hash-object", "-t", "commit", "-w", "--stdin", "--literally"]
    return subprocess.run(command, cwd=work, input=content, capture_output=True, check=True).stdout.decode().strip()


async def test_commits_are_listed_in_pages(tmp_path: Path) -> None:
    """The order of git log, each once, and a client can tell how many there are."""
    work = await a_history(tmp_path, commits=5)
    async with open_world(tmp_path) as node:
        token = await node.token("alice")
        await pushed(node, work, token)
        found = await pages(node, f"{REPO}/commits?per_page=2")
        first = await node.http.get(f"{REPO}/commits?per_page=1")
        middle = await node.http.get(f"{REPO}/commits?per_page=2&page=2&sha=main")
        beyond = await node.http.get(f"{REPO}/commits?page=9")

    expected = await ids(work)
    assert [sha for page in found for sha in page] == expected
    assert [len(page) for page in found] == [2, 2, 1]
    assert first.links["last"]["url"].endswith("page=5")
    assert set(middle.links) == {"first", "prev", "next", "last"}
    assert "sha=main" in middle.links["next"]["url"]
    assert beyond.json() == []
    body = first.json()[0]
    assert body["commit"]["message"] == "commit 4"
    assert body["commit"]["author"]["email"] == "a@example.org"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body["commit"]["author"]["date"])
    assert [one["sha"] for one in body["parents"]] == [expected[1]]
    assert body["url"] == f"{node.url}{REPO}/commits/{expected[0]}"
    assert int(first.headers["guts-height"]) > 0


async def test_commits_are_chosen_by_path_author_and_time(tmp_path: Path) -> None:
    """Filters are texts, never options or patterns."""
    work = await a_history(tmp_path, commits=3)
    (work / "dir").mkdir()
    (work / "dir" / "[a]*").write_text("x")
    await git(work, "add", ".")
    await git(
        work,
        "-c",
        "user.name=Ze",
        "commit",
        "-qm",
        "other",
        "--author=Ze (Y.*) <ze@x.org>",
        "--date=2001-02-03T04:05:06Z",
    )
    async with open_world(tmp_path) as node:
        await pushed(node, work, await node.token("alice"))

        async def chosen(**query: str) -> list[str]:
            reply = await node.http.get(f"{REPO}/commits", params=query)
            assert reply.status_code == 200, reply.text
            return [one["commit"]["message"] for one in reply.json()]

        answers = {
            "path": await chosen(path="file1"),
            "directory": await chosen(path="/dir/"),
            "literal": await chosen(path="dir/[a]*"),
            "no pattern": await chosen(path="dir/*"),
            "author": await chosen(author="ze (y.*)"),
            "no option": await chosen(author="--all"),
            "no magic": await chosen(path=":(top)file1"),
            "none": await chosen(path="nowhere"),
            "until": await chosen(until="2001-01-01T00:00:00Z"),
            "since": await chosen(since="2001-01-01"),
        }

    assert answers == {
        "path": ["commit 1"],
        "directory": ["other"],
        "literal": ["other"],
        "no pattern": [],
        "author": ["other"],
        "no option": [],
        "no magic": [],
        "none": [],
        "until": [],
        "since": ["other", "commit 2", "commit 1", "commit 0"],
    }


async def test_a_commit_is_found_by_branch_tag_and_id(tmp_path: Path) -> None:
    """What GitHub's clients write where a ref stands."""
    work = await a_history(tmp_path, commits=3)
    await git(work, "tag", "-a", "v1", "-m", "first", "HEAD~1")
    await git(work, "branch", "feature/x", "HEAD~2")
    newest, middle, oldest = await ids(work)
    async with open_world(tmp_path) as node:
        await pushed(node, work, await node.token("alice"), "HEAD:main", "v1", "feature/x")

        async def found(ref: str) -> str:
            return str((await node.http.get(f"{REPO}/commits/{ref}")).json()["sha"])

        assert await found("main") == newest
        assert await found("HEAD") == newest
        assert await found("v1") == middle
        assert await found("feature/x") == oldest
        assert await found("feature%2Fx") == oldest
        assert await found("refs/heads/main") == newest
        assert await found("heads/main") == newest
        assert await found(oldest) == oldest
        assert await found(oldest[:7]) == oldest
        assert await found(oldest[:7].upper()) == oldest
        listed = await node.http.get(f"{REPO}/commits?sha={middle[:8]}")
    assert [one["sha"] for one in listed.json()] == [middle, oldest]


async def test_bad_C14_what_no_ref_reaches_is_not_there(tmp_path: Path) -> None:
    """An overwritten commit, a tree and an object of another repository are answered like none at all."""
    work = await a_history(tmp_path, commits=2)
    lost = (await ids(work))[0]
    tree = (await git(work, "rev-parse", "HEAD^{tree}")).out.strip()
    async with open_world(tmp_path) as node:
        token = await node.token("alice")
        await pushed(node, work, token)
        await pushed(node, work, token, to="alice/other")
        before = await node.http.get(f"{REPO}/commits/{lost}")
        await git(work, "commit", "-q", "--amend", "-m", "better")
        await pushed(node, work, token, "+HEAD:main")
        answers = [
            await node.http.get(f"{REPO}/{path}")
            for path in (f"commits/{lost}", f"commits/{lost[:7]}", f"commits?sha={lost}", f"commits/{tree}")
        ]
        never = await node.http.get(f"{REPO}/commits/{'1' * 40}")
        elsewhere = await node.http.get(f"/api/v3/repos/alice/other/commits/{lost}")

    assert before.status_code == 200
    assert [answer.status_code for answer in answers] == [404] * 4
    assert never.status_code == 404
    assert answers[0].json()["message"] == never.json()["message"].replace("1" * 40, lost)
    assert elsewhere.status_code == 200


async def test_odd_commits_are_shown(tmp_path: Path) -> None:
    """Other tools wrote them long ago: names in no UTF-8, no address, no date, no message."""
    work = await a_history(tmp_path, commits=1)
    tree = (await git(work, "rev-parse", "HEAD^{tree}")).out.strip().encode()
    latin = raw_commit(
        work,
        b"tree "
        + tree
        + b"\nauthor J\xf6rg <j@x> 1 +0000\ncommitter J\xf6rg <j@x> 1 +0000\nencoding ISO-8859-1\n\n\xfc\n",
    )
    broken = raw_commit(
        work,
        b"tree " + tree + b"\nparent " + latin.encode()
        + b"\nauthor \xff\xfe <> 99999999999 +9999\ncommitter x <y> 0 -0000\n\n\x80 hm",
    )  # fmt: skip
    long = raw_commit(
        work,
        b"tree " + tree + b"\nparent " + broken.encode() + b"\nauthor a <b> 5 +0000\ncommitter a <b> 5 +0000\n\n"
        + b"x" * 300_000,
    )  # fmt: skip
    async with open_world(tmp_path) as node:
        await pushed(node, work, await node.token("alice"), f"{long}:refs/heads/main")
        reply = await node.http.get(f"{REPO}/commits")

    assert reply.status_code == 200, reply.text
    newest, middle, oldest = (one["commit"] for one in reply.json())
    assert oldest["author"]["name"] == "Jörg"
    assert oldest["message"] == "ü"
    assert middle["author"] == {"name": "\ufffd\ufffd", "email": "", "date": "5138-11-16T09:46:39Z"}
    assert middle["message"] == "\ufffd hm"
    assert newest["message"].startswith("xxx")
    assert 10_000 < len(newest["message"]) < 100_000


async def test_an_empty_repository_has_no_commits_but_lists(tmp_path: Path) -> None:
    """GitHub answers 409, which octokit reads as an empty page."""
    async with open_world(tmp_path) as node:
        await node.create(await node.token("alice"), "hello")
        replies = {
            path: await node.http.get(f"{REPO}/{path}")
            for path in (
                "commits",
                "commits/main",
                "branches",
                "tags",
                "git/matching-refs/",
                "git/matching-refs",
                "branches/main",
            )
        }

    assert {path: reply.status_code for path, reply in replies.items()} == {
        "commits": 409,
        "commits/main": 409,
        "branches": 200,
        "tags": 200,
        "git/matching-refs/": 200,
        "git/matching-refs": 200,
        "branches/main": 404,
    }
    assert replies["commits"].json()["message"] == "Git Repository is empty."
    assert [replies[path].json() for path in ("branches", "tags", "git/matching-refs")] == [[], [], []]


async def test_branches_tags_and_refs(tmp_path: Path) -> None:
    """Names with slashes; a tag object leads to its commit in one list and stands for itself in the other."""
    work = await a_history(tmp_path, commits=2)
    await git(work, "tag", "light")
    await git(work, "tag", "-a", "heavy", "-m", "words")
    newest = (await ids(work))[0]
    tag_object = (await git(work, "rev-parse", "heavy")).out.strip()
    async with open_world(tmp_path) as node:
        token = await node.token("alice")
        await pushed(node, work, token, "HEAD:main", "HEAD:refs/heads/a/b/c", "light", "heavy")
        branch = (await node.http.get(f"{REPO}/branches/a/b/c")).json()
        tags = await node.http.get(f"{REPO}/tags")
        heavy = (await node.http.get(f"{REPO}/git/ref/tags/heavy")).json()
        matching = (await node.http.get(f"{REPO}/git/matching-refs/heads/a")).json()
        one_each = await pages(node, f"{REPO}/git/matching-refs/?per_page=1")
        last = (await node.http.get(f"{REPO}/branches?per_page=1")).links["last"]["url"]

    assert (branch["name"], branch["commit"]["sha"], branch["protected"]) == ("a/b/c", newest, False)
    assert branch["commit"]["commit"]["message"] == "commit 1"
    assert [(tag["name"], tag["commit"]["sha"]) for tag in tags.json()] == [("heavy", newest), ("light", newest)]
    assert heavy["object"] == {"type": "tag", "sha": tag_object, "url": f"{node.url}{REPO}/git/tags/{tag_object}"}
    assert [ref["ref"] for ref in matching] == ["refs/heads/a/b/c"]
    assert [name for page in one_each for name in page] == [
        "refs/heads/a/b/c", "refs/heads/main", "refs/tags/heavy", "refs/tags/light",
    ]  # fmt: skip
    assert last.endswith("page=2")


READS = (
    "branches",
    "branches/main",
    "tags",
    "commits",
    "commits/main",
    "git/ref/heads/main",
    "git/matching-refs/heads",
)


async def test_a_private_repository_is_shown_to_members_only(tmp_path: Path) -> None:
    """To everybody else it is as if there were none."""
    work = await a_history(tmp_path)
    async with open_world(tmp_path) as node:
        token = await node.token("alice")
        await node.create(token, "hello", private=True)
        await pushed(node, work, token)
        with closing(Reader(node.database, node.genesis)) as reader, reader.snapshot() as snapshot:
            repo = repository_by_name(snapshot, "alice", "hello")
        assert repo is not None
        await node.submit(node.signed("alice", SetCollaborator(repo.id, node.people["bob"].id, Role.READ)))
        callers = {
            "nobody": {},
            "carol": bearing(await node.token("carol")),
            "bob": bearing(await node.token("bob", Scope.READ)),
            "alice": bearing(token),
        }
        answers = {
            name: {(await node.http.get(f"{REPO}/{path}", headers=headers)).status_code for path in READS}
            for name, headers in callers.items()
        }

    assert answers == {"nobody": {404}, "carol": {404}, "bob": {200}, "alice": {200}}


async def test_private_histories_are_not_shown_past_the_grace(tmp_path: Path) -> None:
    """A node that hears of no block cannot know who may still read."""
    work = await a_history(tmp_path)
    async with open_world(tmp_path, validators=2, private_read_grace_seconds=0) as node:
        token = await node.token("alice")
        await node.create(token, "hello", private=True)
        await pushed(node, work, token)
        await pushed(node, work, token, to="alice/open")
        answers = {(await node.http.get(f"{REPO}/{path}", headers=bearing(token))).status_code for path in READS}
        public = await node.http.get("/api/v3/repos/alice/open/commits")

    assert answers == {503}
    assert public.status_code == 200


BAD: Sequence[tuple[str, int]] = (
    ("commits?page=0", 400),
    ("commits?page=x", 400),
    ("commits?page=1001", 400),
    (f"commits?page={'9' * 4000}", 400),
    ("commits?per_page=-1", 400),
    ("commits?per_page=%C2%B2", 400),
    ("commits?since=yesterday", 400),
    ("commits?since=2030-13-45", 400),
    ("commits?until=0001-01-01T00:00:00%2B14:00", 200),
    ("commits?author=a%00b", 400),
    (f"commits?author={'a' * 201}", 400),
    ("commits?path=../../etc/passwd", 400),
    ("commits?path=a%0Ab", 400),
    (f"commits?path={'a' * 5000}", 400),
    ("commits?sha=--all", 404),
    ("commits?sha=-n1", 404),
    ("commits?sha=main..main", 404),
    ("commits?sha=main%00", 404),
    ("commits?sha=%ED%A0%80", 404),
    ("commits?sha=", 200),
    ("commits/--help", 404),
    ("commits/main~1", 404),
    ("commits/:/commit", 404),
    ("commits/abc", 404),
    ("commits/0000000", 404),
    (f"commits/{'a' * 5000}", 404),
    (f"commits/{'%F0%9F%98%80' * 300}", 404),
    ("branches/%2e%2e", 404),
    ("branches/nope", 404),
    (f"branches/{'b' * 3000}", 404),
    ("tags?page=nine", 400),
    ("git/ref/heads", 404),
    ("git/ref/heads/none", 404),
    (f"git/ref/{'%F0%9F%98%80' * 200}", 404),
    (f"git/matching-refs/{'%F0%9F%98%80' * 200}", 200),
    ("git/matching-refs/%ED%A0%80", 200),
)


async def test_wrong_input_is_refused_with_words(tmp_path: Path) -> None:
    """Never a 500, never a path of this machine, never an option of git's."""
    work = await a_history(tmp_path, commits=1)
    async with open_world(tmp_path) as node:
        await pushed(node, work, await node.token("alice"))
        answers = [(path, await node.http.get(f"{REPO}/{path}")) for path, _ in BAD]

    assert [(path, reply.status_code) for path, reply in answers] == list(BAD)
    assert [path for path, reply in answers if str(tmp_path) in reply.text] == []
    assert [path for path, reply in answers if reply.status_code >= 400 and not reply.json()["message"]] == []


async def test_blocks_are_listed_newest_first(tmp_path: Path) -> None:
    """Each with what stands in it; pages are named by heights, so new blocks move nothing."""
    async with open_world(tmp_path) as node:
        token = await node.token("alice")
        secret = await node.create(token, "secret", private=True)
        hidden = (await node.http.get(f"/api/guts/v1/blocks/{secret.headers['guts-height']}")).json()
        await node.create(token, "hello")
        again = node.signed("alice", a_repository("hello"))
        assert (await node.submit(again)).status_code == 409
        top = (await node.http.get("/api/guts/v1/status")).json()["height"]
        newest = await node.http.get("/api/guts/v1/blocks?limit=2")
        following = await node.http.get(newest.links["next"]["url"])
        last = await node.http.get(newest.links["last"]["url"])
        alone = (await node.http.get(f"/api/guts/v1/blocks/{top}")).json()
        by_hash = await node.http.get(f"/api/guts/v1/blocks/hash/{alone['hash']}")
        unknown = await node.http.get(f"/api/guts/v1/blocks/hash/{'0' * 64}")
        before_all = await node.http.get("/api/guts/v1/blocks?before=1")

    assert [block["height"] for block in newest.json()] == [top, top - 1]
    assert [block["height"] for block in following.json()] == list(range(top - 2, max(0, top - 4), -1))
    assert last.json()[-1]["height"] == 1
    assert "next" not in last.links
    assert newest.json()[0] == alone == by_hash.json()
    assert alone["transactions"] == [{"id": transaction_id(again.body).hex(), "author": "alice", "error": "name-taken"}]
    assert newest.json()[1]["transactions"][0]["error"] is None
    assert [(one["author"], one["error"]) for one in hidden["transactions"]] == [(None, None)]
    assert unknown.status_code == 404
    assert before_all.json() == []


async def test_wrong_questions_about_blocks(tmp_path: Path) -> None:
    """400 for what cannot be asked, 404 for what is not there."""
    wrong = {
        "blocks?limit=0": 400,
        "blocks?limit=x": 400,
        "blocks?before=0": 400,
        "blocks?before=-1": 400,
        f"blocks?before={'9' * 400}": 400,
        "blocks?before=999999999999999": 200,
        "blocks?limit=999999999": 200,
        "blocks/hash/xyz": 400,
        f"blocks/hash/{'A' * 64}": 400,
        f"blocks/hash/{'a' * 63}": 400,
        f"blocks/hash/{'a' * 64}": 404,
        f"blocks/{'9' * 16}": 400,
        "blocks/-1": 400,
        "blocks/0": 404,
    }
    async with open_world(tmp_path) as node:
        found = {path: (await node.http.get(f"/api/guts/v1/{path}")).status_code for path in wrong}

    assert found == wrong


async def test_what_waits_is_listed_without_private_details(tmp_path: Path) -> None:
    """Without a quorum nothing becomes final, and everybody may see that something waits."""
    async with open_world(tmp_path, validators=2) as node:
        hidden, shown = (
            node.signed("alice", evolve(a_repository(name), private=private))
            for name, private in (("secret", True), ("open", False))
        )
        empty = (await node.http.get("/api/guts/v1/mempool")).json()
        await node.others[0].stop()
        for signed in (hidden, shown):
            answer = await node.http.post(
                "/api/guts/v1/transactions?wait=0",
                content=to_bytes(signed),
                headers={"content-type": "application/cbor"},
            )
            assert answer.status_code == 504, answer.text
        waits = (await node.http.get("/api/guts/v1/mempool")).json()

    assert empty == {"count": 0, "bytes": 0, "transactions": []}
    assert waits["count"] == 2
    first, second = waits["transactions"]
    assert first == {"id": transaction_id(hidden.body).hex(), "author": None, "size": None, "age_ms": None}
    assert (second["id"], second["author"]) == (transaction_id(shown.body).hex(), "alice")
    assert 0 < second["size"] <= waits["bytes"]
    assert 0 <= second["age_ms"] < 60_000
