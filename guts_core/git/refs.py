"""
Ref names and object ids as text: one strict grammar for pushes, the API and execution.

git's own grammar (git-check-ref-format) lets through names that are options, look like object ids or
turn text around on a terminal; ``reliability.md`` B01-B03 close these. The table of refused characters
is written out because ``unicodedata`` differs between Python versions, and every validator must agree.

Who may write where follows GitHub: ``refs/heads/``, ``refs/tags/``, ``refs/notes/`` and namespaces of
the user's own (``refs/remotes/...`` of a mirror push, say) are open to clients; what the forge itself
makes (``refs/pull/``, ``refs/guts/``), what changes how objects are read (``refs/replace/``) and what
git keeps per work tree is reserved. Whether a name is a path prefix of another ref depends on the
repository and is decided where the update executes.
"""

from __future__ import annotations

import re

from guts_core.errors import Invalid, NotAllowed
from guts_core.names import Oid, RefName

# A file name on every file system we know, and the bound of the wire field.
REF_NAME_BYTES_MAX = 255
OID_BYTES = 20
ZERO_OID = Oid(bytes(OID_BYTES))
BRANCHES = "refs/heads/"
TAGS = "refs/tags/"
RESERVED_PREFIXES = (
    "refs/pull/",  # made by the forge for pull requests
    "refs/guts/",  # the forge's own
    "refs/replace/",  # would show other objects than those that were signed for
    "refs/original/",  # left over by git filter-branch: keeps alive what was meant to go
    "refs/bisect/",  # per work tree, meaningless elsewhere
    "refs/worktree/",
    "refs/rewritten/",
)

_OID = re.compile(r"[0-9a-f]{40}", re.ASCII)
_LOOKS_LIKE_OID = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}", re.ASCII)
_GIT_NEVER = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{")
# Control, format (bidirectional and zero-width) and separator characters of Unicode 15.1.
_INVISIBLE = re.compile(
    "[\u0080-\u00a0\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u1680\u180e\u2000-\u200f\u2028-\u202f"
    "\u205f-\u206f\u3000\ud800-\udfff\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f]"
)


def ref_name(text: str) -> RefName:
    """The text if it may name a ref in any Guts repository, else raises Invalid saying what is wrong with it."""
    reason = _wrong_with(text)
    if reason is not None:
        raise Invalid(f"ref name {_shown(text)}: {reason}")
    return RefName(text)


def client_ref_name(text: str) -> RefName:
    """A ref name that clients may write: raises NotAllowed for the reserved spaces."""
    name = ref_name(text)
    if is_reserved(name):
        raise NotAllowed(f"ref {name} is in a space that is read-only to clients")
    return name


def is_reserved(name: RefName) -> bool:
    """Whether only the forge itself writes this ref. Without case: some clients' disks do not tell it apart."""
    return name.lower().startswith(RESERVED_PREFIXES)


def branch_of(name: RefName) -> str | None:
    """The branch's own name (``main`` of ``refs/heads/main``); None for other refs."""
    return name.removeprefix(BRANCHES) if name.startswith(BRANCHES) else None


def parse_oid(text: str) -> Oid:
    """An object id from exactly 40 lower-case hexadecimal digits; raises Invalid."""
    if not _OID.fullmatch(text):
        raise Invalid(f"object id {_shown(text)}: 40 of 0-9 and a-f are needed")
    return Oid(bytes.fromhex(text))


def oid_hex(oid: Oid | None) -> str:
    """An object id as git writes it; None is the zero id, which names no object."""
    return (ZERO_OID if oid is None else oid).hex()


def _wrong_with(text: str) -> str | None:
    if _INVISIBLE.search(text):
        return "control, invisible and direction-changing characters are not allowed"
    if len(text) > REF_NAME_BYTES_MAX or len(text.encode()) > REF_NAME_BYTES_MAX:
        return f"longer than {REF_NAME_BYTES_MAX} bytes"
    if _GIT_NEVER.search(text):
        return "spaces, control characters, '..', '@{' and any of ~ ^ : ? * [ \\ are not allowed"
    components = text.split("/")
    if components[0] != "refs" or len(components) < 3:
        return "use refs/<space>/<name>, refs/heads/main for example"
    return _wrong_with_components(components[1:]) or _wrong_with_short_name(components[1], "/".join(components[2:]))


def _wrong_with_components(components: list[str]) -> str | None:
    for component in components:
        if not component:
            return "empty between slashes"
        if component.startswith((".", "-")):
            return f"no part may start with {component[0]!r}"
        if component.endswith((".lock", ".")):
            return "no part may end with '.' or '.lock'"
    return None


def _wrong_with_short_name(space: str, short: str) -> str | None:
    """A branch or tag whose name git commands would take for something else."""
    if space not in ("heads", "tags"):
        return None
    if "HEAD" in short.split("/"):
        return "HEAD is not a name for a branch or tag"
    if short.startswith("refs/"):
        return "a branch or tag may not be named like a full ref"
    if _LOOKS_LIKE_OID.fullmatch(short):
        return "a branch or tag may not look like an object id"
    if short == "@":
        return "'@' means HEAD"
    return None


def _shown(text: str) -> str:
    """A hostile text, safe on a terminal and short."""
    shown = ascii(text)
    return shown if len(shown) <= 90 else f"{shown[:80]}..."
