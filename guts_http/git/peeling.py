"""
What tags stand for in the end (``peeled:`` of ``ls-refs``), and the sizes of objects: asked of git once.

An id stands for the same bytes for ever, so an answer is kept whatever becomes of the refs; after a push one
child is asked about what is new, and after that none.
"""

from __future__ import annotations

from collections.abc import Iterable

from guts_core.errors import Unavailable
from guts_core.names import Oid

from .wants import ask, lines, reached

# Every ref of two of the largest repositories; some 200 bytes each. When it is full it begins anew.
KEPT_MAX = 100_000


class Peeled:
    """What is known of the objects that refs name: None for what is no tag."""

    def __init__(self) -> None:
        self._kept: dict[Oid, Oid | None] = {}

    def of(self, oids: Iterable[Oid]) -> tuple[dict[Oid, Oid | None], frozenset[Oid]]:
        """What is known of these, and those of which nothing is."""
        asked = frozenset(oids)
        known = {oid: self._kept[oid] for oid in asked if oid in self._kept}
        return known, asked - known.keys()

    async def learn(self, directory: str, oids: frozenset[Oid]) -> dict[Oid, Oid | None]:
        """Ask git in this directory; Unavailable when it does not have one of them."""
        tags = [oid for oid, kind in (await _told(directory, "%(objecttype)", oids)).items() if kind == "tag"]
        found: dict[Oid, Oid | None] = dict.fromkeys(oids) | await _ends(directory, tags)
        if len(self._kept) + len(found) > KEPT_MAX:
            self._kept.clear()
        self._kept |= dict(list(found.items())[:KEPT_MAX])
        return found


async def sizes(directory: str, oids: frozenset[Oid]) -> dict[Oid, int]:
    """How many bytes these objects have, of those that refs of this git directory reach (C14)."""
    visible = await reached(directory, await _held(directory, oids))
    told = await _told(directory, "%(objectsize)", visible) if visible else {}
    return {oid: int(size) for oid, size in told.items()}


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
