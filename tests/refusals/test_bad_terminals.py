"""Row D11 of ``reliability.md`` 3, for our own command line: what a node says is shown, and not obeyed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from guts_cli.main import run
from guts_core.identity import token_of

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil\r"
COMMANDS = (
    ("status",),
    ("repo", "view", "alice/x"),
    ("ref", "log", "alice/x@main"),
    ("token", "list"),
)


class _Evil(BaseHTTPRequestHandler):
    """Answers everything with words that a terminal would obey."""

    status = 404

    def do_GET(self) -> None:
        """Every path."""
        body = json.dumps({"message": EVIL, "name": EVIL, "full_name": EVIL, "description": EVIL}).encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 -- as the base class names them

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@contextmanager
def evil_node(status: int) -> Iterator[str]:
    """A node that answers so, on loopback."""
    handler = type("Evil", (_Evil,), {"status": status})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("status", [200, 422])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_bad_D11_what_a_node_says_is_shown_and_not_obeyed(
    command: tuple[str, ...],
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Messages, names and shapes of a hostile node reach the terminal as visible text, with and without --json."""
    monkeypatch.setenv("GUTS_HOME", str(tmp_path))
    monkeypatch.setenv("GUTS_TOKEN", token_of(bytes(32)))
    with evil_node(status) as url:
        for options in ((), ("--json",)):
            run([*command, "--node", url, *options])
            captured = capsys.readouterr()
            said = captured.out + captured.err

            assert said
            assert "Traceback" not in said
            assert ("evil" in said) >= (status == 422)
            assert not [char for char in said if not char.isprintable() and char != "\n"]
