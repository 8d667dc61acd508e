"""Commits as other tools wrote them: whatever the bytes are, something can be shown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from guts_core.git.commits import CommitObject, Stamp, parse_commit
from guts_core.names import Oid

TREE, PARENT = b"1" * 40, b"2" * 40
HEAD = b"tree " + TREE + b"\nauthor A <a@x> 5 +0000\ncommitter B <b@x> 6 +0100\n"


def stamp_of(line: bytes, headers: bytes = b"") -> Stamp:
    return parse_commit(b"tree " + TREE + b"\nauthor" + line + b"\n" + headers + b"\nm").author


def test_a_commit_is_read() -> None:
    """All its parts, and no line ends behind the message."""
    data = b"tree " + TREE + b"\nparent " + PARENT + b"\nparent " + TREE + HEAD[45:] + b"\nwords\n\nmore\n\n"

    assert parse_commit(data) == CommitObject(
        Oid(bytes.fromhex("11" * 20)),
        (Oid(bytes.fromhex("22" * 20)), Oid(bytes.fromhex("11" * 20))),
        Stamp("A", "a@x", 5),
        Stamp("B", "b@x", 6),
        "words\n\nmore",
        is_signed=False,
    )


def test_a_signature_is_seen_and_its_lines_are_no_headers() -> None:
    """They begin with a space, whatever they say behind it."""
    data = HEAD + b"gpgsig -----BEGIN\n parent " + PARENT + b"\n author X <x> 9 +0000\n\nm"

    found = parse_commit(data)

    assert (found.is_signed, found.parents, found.author.name) == (True, (), "A")


def test_the_first_of_two_authors_counts() -> None:
    """As in git."""
    assert parse_commit(HEAD + b"author Z <z> 1 +0000\n\nm").author.name == "A"


def test_people_without_names_addresses_or_dates() -> None:
    """Each of these stands in a public history."""
    assert stamp_of(b" A <a@x> 5 +0000") == Stamp("A", "a@x", 5)
    assert stamp_of(b" <> 5 +0000") == Stamp("", "", 5)
    assert stamp_of(b" A <a@x> ") == Stamp("A", "a@x", 0)
    assert stamp_of(b" A <a@x> soon +0000") == Stamp("A", "a@x", 0)
    assert stamp_of(b" A <a@x> -7 +0000") == Stamp("A", "a@x", -7)
    assert stamp_of(b" A <a@x> 99999999999999999999999 +0000") == Stamp("A", "a@x", 0)
    assert stamp_of(b" A a@x 5 +0000") == Stamp("A a@x 5 +0000", "", 0)
    assert stamp_of(b" A <a@x 5 +0000") == Stamp("A", "a@x 5 +0000", 0)
    assert stamp_of(b" A <<a>@x>> 5 +0000") == Stamp("A", "<a>@x>", 5)
    assert stamp_of(b"") == Stamp("", "", 0)


def test_encodings_that_histories_use() -> None:
    """The commit says how its text is written; what is no encoding of text is not obeyed."""
    assert stamp_of(b" J\xf6rg <> 1 +0000", b"encoding ISO-8859-1\n").name == "Jörg"
    assert stamp_of(b" \xef\xee <> 1 +0000", b"encoding KOI8-R\n").name == "\u041e\u041d"
    assert stamp_of(b" J\xc3\xb6rg <> 1 +0000").name == "Jörg"
    assert stamp_of(b" J\xf6rg <> 1 +0000").name == "J\ufffdrg"
    for nonsense in (b"utf-16", b"rot13", b"zip", b"idna", b"unicode_escape", b"\xff", b"../x", b""):
        assert stamp_of(b" A\\x41 <> 1 +0000", b"encoding " + nonsense + b"\n").name == "A\\x41"


def test_the_beginning_of_a_commit_is_read_as_far_as_it_goes() -> None:
    """Of an enormous one only the beginning is kept, wherever that ends."""
    data = HEAD + "\nä".encode() * 3

    for end in range(len(data)):
        parse_commit(data[:end])
    assert parse_commit(data[:20]).tree is None
    assert parse_commit(data[:-1]).message.endswith("\ufffd")


@given(st.binary(max_size=400) | st.builds(lambda one, two: HEAD + one + b"\n\n" + two, st.binary(), st.binary()))
def test_nothing_is_too_odd(data: bytes) -> None:
    """Whatever an object holds, its text can be sent as JSON."""
    found = parse_commit(data)

    for text in (found.message, found.author.name, found.author.email, found.committer.name, found.committer.email):
        assert text.encode().decode() == text
