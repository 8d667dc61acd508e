"""The local repository that git runs the helper for, as far as the helper looks into it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from guts_cli.outcomes import Misconfigured
from guts_core.errors import Corrupt

# Said of the whole network it belongs to, and whether indexes are made here although a proof covers them.
NETWORK, VERIFY_OBJECTS = "guts.network", "guts.verifyObjects"
_CHAIN_ID = re.compile(r"[0-9a-f]{64}")
# Of git's answer where a setting is not there.
_UNSET = 1


@frozen
class Repository:
    """Where its packs are, and whether every pack is indexed here, object by object."""

    packs: Path
    indexes_itself: bool = False

    def is_empty(self) -> bool:
        """Whether nothing was ever fetched: a clone that begins."""
        return not any(self.packs.glob("*.pack"))

    @staticmethod
    def check_index(pack: Path, idx: Path) -> None:
        """
        Index a pack anew and compare.

        Raises Corrupt where the network agreed on an index that is false, or git finds the pack false.
        """
        # By git's rule an index is called so, and what it puts beside one (from 2.41 on a .rev) is called after it.
        made = idx.with_name(f"{idx.stem}_made.idx")
        try:
            command = ["git", "index-pack", "--index-version=2", "-o", str(made), str(pack)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise Corrupt(f"git does not index a pack: {' '.join(done.stderr.split())}; nothing of it is kept")
            if made.read_bytes() != idx.read_bytes():
                raise Corrupt("a pack and the index that the network agreed on do not belong together; nothing is kept")
        finally:
            for path in made.parent.glob(f"{made.stem}.*"):
                path.unlink(missing_ok=True)


def open_repository() -> Repository:
    """The one that GIT_DIR names; Misconfigured where that is none, or says what git does not understand."""
    done = _git("rev-parse", "--git-path", "objects/pack")
    if done.returncode:
        raise Misconfigured("there is no repository to fetch into here", "git init")
    packs = Path(done.stdout.removesuffix("\n")).absolute()
    with writing(packs):
        packs.mkdir(parents=True, exist_ok=True)
    return Repository(packs, _setting(VERIFY_OBJECTS, "bool") == "true")


def known_network() -> str | None:
    """The id of the network that the repository, or the user's own configuration, remembers."""
    found = _setting(NETWORK)
    if found is not None and not _CHAIN_ID.fullmatch(found):
        raise Misconfigured(
            f"{NETWORK} is {found[:80]!a}, and no network's id: 64 hexadecimal digits", "guts network list"
        )
    return found


def _setting(name: str, kind: str | None = None) -> str | None:
    """As git reads it: the last one said, and of a truth what git takes for one."""
    done = _git("config", *([] if kind is None else [f"--type={kind}"]), "--get", name)
    if done.returncode == _UNSET:
        return None
    if done.returncode:
        raise Misconfigured(f"git cannot read {name}: {' '.join(done.stderr.split())}", f"git config {name} true")
    return done.stdout.removesuffix("\n") or None


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What this machine's disk refuses: no node's fault, and none of ours."""
    try:
        yield
    except OSError as error:
        words = f"{error.filename or path}: {error.strerror}; nothing half-written is kept"
        raise Misconfigured(
            words, "make room there, or see who may write there; then the same command again"
        ) from error


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
