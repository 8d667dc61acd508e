"""Archives: what git puts in, the same bytes each time, and nothing that hurts whoever unpacks them."""

from __future__ import annotations

import io
import tarfile
import zipfile

import pytest

from guts_core.errors import Invalid
from guts_core.git.reading import archive
from guts_core.git.reading.objects import Bounded, TooMuchToRead
from guts_core.names import Oid
from tests.fixtures.git_history import RawObject, commit, git, tree
from tests.fixtures.tangled_history import Tangled, held

PREFIX = b"tangled-1.0/"
EVIL_LINKS = {b"links/outside": b"../../etc/passwd", b"links/absolute": b"/etc/passwd"}


def members(data: bytes) -> dict[bytes, tuple[bytes, int, str, bytes]]:
    """Kind, date, link and content by name, in order."""
    with tarfile.open(fileobj=io.BytesIO(data), encoding="utf-8", errors="surrogateescape") as found:
        return {
            one.name.encode("utf-8", "surrogateescape"): (
                one.type, int(one.mtime), one.linkname, found.extractfile(one).read() if one.isreg() else b"",  # type: ignore[union-attr]
            )
            for one in found
        }  # fmt: skip


def tar_gz(tangled: Tangled, prefix: bytes = PREFIX) -> bytes:
    objects = tangled.objects()
    return b"".join(archive.tar_gz(objects, archive.plan(objects, tangled.oid("main"), prefix)))


def zipped(tangled: Tangled) -> bytes:
    objects = tangled.objects()
    return b"".join(archive.zip_(objects, archive.plan(objects, tangled.oid("main"), PREFIX)))


@pytest.mark.parametrize("prefix", [PREFIX, b""])
def test_a_tar_holds_what_that_of_git_holds(tangled: Tangled, prefix: bytes) -> None:
    """Names of any bytes, contents, directories, empty ones for submodules, dates; links out of it apart."""
    mine = members(tar_gz(tangled, prefix))

    theirs = members(git(tangled.path, "archive", "--format=tar", f"--prefix={prefix.decode()}", "main"))
    for name, target in EVIL_LINKS.items():
        assert theirs[prefix + name][:3:2] == (tarfile.SYMTYPE, target.decode())
        theirs[prefix + name] = (tarfile.REGTYPE, theirs[prefix + name][1], "", target)
    assert list(mine.items()) == list(theirs.items())


def test_git_finds_the_commit_in_a_tar(tangled: Tangled) -> None:
    objects = tangled.objects()
    main = tangled.oid("main")
    data = b"".join(archive.tar(objects, archive.plan(objects, main)))

    assert git(tangled.path, "get-tar-commit-id", stdin=data).decode().strip() == main.hex()


def test_a_zip_holds_what_that_of_git_holds(tangled: Tangled) -> None:
    """What is no UTF-8 has its odd bytes written out, and a backslash parts no directories."""
    with zipfile.ZipFile(io.BytesIO(zipped(tangled))) as mine:
        assert mine.testzip() is None
        found = {one.filename: (one.external_attr >> 16, mine.read(one)) for one in mine.infolist()}
        assert mine.comment.decode() == tangled.oid("main").hex()
    expected = {}
    for name, (kind, _, link, content) in members(
        git(tangled.path, "archive", f"--prefix={PREFIX.decode()}", "main")
    ).items():
        shown = name.replace(b"\\", b"%5C").decode("utf-8", "surrogateescape")
        shown = "".join(f"%{ord(char) - 0xDC00:02X}" if "\udc80" <= char <= "\udcff" else char for char in shown)
        expected[shown + "/" * (kind == tarfile.DIRTYPE)] = link.encode() if kind == tarfile.SYMTYPE else content
    assert {name: content for name, (_, content) in found.items()} == expected
    assert {mode & 0o7777 for mode, _ in found.values()} <= {0o644, 0o755, 0o777}
    links = {name for name, (mode, _) in found.items() if mode & 0o170000 == 0o120000}
    assert links == {f"{PREFIX.decode()}links/inside"}


def test_the_same_commit_gives_the_same_bytes(tangled: Tangled) -> None:
    """So that a cache, a mirror and a checksum in somebody's build agree."""
    assert tar_gz(tangled) == tar_gz(tangled)
    assert zipped(tangled) == zipped(tangled)
    assert tar_gz(tangled)[3:8] == bytes(5), "gzip's header says a name or a time"


def oid(raw: RawObject) -> Oid:
    return Oid(bytes.fromhex(raw.oid))


def planned(*raws: RawObject) -> tuple[Bounded, archive.Export]:
    """The archive of the last of these objects, a commit."""
    objects = Bounded(held(*raws))
    return objects, archive.plan(objects, oid(raws[-1]))


@pytest.mark.parametrize(
    "target",
    [b"/etc/passwd", b"../x", b"a/../../x", b"..", b"C:/x", b"a\\..\\..\\x", b"", b"x\0y", b"a/" * 3_000],
)  # fmt: skip
def test_bad_A04_a_link_out_of_an_archive_is_a_file_with_its_text(target: bytes) -> None:
    link = RawObject("blob", target)
    root = tree(("120000", b"link", link.oid))
    objects, export = planned(link, root, commit(root.oid))

    (kind, _, _, content) = members(b"".join(archive.tar_gz(objects, export)))[b"link"]
    with zipfile.ZipFile(io.BytesIO(b"".join(archive.zip_(objects, export)))) as found:
        mode = found.infolist()[0].external_attr >> 16

    assert (kind, content) == (tarfile.REGTYPE, target)
    assert mode == 0o100644


@pytest.mark.parametrize("name", [b"..", b".", b".git", b".GIT", b"a/b", b""])
def test_bad_A07_a_name_that_no_file_may_have_is_in_no_archive(name: bytes) -> None:
    """Such trees cannot be pushed; one that came otherwise is not handed on."""
    blob = RawObject("blob", b"x")
    root = tree(("100644", name, blob.oid))

    with pytest.raises(Invalid, match="no archive may hold"):
        planned(blob, root, commit(root.oid))


def test_bad_A07_odd_modes_are_plain_files(tangled: Tangled) -> None:
    """Neither setuid nor group-writable, whatever a tree says."""
    blob = RawObject("blob", b"x")
    root = tree(("104755", b"setuid", blob.oid), ("100666", b"writable", blob.oid))
    objects, export = planned(blob, root, commit(root.oid))

    with tarfile.open(fileobj=io.BytesIO(b"".join(archive.tar_gz(objects, export)))) as found:
        assert {one.name: one.mode for one in found} == {"setuid": 0o755, "writable": 0o644}


@pytest.mark.parametrize("prefix", [b"no-slash", b"../", b"a/../b/", b"/", b"a//"])
def test_a_prefix_is_a_path_of_names(tangled: Tangled, prefix: bytes) -> None:
    with pytest.raises(Invalid, match="prefix"):
        archive.plan(tangled.objects(), tangled.oid("main"), prefix)


def test_bad_B08_attributes_change_nothing() -> None:
    """What is exported is what is stored, whatever ``.gitattributes`` says of it."""
    attributes, file = RawObject("blob", b"* export-subst export-ignore\n"), RawObject("blob", b"$Format:%H$\n")
    root = tree(("100644", b".gitattributes", attributes.oid), ("100644", b"a", file.oid))
    objects, export = planned(attributes, file, root, commit(root.oid))

    assert members(b"".join(archive.tar_gz(objects, export)))[b"a"][3] == b"$Format:%H$\n"


def test_an_archive_is_only_so_large_and_has_only_so_many_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal comes before the first byte."""
    blob = RawObject("blob", b"x" * 100)
    root = tree(*[("100644", b"%d" % number, blob.oid) for number in range(10)])
    made = (blob, root, commit(root.oid))
    monkeypatch.setattr(archive, "ARCHIVE_BYTES_MAX", 999)
    with pytest.raises(TooMuchToRead, match=r"at most 999 bytes \(bytes\)"):
        planned(*made)
    monkeypatch.undo()
    monkeypatch.setattr(archive, "ARCHIVE_ENTRIES_MAX", 9)
    with pytest.raises(TooMuchToRead, match=r"at most 9 entries \(entries\)"):
        planned(*made)


def test_dates_that_the_formats_cannot_say_are_their_last_ones() -> None:
    blob = RawObject("blob", b"x")
    root = tree(("100644", b"a", blob.oid))
    made = commit(root.oid)
    far = RawObject("commit", made.body.replace(b"1700000000", b"999999999999999999"))
    before = RawObject("commit", made.body.replace(b"1700000000", b"-5"))
    for raw, year, seconds in ((far, 2107, 8**11 - 1), (before, 1980, 0)):
        objects, export = planned(blob, root, raw)
        with zipfile.ZipFile(io.BytesIO(b"".join(archive.zip_(objects, export)))) as found:
            assert found.infolist()[0].date_time[0] == year
        assert members(b"".join(archive.tar_gz(objects, export)))[b"a"][1] == seconds
