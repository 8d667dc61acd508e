"""A devnet of real processes for a test: started, watched, broken and stopped."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import define, field

# A loaded two-core machine is slow, not broken; a test that waits longer has found something.
PATIENCE_SECONDS = 180.0
_POLL_SECONDS = 0.05
# For nodes that these commands start: networks stand still on purpose here, and what is asked of them then is to wait.
_PATIENT = {"GUTS_LIMITS_WRITE_LAG_SECONDS": "3600"}


@define
class Answer:
    """What an HTTP request came to."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@define
class Devnet:
    """One network under ``directory``; all commands are those a user types."""

    directory: Path
    home: Path
    validators: int = 4
    fault_model: str = "byzantine"
    info: dict[str, Any] = field(factory=dict)

    # ---- the network ----

    def start(self, *extra: str) -> dict[str, Any]:
        """``guts devnet start --detach --json``; also resumes."""
        self.info = self.guts_json(
            "devnet", "start", "--validators", str(self.validators), "--dir", str(self.directory),
            "--fault-model", self.fault_model, "--detach", *extra,
        )  # fmt: skip
        return self.info

    def stop(self) -> None:
        """``guts devnet stop``."""
        self.guts("devnet", "stop", "--dir", str(self.directory))

    def start_node(self, index: int) -> None:
        """``guts devnet start-node``: exactly ``guts node run``, again."""
        self.guts("devnet", "start-node", "--dir", str(self.directory), "--index", str(index), "--detach")
        self.refresh()
        self.wait_ready(index)

    def refresh(self) -> None:
        """Read pids anew."""
        self.info = self.info | self.guts_json("devnet", "status", "--dir", str(self.directory))

    def url(self, index: int) -> str:
        """Where a node serves HTTP."""
        return str(self.info["nodes"][index]["http"])

    def pid(self, index: int) -> int:
        """The node process."""
        return int(self.info["nodes"][index]["pid"])

    def kill(self, *indexes: int) -> None:
        """A power cut for these nodes."""
        self.signal(signal.SIGKILL, *indexes)

    def signal(self, number: signal.Signals, *indexes: int) -> None:
        """Send a signal to nodes."""
        for index in indexes:
            os.kill(self.pid(index), number)

    # ---- asking ----

    def guts(self, *arguments: str, check: bool = True, home: Path | None = None) -> subprocess.CompletedProcess[str]:
        """A ``guts`` command."""
        environment = {**os.environ, "GUTS_HOME": str(home or self.home), **_PATIENT}
        done = subprocess.run(
            [sys.executable, "-m", "guts_cli", *arguments],
            env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS * 2,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"guts {' '.join(arguments)}: {done.stdout}\n{done.stderr}"
        return done

    def guts_json(self, *arguments: str, home: Path | None = None) -> dict[str, Any]:
        """A ``guts`` command's JSON answer."""
        answer: dict[str, Any] = json.loads(self.guts(*arguments, "--json", home=home).stdout)
        return answer

    def http(
        self, index: int, path: str, *, token: str | None = None, body: object = None, method: str | None = None
    ) -> Answer:
        """An API request to a node."""
        headers = {"Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"token {token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url(index) + path, data, headers, method=method)  # noqa: S310  # loopback
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310  # loopback
                return Answer(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, dict(error.headers), error.read())

    def status(self, index: int) -> dict[str, Any]:
        """``GET /api/guts/v1/status``."""
        answer: dict[str, Any] = self.http(index, "/api/guts/v1/status").json
        return answer

    def wait_ready(self, index: int) -> None:
        """Until the node says that it has started; the others may be down."""

        def ready() -> bool:
            try:
                return self.http(index, "/startupz").status == 200
            except OSError:
                return False

        wait_until(ready, f"node {index} is ready")

    def wait_height(self, height: int, *indexes: int) -> None:
        """Until these nodes (default: all) finalized this height."""
        for index in indexes or range(self.validators):
            wait_until(lambda i=index: self.status(i)["height"] >= height, f"node {index} at height {height}")  # type: ignore[misc]  # binds now

    def wait_all_at(self, index: int) -> None:
        """Until every node has finalized what this one has and serves it: a push needs the packs at a quorum only."""
        self.wait_height(int(self.status(index)["height"]))
        self.wait_whole()

    def wait_whole(self, *indexes: int) -> None:
        """Until these nodes (default: all) miss no pack."""
        for index in indexes or range(self.validators):
            wait_until(lambda i=index: self.status(i)["missing_packs"] == 0, f"node {index} has every pack")  # type: ignore[misc]  # binds now

    def assert_same_state(self, *indexes: int) -> str:
        """All these nodes report one state root at one height; returns it."""
        chosen = indexes or tuple(range(self.validators))

        def roots() -> set[tuple[int, str]]:
            return {(s["height"], s["state_root"]) for s in map(self.status, chosen)}

        self.wait_height(max(self.status(i)["height"] for i in chosen), *chosen)
        wait_until(lambda: len(roots()) == 1, "one height on all nodes")
        height = self.status(chosen[0])["height"]
        headers = {self.http(i, f"/api/guts/v1/blocks/{height}").json["state_root"] for i in chosen}
        assert len(headers) == 1, "one state root at one height"
        return str(headers.pop())

    # ---- logs ----

    def log_path(self, index: int) -> Path:
        """A node's log file."""
        return Path(self.info["nodes"][index]["dir"]) / "logs" / "node.log"

    def mark(self, index: int) -> int:
        """Where the log ends now."""
        path = self.log_path(index)
        return path.stat().st_size if path.exists() else 0

    def wait_log(self, index: int, event: str, since: int = 0, **fields: object) -> dict[str, Any]:
        """Until the node logged this event after ``since``; returns the line."""
        found: list[dict[str, Any]] = []

        def seen() -> bool:
            found.extend(self.lines(index, since, event, fields))
            return bool(found)

        wait_until(seen, f"node {index} logs {event}")
        return found[0]

    def lines(self, index: int, since: int, event: str, fields: dict[str, object]) -> list[dict[str, Any]]:
        """Log lines of one event."""
        with self.log_path(index).open("rb") as raw:
            raw.seek(since)
            texts = [line for line in raw.read().split(b"\n") if line.startswith(b"{") and line.endswith(b"}")]
        parsed = [json.loads(text) for text in texts]
        return [line for line in parsed if line["event"] == event and fields.items() <= line.items()]


def wait_until(true: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Poll until it is so; the reason it is not stands in the failure."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for: {what}"
        time.sleep(_POLL_SECONDS)


@define
class Git:
    """Stock git in one directory, for one person; credentials by a helper, never in a URL."""

    directory: Path
    user: str = "nobody"
    token: str | None = None

    def __call__(
        self, *arguments: str, check: bool = True, stdin: str | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run git here."""
        done = subprocess.run(
            ["git", *self._settings(), *arguments], cwd=self.directory, env=self.environment() | environment,
            input=stdin, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS * 3,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"git {' '.join(arguments)}: {done.stdout}\n{done.stderr}"
        return done

    def popen(self, *arguments: str) -> subprocess.Popen[str]:
        """Start git here and go on."""
        return subprocess.Popen(
            ["git", *self._settings(), *arguments], cwd=self.directory, env=self.environment(),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def at(self, directory: Path) -> Git:
        """The same person elsewhere."""
        return Git(directory, self.user, self.token)

    def clone(self, url: str, name: str, *options: str) -> Git:
        """Clone next to here."""
        self("clone", "-q", *options, url, name)
        return self.at(self.directory / name)

    def commit(self, path: str, text: str, message: str = "change") -> str:
        """Write a file and commit it; its oid."""
        target = self.directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        self("add", "-A")
        self("commit", "-q", "-m", message)
        return self.oid("HEAD")

    def oid(self, name: str) -> str:
        """What a revision is."""
        return self("rev-parse", name).stdout.strip()

    def refs(self, url: str) -> dict[str, str]:
        """What a remote advertises."""
        lines = self("ls-remote", url).stdout.splitlines()
        return {name: oid for oid, name in (line.split("\t") for line in lines)}

    def _settings(self) -> list[str]:
        settings = ["init.defaultBranch=main", "credential.helper=", "advice.detachedHead=false", "gc.auto=0"]
        if self.token is not None:
            settings.append("credential.helper=!f() { echo username=$GUTS_USER; echo password=$GUTS_TOKEN; }; f")
        return [part for setting in settings for part in ("-c", setting)]

    def environment(self) -> dict[str, str]:
        """All that a program of this person is given."""
        kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
        identity = {
            f"GIT_{role}_{what}": value
            for role in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", self.user), ("EMAIL", f"{self.user}@example.test"))
        }
        secrets = {"GUTS_USER": self.user, "GUTS_TOKEN": self.token or ""}
        fixed = {
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
        }
        return kept | identity | secrets | fixed | {"HOME": str(self.directory)}


def basic(user: str, token: str) -> str:
    """An Authorization header's value."""
    return "Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()
