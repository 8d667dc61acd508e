"""
What is tolerated and what is refused inside pushed objects: git's fsck messages, each with a level.

Every message of git stands here, those of 2.39 and those that came later, so that no node's git decides
by its own defaults. Tolerated is what old tools really wrote into histories that people want to keep and
what harms nobody who reads it; the big hosts tolerate the same. ``index-pack --strict`` turns warnings
into errors, hence only ``ignore`` tolerates.

What git 2.39 cannot see is tolerated too: a node with a later git would otherwise not vouch for what the
others do. Messages about files of refs concern no pack. Made into ``docs/reference/fsck.md``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

TOLERATED = {
    "badFilemode": "0100664 and the like, written by early git; checkouts normalize it",
    "badTagName": "tags once were named freely; the ref name is what we serve, and it has its own grammar",
    "badTimezone": "+051800 and others, from broken clocks and importers; shown as UTC",
    "extraHeaderEntry": "later versions of git add headers (gpgsig, mergetag, encoding)",
    "gitattributesSymlink": "a symlink there is ignored by git since 2.32; harmless to store",
    "gitignoreSymlink": "the same",
    "gitmodulesParse": "a .gitmodules that does not parse names no module",
    "mailmapSymlink": "as gitattributesSymlink",
    "missingSpaceBeforeDate": "old importers left it out",
    "missingTaggerEntry": "tags made before git 0.99.7 have no tagger (v0.99 of git itself)",
    "nulInCommit": "readers cut the message there",
    "zeroPaddedFilemode": "040000 for trees, written by old hosting sites' editors; flask, requests and others have it",
}

# Seen by later versions of git only.
TOLERATED_OF_LATER_GIT = {
    "badGpgsig": "a signature of a tag that is cut off verifies nowhere, and harms nobody who reads the tag",
    "badHeaderContinuation": "the same for any header of several lines",
    "largePathname": "a name of more than 4,096 bytes: no disk takes it, so who checks out is told by their system",
}

REFUSED = {
    "badDate": "not a number: every reader would guess differently",
    "badDateOverflow": "beyond what a date can be",
    "badEmail": "breaks the line format of commits",
    "badName": "breaks the line format of commits",
    "badObjectSha1": "a tag that points at no id",
    "badParentSha1": "a parent that is no id",
    "badTree": "does not parse",
    "badTreeSha1": "a tree line that is no id",
    "badType": "a tag of an unknown type of object",
    "duplicateEntries": "two files, one name: what you review is not what you get",
    "emptyName": "a file without a name",
    "fullPathname": "a slash in a file name leads out of its tree",
    "gitattributesBlob": "must be a file",
    "gitattributesLarge": "exhausts memory of readers (CVE-2022-23521)",
    "gitattributesLineLength": "the same",
    "gitattributesMissing": "cannot be checked",
    "gitmodulesBlob": "must be a file",
    "gitmodulesLarge": "cannot be checked",
    "gitmodulesMissing": "cannot be checked",
    "gitmodulesName": "../ in a module's name writes outside (CVE-2018-11235)",
    "gitmodulesPath": "a path that is an option (CVE-2018-17456)",
    "gitmodulesSymlink": "escapes every other check of .gitmodules",
    "gitmodulesUpdate": "a command as update method (CVE-2019-19604)",
    "gitmodulesUrl": "a URL that is an option or holds a line feed (CVE-2018-17456, CVE-2020-5260)",
    "hasDot": "'.' as a file name",
    "hasDotdot": "'..' as a file name leads out of the work tree",
    "hasDotgit": ".git in any spelling of any disk: hooks and config of the reader (CVE-2014-9390, CVE-2019-1352)",
    "missingAuthor": "not a commit",
    "missingCommitter": "not a commit",
    "missingEmail": "breaks the line format of commits",
    "missingNameBeforeEmail": "breaks the line format of commits",
    "missingObject": "not a tag",
    "missingSpaceBeforeEmail": "breaks the line format of commits",
    "missingTag": "not a tag",
    "missingTagEntry": "not a tag",
    "missingTree": "not a commit",
    "missingType": "not a tag",
    "missingTypeEntry": "not a tag",
    "multipleAuthors": "readers disagree about who wrote it",
    "nulInHeader": "readers disagree about where a header ends",
    "nullSha1": "an entry that points at nothing",
    "treeNotSorted": "lookups miss the file that the listing shows",
    "unknownType": "no such type of object",
    "unterminatedHeader": "not a commit or tag",
    "zeroPaddedDate": "two spellings of one date",
}

# Later git's messages about files of refs: refs live in the replicated state, and no pack has any.
OF_REFS = frozenset(
    {
        "badPackedRefEntry",
        "badPackedRefHeader",
        "badRefContent",
        "badRefFiletype",
        "badRefName",
        "badRefOid",
        "badReferentName",
        "badReftableFiletype",
        "badReftableTableName",
        "emptyPackedRefsFile",
        "packedRefEntryNotTerminated",
        "packedRefUnsorted",
        "refMissingNewline",
        "symlinkRef",
        "symrefTargetIsNotARef",
        "trailingRefContent",
    }
)

_CONFIG_LINE = re.compile(rb"^fsck\.(\w+)$", re.MULTILINE)
# Keys of git's configuration under the same name.
_NO_MESSAGES = frozenset({"skipList"})


def known_ids(help_config: bytes) -> frozenset[str]:
    """The messages that a git knows, from what its ``git help --config`` lists."""
    return frozenset(name.decode("ascii") for name in _CONFIG_LINE.findall(help_config)) - _NO_MESSAGES


def strict_option(known: frozenset[str]) -> str:
    """
    The option that pins all levels for ``git index-pack``, for a git that knows these messages.

    One that it does not know would end it. Those that this table does not know keep git's own level: a node
    whose git is that new refuses then, which costs one voice, instead of letting through what nobody has judged.
    """
    tolerated = [f"{name}=ignore" for name in sorted(known & (TOLERATED.keys() | TOLERATED_OF_LATER_GIT.keys()))]
    return "--strict=" + ",".join(tolerated + [f"{name}=error" for name in sorted(known & REFUSED.keys())])


_PAGE = """\
# What fsck's messages mean here

Made from the code by `python -m guts_cli.config.reference --write`; a test compares them, and another one compares
them with the messages that git on the machine of the test knows.

Every object of a push is looked at by `git index-pack --strict` with each message at the level of this table, on
every validator alike. What is refused is named to the pusher with the object and the message:
`object 1234... is not accepted: hasDotgit: contains '.git'`. The way out is to rewrite the history, with
`git filter-repo` for example. The table is the same for every push; it is no setting, because a validator with
another one would not vouch for what the others do.

## Refused

{refused}
## Tolerated

Old tools wrote this into histories that people want to keep, and it harms nobody who reads them.

{tolerated}
## Tolerated, since git 2.39 cannot see it

A validator with a later git would otherwise not vouch for what the others do.

{later}
## About files of refs

Refs live in the replicated state and in no pack: {of_refs}.
"""


def fsck_page() -> str:
    """``docs/reference/fsck.md``."""
    return _PAGE.format(
        refused=_table(REFUSED),
        tolerated=_table(TOLERATED),
        later=_table(TOLERATED_OF_LATER_GIT),
        of_refs=", ".join(f"`{name}`" for name in sorted(OF_REFS)),
    )


def _table(rows: Mapping[str, str]) -> str:
    lines = [f"| `{name}` | {reason} |" for name, reason in sorted(rows.items())]
    return "\n".join(["| message | reason |", "|---|---|", *lines]) + "\n"
