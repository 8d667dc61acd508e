"""Rows B01 to B04, B09 and C13 of ``reliability.md`` 3: names, options and numbers, pushed over HTTP."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from guts_core.errors import Invalid, NotAllowed
from guts_core.git.command import git_argv, git_environment
from guts_core.git.receive_pack import COMMANDS_MAX, PUSH_OPTION_BYTES_MAX, PUSH_OPTIONS_MAX
from guts_core.git.refs import client_ref_name
from tests.fixtures.git_history import BLOB, PLAIN, RawObject, commit
from tests.http.node_world import bearing
from tests.net.packs.pack_world import pack_of
from tests.refusals.doors_world import HEAD, MAIN, PACK, ZERO, open_door, push_body, report

OPTIONS_OF_GIT = ("--exec=touch", "-x", "a/-b", "--upload-pack=sh", "-", "--")
MISLEADING = (
    "HEAD",
    "a/HEAD",
    "refs/heads/x",
    "a" * 40,
    "A" * 40,
    "b" * 64,
    "@",
    "x.lock",
    "a..b",
    "a@{1}",
    ".x",
    "x.",
)
RESERVED = ("refs/pull/1/head", "refs/guts/x", "refs/replace/" + HEAD.oid, "refs/PULL/1/head", "refs/original/x")
OUTSIDE = ("HEAD", "refs/main", "main", "refs/", "refs/heads", "../../x", "refs/heads/../../x", "/refs/heads/x")


@pytest.mark.parametrize("name", OPTIONS_OF_GIT)
def test_bad_B01_no_part_of_a_ref_name_is_an_option(name: str) -> None:
    """One grammar for pushes, the API and execution; git's own lets these through."""
    for space in ("heads", "tags", "mine"):
        with pytest.raises(Invalid, match="no part may start with '-'"):
            client_ref_name(f"refs/{space}/{name}")


async def test_bad_B01_B02_B03_refs_are_refused_one_by_one_and_the_rest_goes_in(tmp_path: Path) -> None:
    """Each with its reason beside it; a mirror push brings what it may."""
    names = [f"refs/heads/{name}" for name in (*OPTIONS_OF_GIT, *MISLEADING)] + [*RESERVED, *OUTSIDE]
    async with open_door(tmp_path) as door:
        answer = await door.push(push_body([*(f"{ZERO} {HEAD.oid} {name}" for name in names), MAIN]))

        unpack, *refs = report(answer)
        assert unpack == "unpack ok"
        assert refs[-1] == "ok refs/heads/main"
        assert len(names) == len([line for line in refs[:-1] if line.startswith("ng ")])
        assert all(len(line.split(" ", 2)) == 3 for line in refs[:-1])
        assert await door.refs() == {"refs/heads/main": HEAD.oid}
        door.assert_says_nothing_secret(answer)


async def test_bad_B02_a_ref_is_no_directory_of_another(tmp_path: Path) -> None:
    """Within one push, and against what is there; in both orders."""
    async with open_door(tmp_path, pushed=True) as door:
        state = await door.state()
        for name in ("refs/heads/main/x", "refs/heads/main/x/y"):
            assert "exists" in report(await door.push(push_body([f"{ZERO} {HEAD.oid} {name}"])))[1]
        both = [f"{ZERO} {HEAD.oid} refs/heads/{name}" for name in ("a", "a/b")]
        for commands in (both, both[::-1]):
            assert all(line.startswith("ng ") for line in report(await door.push(push_body(commands)))[1:])

        assert await door.refs() == {"refs/heads/main": HEAD.oid}
        assert await door.state() == state


@pytest.mark.parametrize("name", RESERVED)
def test_bad_B03_reserved_spaces_are_read_only_to_clients(name: str) -> None:
    """In any case, since some disks do not tell it apart."""
    with pytest.raises(NotAllowed, match="read-only to clients"):
        client_ref_name(name)


def test_bad_B03_replace_refs_change_nothing_on_the_server(tmp_path: Path) -> None:
    """Should one ever lie on disk: git children of ours do not look."""
    environment = git_environment(os.environ["PATH"])

    def run(*arguments: str, stdin: bytes = b"") -> bytes:
        done = subprocess.run(
            git_argv(*arguments), cwd=tmp_path, env=environment, input=stdin, capture_output=True, check=True
        )
        return done.stdout.strip()

    run("init", "-q", "--bare", ".")
    honest, forged = (run("hash-object", "-w", "--stdin", stdin=text).decode() for text in (b"honest", b"forged"))
    run("update-ref", f"refs/replace/{honest}", forged)

    assert run("cat-file", "blob", honest) == b"honest"


BAD_OPTIONS = {
    "a newline": [b"private\nX: y"],
    "a NUL": [b"private\0"],
    "an escape": [b"\x1b]0;x\x07"],
    "a bidirectional override": ["a\u202eb".encode()],
    "64 KiB": [b"x" * 65_000],
    "one byte too long": [b"x" * (PUSH_OPTION_BYTES_MAX + 1)],
    "10,000": [b"x"] * 10_000,
    "one too many": [b"x"] * (PUSH_OPTIONS_MAX + 1),
    "no UTF-8": [b"\xff\xfe"],
}


async def test_bad_B04_push_options_are_bounded_data(tmp_path: Path) -> None:
    """They end in no header, environment or argument; what is not 16 printable lines is refused whole."""
    asked = "report-status push-options"
    async with open_door(tmp_path) as door:
        state = await door.state()
        for name, options in BAD_OPTIONS.items():
            answer = await door.push(push_body([MAIN], asked=asked, options=options))

            if name == "no UTF-8":  # no protocol at all
                assert answer.status_code == 400
                assert "option" in answer.text
            else:
                unpack, ref = report(answer)
                assert "option" in unpack, name
                assert ref == f"ng refs/heads/main {unpack.removeprefix('unpack ')}"
            door.assert_says_nothing_secret(answer)
        assert await door.state() == state
        odd = [b"$(touch x)", b"; rm -rf /", b"--exec=sh", b"%n{{7*7}}"] + [b"x" * PUSH_OPTION_BYTES_MAX] * 12
        assert report(await door.push(push_body([MAIN], asked=asked, options=odd)))[1] == "ok refs/heads/main"


TEMPLATES = ("{{70007+42}}", "${70007+42}", "%n%s%x", "<%=70007+42%>", "#{70007+42}", "%(refname)", "{0.__class__}")


async def test_bad_B09_no_text_of_a_user_is_a_template_or_a_format(tmp_path: Path) -> None:
    """Refs, messages and descriptions come back as they went in; the log stays one object a line."""
    text = " ".join(TEMPLATES)
    written = commit(PLAIN.oid, message=f"{text}\n")
    async with open_door(tmp_path) as door:
        ref = "refs/heads/{{70007+42}}%n%s${70007+42}"
        pushed = await door.push(push_body([f"{ZERO} {written.oid} {ref}"], pack_of(BLOB, PLAIN, written)))
        made = await door.node.create(door.token, "odd", description=text)
        shown = await door.node.http.get("/api/v3/repos/alice/odd", headers=bearing(door.token))
        page = await door.node.http.get("/")

        assert report(pushed)[1] == f"ok {ref}"
        assert await door.refs() == {ref: written.oid}
        assert made.status_code == 201
        assert shown.json()["description"] in (text, None)
        assert "70049" not in made.text + pushed.text
        assert page.status_code == 200
    log = (tmp_path / "net" / "node0.log").read_text().splitlines()
    assert all(isinstance(json.loads(line), dict) for line in log)


async def test_bad_C13_a_push_moves_only_so_many_refs(tmp_path: Path) -> None:
    """Also deletions, which bring no pack; and a name is only so long."""
    async with open_door(tmp_path, pushed=True) as door:
        state = await door.state()
        many = [f"{ZERO} {HEAD.oid} refs/heads/b{number}" for number in range(COMMANDS_MAX + 1)]
        gone = [f"{HEAD.oid} {ZERO} refs/heads/b{number}" for number in range(COMMANDS_MAX + 1)]
        for commands in (many, gone):
            words = "at most 50000 refs"
            answer = await door.push(push_body(commands, PACK))

            unpack, *refs = report(answer)
            assert words in unpack
            assert len(refs) == COMMANDS_MAX
            assert all(line.startswith("ng ") and words in line for line in refs)
            door.assert_says_nothing_secret(answer)
        assert await door.state() == state
        await door.assert_nothing_left()


async def test_bad_C13_names_too_long_for_a_ref_are_refused_one_by_one(tmp_path: Path) -> None:
    """Beside each, with the number; an atomic push loses the others too, and all of them at once are no push."""
    long = [f"{ZERO} {HEAD.oid} refs/heads/{char * length}" for char, length in (("x", 65_000), ("y", 245), ("é", 123))]
    async with open_door(tmp_path) as door:
        alone = report(await door.push(push_body(long)))
        atomic = report(await door.push(push_body([MAIN, *long], asked="report-status atomic")))
        answer = await door.push(push_body([*long[:2], MAIN, long[2]]))

        assert all("at most 255 bytes" in line for line in (*alone[1:], *atomic[1:]))
        assert [line.split(" ")[0] for line in report(answer)] == ["unpack", "ng", "ng", "ok", "ng"]
        assert await door.refs() == {"refs/heads/main": HEAD.oid}
        door.assert_says_nothing_secret(answer)


async def test_bad_C13_one_ref_is_named_once(tmp_path: Path) -> None:
    """Two fates of one ref in one push would be decided by nobody."""
    async with open_door(tmp_path) as door:
        answer = await door.push(push_body([MAIN, MAIN]))

        assert "named twice" in report(answer)[0]
        assert "named twice" in report(answer)[1]
        assert await door.refs() == {}


async def test_bad_C01_to_C10_over_http_a_bad_pack_changes_nothing(tmp_path: Path) -> None:
    """The pusher reads why; refs, state and quarantine are as before; the next push is served."""
    missing = commit("ab" * 20)
    bad = {
        "cut": PACK[:-30],
        "trailer": PACK[:-1] + b"x",
        "junk": b"x" * 5000,
        "missing tree": pack_of(missing),
        "git directory": pack_of(BLOB, RawObject("tree", b"40000 .git\0" + bytes.fromhex(PLAIN.oid)), PLAIN),
        "a blob as branch": pack_of(BLOB),
    }
    async with open_door(tmp_path) as door:
        state = await door.state()
        for name, pack in bad.items():
            new = BLOB.oid if name == "a blob as branch" else missing.oid
            answer = await door.push(push_body([f"{ZERO} {new} refs/heads/main"], pack))
            unpack, ref = report(answer)

            assert ref.startswith("ng refs/heads/main "), name
            assert unpack != "unpack ok" or "blob" in ref, name
            door.assert_says_nothing_secret(answer)
            await door.assert_nothing_left()
        assert await door.state() == state
        assert report(await door.push(push_body([MAIN])))[1] == "ok refs/heads/main"
