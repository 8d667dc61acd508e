"""
Packs and indexes into a local repository, so that git takes them as if it had made them itself.

Under temporary names until every digest was checked, then pack, ``.keep`` and index, the index last: by it
git knows that there is a pack. What fails on the way leaves nothing; what is interrupted, or finds no node any more,
leaves what the next run goes on with.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from attrs import frozen

from guts_cli.outcomes import counted
from guts_core.errors import GutsError, NotFound, Unavailable
from guts_core.forge.records import Pack
from guts_http.client import open_client
from guts_http.client.packs import packs_path

from .begun import TEMPORARY, Begun, File, claim, leave, remove
from .crew import Crew, results
from .download import Mirrors, fetch_all
from .known import Known, Mirror
from .local import Repository, writing
from .stages import stage

# As nodes name them (``guts_net.packs.layout``): git wants 40 digits.
_NAME_DIGITS = 40
# Version 2 of an index: head, fan-out and two checksums, and 28 bytes an object. No offset needs eight more, for a
# pack has at most 2 GiB.
_IDX_BYTES, _IDX_BYTES_PER_OBJECT = 8 + 1024 + 40, 28
_SHORT_PACK_BYTES = 1 << 31
# Two requests each; more small packs than this come faster as one that a node makes.
MISSING_MAX = 200
ASKED_AT_ONCE = 16
# Asking a node for its list; one that hangs gives nothing.
LIST_SECONDS = 15.0


@frozen
class Plan:
    """The packs that are not here, and the nodes that have all of them."""

    missing: tuple[Pack, ...]
    mirrors: tuple[Mirror, ...]

    @property
    def size(self) -> int:
        """Bytes of them, indexes included."""
        return sum(pack.size + _idx_size(pack) for pack in self.missing)


@frozen
class Otherwise:
    """Why git's own protocol does better, or is the only way."""

    reason: str


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, and so many bytes are there for the next run."""

    def __init__(self, kept: int) -> None:
        super().__init__()
        self.kept = kept


def plan(known: Known, local: Repository) -> Plan | Otherwise:
    """What to fetch ready-made, or why not."""
    held = [pack for pack in known.packs if _file(local, pack, "idx").exists()]
    missing = tuple(pack for pack in known.packs if pack not in held)
    if not held and not local.is_empty():
        return Otherwise("the packs here are others than the nodes have (repacked since, or fetched another way)")
    if len(missing) > MISSING_MAX:
        return Otherwise(f"{len(missing)} small packs come faster as one (at most {MISSING_MAX} come as they are)")
    if any(pack.size >= _SHORT_PACK_BYTES for pack in missing):
        return Otherwise("a pack is larger than 2 GiB")
    if not missing:
        return Plan((), ())
    return _from_whoever_has(known, missing)


def install(known: Known, what: Plan, local: Repository, *, indexing: bool) -> Path:
    """
    Fetch, check and put in place; the path of the one ``.keep`` file. ``indexing``: make the indexes here, too.

    Raises Interrupted; Unavailable, WrongBytes, Corrupt, or Misconfigured where this machine does not let it be.
    """
    mark = secrets.token_hex(8)
    begun = {
        (pack, kind): claim(_wanted(known, pack, kind, local.packs / f"{TEMPORARY}{mark}_{pack.seq}.{kind}"))
        for pack in what.missing
        for kind in KINDS
    }
    try:
        with writing(local.packs):
            return _installed(what, begun, local, indexing=indexing)
    except Unavailable:
        leave(begun.values())
        raise
    except KeyboardInterrupt:
        raise Interrupted(leave(begun.values())) from None
    finally:
        remove(begun.values())


def _installed(what: Plan, begun: Mapping[tuple[Pack, str], Begun], local: Repository, *, indexing: bool) -> Path:
    with stage("files"):
        fetch_all(tuple(begun.values()), Mirrors([*what.mirrors]))
    beside = {key: one.file.target for key, one in begun.items()}
    if indexing:
        with stage("indexes"):
            for pack in what.missing:
                local.check_index(beside[pack, "pack"], beside[pack, "idx"])
    with stage("placing"):
        return _put_in_place(what, beside, local)


def _put_in_place(what: Plan, beside: Mapping[tuple[Pack, str], Path], local: Repository) -> Path:
    """Each pack before its index; git removes the one ``.keep`` when refs lead to what came. All of it or nothing."""
    keep = _file(local, what.missing[0], "keep")
    placed = [keep]
    try:
        keep.write_bytes(b"git-remote-guts\n")
        for (pack, kind), place in beside.items():
            target = _file(local, pack, kind)
            _settle(place, target)
            placed.append(target)
    except BaseException:
        for path in reversed(placed):
            path.unlink(missing_ok=True)
        raise
    return keep


KINDS = ("pack", "idx")


def _wanted(known: Known, pack: Pack, kind: str, place: Path) -> File:
    path = f"{packs_path(known.target.full_name)}/{pack.digest.hex()}.{kind}"
    if kind == "pack":
        return File(f"pack {pack.seq}", path, pack.digest, pack.size, place)
    return File(f"the index of pack {pack.seq}", path, pack.idx_digest, _idx_size(pack), place)


def _idx_size(pack: Pack) -> int:
    return _IDX_BYTES + _IDX_BYTES_PER_OBJECT * pack.objects


def _file(local: Repository, pack: Pack, kind: str) -> Path:
    return local.packs / f"pack-{pack.digest.hex()[:_NAME_DIGITS]}.{kind}"


def _settle(beside: Path, target: Path) -> None:
    beside.chmod(0o444)
    descriptor = os.open(beside, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    beside.rename(target)


# ---- who has them ----


def _from_whoever_has(known: Known, missing: tuple[Pack, ...]) -> Plan | Otherwise:
    """The nodes whose list is clean and that hold all of these, the one that gave the proof first."""
    asked = sorted(known.mirrors, key=lambda mirror: mirror != known.mirror)
    with stage("lists"), Crew(min(len(asked), ASKED_AT_ONCE), threading.Event()) as crew:
        why = results([crew.submit(partial(_why_not, known, missing, mirror)) for mirror in asked])
    mirrors = tuple(mirror for mirror, reason in zip(asked, why, strict=True) if reason is None)
    return Plan(missing, mirrors) if mirrors else Otherwise(_told(reason for reason in why if reason is not None))


def _why_not(known: Known, missing: Sequence[Pack], mirror: Mirror) -> str | None:
    """Why a node does not give them; None: it does."""
    try:
        with open_client(mirror.url, mirror.token, seconds=LIST_SECONDS) as client:
            listed = client.packs(known.target.full_name)
    except NotFound:
        return f"{mirror.url} lists no packs (its version may be older)"
    except GutsError as error:
        return f"{mirror.url}: {error}"
    if not listed.clean:
        return listed.reason or "the list of packs is not clean"
    held = {pack.digest for pack in listed.packs if pack.held}
    lacking = sum(pack.digest not in held for pack in missing)
    return f"{mirror.url} does not hold {counted(lacking, 'pack')} yet" if lacking else None


def _told(reasons: Iterable[str]) -> str:
    """Each once: what is not clean is so at every node."""
    return "; ".join(dict.fromkeys(reasons))
