"""What git said about a pack, as one sentence for the person who pushed it: no paths, no offsets."""

from __future__ import annotations

import re
import signal

from guts_core.errors import Invalid, LimitExceeded, Refused, Unavailable

from .git_child import Answer


class BadPack(Invalid):
    """The pack is damaged, or holds what Guts does not take."""

    code = "bad-pack"


class MissingObjects(Invalid):
    """Something refers to an object that neither the pack nor the repository has."""

    code = "missing-objects"


NO_ROOM = "this node has no room on its disk for the pack now"
_MISSING = re.compile(r"^fatal: did not receive expected object ([0-9a-f]{40})", re.MULTILINE)
_FSCK = re.compile(r"^error: object ([0-9a-f]{40}): (\w+): ([^\n]{0,100})", re.MULTILINE)
_TYPE = re.compile(r"^fatal: object ([0-9a-f]{40}): expected type (\w+), found (\w+)", re.MULTILINE)
_TYPE_IN_PACK = re.compile(r"^error: object ([0-9a-f]{40}) is a (\w+), not a (\w+)", re.MULTILINE)
_UNPARSED = re.compile(r"^(?:error: ([^\n]{0,100})\n)?fatal: invalid (commit|tag|tree)$", re.MULTILINE)
_COLLISION = re.compile(r"^fatal: SHA1 COLLISION|^fatal: SHA-1 appears to be part of a collision", re.MULTILINE)
_UNRESOLVED = re.compile(r"^fatal: pack has (\d+) unresolved delta", re.MULTILINE)
_NO_MEMORY = re.compile(
    r"^fatal: .*(?:out of memory|Cannot allocate memory|data too large)", re.MULTILINE | re.IGNORECASE
)
_PLAIN = (
    ("pack is corrupted", "the pack's checksum does not fit its bytes"),
    ("pack signature mismatch", "this is not a pack"),
    ("pack has junk at the end", "there are bytes after the end of the pack"),
    ("early EOF", "the pack ends too early"),
    ("inflate", "an object in the pack is corrupt"),
    ("pack has bad object", "an object in the pack is corrupt"),
    ("serious inflate inconsistency", "an object in the pack is corrupt"),
    ("failed to apply delta", "a delta in the pack is corrupt"),
    ("delta base offset", "a delta in the pack is corrupt"),
    ("offset value overflow", "a delta in the pack is corrupt"),
)


def refusal_of(answer: Answer) -> Refused | Unavailable:
    """Why ``git index-pack`` ended with an error."""
    words = answer.words
    if "No space left on device" in words:
        return Unavailable(NO_ROOM)
    if match := _MISSING.search(words):
        return MissingObjects(f"missing necessary objects: {match[1]} is neither in the pack nor in the repository")
    if match := _FSCK.search(words):
        return BadPack(f"object {match[1]} is not accepted: {match[2]}: {_printable(match[3])}")
    if match := _TYPE.search(words):
        return BadPack(f"object {match[1]} is a {match[3]} where a {match[2]} is expected")
    if match := _TYPE_IN_PACK.search(words):
        return BadPack(f"object {match[1]} is a {match[2]} where a {match[3]} is expected")
    if match := _UNPARSED.search(words):
        return BadPack(
            f"a {match[2]} in the pack cannot be parsed{': ' if match[1] else ''}{_printable(match[1] or '')}"
        )
    if _COLLISION.search(words):
        return BadPack("an object in the pack collides with another under SHA-1")
    if match := _UNRESOLVED.search(words):
        return BadPack(f"the pack is thin: {match[1]} of its deltas have no base in it (push without --thin)")
    if answer.code == -signal.SIGXCPU:
        return LimitExceeded("the pack needs more computing time than this node gives to a push of its size")
    if _NO_MEMORY.search(words) or answer.code == -signal.SIGKILL:
        return LimitExceeded("the pack needs more memory to unpack than this node gives to one push")
    return BadPack(next((sentence for sign, sentence in _PLAIN if sign in words), "git does not accept the pack"))


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)
