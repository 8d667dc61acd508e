"""Which clients there are, how each driver is started, and what must be there first (``prepare.py`` builds it)."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

from attrs import field, frozen

HERE = Path(__file__).parent
TREE = HERE.parents[2]
PREPARE = ".venv/bin/python -m tests.compat.clients.prepare"
# Where Debian puts what its packages bring.
JAVA_LIBRARIES = Path("/usr/share/java")
JGIT = JAVA_LIBRARIES / "org.eclipse.jgit.jar"
CLASS_PATH = (JGIT, *(JAVA_LIBRARIES / f"{name}.jar" for name in ("slf4j-api", "slf4j-nop", "javaewah", "jsch")))
# For a Java that lives less than a second: no optimizing compiler, no collector with threads.
SHORT_LIVED = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
GO_LIBRARIES = Path("/usr/share/gocode")
GO_GIT = GO_LIBRARIES / "src/github.com/go-git/go-git/go.mod"


@frozen
class Made:
    """What ``prepare.py`` makes for a client, in a directory outside the tree that is named by what it is made from."""

    name: str
    sources: tuple[Path, ...]
    packages: tuple[str, ...]  # of Debian

    @property
    def directory(self) -> Path:
        """Where it is, once it is there."""
        digest = hashlib.sha256()
        for source in self.sources:
            digest.update(source.read_bytes() if source.exists() else b"")
        return cache() / f"{self.name}-{digest.hexdigest()[:16]}"

    @property
    def is_here(self) -> bool:
        """Whether it was made."""
        return self.directory.is_dir()

    @property
    def words(self) -> str:
        """What to do where it is not."""
        return f"this test needs {self.name}: sudo apt install {' '.join(self.packages)}, then {PREPARE}"


def cache() -> Path:
    """The directory of what was fetched and built: ``GUTS_CLIENTS``, or one among the user's caches."""
    chosen = os.environ.get("GUTS_CLIENTS")
    return Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "guts-clients"


ISOMORPHIC_GIT = Made("isomorphic-git", (HERE / "package.json", HERE / "package-lock.json"), ("nodejs", "npm"))
JGIT_CLIENT = Made("JGit", (HERE / "JGitClient.java", JGIT), ("default-jdk-headless", "libjgit-java"))
GO_GIT_CLIENT = Made("go-git", (HERE / "go_git.go", GO_GIT), ("golang-go", "golang-github-go-git-go-git-dev"))
ALL_MADE = (ISOMORPHIC_GIT, JGIT_CLIENT, GO_GIT_CLIENT)


@frozen
class Client:
    """A git client and its driver."""

    name: str
    argv: tuple[str, ...]
    environment: dict[str, str] = field(factory=dict)
    made: Made | None = None

    @property
    def is_here(self) -> bool:
        """Whether it can be run: it was made, and what runs it is still there."""
        return shutil.which(self.argv[0]) is not None and (self.made is None or self.made.is_here)


def _python(name: str, module: str, **environment: str) -> Client:
    return Client(
        name, (sys.executable, "-m", f"tests.compat.clients.{module}"), {"PYTHONPATH": str(TREE), **environment}
    )


def clients() -> dict[str, Client]:
    """Every client by its name."""
    class_path = os.pathsep.join(map(str, (*CLASS_PATH, JGIT_CLIENT.directory)))
    node_path = str(ISOMORPHIC_GIT.directory / "node_modules")
    found = (
        *(_python(f"git v{version}", "git_client", GUTS_GIT_PROTOCOL=version) for version in "012"),
        _python("dulwich", "dulwich_client"),
        _python("libgit2", "libgit2_client"),
        Client("JGit", (program("java"), *SHORT_LIVED, "-cp", class_path, "JGitClient"), made=JGIT_CLIENT),
        Client("go-git", (str(GO_GIT_CLIENT.directory / "client"),), made=GO_GIT_CLIENT),
        Client(
            "isomorphic-git",
            (program("node"), str(HERE / "isomorphic_git.cjs")),
            {"NODE_PATH": node_path},
            ISOMORPHIC_GIT,
        ),
    )
    return {client.name: client for client in found}


def program(name: str) -> str:
    """A program's path; its bare name where it is missing, which whoever runs it learns."""
    return shutil.which(name) or name
