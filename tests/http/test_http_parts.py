"""The small parts of the doors, alone: bodies, tokens, error tables, declarations of routes."""

from __future__ import annotations

import gzip
import zlib
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from quart_trio import QuartTrio

from guts_core import errors
from guts_core.chain.inadmissible import (
    Inadmissible,
)
from guts_core.chain.mempool import Busy
from guts_core.codec import to_bytes
from guts_core.errors import GutsError, LimitExceeded, Malformed, Unauthenticated, Unavailable
from guts_core.forge.permissions import Permission
from guts_core.forge.refs import Stale
from guts_core.forge.refusals import REFUSALS
from guts_core.node.codes import error_with
from guts_core.node.port import AskStatus, PortError
from guts_core.node.waiting import Lagging
from guts_http.app import all_routes
from guts_http.auth import shown_in
from guts_http.git.body import Body, ClientGone
from guts_http.metrics import Metrics
from guts_http.port import ask
from guts_http.problems import BadRequest, answer_to, status_of
from guts_http.routing import Access, Reply, Route, Routes, check_all_declared, install


def body_of(*messages: Any, coding: bytes | None = None, most: int = 1 << 20) -> Body:
    waiting = list(messages)

    async def receive() -> Any:
        return waiting.pop(0)

    return Body(receive, coding, most)


def piece(data: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": data, "more_body": more}


async def test_a_body_is_read_in_pieces() -> None:
    """Empty messages are no pieces."""
    body = body_of(piece(b"one"), piece(b""), piece(b"two", more=False))

    assert [data async for data in body] == [b"one", b"two"]


@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_a_gzip_body_cut_anywhere_is_read(size: int) -> None:
    """The coding knows nothing of packets."""
    plain = bytes(range(256)) * 1000
    coded = gzip.compress(plain)
    cut = [piece(coded[at : at + size]) for at in range(0, len(coded), size)]
    body = body_of(*cut, piece(b"", more=False), coding=b"gzip")

    assert plain == b"".join([data async for data in body])


async def test_bad_D_07_a_gzip_bomb_is_cut_off_at_the_limit() -> None:
    """Nothing near its size is ever in memory."""
    bomb = gzip.compress(bytes(100 << 20))
    sizes: list[int] = []

    async def read() -> None:
        async for data in body_of(piece(bomb, more=False), coding=b"gzip"):
            sizes.append(len(data))  # noqa: PERF401 -- what was read before the error counts

    with pytest.raises(LimitExceeded, match="1048576"):
        await read()

    assert max(sizes) <= 64 * 1024
    assert sum(sizes) <= 1 << 20


@pytest.mark.parametrize(
    ("coding", "data"),
    [
        (b"gzip", b"not gzip at all"),
        (b"gzip", gzip.compress(b"x", mtime=0)[:-1]),
        (b"gzip", gzip.compress(b"x", mtime=0) + b"more"),
        (b"gzip", gzip.compress(b"x", mtime=0) * 2),
        (b"gzip", zlib.compress(b"x")),
        (b"br", b"x"),
        (b"gzip, gzip", gzip.compress(gzip.compress(b"x", mtime=0), mtime=0)),
    ],
)
async def test_bad_D_07_other_codings_are_refused(coding: bytes, data: bytes) -> None:
    """One layer of gzip, whole, and nothing behind it."""
    with pytest.raises(BadRequest):
        _ = [found async for found in body_of(piece(data, more=False), coding=coding)]


async def test_a_client_that_goes_away_is_noticed() -> None:
    """Half a body is no body."""
    with pytest.raises(ClientGone):
        _ = [found async for found in body_of(piece(b"half"), {"type": "http.disconnect"})]


@pytest.mark.parametrize(
    "value",
    [b"Basic !!!", b"Basic " + b64encode(b"\xff\xfe:x"), b"Digest x", b"x", b""],
)
def test_bad_authorization_headers_are_401(value: bytes) -> None:
    """Never an error of ours."""
    with pytest.raises(Unauthenticated):
        shown_in([(b"authorization", value)], b"")


def test_a_token_is_never_in_a_repr() -> None:
    """What is logged by accident."""
    shown = shown_in([(b"authorization", b"token sesame")], b"")

    assert shown is not None
    assert "sesame" not in repr(shown)


@pytest.mark.parametrize("query", [b"access_token=x", b"a=b&TOKEN=x", b"private_token", b"%74oken=x"])
def test_bad_E_02_secrets_in_queries_are_refused(query: bytes) -> None:
    """However they are spelled."""
    with pytest.raises(BadRequest, match="never stands in a URL"):
        shown_in([], query)


def every_error(cls: type[GutsError] = GutsError) -> list[type[GutsError]]:
    return [cls, *(found for child in cls.__subclasses__() for found in every_error(child))]


@pytest.mark.parametrize("cls", every_error())
def test_every_error_has_a_status(cls: type[GutsError]) -> None:
    """Also those that are added later."""
    assert 400 <= status_of(cls) <= 599


@pytest.mark.parametrize("code", [*REFUSALS, *(cls.code for cls in Inadmissible.__subclasses__())])
def test_every_code_comes_back_as_its_error(code: str) -> None:
    """A code and a sentence are what a receipt and the port carry."""
    error = error_with(code, "in words")

    assert str(error) == "in words"
    assert error.code == code


def test_an_error_with_its_own_constructor_comes_back() -> None:
    """Its words were made where it was raised."""
    error = error_with("stale", "main moved")

    assert isinstance(error, Stale)
    assert str(error) == "main moved"


class OnePort:
    """A port whose node says these bytes and ends the stream."""

    def __init__(self, said: bytes) -> None:
        self._said = said

    async def open(self) -> trio.abc.Stream:
        """The stream."""
        ours, theirs = trio.testing.memory_stream_pair()
        await theirs.send_all(self._said)
        await theirs.send_eof()
        return ours


def framed(record: object) -> bytes:
    data = to_bytes(record)
    return len(data).to_bytes(4, "big") + data


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"", Unavailable),
        (b"\0\0", Unavailable),
        (framed(PortError("not-found", "x"))[:-1], Unavailable),
        (b"\xff\xff\xff\xff", Malformed),
        (b"\0\0\0\1\0", Malformed),
        (framed(AskStatus()), Malformed),
        (framed(PortError("not-found", "x")), errors.NotFound),
        (framed(PortError("unavailable", "x")), Unavailable),
        (framed(PortError("of-later-rules", "x")), Unavailable),
    ],
)
async def test_whatever_a_node_says_is_an_answer_or_an_error(said: bytes, error: type[GutsError]) -> None:
    """Cut off, too long, of another kind: never a hang, never a bug."""
    with trio.fail_after(60), pytest.raises(error):
        await ask(OnePort(said), AskStatus())


def test_every_route_declares_what_it_needs() -> None:
    """The table is the application: method, path and permission of each."""
    table = {(route.method, route.path): route.need for route in all_routes(Metrics())}

    assert table == {
        ("GET", "/"): Access.PUBLIC,
        ("GET", "/livez"): Access.PUBLIC,
        ("GET", "/readyz"): Access.PUBLIC,
        ("GET", "/startupz"): Access.PUBLIC,
        ("GET", "/metrics"): Access.PUBLIC,
        ("GET", "/api/v3/user"): Access.SIGNED_IN,
        ("GET", "/api/v3/user/repos"): Permission.LIST_OWN,
        ("POST", "/api/v3/user/repos"): Permission.CREATE_REPOSITORY,
        ("GET", "/api/v3/repos/<owner>/<name>"): Permission.READ_REPOSITORY,
        ("GET", "/api/v3/repos/<owner>/<name>/branches"): Permission.READ_REPOSITORY,
        ("GET", "/api/v3/repos/<owner>/<name>/branches/<path:branch>"): Permission.READ_REPOSITORY,
        ("GET", "/api/v3/repos/<owner>/<name>/tags"): Permission.READ_REPOSITORY,
        ("GET", "/api/v3/repos/<owner>/<name>/commits"): Permission.READ_REPOSITORY,
        ("GET", "/api/v3/repos/<owner>/<name>/commits/<path:ref>"): Permission.READ_REPOSITORY,
        ("GET", "/api/v3/repos/<owner>/<name>/contents/"): Permission.READ_REPOSITORY,
        ("GET", "/api/v3/repos/<owner>/<name>/contents/<path:path>"): Permission.READ_REPOSITORY,
        ("GET", "/api/v3/repos/<owner>/<name>/languages"): Permission.READ_REPOSITORY,
        ("GET", "/api/v3/repos/<owner>/<name>/compare/<path:basehead>"): Permission.READ_REPOSITORY,
        ("GET", "/api/v3/repos/<owner>/<name>/tarball/"): Permission.READ_REPOSITORY,
        ("GET", "/api/v3/repos/<owner>/<name>/tarball/<path:ref>"): Permission.READ_REPOSITORY,
        ("GET", "/api/v3/repos/<owner>/<name>/zipball/"): Permission.READ_REPOSITORY,
        ("GET", "/api/v3/repos/<owner>/<name>/zipball/<path:ref>"): Permission.READ_REPOSITORY,
        ("GET", "/api/v3/repos/<owner>/<name>/git/trees/<path:sha>"): Permission.READ_REPOSITORY,
        ("GET", "/api/v3/repos/<owner>/<name>/git/blobs/<sha>"): Permission.READ_REPOSITORY,
        ("GET", "/api/v3/repos/<owner>/<name>/git/ref/<path:ref>"): Permission.READ_REPOSITORY,
        ("GET", "/api/v3/repos/<owner>/<name>/git/matching-refs/"): Permission.READ_REPOSITORY,
        ("GET", "/api/v3/repos/<owner>/<name>/git/matching-refs/<path:start>"): Permission.READ_REPOSITORY,
        ("GET", "/api/v3/repos/<owner>/<name>/collaborators"): Permission.WRITE_REPOSITORY,
        ("PUT", "/api/v3/repos/<owner>/<name>/collaborators/<user>"): Permission.ADMIN_REPOSITORY,
        ("DELETE", "/api/v3/repos/<owner>/<name>/collaborators/<user>"): Permission.LEAVE_REPOSITORY,
        ("PATCH", "/api/v3/repos/<owner>/<name>"): Permission.ADMIN_REPOSITORY,
        ("DELETE", "/api/v3/repos/<owner>/<name>"): Permission.DELETE_REPOSITORY,
        ("DELETE", "/api/guts/v1/repos/<owner>/<name>"): Permission.DELETE_REPOSITORY,
        ("GET", "/api/guts/v1/deleted-repositories"): Permission.LIST_OWN,
        ("POST", "/api/guts/v1/deleted-repositories/<deleted>/restore"): Permission.RESTORE_REPOSITORY,
        ("GET", "/api/guts/v1/repos/<owner>/<name>/reflog"): Permission.READ_REPOSITORY,
        ("GET", "/api/guts/v1/repos/<owner>/<name>/texts"): Permission.READ_REPOSITORY,
        ("GET", "/api/guts/v1/repos/<owner>/<name>/texts/<commitment>"): Permission.READ_REPOSITORY,
        ("DELETE", "/api/guts/v1/repos/<owner>/<name>/texts/<commitment>"): Permission.READ_REPOSITORY,
        ("GET", "/api/guts/v1/tokens"): Permission.LIST_CREDENTIALS,
        ("DELETE", "/api/guts/v1/tokens/<credential>"): Access.SIGNED_IN,
        ("GET", "/api/guts/v1/keys"): Permission.LIST_CREDENTIALS,
        ("GET", "/api/guts/v1/status"): Access.PUBLIC,
        ("GET", "/api/guts/v1/blocks"): Access.PUBLIC,
        ("GET", "/api/guts/v1/blocks/<height>"): Access.PUBLIC,
        ("GET", "/api/guts/v1/blocks/hash/<block_hash>"): Access.PUBLIC,
        ("GET", "/api/guts/v1/mempool"): Access.PUBLIC,
        ("GET", "/api/guts/v1/validators"): Access.PUBLIC,
        ("GET", "/api/guts/v1/genesis"): Access.PUBLIC,
        ("GET", "/api/guts/v1/places"): Access.PUBLIC,
        ("GET", "/api/guts/v1/network/epoch"): Access.PUBLIC,
        ("GET", "/api/guts/v1/network/decisions"): Access.PUBLIC,
        ("GET", "/api/guts/v1/network/decisions/<int:number>"): Access.PUBLIC,
        ("GET", "/api/guts/v1/network/followers"): Access.PUBLIC,
        ("GET", "/api/guts/v1/network/evidence"): Access.PUBLIC,
        ("GET", "/api/guts/v1/accounts/<name>"): Access.PUBLIC,
        ("POST", "/api/guts/v1/transactions"): Access.PUBLIC,
        ("GET", "/api/guts/v1/transactions/<tx_id>"): Access.PUBLIC,
        ("GET", "/api/guts/v1/proof"): Access.PUBLIC,
    }


def test_a_route_without_a_declaration_does_not_start() -> None:
    """Somebody adds one past the table."""
    app = QuartTrio("undeclared", static_folder=None)

    @app.get("/open")
    async def undeclared() -> str:
        return "anything"

    with pytest.raises(AssertionError, match="undeclared"):
        check_all_declared(app, [])


def test_a_role_without_a_repository_does_not_start(tmp_path: Path) -> None:
    """A permission about a repository on a route that names none would be decided about nothing."""
    routes = Routes()

    @routes.writes("POST", "/everything", Permission.ADMIN_REPOSITORY)
    async def handler(_asked: object) -> Reply:
        return Reply(None)

    app: Any = QuartTrio("misdeclared", static_folder=None)
    unused: Any = None
    with pytest.raises(AssertionError, match="needs a role in no repository"):
        install(app, unused, unused, routes.declared)
    bad: Any = Route("GET", "/x", "nothing", handler, is_read=False)  # type: ignore[arg-type]  # what must not start
    with pytest.raises(AssertionError, match="declares no permission"):
        install(app, unused, unused, [bad])


def test_a_mempool_without_room_is_429_and_says_when_to_come_again() -> None:
    """The transaction is as good as it was: in a few seconds the same one may be taken."""
    answer = answer_to(error_with(Busy.code, "this node has too many waiting transactions"))

    assert (answer.status, answer.code) == (429, "busy")
    assert int(answer.headers["Retry-After"]) > 0


def test_a_network_that_lags_is_503_and_says_when_to_come_again() -> None:
    """By a code of its own: nothing was submitted, unlike where a write is not final in time."""
    answer = answer_to(error_with(Lagging.code, "nothing has become final for 11.0 s"))

    assert (answer.status, answer.code) == (503, "lagging")
    assert int(answer.headers["Retry-After"]) > 0
