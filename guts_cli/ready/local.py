"""The local repository that git runs the helper for, as far as the helper looks into it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from attrs import frozen

from guts_core.errors import Corrupt

# Said of the whole network it belongs to, and whether indexes are made here although a proof covers them.
NETWORK, VERIFY_OBJECTS = "guts.network", "guts.verifyobjects"


@frozen
class Repository:
    """Where its packs are, and what its configuration says to the helper."""

    packs: Path
    settings: dict[str, str]

    @property
    def network(self) -> str | None:
        """The id of the network that it remembers."""
        return self.settings.get(NETWORK)

    @property
    def indexes_itself(self) -> bool:
        """Whether every pack is indexed here, object by object."""
        return self.settings.get(VERIFY_OBJECTS, "").lower() in ("true", "yes", "on", "1")

    def is_empty(self) -> bool:
        """Whether nothing was ever fetched: a clone that begins."""
        return not any(self.packs.glob("*.pack"))

    @staticmethod
    def check_index(pack: Path, idx: Path) -> None:
        """Index a pack anew and compare; raises Corrupt where the network agreed on an index that is false."""
        made = idx.with_name(f"{idx.name}.made")
        try:
            command = ["git", "index-pack", "--index-version=2", "-o", str(made), str(pack)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode or made.read_bytes() != idx.read_bytes():
                raise Corrupt("a pack and the index that the network agreed on do not belong together; nothing is kept")
        finally:
            made.unlink(missing_ok=True)


def open_repository() -> Repository:
    """The one that GIT_DIR names."""
    packs = Path(_git("rev-parse", "--git-path", "objects/pack"))
    pairs = (line.partition(" ") for line in _git("config", "--get-regexp", r"^guts\.").splitlines())
    packs.mkdir(parents=True, exist_ok=True)
    return Repository(packs.absolute(), {name.lower(): value for name, _, value in pairs})


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False).stdout.strip()
