"""Somebody at a terminal of their own: a home, a directory, and the commands they type."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from attrs import frozen

TREE = Path(__file__).parents[2]
PATIENCE_SECONDS = 180


@frozen
class Desk:
    """One directory, one ``GUTS_HOME``, nothing of the machine's own settings."""

    directory: Path
    home: Path

    def run(self, *words: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command here; guts's, unless the first word is git."""
        argv = list(words) if words[0] == "git" else [sys.executable, "-m", "guts_cli", *words]
        done = subprocess.run(
            argv, cwd=self.directory, env=self.environment() | environment, capture_output=True, text=True,
            check=False, timeout=PATIENCE_SECONDS, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == code, f"{' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *words: str, code: int = 0, **environment: str) -> Any:
        """A guts command's one object."""
        return json.loads(self.run(*words, "--json", code=code, **environment).stdout)

    def at(self, name: str) -> Desk:
        """A directory below."""
        (self.directory / name).mkdir(exist_ok=True)
        return Desk(self.directory / name, self.home)

    def elsewhere(self, name: str) -> Desk:
        """Another machine: a home of its own."""
        (self.directory / name).mkdir()
        return Desk(self.directory / name, self.directory / name / "home")

    def work_tree(self, name: str = "work") -> Desk:
        """A git repository with one commit on main."""
        work = self.at(name)
        work.run("git", "init", "-q", "-b", "main")
        work.commit("one\n")
        return work

    def commit(self, text: str) -> str:
        """Another commit; its oid."""
        (self.directory / "file").write_text(text)
        self.run("git", "add", "file")
        self.run("git", "commit", "-qm", text.strip())
        return self.run("git", "rev-parse", "HEAD").stdout.strip()

    def environment(self) -> dict[str, str]:
        """All that a command sees."""
        names = {f"GIT_{role}_NAME": "A" for role in ("AUTHOR", "COMMITTER")}
        mails = {f"GIT_{role}_EMAIL": "a@example.test" for role in ("AUTHOR", "COMMITTER")}
        fixed = {"GUTS_HOME": str(self.home), "HOME": str(self.home), "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {"PATH": path, "PYTHONPATH": str(TREE)} | names | mails | fixed
