"""
What tags stand for in the end (``peeled:`` of ``ls-refs``), and the sizes of objects: asked of git once.

An id stands for the same bytes for ever, so an answer is kept whatever becomes of the refs; after a push one
child is asked about what is new, and after that none.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from weakref import WeakValueDictionary

import trio

from guts_core.errors import Unavailable
from guts_core.names import Oid
from guts_http.turns import Turns, turn

from .wants import WALK_SECONDS, ask, lines, reached

# Every ref of two of the largest repositories; some 200 bytes each. When it is full it begins anew.
KEPT_MAX = 100_000
# The walk that decides who may know of an object, and as long as a page of the API for the rest.
SIZES_SECONDS = WALK_SECONDS + 20.0
_READERS = "readers of objects"


class Peeled:
    """What is known of the objects that refs name: None for what is no tag."""

    def __init__(self, reads: Turns, seconds: float) -> None:
        self._reads, self._seconds = reads, seconds
        self._kept: dict[Oid, Oid | None] = {}
        self._asking: WeakValueDictionary[str, trio.CapacityLimiter] = WeakValueDictionary()

    async def of(self, directory: str, oids: Iterable[Oid], client: str | None) -> dict[Oid, Oid | None]:
        """
        What these stand for; git in this directory is asked, in a turn of this address, for those that are not known.

        Raises TooManyAtOnce when there is no turn for that, Unavailable when it does not have one of them.
        """
        asked = frozenset(oids)
        if asked <= self._kept.keys():
            return {oid: self._kept[oid] for oid in asked}
        alone = self._asking.setdefault(directory, trio.CapacityLimiter(1))
        mine = self._reads.of(client)
        # Who waits for a share of its own address holds up nobody; many clones after a push ask for the same.
        async with mine.share(), turn(alone, self._seconds, _READERS):
            known = {oid: self._kept[oid] for oid in asked if oid in self._kept}
            if unknown := asked - known.keys():
                async with mine.place():
                    found = await _peeled(directory, unknown)
                self._keep(found)
                known |= found
        return known

    def _keep(self, found: dict[Oid, Oid | None]) -> None:
        if len(self._kept) + len(found) > KEPT_MAX:
            self._kept.clear()
        self._kept |= dict(islice(found.items(), KEPT_MAX))


async def _peeled(directory: str, oids: frozenset[Oid]) -> dict[Oid, Oid | None]:
    tags = [oid for oid, kind in (await _told(directory, "%(objecttype)", oids)).items() if kind == "tag"]
    none: dict[Oid, Oid | None] = dict.fromkeys(oids)
    return none | await _ends(directory, tags)


async def sizes(directory: str, oids: frozenset[Oid]) -> dict[Oid, int]:
    """
    How many bytes these objects have, of those that refs of this git directory reach (C14).

    Unavailable when it takes too long, and none where it takes too long to know whether they are reached.
    """
    with trio.move_on_after(SIZES_SECONDS):
        visible = await reached(directory, await _held(directory, oids))
        told = await _told(directory, "%(objectsize)", visible) if visible else {}
        return {oid: int(size) for oid, size in told.items()}
    raise Unavailable(f"reading this took longer than {SIZES_SECONDS:g} s; ask for fewer objects at once")


async def _held(directory: str, oids: frozenset[Oid]) -> frozenset[Oid]:
    """Those that are there at all: nothing is walked for others."""
    answer = await ask(directory, "cat-file", "--batch-check=%(objectname)", stdin=lines(oids))
    return frozenset(Oid(bytes.fromhex(line)) for line in answer.decode("ascii").splitlines() if " " not in line)


async def _told(directory: str, what: str, oids: frozenset[Oid]) -> dict[Oid, str]:
    answer = await ask(directory, "cat-file", f"--batch-check=%(objectname) {what}", stdin=lines(oids))
    told = dict(line.split(" ", 1) for line in answer.decode("ascii").splitlines())
    if "missing" in told.values():
        raise _incomplete()
    return {Oid(bytes.fromhex(oid)): said for oid, said in told.items()}


async def _ends(directory: str, tags: list[Oid]) -> dict[Oid, Oid | None]:
    if not tags:
        return {}
    asked = b"".join(b"%b^{}\n" % oid.hex().encode() for oid in tags)
    answer = (await ask(directory, "cat-file", "--batch-check=%(objectname)", stdin=asked)).decode("ascii").splitlines()
    if len(answer) != len(tags) or any(" " in line for line in answer):
        raise _incomplete()
    return {tag: Oid(bytes.fromhex(line)) for tag, line in zip(tags, answer, strict=True)}


def _incomplete() -> Unavailable:
    return Unavailable("this node does not have all objects of this repository yet; try again, or another node")
