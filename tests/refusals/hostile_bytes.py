"""
What hostile clients put on a connection: the six that each ended a server of hypercorn 0.18, and more.

Plain bytes and plain sockets: the battery is given to hypercorn without its guards, to the server, and to
a whole node, on every Python that is supported.
"""

from __future__ import annotations


def h2_frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    """One HTTP/2 frame."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream_id.to_bytes(4, "big") + payload


def h2_headers(*pairs: tuple[bytes, bytes], end: bool = True) -> bytes:
    """A HEADERS frame with literal, never indexed fields."""
    block = b"".join(b"\x00" + bytes((len(n),)) + n + bytes((len(v),)) + v for n, v in pairs)
    return h2_frame(1, 4 | (1 if end else 0), 1, block)


H2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + h2_frame(4, 0, 0, b"")
_GET = (b":method", b"GET")
_SCHEME = (b":scheme", b"http")
_AUTHORITY = (b":authority", b"x")
WEBSOCKET = (
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
H2C = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: "
# Each of these, alone, ends a server of hypercorn 0.18 when nothing guards it (B1 a-f).
KILLS = {
    "a byte after a websocket upgrade": WEBSOCKET + b"\x00",
    "h2 path that is not ASCII": H2_PREFACE + h2_headers(_GET, _SCHEME, _AUTHORITY, (b":path", b"/\xff")),
    "h2 method that is not ASCII": H2_PREFACE
    + h2_headers((b":method", b"G\xff"), _SCHEME, _AUTHORITY, (b":path", b"/")),
    "h2 CONNECT without a path": H2_PREFACE + h2_headers((b":method", b"CONNECT"), _AUTHORITY),
    "h2 data after an early answer": H2_PREFACE
    + h2_headers((b":method", b"POST"), _SCHEME, _AUTHORITY, (b":path", b"/"), end=False),
    "h2c upgrade with bad settings": H2C + b"A\r\n\r\n",
}

_POST = b"POST /api/v3/user/repos HTTP/1.1\r\nHost: x\r\n"
_GET_ROOT = b"GET / HTTP/1.1\r\nHost: x\r\n"
_PUSH = (
    b"POST /a/b.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-git-receive-pack-request\r\n"
)
_RAPID_RESET = b"".join(h2_frame(3, 0, stream, b"\0\0\0\x08") for stream in range(1, 2001, 2))
MORE = {
    "h2 preface and rapid resets": H2_PREFACE + _RAPID_RESET,
    "h2 continuation flood": H2_PREFACE + h2_frame(1, 0, 1, b"\x82") + h2_frame(9, 0, 1, b"\x82" * 100) * 2000,
    "h2 ping and settings flood": H2_PREFACE + (h2_frame(6, 0, 0, bytes(8)) + h2_frame(4, 0, 0, b"")) * 2000,
    "h2c upgrade with good settings": H2C + b"AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n" + H2_PREFACE,
    "h2c upgrade with a body": H2C + b"AAMAAABk\r\nContent-Length: 5\r\n\r\nhello" + H2_PREFACE,
    "websocket frames after the offer": WEBSOCKET + b"\x81\x7f" + (1 << 40).to_bytes(8, "big") + bytes(1000),
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(512),
    "bytes of no protocol": bytes(range(256)) * 40,
    "half a request": _GET_ROOT[:20],
    "half a body": _POST + b"Content-Length: 1000\r\n\r\n{",
    "one header of a mebibyte": _GET_ROOT + b"X: " + b"x" * (1 << 20) + b"\r\n\r\n",
    "ten thousand headers": _GET_ROOT + b"".join(b"X%d: y\r\n" % n for n in range(10_000)) + b"\r\n",
    "a request line of 64 KiB": b"GET /" + b"x" * 65_536 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a chunk size that overflows": _POST + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nx",
    "a negative chunk size": _POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n",
    "a flood of chunk extensions": _POST
    + b"Transfer-Encoding: chunked\r\n\r\n1;"
    + b"x=y;" * 50_000
    + b"\r\nx\r\n0\r\n\r\n",
    "a negative length": _POST + b"Content-Length: -1\r\n\r\n",
    "a length of 30 digits": _POST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n",
    "CL.TE": _POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n",
    "TE.CL": _POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\nGPOST / HTTP/1.1\r\n\r\n0\r\n\r\n",
    "TE.TE": _POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "two lengths": _POST + b"Content-Length: 5\r\nContent-Length: 50\r\n\r\nhello",
    "a folded header": _GET_ROOT + b"X: y\r\n Content-Length: 5\r\n\r\nhello",
    "bare line feeds": b"GET / HTTP/1.1\nHost: x\n\n",
    "trailers that authorize": _POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nAuthorization: token x\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "an absolute target": b"GET http://elsewhere/ HTTP/1.1\r\nHost: elsewhere\r\n\r\n",
    "CONNECT": b"CONNECT elsewhere:22 HTTP/1.1\r\nHost: elsewhere:22\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "a NUL in the path": b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a path that is not ASCII": b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    "a path of broken escapes": b"GET /%ff%00%2e%2e/%zz/%u0000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "a method that is not ASCII": b"G\xc3\x89T / HTTP/1.1\r\nHost: x\r\n\r\n",
    "garbage in the pipeline": _GET_ROOT + b"\r\n" + b"\x00\xff" * 2000,
    "a thousand requests in the pipeline": (_GET_ROOT + b"\r\n") * 1000,
    "expectations": _POST + b"Expect: 100-continue, 200-ok\r\nContent-Length: 5\r\n\r\n",
    "push: packets of no length": _PUSH + b"Content-Length: 8\r\n\r\n-001-001",
    "push: a gzip bomb without a token": _PUSH
    + b"Content-Encoding: gzip\r\nContent-Length: 10\r\n\r\n\x1f\x8b"
    + bytes(8),
}
EVERY = KILLS | MORE
