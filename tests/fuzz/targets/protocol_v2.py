"""Requests of git's protocol version 2: read the same wherever they are cut, and written anew they mean the same."""

from __future__ import annotations

from guts_core.errors import Invalid, LimitExceeded
from guts_core.git.fetch_arguments import Fetch
from guts_core.git.ls_refs import LsRefs
from guts_core.git.protocol_v2 import Request, RequestReader
from guts_core.git.v2_arguments import refusal


def _run(*pieces: bytes) -> Request | str:
    reader = RequestReader()
    try:
        for piece in pieces:
            reader.receive(piece)
        return reader.finish()
    except (Invalid, LimitExceeded) as refused:
        return str(refused)


def fuzz(data: bytes) -> None:
    """A request or a refusal in words; what git is handed is exactly what was understood."""
    asked = _run(data)
    assert _run(data[: len(data) // 2], data[len(data) // 2 :]) == asked
    if isinstance(asked, str):
        assert refusal(asked)[4:-1].decode().isprintable()
    if isinstance(asked, Fetch):
        assert _run(asked.to_bytes()) == asked
    if isinstance(asked, LsRefs):
        assert all(asked.shows(prefix) and asked.shows(prefix + b"x") for prefix in asked.prefixes)
        assert list(asked.prefixes) == sorted(asked.prefixes)
