"""The client against running nodes, and its page."""

from __future__ import annotations

import inspect
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import attrs
import pytest
import trio
import trustme

from guts_core import errors
from guts_core.chain.transaction import Text
from guts_core.forge.actions import CreateRepository
from guts_core.forge.records import ObjectFormat, Scope
from guts_core.names import TxId
from guts_core.node.port import Phase
from guts_http import client as door
from guts_http.client import Client, NotFinal, TrioClient, UnexpectedAnswer, Unreachable, open_client, open_trio_client
from guts_http.client.exchange import Send
from guts_http.serving import ServeSettings
from tests.http.http_world import open_server
from tests.http.node_world import Node, a_history, git, open_world

T = TypeVar("T")
TREE = Path(__file__).parents[2]
PAGE = (TREE / "docs/reference/python-client.md").read_text()


async def with_client(url: str, token: str | None, use: Callable[[Client], T], **options: Any) -> T:
    """What a plain program does, in a thread of its own."""

    def run() -> T:
        with open_client(url, token, **options) as client:
            return use(client)

    return await trio.to_thread.run_sync(run)


def a_repository(name: str, description: bytes | None = None) -> CreateRepository:
    return CreateRepository(name, os.urandom(32), False, "refs/heads/main", ObjectFormat.SHA1, "all", description)


async def pushed(node: Node, work: Path, token: str, name: str = "hello") -> None:
    done = await git(work, "push", "-q", node.remote(f"alice/{name}", "alice", token), "HEAD:main", "--tags")
    assert done.code == 0, done.err


def everything(client: Client) -> dict[str, Any]:
    """Each call that reads, once."""
    top = client.block(client.status().height)
    return {
        "account": client.account("alice"),
        "validators": client.validators(),
        "top": (top, client.block(top.hash)),
        "blocks": list(client.blocks()),
        "mempool": client.mempool(),
        "user": client.user(),
        "repositories": list(client.my_repositories()),
        "repository": client.repository("alice/hello"),
        "collaborators": list(client.collaborators("alice/hello")),
        "branches": list(client.branches("alice/hello")),
        "branch": client.branch("alice/hello", "main"),
        "tags": list(client.tags("alice/hello")),
        "commits": list(client.commits("alice/hello", path="file0")),
        "commit": client.commit("alice/hello", "main"),
        "ref": client.ref("alice/hello", "refs/heads/main"),
        "refs": list(client.matching_refs("alice/hello")),
        "log": list(client.ref_log("alice/hello")),
        "tokens": list(client.tokens()),
        "keys": client.keys(),
    }


async def test_both_clients_read_the_same(tmp_path: Path) -> None:
    """One description of requests, carried two ways."""
    work = await a_history(tmp_path)
    await git(work, "tag", "-a", "v1", "-m", "one")
    async with open_world(tmp_path) as node:
        token = await node.token("alice")
        await pushed(node, work, token)
        plain = await with_client(node.url, token, everything)
        async with open_trio_client(node.url, token) as client:
            awaited: dict[str, Any] = {
                "account": await client.account("alice"),
                "validators": await client.validators(),
                "blocks": [one async for one in client.blocks()],
                "user": await client.user(),
                "repositories": [one async for one in client.my_repositories()],
                "branches": [one async for one in client.branches("alice/hello")],
                "commit": await client.commit("alice/hello", "main"),
                "log": [one async for one in client.ref_log("alice/hello")],
                "keys": await client.keys(),
            }
            status, ready = await client.status(), await client.is_ready()

    assert {name: plain[name] for name in awaited} == awaited
    assert plain["repositories"] == [plain["repository"]]
    top, by_hash = plain["top"]
    assert top == by_hash == awaited["blocks"][0]
    assert top.transactions[0].author == "alice"
    commit, branch, tag = plain["commit"], awaited["branches"][0], plain["tags"][0]
    assert commit.sha == branch.sha == tag.sha
    assert awaited["account"].keys == (node.people["alice"].key.public_key,)
    assert awaited["log"][0].new == commit.sha
    assert (status.chain_id, status.node, ready) == (node.chain, node.node_id, True)


async def test_lists_longer_than_a_page(tmp_path: Path) -> None:
    """The iterator goes on from page to page."""
    work = await a_history(tmp_path, commits=1)
    for number in range(230):
        await git(work, "tag", f"t{number:03d}")
    async with open_world(tmp_path) as node:
        token = await node.token("alice")
        await pushed(node, work, token)
        names = await with_client(node.url, token, lambda client: [tag.name for tag in client.tags("alice/hello")])

    assert names == [f"t{number:03d}" for number in range(230)]


async def test_a_repository_is_made_changed_deleted_and_brought_back(tmp_path: Path) -> None:
    """By token, each answer final."""
    async with open_world(tmp_path) as node:
        token = await node.token("alice", Scope.REPO)

        def live(client: Client) -> list[object]:
            made = client.create_repository("hello", description="words", private=True)
            client.set_collaborator("alice/hello", "bob", "write")
            people = [(one.name, one.role) for one in client.collaborators("alice/hello")]
            client.remove_collaborator("alice/hello", "bob")
            changed = client.edit_repository("alice/hello", name="hullo", description="", private=False)
            moved = client.repository("alice/hello")
            with pytest.raises(errors.NotAllowed, match=r"delete"):
                client.delete_repository("alice/hullo")
            return [made.description, made.private, people, changed.description, changed.private, moved.name, made.id]

        *found, repo = await with_client(node.url, token, live)

    assert found == ["words", True, [("alice", "admin"), ("bob", "write")], None, False, "hullo"]
    assert isinstance(repo, bytes)


async def test_a_transaction_with_a_text_is_submitted_and_asked_for(tmp_path: Path) -> None:
    """Signed here; the words ride beside. The same one again is the same answer."""
    async with open_world(tmp_path) as node:
        text = Text(os.urandom(32), "words beside")
        signed = node.signed("alice", a_repository("hello", text.commitment))

        def submit(client: Client) -> list[Any]:
            first, again = client.submit(signed, [text]), client.submit(signed, [text])
            return [first, again, client.wait_final(first.id), client.transaction(first.id)]

        answers = await with_client(node.url, None, submit)
        shown = await with_client(node.url, None, lambda client: client.repository("alice/hello").description)
        with pytest.raises(errors.Conflict, match="hello"):
            await with_client(node.url, None, lambda client: client.submit(node.signed("alice", a_repository("hello"))))
        with pytest.raises(errors.NotFound, match="never heard"):
            await with_client(node.url, None, lambda client: client.transaction(TxId(bytes(32))))

    assert answers == [answers[0]] * 4
    assert answers[0].phase is Phase.FINAL
    assert shown == "words beside"


async def test_what_is_not_final_is_waited_for_later(tmp_path: Path) -> None:
    """Without a quorum: the id comes with the error, and what waits is listed."""
    async with open_world(tmp_path, validators=2) as node:
        await node.others[0].stop()
        signed = node.signed("alice", a_repository("hello"))

        def submit(client: Client) -> tuple[TxId | None, list[TxId], TxId | None]:
            with pytest.raises(NotFinal, match="may still happen") as late:
                client.submit(signed)
            with pytest.raises(NotFinal) as later:
                client.wait_final(late.value.tx_id or TxId(b""), seconds=0.1)
            return late.value.tx_id, [one.id for one in client.mempool().transactions], later.value.tx_id

        first, waiting, second = await with_client(node.url, None, submit, seconds=1.0)

    assert first is not None
    assert waiting == [first]
    assert second == first


async def test_refusals_have_their_class_and_words(tmp_path: Path) -> None:
    """Whoever catches them need not read statuses."""
    async with open_world(tmp_path) as node:
        token = await node.token("alice")
        read_only = await node.token("alice", Scope.READ)
        await node.create(token, "hello")

        def refused(client: Client) -> None:
            for kind, words, call in (
                (errors.NotFound, "Not Found|no", lambda: client.repository("alice/none")),
                (errors.Conflict, "empty", lambda: next(client.commits("alice/hello"))),
                (errors.Refused, "already|taken|exists", lambda: client.create_repository("hello")),
                (errors.Refused, "name", lambda: client.create_repository("a b")),
                (errors.NotFound, "no block", lambda: client.block(10**9)),
                (errors.NotFound, "bobby", lambda: client.account("bobby")),
            ):
                with pytest.raises(kind, match=words):
                    call()

        def unauthorized(client: Client) -> None:
            with pytest.raises(errors.NotAllowed):
                client.create_repository("other")

        def unknown(client: Client) -> None:
            with pytest.raises(errors.Unauthenticated):
                client.user()

        await with_client(node.url, token, refused)
        await with_client(node.url, read_only, unauthorized)
        await with_client(node.url, "guts_pat_nonsense", unknown)


async def test_where_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unreachable, at once; and proxies of the environment are not asked for help."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
    url = f"http://127.0.0.1:{port}"

    with pytest.raises(Unreachable, match=url) as refused:
        await with_client(url, None, lambda client: client.status())
    async with open_trio_client(url) as client:
        with pytest.raises(Unreachable):
            await client.status()
        assert not await client.is_ready()
    assert not refused.value.was_sent


async def test_proxies_of_the_environment_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token goes to the node that was named, not to whatever a shell's profile says."""
    async with open_world(tmp_path) as node:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        status = await with_client(node.url, None, lambda client: client.status())

    assert status.chain_id == node.chain


async def answering(scope: Any, _receive: Any, send: Any) -> None:
    """No node at all."""
    body = b"<html>" if scope["path"] != "/large" else b"x" * (17 << 20)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def test_something_else_at_that_address() -> None:
    """Told as what it is, and not swallowed to the last byte."""
    async with open_server(answering) as server:
        with pytest.raises(UnexpectedAnswer, match="is this a Guts node"):
            await with_client(server.url, None, lambda client: client.status())
        async with open_trio_client(server.url) as client:
            with pytest.raises(UnexpectedAnswer, match="more than"):
                await client._send(Send("GET", "/large", {}))


async def test_a_certificate_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the file that is named, else that of SSL_CERT_FILE; without either a private one convinces nobody."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    settings = ServeSettings(certificate=(tmp_path / "cert.pem", tmp_path / "key.pem"))
    async with open_server(answering, settings) as server:
        url = server.url.replace("http://", "https://")
        with pytest.raises(Unreachable, match=r"CERTIFICATE_VERIFY_FAILED|certificate"):
            await with_client(url, None, lambda client: client.status())
        with pytest.raises(UnexpectedAnswer):
            await with_client(url, None, lambda client: client.status(), verify=tmp_path / "ca.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        with pytest.raises(UnexpectedAnswer):
            await with_client(url, None, lambda client: client.status())
        with pytest.raises(errors.Invalid, match=r"none\.pem"):
            await with_client(url, None, lambda client: client.status(), verify=tmp_path / "none.pem")


def test_importing_the_client_loads_nothing_heavy() -> None:
    """Help and completion import it, and ask nobody."""
    code = "import sys, guts_http.client; print(sorted({'httpx', 'trio', 'cattrs', 'quart'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], cwd=TREE, capture_output=True, text=True, check=True)

    assert run.stdout == "[]\n"


def public(cls: type) -> dict[str, Any]:
    return {name: member for name, member in vars(cls).items() if not name.startswith("_") and callable(member)}


def test_both_clients_have_the_same_calls() -> None:
    """With the same parameters and the same words."""
    plain, other = public(Client), public(TrioClient)

    assert plain.keys() == other.keys()
    for name, method in plain.items():
        assert method.__doc__, name
        assert method.__doc__ == other[name].__doc__
        assert inspect.signature(method).parameters == inspect.signature(other[name]).parameters


def test_every_call_is_in_the_reference() -> None:
    """With its parameters as they are; and the page names no other."""
    explained = dict(re.findall(r"^\| `(\w+)\((.*)\)` \|", PAGE, re.MULTILINE))
    signatures = {
        name: re.sub(r": [^,=]+?(?= =|,|\)$)", "", str(inspect.signature(method, eval_str=False)).split(" -> ")[0])
        for name, method in public(Client).items()
    }
    shown = {
        name: text.removeprefix("(self, ").removeprefix("(self").removesuffix(")") for name, text in signatures.items()
    }

    assert explained == {name: text.replace(" = ", "=") for name, text in shown.items()}


def test_every_result_and_error_is_in_the_reference() -> None:
    """Each class that the door names, with its fields."""
    for name, found in vars(door).items():
        if not inspect.isclass(found) or found in (Client, TrioClient):
            continue
        row = next(
            (line for line in PAGE.splitlines() if line.startswith("| `") and f"`{name}`" in line.split("|")[1]), ""
        )
        assert row, name
        if attrs.has(found) and name != "Status":
            missing = [each.name for each in attrs.fields(found) if not re.search(rf"\b{each.name}\b", row)]
            assert missing == [], name


async def test_the_programs_of_the_page_run(tmp_path: Path) -> None:
    """As they stand, against a node."""
    work = await a_history(tmp_path)
    plain, with_trio, signing = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    async with open_world(tmp_path) as node:
        token = await node.token("alice")
        await pushed(node, work, token)
        await node.create(token, "void")
        newest = (await git(work, "rev-parse", "--short=7", "HEAD")).out.strip()

        async def said(program: str, *arguments: str) -> list[str]:
            done = await trio.run_process(
                [sys.executable, "-W", "error", "-c", program, node.url, *arguments],
                capture_stdout=True,
                cwd=TREE,
                env={**os.environ, "GUTS_TOKEN": token},
            )
            return done.stdout.decode().splitlines()

        first = await said(plain)
        second = await said(with_trio)
        third = await said(signing, "alice", node.people["alice"].key.seed.hex())

    assert first == ["alice on test-net", f"alice/hello {newest} commit 1", "alice/void is empty"]
    assert second == ["alice on test-net", "alice/hello main", "alice/void"]
    assert re.fullmatch(rf"final at height \d+ {node.url}/alice/signed-here\.git", third[0])
