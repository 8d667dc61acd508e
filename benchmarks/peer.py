"""
The server that pushes, clones and fetches are compared with: ``git http-backend`` behind nginx and fcgiwrap.

One node, no agreement, stock settings. It asks for Basic as a forge must, so that the client makes the same requests
to both sides.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import field, frozen

from guts_core.errors import GutsError

from .processes import tree

PATIENCE_SECONDS = 60.0
_POLL_SECONDS = 0.02
# So many requests at once: those of the parallel fetches.
WORKERS = 8
# Where Debian keeps servers, beside where a shell of no administrator looks.
_SERVER_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
_COUNTED = "/counted"
_NGINX = """\
daemon off; master_process off; worker_processes 1; pid {here}/nginx.pid; error_log {here}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; client_max_body_size 0; client_body_temp_path {here}/body; proxy_temp_path {here}/proxy;
  fastcgi_temp_path {here}/fastcgi; uwsgi_temp_path {here}/uwsgi; scgi_temp_path {here}/scgi;
  fastcgi_request_buffering off; fastcgi_buffering off; fastcgi_read_timeout 600; gzip off;
  fastcgi_param GIT_PROJECT_ROOT {root}; fastcgi_param GIT_HTTP_EXPORT_ALL 1; fastcgi_param REMOTE_USER peer;
  fastcgi_param QUERY_STRING $query_string; fastcgi_param REQUEST_METHOD $request_method;
  fastcgi_param CONTENT_TYPE $content_type; fastcgi_param CONTENT_LENGTH $content_length;
  fastcgi_param GIT_PROTOCOL $http_git_protocol; fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding;
  fastcgi_param SCRIPT_FILENAME $script; fastcgi_param PATH_INFO $repository_path;
  map $uri $script {{ default {backend}; "~^{counted}/" {here}/counted; }}
  map $uri $repository_path {{ default $uri; "~^{counted}(?<rest>/.*)$" $rest; }}
  server {{
    listen 127.0.0.1:{port};
    auth_basic "peer"; auth_basic_user_file {here}/users;
    location / {{ fastcgi_pass unix:{here}/fcgi.sock; }}
  }}
}}
"""
# The shell ends at once and leaves git to the reaper. A child in the background reads nothing unless it is told to.
_LEAVE_BEHIND = "#!/bin/sh\nexec 3<&0\n'{backend}' <&3 3<&- &\n"


class MissingProgram(GutsError):
    """The benchmark compares with a program that is not installed."""

    code = "missing-program"


@frozen
class Peer:
    """
    A running peer; repositories under ``root`` are at ``url``.

    At ``counted_url`` they are too, with the processor time of git showing in that of ``pids``: each request takes a
    millisecond longer there, which is why only processor time is measured at it.
    """

    url: str
    root: Path
    pids: tuple[int, ...]
    words: str = field(default="git http-backend behind nginx and fcgiwrap", init=False)

    @property
    def counted_url(self) -> str:
        """Where requests are counted."""
        return self.url + _COUNTED

    def create(self, name: str) -> str:
        """An empty repository that may be pushed to; its URL."""
        path = self.root / name
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(path)], check=True)
        subprocess.run(["git", "-C", str(path), "config", "http.receivepack", "true"], check=True)
        return f"{self.url}/{name}"

    def tidy(self, name: str) -> None:
        """One pack with a bitmap, as a host that is looked after has it."""
        subprocess.run(["git", "-C", str(self.root / name), "repack", "-adbq"], check=True)


@contextmanager
def open_peer(directory: Path, user: str, token: str) -> Iterator[Peer]:
    """A peer whose only user is this one; it ends with the block. Raises MissingProgram."""
    nginx, fcgiwrap = _program("nginx"), _program("fcgiwrap")
    root = directory / "repositories"
    root.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    _configure(directory, root, port, f"{user}:{{PLAIN}}{token}\n")
    wrapped = [fcgiwrap, "-c", str(WORKERS), "-s", f"unix:{directory}/fcgi.sock"]
    git = _alone([sys.executable, "-m", "benchmarks.reaper", *wrapped])
    with _running(git), _running(_alone([nginx, "-p", str(directory), "-c", f"{directory}/nginx.conf"])) as front:
        _wait(lambda: _listens(port), "nginx listens")
        _wait(lambda: len(tree(git.pid)) == WORKERS + 2, "fcgiwrap has its workers")
        yield Peer(f"http://127.0.0.1:{port}", root, (front.pid, *tree(git.pid)))


def _program(name: str) -> str:
    found = shutil.which(name, path=_SERVER_PATH)
    if found is None:
        raise MissingProgram(f"{name} is needed for what git is compared with: sudo apt install nginx-light fcgiwrap")
    return found


def _configure(here: Path, root: Path, port: int, users: str) -> None:
    git = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True).stdout.strip()
    backend = f"{git}/git-http-backend"
    config = _NGINX.format(here=here, port=port, root=root, backend=backend, counted=_COUNTED)
    (here / "nginx.conf").write_text(config)
    (here / "users").write_text(users)
    (here / "counted").write_text(_LEAVE_BEHIND.format(backend=backend))
    (here / "counted").chmod(0o700)


def _alone(argv: list[str]) -> subprocess.Popen[str]:
    quiet = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    return subprocess.Popen(argv, env={**os.environ, **quiet}, text=True, start_new_session=True)


@contextmanager
def _running(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    try:
        yield process
    finally:
        # The whole group: fcgiwrap's workers outlive it otherwise.
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def _wait(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE_SECONDS:g} s until {what}; is another one in its place?")
        time.sleep(_POLL_SECONDS)
