"""
The peer of the git figures: ``git http-backend`` for one directory of repositories, asking for Basic.

    python -m benchmarks.http_backend DIRECTORY USER TOKEN

serves it by a small CGI server: one thread a connection, bodies streamed both ways. It stands in for
nginx and fcgiwrap, which ``make`` does not install; where both are, ``peer.py`` takes those.
"""

from __future__ import annotations

import base64
import hmac
import os
import subprocess
import sys
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

PIECE_BYTES = 65_536


class Handler(BaseHTTPRequestHandler):
    """One connection; each request is one child process."""

    protocol_version = "HTTP/1.1"
    # One segment for head and body, as nginx does; without it the head leaves alone and waits for an ACK.
    wbufsize = PIECE_BYTES
    disable_nagle_algorithm = True
    root: Path
    credentials: str

    def do_GET(self) -> None:
        """What the name says."""
        self._serve()

    def do_POST(self) -> None:
        """What the name says."""
        self._serve()

    def log_message(self, *_: object) -> None:
        """Say nothing: a log is no part of what is compared."""

    def _serve(self) -> None:
        if not hmac.compare_digest(self.headers.get("Authorization", ""), self.credentials):
            for _ in self._body():
                pass  # read, so that the connection can go on
            self.send_response(HTTPStatus.UNAUTHORIZED)
            self.send_header("WWW-Authenticate", 'Basic realm="peer"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        with subprocess.Popen(
            ["git", "http-backend"], env=self._environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            for piece in self._body():
                child.stdin.write(piece)
            child.stdin.close()
            self._answer(child.stdout)

    def _environment(self) -> dict[str, str]:
        url = urlsplit(self.path)
        said = {
            "REQUEST_METHOD": self.command,
            "QUERY_STRING": url.query,
            "PATH_INFO": unquote(url.path),
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REMOTE_USER": "peer",
            "REMOTE_ADDR": self.client_address[0],
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        if "Content-Length" in self.headers:
            said["CONTENT_LENGTH"] = self.headers["Content-Length"]
        quiet = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
        return {"PATH": os.environ["PATH"], **quiet, **said}

    def _body(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            yield from self._read(int(self.headers.get("Content-Length", 0)))
            return
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield from self._read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _read(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self.rfile.read(min(size, PIECE_BYTES))
            if not piece:
                raise EOFError("the client went away")
            size -= len(piece)
            yield piece

    def _answer(self, output: IO[bytes]) -> None:
        headers = {}
        while line := output.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        self.send_response(int(headers.pop("status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        # read1: what the child has said is passed on now, not when a buffer is full.
        while piece := output.read1(PIECE_BYTES):  # type: ignore[attr-defined]  # Popen's pipes are buffered readers
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()


def serve(root: Path, user: str, token: str) -> None:
    """Serve at a free port, told on standard output, until killed."""
    Handler.root = root
    Handler.credentials = "Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
