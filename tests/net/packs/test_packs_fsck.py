"""The table of fsck's messages: all that git knows, and each that a pack can raise, raised by an object of its own."""

from __future__ import annotations

import re
import subprocess
from itertools import combinations
from pathlib import Path

import pytest

from guts_net.packs import BadPack, GitChildren
from guts_net.packs.fsck_levels import (
    OF_REFS,
    REFUSED,
    TOLERATED,
    TOLERATED_OF_LATER_GIT,
    known_ids,
    strict_option,
)
from tests.fixtures.git_history import BLOB, NULL_OID, PLAIN, RawObject, commit, git, init, tree
from tests.net.packs.pack_world import World, pack_of

HONEST = commit(PLAIN.oid)
PERSON = b"A U Thor <author@example.com> 1700000000 +0000"
ALL = TOLERATED.keys() | TOLERATED_OF_LATER_GIT.keys() | REFUSED.keys() | OF_REFS


def committed(root: RawObject, *others: RawObject) -> tuple[RawObject, ...]:
    return (BLOB, PLAIN, *others, root, commit(root.oid))


def changed(old: bytes, new: bytes, count: int = -1) -> tuple[RawObject, ...]:
    assert old in HONEST.body
    return (BLOB, PLAIN, RawObject("commit", HONEST.body.replace(old, new, count)))


def author(new: bytes) -> tuple[RawObject, ...]:
    return changed(b"author " + PERSON, b"author " + new)


def tagged(old: bytes = b"", new: bytes = b"") -> tuple[RawObject, ...]:
    body = b"object %s\ntype commit\ntag v1\ntagger %s\n\nOld\n" % (HONEST.oid.encode(), PERSON)
    assert old in body
    return (BLOB, PLAIN, HONEST, RawObject("tag", body.replace(old, new, 1)))


def named(name: bytes, mode: str = "100644", oid: str = BLOB.oid) -> tuple[RawObject, ...]:
    return committed(tree((mode, name, oid)))


def modules(text: bytes) -> tuple[RawObject, ...]:
    blob = RawObject("blob", text)
    return committed(tree(("100644", b".gitmodules", blob.oid)), blob)


def attributes(text: bytes) -> tuple[RawObject, ...]:
    blob = RawObject("blob", text)
    return committed(tree(("100644", b".gitattributes", blob.oid)), blob)


TAG_LINES = {
    b"object": b"object %s\n" % HONEST.oid.encode(),
    b"type": b"type commit\n",
    b"tag": b"tag v1\n",
    b"tagger": b"tagger %s\n" % PERSON,
}
# What each message is about. Those that are not here cannot be raised by a pack: see below.
EXAMPLES: dict[str, tuple[RawObject, ...]] = {
    # Tolerated.
    "badFilemode": named(b"file", "100664"),
    "badTagName": tagged(b"tag v1", b"tag a..b"),
    "badTimezone": author(PERSON.replace(b"+0000", b"+051800")),
    "extraHeaderEntry": tagged(TAG_LINES[b"tagger"], TAG_LINES[b"tagger"] + b"more here\n"),
    "gitattributesSymlink": named(b".gitattributes", "120000"),
    "gitignoreSymlink": named(b".gitignore", "120000"),
    "gitmodulesParse": modules(b"[submodule \n"),
    "mailmapSymlink": named(b".mailmap", "120000"),
    "missingSpaceBeforeDate": author(PERSON.replace(b"> 1", b">1")),
    "missingTaggerEntry": tagged(TAG_LINES[b"tagger"], b""),
    "nulInCommit": changed(b"Odd\n", b"Odd\0\n"),
    "zeroPaddedFilemode": committed(tree(("040000", b"dir", PLAIN.oid))),
    # Refused.
    "badDate": author(PERSON.replace(b"1700000000", b"soon")),
    "badDateOverflow": author(PERSON.replace(b"1700000000", b"99999999999999999999")),
    "badEmail": author(PERSON.replace(b"author@", b"au<thor@")),
    "badName": author(PERSON.replace(b"Thor <", b"Th>or <")),
    "badObjectSha1": tagged(HONEST.oid.encode(), b"x" * 40),
    "badParentSha1": changed(b"\nauthor", b"\nparent %s\nauthor" % (b"x" * 40)),
    "badTreeSha1": changed(PLAIN.oid.encode(), b"x" * 40),
    "badType": tagged(b"type commit", b"type comet"),
    "duplicateEntries": committed(tree(("100644", b"a", BLOB.oid), ("100644", b"a", BLOB.oid))),
    "fullPathname": named(b"a/b"),
    "gitattributesBlob": committed(tree(("40000", b".gitattributes", PLAIN.oid))),
    "gitattributesLineLength": attributes(b"* " + b"a" * 3000 + b"\n"),
    "gitmodulesBlob": committed(tree(("40000", b".gitmodules", PLAIN.oid))),
    "gitmodulesName": modules(b'[submodule "../x"]\n\turl = https://e.org/a\n'),
    "gitmodulesPath": modules(b'[submodule "a"]\n\tpath = -x\n'),
    "gitmodulesSymlink": named(b".gitmodules", "120000"),
    "gitmodulesUpdate": modules(b'[submodule "a"]\n\tupdate = !sh\n'),
    "gitmodulesUrl": modules(b'[submodule "a"]\n\turl = -u./payload\n'),
    "hasDot": committed(tree(("40000", b".", PLAIN.oid))),
    "hasDotdot": committed(tree(("40000", b"..", PLAIN.oid))),
    "hasDotgit": committed(tree(("40000", b".git", PLAIN.oid))),
    "missingAuthor": changed(b"author " + PERSON + b"\n", b""),
    "missingCommitter": changed(b"committer " + PERSON + b"\n", b""),
    "missingEmail": author(PERSON.replace(b"<author@example.com> ", b"")),
    "missingNameBeforeEmail": author(PERSON.replace(b"A U Thor ", b"")),
    "missingObject": tagged(TAG_LINES[b"object"], b""),
    "missingSpaceBeforeEmail": author(PERSON.replace(b"Thor <", b"Thor<")),
    "missingTagEntry": tagged(TAG_LINES[b"tag"], b""),
    "missingTree": changed(b"tree %s\n" % PLAIN.oid.encode(), b""),
    "missingTypeEntry": tagged(TAG_LINES[b"type"], b""),
    "multipleAuthors": author(PERSON + b"\nauthor " + PERSON),
    "nulInHeader": author(PERSON + b"\0"),
    "nullSha1": named(b"module", "160000", NULL_OID),
    "treeNotSorted": committed(tree(("100644", b"b", BLOB.oid), ("100644", b"a", BLOB.oid))),
    "unterminatedHeader": (BLOB, PLAIN, RawObject("commit", HONEST.body.split(b"\n\n")[0])),
    "zeroPaddedDate": author(PERSON.replace(b"1700000000", b"01700000000")),
}
# git cannot parse these, and ends before fsck looks at them.
UNPARSED = {
    "badObjectSha1",
    "badParentSha1",
    "badTreeSha1",
    "badType",
    "missingObject",
    "missingTagEntry",
    "missingTree",
    "missingTypeEntry",
}
# An entry of a pack has one of four types, and what is missing or too large to look at is not in a test's pack.
NOT_HERE = {"unknownType", "gitattributesLarge", "gitattributesMissing", "gitmodulesLarge", "gitmodulesMissing"}


async def test_the_table_knows_every_message_of_this_git() -> None:
    """A later git with a message that nobody has judged fails here first, and the table gets a row."""
    known = await GitChildren().fsck_ids()

    assert known >= TOLERATED.keys() | REFUSED.keys()
    assert known <= ALL


def test_each_message_stands_in_one_place() -> None:
    """Two levels for one message would be a coin toss."""
    places = (TOLERATED.keys(), TOLERATED_OF_LATER_GIT.keys(), REFUSED.keys(), OF_REFS)

    assert not any(one & other for one, other in combinations(places, 2))


def test_only_what_git_knows_is_named_to_it() -> None:
    """index-pack ends at a message that it does not know; of skipList and of what stands nowhere it is told nothing."""
    known = known_ids(b"fsck.badDate\nfsck.largePathname\nfsck.tomorrow\nfsck.skipList\nfetch.fsck.x\nfsck.badTree\n")

    assert known == {"badDate", "badTree", "largePathname", "tomorrow"}
    assert strict_option(known) == "--strict=largePathname=ignore,badDate=error,badTree=error"


def test_every_message_has_an_example_or_a_reason() -> None:
    """A row that nothing shows is a guess."""
    assert EXAMPLES.keys() | UNREADABLE.keys() | NOT_HERE == TOLERATED.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", sorted(TOLERATED))
async def test_old_histories_go_in(world: World, name: str) -> None:
    """With nothing but this oddity, which git itself would call by this name."""
    assert_raised(world.directory / "alone", name)

    assert await world.check(pack_of(*EXAMPLES[name])) is not None


@pytest.mark.parametrize("name", sorted(EXAMPLES.keys() & REFUSED.keys()))
async def test_bad_C06_C07_what_the_table_refuses_stays_out(world: World, name: str) -> None:
    """By this name, with the object's id."""
    words = rf"^object [0-9a-f]{{40}} is not accepted: {name}: "
    if name in UNPARSED:
        words = "^a (commit|tag) in the pack cannot be parsed"
    with pytest.raises(BadPack, match=words):
        await world.check(pack_of(*EXAMPLES[name]))
    assert world.files() == []


UNREADABLE = {
    "badTree": committed(RawObject("tree", b"100644 x")),
    "emptyName": named(b""),
    "missingTag": (BLOB, PLAIN, HONEST, RawObject("tag", tagged()[-1].body.split(b"\ntag ")[0])),
    "missingType": (BLOB, PLAIN, HONEST, RawObject("tag", tagged()[-1].body.split(b" commit\n")[0])),
}


@pytest.mark.parametrize("name", sorted(UNREADABLE))
async def test_what_git_cannot_even_read_stays_out(world: World, name: str) -> None:
    """Under another name, or with words of its own."""
    with pytest.raises(BadPack):
        await world.check(pack_of(*UNREADABLE[name]))
    assert world.files() == []


def assert_raised(scratch: Path, name: str) -> None:
    """The example has this oddity and no other, says git with this message alone at the level of an error."""
    init(scratch)
    levels = ",".join(f"{one}={'error' if one == name else 'ignore'}" for one in sorted(TOLERATED))

    said = index(scratch, EXAMPLES[name], levels)

    assert re.findall(r"error: object [0-9a-f]{40}: (\w+):", said) == [name]
    assert index(scratch, EXAMPLES[name], levels.replace("=error", "=ignore")) == ""


def index(scratch: Path, objects: tuple[RawObject, ...], levels: str) -> str:
    """What git's own check says."""
    try:
        git(scratch, "index-pack", "--stdin", f"--strict={levels}", stdin=pack_of(*objects))
    except subprocess.CalledProcessError as failed:
        return str(failed.stderr.decode())
    return ""
