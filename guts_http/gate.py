"""
What no honest HTTP client sends is refused before any application sees it (``reliability.md`` D03,
D04, D06). h11 is lenient where proxies disagree with it, and that is how requests are smuggled; so
the head is judged on its raw bytes first.
"""

from __future__ import annotations

import re
from typing import Any

import h11
from hypercorn.protocol.h11 import H11Protocol

_BARE_LF = re.compile(rb"(?<!\r)\n")
_BARE_CR = re.compile(rb"\r(?!\n)")
_FETCH = re.compile(rb"/git-upload-pack\Z|/info/refs\?service=git-upload-pack\Z")
_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([\x21-\x7e]+) HTTP/1\.[01]")
_HEADER_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):(.*)")
_LENGTH = re.compile(rb"[0-9]{1,18}")
HEADERS_MAX = 100
# Framing, identity and addressing headers mean two different things when they stand twice.
_ONCE = frozenset(
    {b"host", b"content-length", b"transfer-encoding", b"authorization", b"content-encoding", b"content-type"}
)


class GatedConnection(h11.Connection):
    """An h11 connection that first judges the head of each request."""

    def next_event(self) -> Any:
        """As h11, but RemoteProtocolError for what the gate refuses."""
        try:
            if self.their_state is h11.IDLE:
                refuse_bad_head(self.trailing_data[0])
            event = super().next_event()
            if isinstance(event, h11.EndOfMessage) and event.headers:
                raise _bad("trailers are not read here")
        except h11.RemoteProtocolError:
            # As h11 marks its own refusals: an application that answers meanwhile speaks to nobody.
            self._process_error(self.their_role)
            raise
        return event


class GatedProtocol(H11Protocol):
    """HTTP/1.1 behind the gate; offers to upgrade to anything else are ignored."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._is_fetch = False
        self.connection: Any = GatedConnection(
            h11.SERVER, max_incomplete_event_size=self.config.h11_max_incomplete_size
        )

    @property
    def owes_an_answer(self) -> bool:
        """
        Whether the client has said all that it will, a whole request last, and waits for what we say.

        No git client closes its side and reads on: one that did that has gone, and a child that works for it ends.
        """
        return self.stream is not None and not self._is_fetch and self.connection.their_state is h11.CLOSED

    async def _check_protocol(self, event: h11.Request) -> None:
        """Never HTTP/2: an ``Upgrade: h2c`` is answered in HTTP/1.1, as RFC 9110 7.8 allows."""

    async def _create_stream(self, request: h11.Request) -> None:
        self._is_fetch = _FETCH.search(request.target) is not None
        kept = [(name, value) for name, value in request.headers if name not in (b"upgrade", b"http2-settings")]
        plain = h11.Request(
            method=request.method, target=request.target, headers=kept, http_version=request.http_version
        )
        await super()._create_stream(plain)


def refuse_bad_head(received: bytes) -> None:
    """Raise RemoteProtocolError (400) for a request head, complete or not yet, that the gate refuses."""
    head, end, _ = received.partition(b"\r\n\r\n")
    if _BARE_LF.search(head) or _BARE_CR.search(head if end else head.removesuffix(b"\r")):
        raise _bad("lines end in CR LF")
    if end:
        line, *headers = head.split(b"\r\n")
        _judge_request_line(line)
        _judge_headers(headers)


def _judge_request_line(line: bytes) -> None:
    matched = _REQUEST_LINE.fullmatch(line)
    if matched is None:
        raise _bad("the request line is not METHOD /path HTTP/1.1")
    method, target = matched.groups()
    if method == b"CONNECT" or not (target.startswith(b"/") or (target == b"*" and method == b"OPTIONS")):
        raise _bad("the request target is a path: this is no proxy")


def _judge_headers(lines: list[bytes]) -> None:
    if len(lines) > HEADERS_MAX:
        raise h11.RemoteProtocolError(f"more than {HEADERS_MAX} headers", error_status_hint=431)
    seen: dict[bytes, bytes] = {}
    for line in lines:
        matched = _HEADER_LINE.fullmatch(line)
        if matched is None:
            raise _bad("a header line is name: value, on one line")
        name, value = matched[1].lower(), matched[2].strip(b" \t")
        if name in seen and name in _ONCE:
            raise _bad(f"{name.decode()} stands twice")
        seen[name] = value
    if b"content-length" in seen and b"transfer-encoding" in seen:
        raise _bad("content-length and transfer-encoding together")
    if not _LENGTH.fullmatch(seen.get(b"content-length", b"0")):
        raise _bad("content-length is one number")
    if seen.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
        raise _bad("the only transfer-encoding read here is chunked")


def _bad(reason: str) -> h11.RemoteProtocolError:
    return h11.RemoteProtocolError(reason, error_status_hint=400)
