"""A node in a thread, for programs that know nothing of trio."""

from __future__ import annotations

import asyncio
import subprocess
import threading
import urllib.request
from pathlib import Path

import pytest

from guts_core.chain.compose import by_account, sign_with_account_key
from guts_core.errors import Conflict, GutsError, Invalid, Unavailable
from guts_core.forge import queries
from guts_core.forge.actions import CreateRepository
from guts_core.forge.records import ObjectFormat
from guts_http.doors import doors
from guts_net import NodeInThread, running_node


def a_repository(name: str, salt: bytes) -> CreateRepository:
    """An empty public one."""
    return CreateRepository(name, salt * 32, False, "refs/heads/main", ObjectFormat.SHA1, "all", None)


def node_threads() -> list[str]:
    """Those that run nodes; the workers that trio keeps for a while come and go as they like."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(("node ", "watchdog"))]


def height_of(node: NodeInThread, name: str) -> bool:
    return node.read(lambda view: queries.repository_by_name(view, "me", name)) is not None


def test_a_script_runs_a_node_and_finds_its_data_again(tmp_path: Path) -> None:
    """An empty directory becomes a network of one; the next start goes on with it."""
    with running_node(tmp_path / "node") as node:
        outcome = node.act(a_repository("hello", b"1"), a_repository("world", b"2"))
        assert outcome.height is not None
        assert node.status().height >= outcome.height
        chain = node.chain_id
        assert height_of(node, "hello")

    with running_node(tmp_path / "node") as node:
        assert chain == node.chain_id
        assert height_of(node, "world")
        assert not height_of(node, "nothing")


def test_a_refusal_is_raised_as_its_class(tmp_path: Path) -> None:
    """And the node goes on."""
    with running_node(tmp_path) as node:
        node.act(a_repository("hello", b"1"))
        with pytest.raises(Conflict, match="hello"):
            node.act(a_repository("hello", b"2"))
        stranger = by_account(node.chain_id, node.founder.account, (a_repository("x", b"3"),), 1, bytes(32))
        with pytest.raises(GutsError, match="expire"):
            node.submit(sign_with_account_key(stranger, node.founder.key))

        assert node.act(a_repository("other", b"4")).error is None


def test_asyncio_programs_call_it_in_threads(tmp_path: Path) -> None:
    """Two event loops, one process."""

    async def program(node: NodeInThread) -> list[int | None]:
        calls = [asyncio.to_thread(node.act, a_repository(f"r{n}", bytes([n]))) for n in range(3)]
        return [outcome.height for outcome in await asyncio.gather(*calls)]

    with running_node(tmp_path) as node:
        assert None not in asyncio.run(program(node))


def test_its_doors_serve_stock_git(tmp_path: Path) -> None:
    """The embedded HTTP server is the whole one."""
    with running_node(tmp_path / "node", doors=doors("127.0.0.1:0")) as node:
        node.act(a_repository("hello", b"1"))
        with urllib.request.urlopen(f"{node.doors}/api/v3/repos/me/hello", timeout=60) as reply:  # noqa: S310 -- http
            assert b'"full_name": "me/hello"' in reply.read()
        clone = ["git", "clone", "-q", f"{node.doors}/me/hello.git", str(tmp_path / "clone")]
        subprocess.run(clone, check=True, capture_output=True)

    assert (tmp_path / "clone" / ".git").is_dir()


def test_a_directory_in_use_is_refused_and_nothing_stays_behind(tmp_path: Path) -> None:
    with running_node(tmp_path):
        before = node_threads()
        with pytest.raises(Conflict, match="in use by process"), running_node(tmp_path):
            pytest.fail("two nodes in one directory")
        assert before == node_threads() != []
    assert node_threads() == []


def test_what_ends_the_node_reaches_the_program(tmp_path: Path) -> None:
    """Doors that fail take the node along, and the block raises why."""

    async def broken(*_: object, task_status: object) -> None:
        raise Invalid(f"no door here: {task_status is not None}")

    with pytest.raises(Invalid, match="no door here"), running_node(tmp_path, doors=broken):
        pytest.fail("it must not start")


def test_a_node_that_ended_says_so(tmp_path: Path) -> None:
    with running_node(tmp_path) as node:
        assert node.status().validators == 1

    with pytest.raises(Unavailable, match="does not run any more"):
        node.status()


def test_a_founder_is_known_only_where_a_program_founded_the_network(tmp_path: Path) -> None:
    with running_node(tmp_path) as node:
        (tmp_path / "keys" / "account.key").unlink()
        with pytest.raises(Invalid, match="was not founded by a program"):
            _ = node.founder
