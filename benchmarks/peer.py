"""
The server that pushes and clones are compared with: ``git http-backend``, one node, no agreement.

Behind nginx and fcgiwrap where both are installed, otherwise behind ``http_backend.py``. It asks for
Basic as a forge must, so that the client makes the same requests to both sides.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

PATIENCE_SECONDS = 10.0
_POLL_SECONDS = 0.02
_NGINX = """\
daemon off; master_process off; worker_processes 1; pid {here}/nginx.pid; error_log {here}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; client_max_body_size 0; client_body_temp_path {here}/body; proxy_temp_path {here}/proxy;
  fastcgi_temp_path {here}/fastcgi; uwsgi_temp_path {here}/uwsgi; scgi_temp_path {here}/scgi;
  server {{
    listen 127.0.0.1:{port};
    auth_basic "peer"; auth_basic_user_file {here}/users;
    location / {{
      fastcgi_pass unix:{here}/fcgi.sock; fastcgi_request_buffering off; fastcgi_buffering off; gzip off;
      fastcgi_param SCRIPT_FILENAME {backend}; fastcgi_param GIT_PROJECT_ROOT {root};
      fastcgi_param GIT_HTTP_EXPORT_ALL 1; fastcgi_param PATH_INFO $uri; fastcgi_param REMOTE_USER peer;
      fastcgi_param QUERY_STRING $query_string; fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param CONTENT_TYPE $content_type; fastcgi_param CONTENT_LENGTH $content_length;
      fastcgi_param GIT_PROTOCOL $http_git_protocol; fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding;
    }}
  }}
}}
"""


@frozen
class Peer:
    """A running peer; repositories under ``root`` are at ``url``."""

    url: str
    root: Path
    words: str  # what it is, for the notes
    pids: tuple[int, ...]  # in whose processor time that of its git children shows; none where it does not

    def create(self, name: str) -> str:
        """An empty repository that may be pushed to; its URL."""
        path = self.root / name
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(path)], check=True)
        subprocess.run(["git", "-C", str(path), "config", "http.receivepack", "true"], check=True)
        return f"{self.url}/{name}"


@contextmanager
def open_peer(directory: Path, user: str, token: str) -> Iterator[Peer]:
    """A peer whose only user is this one; it ends with the block."""
    root = directory / "repositories"
    root.mkdir(parents=True)
    behind_nginx = shutil.which("nginx") and shutil.which("fcgiwrap")
    with (_nginx if behind_nginx else _python)(directory, root, user, token) as peer:
        yield peer


@contextmanager
def _python(_directory: Path, root: Path, user: str, token: str) -> Iterator[Peer]:
    with _running(_alone([sys.executable, "-m", "benchmarks.http_backend", str(root), user, token])) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        words = "git http-backend behind a small Python CGI server (nginx and fcgiwrap are not both installed)"
        yield Peer(f"http://127.0.0.1:{port}", root, words, (server.pid,))


@contextmanager
def _nginx(directory: Path, root: Path, user: str, token: str) -> Iterator[Peer]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    git = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True).stdout.strip()
    config = directory / "nginx.conf"
    config.write_text(_NGINX.format(here=directory, port=port, root=root, backend=f"{git}/git-http-backend"))
    (directory / "users").write_text(f"{user}:{{PLAIN}}{token}\n")
    fcgi = _alone(["fcgiwrap", "-c", "2", "-s", f"unix:{directory}/fcgi.sock"])
    with _running(fcgi), _running(_alone(["nginx", "-p", str(directory), "-c", str(config)])):
        _wait_listening(port)
        words = "git http-backend behind nginx and fcgiwrap"
        yield Peer(f"http://127.0.0.1:{port}", root, words, ())


def _alone(argv: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True)


@contextmanager
def _running(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    try:
        yield process
    finally:
        # The whole group: fcgiwrap's workers outlive it otherwise.
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate()


def _wait_listening(port: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert time.monotonic() < deadline, "nginx listens"
            time.sleep(_POLL_SECONDS)
        else:
            return
