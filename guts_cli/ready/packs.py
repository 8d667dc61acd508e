"""
Packs and indexes into a local repository, so that git takes them as if it had made them itself.

Under temporary names until every digest was checked, then pack, ``.keep`` and index, the index last: by it
git knows that there is a pack.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from guts_core.errors import GutsError
from guts_core.forge.records import Pack
from guts_http.client import open_client
from guts_http.client.packs import packs_path

from .download import File, Mirrors, fetch_all
from .known import Known, Mirror
from .local import Repository

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
        """Bytes to come, indexes included."""
        return sum(pack.size + _idx_size(pack) for pack in self.missing)


def plan(known: Known, local: Repository) -> Plan | None:
    """What to fetch ready-made; None where git's own protocol does better, or is the only way."""
    held = [pack for pack in known.packs if _file(local, pack, "idx").exists()]
    missing = tuple(pack for pack in known.packs if pack not in held)
    is_sensible = bool(held) or local.is_empty()
    if not is_sensible or len(missing) > MISSING_MAX or any(pack.size >= _SHORT_PACK_BYTES for pack in missing):
        return None
    if not missing:
        return Plan((), ())
    mirrors = _who_has(known, missing)
    return Plan(missing, mirrors) if mirrors else None


def install(known: Known, what: Plan, local: Repository, *, indexing: bool) -> Path:
    """Fetch, check and put in place; the path of the one ``.keep`` file. ``indexing``: make the indexes here, too."""
    mark = secrets.token_hex(8)
    beside = {
        (pack, kind): local.packs / f"tmp_guts_{mark}_{pack.seq}.{kind}" for pack in what.missing for kind in KINDS
    }
    try:
        fetch_all(
            [_wanted(known, pack, kind, place) for (pack, kind), place in beside.items()], Mirrors([*what.mirrors])
        )
        if indexing:
            for pack in what.missing:
                local.check_index(beside[pack, "pack"], beside[pack, "idx"])
        return _put_in_place(what, beside, local)
    finally:
        for place in beside.values():
            with suppress(FileNotFoundError):
                place.unlink()


def _put_in_place(what: Plan, beside: Mapping[tuple[Pack, str], Path], local: Repository) -> Path:
    """Each pack before its index; git removes the one ``.keep`` when refs lead to what came."""
    keep = _file(local, what.missing[0], "keep")
    keep.write_bytes(b"git-remote-guts\n")
    try:
        for (pack, kind), place in beside.items():
            _settle(place, _file(local, pack, kind))
    except BaseException:
        keep.unlink()
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


def _who_has(known: Known, missing: Sequence[Pack]) -> tuple[Mirror, ...]:
    """The nodes whose list is clean and that hold all of these, the one that gave the proof first."""
    asked = sorted(known.mirrors, key=lambda mirror: mirror != known.mirror)
    with ThreadPoolExecutor(min(len(asked), ASKED_AT_ONCE)) as threads:
        have = list(threads.map(lambda mirror: _has(known, missing, mirror), asked))
    return tuple(mirror for mirror, has in zip(asked, have, strict=True) if has)


def _has(known: Known, missing: Sequence[Pack], mirror: Mirror) -> bool:
    try:
        with open_client(mirror.url, mirror.token, seconds=LIST_SECONDS) as client:
            listed = client.packs(known.target.full_name)
    except GutsError:
        return False
    held = {pack.digest for pack in listed.packs if pack.held}
    return listed.clean and all(pack.digest in held for pack in missing)
