"""A real nginx in front of a node, configured exactly as the how-to page says."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
import trio
import trustme

from guts_http.site import Settings
from tests.http.http_world import PATIENCE_SECONDS
from tests.http.node_world import Node, a_history, git, open_world
from tests.optional_programs import program
from tests.ports import free_ports

PAGE = Path(__file__).parents[2] / "docs/how-to/put-nginx-in-front.md"
# What Debian's own nginx.conf says around a site, in a directory of the test.
MAIN = """
{user}
daemon off;
pid nginx.pid;
error_log error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
{site}
}}
"""


def the_page(port: int, upstream: str, path: Path) -> str:
    """The site of the page, at ports and with files of this machine."""
    found = re.search(r"```nginx\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    site = found[1]
    for said, here in {
        "127.0.0.1:8080": upstream,
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/letsencrypt/live/git.example.org": str(path),
    }.items():
        assert said in site
        site = site.replace(said, here)
    return site


@asynccontextmanager
async def nginx(executable: str, path: Path, node: Node) -> AsyncIterator[str]:
    """An nginx for this node; its URL."""
    issued = trustme.CA().issue_cert("127.0.0.1")
    (path / "fullchain.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    (path / "privkey.pem").write_bytes(issued.private_key_pem.bytes())
    (port,) = free_ports(1)
    user = "user root;" if os.geteuid() == 0 else ""
    site = the_page(port, node.url.removeprefix("http://"), path)
    (path / "nginx.conf").write_text(MAIN.format(user=user, site=site))
    argv = [executable, "-p", str(path), "-c", "nginx.conf", "-e", "error.log"]
    async with trio.open_nursery() as nursery:
        run = partial(trio.run_process, argv, stdin=subprocess.DEVNULL, check=False)
        process: trio.Process = await nursery.start(run)
        with trio.fail_after(PATIENCE_SECONDS):
            while not await answers(port):
                assert process.poll() is None, (path / "error.log").read_text()
        yield f"https://127.0.0.1:{port}"
        process.terminate()


async def answers(port: int) -> bool:
    try:
        await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
    except OSError:
        return False
    return True


async def clients_of(node: Node, path: str) -> list[str]:
    """Who asked for a path; the log has a request a moment after its answer."""
    with trio.fail_after(PATIENCE_SECONDS):
        while path not in {access.path for access in node.accesses}:
            await trio.lowlevel.checkpoint()
    return [access.client for access in node.accesses if access.path == path]


@pytest.fixture
def executable() -> str:
    """The program, before anything is started that would have to be stopped."""
    return program("nginx", "nginx-light")


async def test_git_and_the_api_pass_through_nginx(tmp_path: Path, executable: str) -> None:
    """A push in chunks, a clone, links that lead back to nginx, and clients known by their own address."""
    front = tmp_path / "front"
    front.mkdir()
    async with (
        open_world(tmp_path / "net", Settings(trusted_proxies=("127.0.0.1",))) as node,
        nginx(executable, front, node) as url,
    ):
        token = await node.token("alice")
        work = await a_history(tmp_path, payload=os.urandom(2 << 20))
        blind = ("-c", "http.sslVerify=false")
        pushed = await git(work, *blind, "push", url.replace("//", f"//alice:{token}@") + "/alice/hello.git", "main")
        cloned = await git(tmp_path, *blind, "clone", "-q", f"{url}/alice/hello.git", "copy")
        here, there = [await git(at, "rev-parse", "HEAD") for at in (work, tmp_path / "copy")]
        from_elsewhere = httpx.AsyncHTTPTransport(verify=False, local_address="127.0.0.2")
        async with httpx.AsyncClient(transport=from_elsewhere, base_url=url) as client:
            pretending = {"x-forwarded-for": "203.0.113.9", "x-forwarded-host": "evil.example"}
            shown = await client.get("/api/v3/repos/alice/hello", headers=pretending)
        clients = await clients_of(node, "/api/v3/repos/alice/hello")

    assert pushed.code == 0, pushed.err
    assert cloned.code == 0, cloned.err
    assert here.out == there.out
    assert shown.status_code == 200
    assert clients == ["127.0.0.2"]
    assert shown.json()["clone_url"] == f"{url}/alice/hello.git"
