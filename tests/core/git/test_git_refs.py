"""Ref names and object ids (``reliability.md`` B01, B02, B03; git-check-ref-format)."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from guts_core.errors import Invalid, NotAllowed
from guts_core.git.refs import ZERO_OID, branch_of, client_ref_name, is_reserved, oid_hex, parse_oid, ref_name

HEX = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    "name",
    [
        "refs/heads/main",
        "refs/heads/feature/login-form",
        "refs/heads/grün/枝/ветка",
        "refs/heads/🚀",
        "refs/heads/a@b",
        "refs/heads/@/x",
        "refs/heads/{}",
        "refs/heads/semi;colon&and$dollar'quote\"",
        "refs/heads/head",
        "refs/heads/" + HEX[:-1],
        "refs/heads/x/" + HEX,
        "refs/tags/v1.0",
        "refs/tags/v1.lock.gz",
        "refs/notes/commits",
        "refs/remotes/origin/HEAD",
        "refs/changes/01/1/1",
        "refs/heads/" + "x" * 244,
    ],
)
def test_names_that_people_use(name: str) -> None:
    assert ref_name(name) == name
    assert client_ref_name(name) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "use refs/"),
        ("main", "use refs/"),
        ("HEAD", "use refs/"),
        ("refs/heads", "use refs/"),
        ("refs", "use refs/"),
        ("heads/main/x", "use refs/"),
        ("Refs/heads/main", "use refs/"),
        ("/refs/heads/main", "use refs/"),
        ("refs/heads/", "empty"),
        ("refs//heads/main", "empty"),
        ("refs/heads//main", "empty"),
        ("refs/heads/main/", "empty"),
        ("refs/heads/.hidden", "start with '.'"),
        ("refs/heads/a/.b", "start with '.'"),
        ("refs/heads/x.lock", "'.lock'"),
        ("refs/heads/x.lock/y", "'.lock'"),
        ("refs/heads/x.", "end with '.'"),
        ("refs/heads/x./y", "end with '.'"),
        ("refs/heads/a..b", "not allowed"),
        ("refs/heads/a b", "not allowed"),
        ("refs/heads/a~1", "not allowed"),
        ("refs/heads/a^", "not allowed"),
        ("refs/heads/a:b", "not allowed"),
        ("refs/heads/a?", "not allowed"),
        ("refs/heads/a*", "not allowed"),
        ("refs/heads/a[b", "not allowed"),
        ("refs/heads/a\\b", "not allowed"),
        ("refs/heads/a@{1}", "not allowed"),
        ("refs/heads/a\x00b", "not allowed"),
        ("refs/heads/a\nb", "not allowed"),
        ("refs/heads/a\x1b[31m", "not allowed"),
        ("refs/heads/a\x7f", "not allowed"),
        ("refs/heads/@", "HEAD"),
        ("refs/heads/" + "x" * 245, "longer"),
        ("refs/heads/" + "é" * 123, "longer"),
    ],
)
def test_names_that_git_refuses_too(name: str, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        ref_name(name)


@pytest.mark.parametrize(
    "name", ["refs/heads/-x", "refs/heads/--upload-pack=x", "refs/heads/a/--exec=sh", "refs/tags/-d", "refs/-x/y"]
)
def test_bad_B_01_no_part_of_a_name_is_an_option(name: str) -> None:
    with pytest.raises(Invalid, match="start with '-'"):
        ref_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "refs/heads/HEAD",
        "refs/heads/a/HEAD",
        "refs/tags/HEAD",
        "refs/heads/refs/heads/x",
        "refs/tags/refs/x",
        "refs/heads/" + HEX,
        "refs/heads/" + HEX.upper(),
        "refs/tags/" + HEX,
        "refs/heads/" + "a" * 64,
    ],
)
def test_bad_B_02_names_that_mean_something_else(name: str) -> None:
    with pytest.raises(Invalid, match=r"HEAD|full ref|object id"):
        ref_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "refs/pull/1/head",
        "refs/PULL/1/head",
        "refs/guts/x",
        "refs/replace/" + HEX,
        "refs/bisect/bad",
        "refs/worktree/x",
    ],
)
def test_bad_B_03_reserved_spaces_are_read_only_to_clients(name: str) -> None:
    assert is_reserved(ref_name(name))
    with pytest.raises(NotAllowed, match="read-only"):
        client_ref_name(name)


@pytest.mark.parametrize(
    "char",
    ["\u202e", "\u2066", "\u200b", "\u200d", "\ufeff", "\u00ad", "\u00a0", "\u3000", "\u0085", "\u2028", "\U000e0041"],
)
def test_nothing_invisible_or_turning(char: str) -> None:
    """A name must read the same to everyone who is asked to approve it."""
    with pytest.raises(Invalid, match="invisible") as caught:
        ref_name(f"refs/heads/a{char}b")
    assert str(caught.value).isascii()


def test_half_a_character_is_refused() -> None:
    with pytest.raises(Invalid):
        ref_name("refs/heads/\ud800")


def test_the_table_covers_every_control_format_and_space_character_of_this_python() -> None:
    """Written out, since Python versions differ and validators must not; so it is checked against each."""
    hidden = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in _HIDDEN]

    accepted = []
    for char in hidden:
        try:
            accepted.append(ref_name(f"refs/heads/{char}"))
        except Invalid:
            continue

    assert accepted == []


_HIDDEN = ("Cc", "Cf", "Cs", "Zs", "Zl", "Zp")


def test_a_message_about_a_long_name_is_short() -> None:
    with pytest.raises(Invalid) as caught:
        ref_name("refs/heads/" + "\U0001f680" * 100_000)
    assert len(str(caught.value)) < 200


def test_branches_have_short_names() -> None:
    assert branch_of(ref_name("refs/heads/a/b")) == "a/b"
    assert branch_of(ref_name("refs/tags/v1")) is None


def test_oids_are_read_and_written() -> None:
    assert oid_hex(parse_oid(HEX)) == HEX
    assert oid_hex(None) == "0" * 40
    assert parse_oid("0" * 40) == ZERO_OID


@pytest.mark.parametrize("text", ["", HEX[:-1], HEX + "0", HEX.upper(), HEX[:-1] + "g", HEX[:-1] + "٣", HEX + "\n"])
def test_oids_have_one_spelling(text: str) -> None:
    with pytest.raises(Invalid, match="40 of 0-9 and a-f"):
        parse_oid(text)
