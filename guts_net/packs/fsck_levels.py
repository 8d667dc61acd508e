"""
What is tolerated and what is refused inside pushed objects: git's fsck messages, each with a level.

Every message of git 2.39 stands here, so that no node's git decides by its own defaults. Tolerated is
what old tools really wrote into histories that people want to keep and what harms nobody who reads
it; the big hosts tolerate the same. ``index-pack --strict`` turns warnings into errors, hence only
``ignore`` tolerates.
"""

from __future__ import annotations

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


def strict_option() -> str:
    """The option that pins all levels for ``git index-pack``."""
    levels = [f"{name}=ignore" for name in sorted(TOLERATED)] + [f"{name}=error" for name in sorted(REFUSED)]
    return "--strict=" + ",".join(levels)
