"""Requests of protocol version 2: what they mean, what is refused, and with which words."""

from __future__ import annotations

import pytest

from guts_core.errors import Invalid, LimitExceeded
from guts_core.git import fetch_arguments, ls_refs, object_info, protocol_v2
from guts_core.git.fetch_arguments import Fetch, resolve
from guts_core.git.fetch_request import HAVES_MAX, SHALLOWS_MAX, WANTS_MAX
from guts_core.git.ls_refs import Head, LsRefs, ls_refs_answer
from guts_core.git.object_info import ObjectInfo, object_info_answer
from guts_core.git.pkt_line import DELIMITER, FLUSH, RESPONSE_END, BadPacket, packet
from guts_core.git.protocol_v2 import BundleUri, Nothing, Request, RequestReader
from guts_core.git.v2_arguments import ArgumentRefused, refusal
from guts_core.git.wanted_refs import WantedRefs
from guts_core.names import Oid, RefName

ONE, TWO = Oid(b"\x11" * 20), Oid(b"\x22" * 20)
A, B = "1" * 40, "2" * 40
CLIENT = ("agent=git/2.39.5", "object-format=sha1")


def request(command: str, *arguments: str | bytes, client: tuple[str, ...] = CLIENT) -> bytes:
    """A request as stock git writes it."""
    lines = [one if isinstance(one, bytes) else one.encode() for one in arguments]
    head = packet(f"command={command}\n".encode()) + b"".join(packet(one.encode()) for one in client)
    return head + DELIMITER + b"".join(packet(line + b"\n") for line in lines) + FLUSH


def read(*pieces: bytes) -> Request:
    """What the bytes ask for."""
    reader = RequestReader()
    for piece in pieces:
        reader.receive(piece)
    return reader.finish()


def test_each_command_is_read_as_it_is_meant() -> None:
    """With all that stock git says to them."""
    assert read(request("ls-refs", "peel", "symrefs", "unborn", "ref-prefix refs/heads/", "ref-prefix HEAD")) == LsRefs(
        (b"HEAD", b"refs/heads/"), peel=True, symrefs=True, unborn=True
    )
    assert read(request("ls-refs")) == LsRefs()
    assert read(request("object-info", "size", f"oid {A}", f"oid {B}")) == ObjectInfo((ONE, TWO), size=True)
    assert read(request("bundle-uri")) == BundleUri()
    assert read(packet(b"command=bundle-uri") + FLUSH) == BundleUri()
    assert read(FLUSH) == Nothing()


def test_a_fetch_is_read_whole() -> None:
    """Each argument has its field; sets are sorted, haves stand as they came."""
    flags = ("thin-pack", "no-progress", "include-tag", "ofs-delta", "sideband-all", "wait-for-done", "deepen-relative")
    asked = read(
        request(
            "fetch", *flags, f"want {B}", f"want {A}", f"want {B.upper()}", "want-ref refs/heads/x", f"have {B}",
            f"have {A}", f"shallow {A}", "deepen 3", "filter blob:limit=1k", "done",
        )
    )  # fmt: skip

    assert asked == Fetch(
        wants=(ONE, TWO),
        want_refs=("refs/heads/x",),
        haves=(TWO, ONE),
        shallows=(ONE,),
        depth=3,
        filter="blob:limit=1k",
        flags=frozenset({*flags, "done"}),
    )
    assert isinstance(asked, Fetch)
    assert read(asked.to_bytes()) == asked


def test_a_fetch_by_time_and_by_name_goes_on_as_it_came() -> None:
    """What git is handed is written anew, and means the same."""
    asked = read(request("fetch", f"want {A}", "deepen-since 1700000000", "deepen-not v1", "deepen-not v0", "done"))

    assert asked == Fetch((ONE,), since=1_700_000_000, deepen_nots=("v0", "v1"), flags=frozenset({"done"}))
    assert isinstance(asked, Fetch)
    assert read(asked.to_bytes()) == asked
    assert asked.resolved([TWO], ["refs/tags/v1"]) == Fetch(
        (ONE, TWO), since=1_700_000_000, deepen_nots=("refs/tags/v1",), flags=frozenset({"done"})
    )


def test_two_clients_who_mean_the_same_are_seen_to() -> None:
    """Another agent, another order, a line said twice."""
    one = read(request("fetch", "ofs-delta", "thin-pack", f"want {A}", f"want {B}", "done"))
    other = request("fetch", f"want {B}", f"want {A}", "thin-pack", "ofs-delta", f"want {B}", "done", client=())

    assert isinstance(one, Fetch)
    assert read(other) == one


def test_a_full_clone_is_told_from_every_other_fetch() -> None:
    """Only who asks for all that the wants reach may be given a whole pack."""
    plain = ("thin-pack", "ofs-delta", "include-tag", "no-progress", f"want {A}", "done")
    others = ("deepen 1", f"have {B}", f"shallow {B}", "filter blob:none", "wait-for-done", "want-ref refs/heads/x")

    def is_full(*lines: str) -> bool:
        asked = read(request("fetch", *lines))
        assert isinstance(asked, Fetch)
        return asked.is_full_clone

    assert is_full(*plain)
    assert is_full(*plain, "sideband-all")
    assert not any(is_full(*plain, other) for other in others)
    assert not is_full(*plain[:-1])
    assert not is_full("done")


def test_what_asks_for_nothing_says_so() -> None:
    """But whoever negotiates a push asks what both sides have."""
    asked = [read(request("fetch", *lines)) for lines in (("done",), ("wait-for-done", f"have {A}"), (f"want {A}",))]

    assert [isinstance(one, Fetch) and one.asks_nothing for one in asked] == [True, False, False]


@pytest.mark.parametrize(
    ("command", "line", "words"),
    [
        ("ls-refs", "peal", "ls-refs: unexpected line: 'peal'"),
        ("ls-refs", "peel ", "unexpected line"),
        ("ls-refs", "ref-prefix", "unexpected line"),
        ("ls-refs", b"\x1b[2J\xff", r"'\\x1b\[2J"),
        ("object-info", "type", "object-info: unexpected line: 'type'"),
        ("object-info", "oid 1234", "40 digits"),
        ("bundle-uri", "anything", "bundle-uri: unexpected line"),
        ("fetch", "thin-pack yes", "fetch: unexpected line"),
        ("fetch", f"wants {A}", "fetch: unexpected line"),
        ("fetch", "want", "unexpected line"),
        ("fetch", f"want {A[1:]}", "40 digits"),
        ("fetch", f"want {A}0", "40 digits"),
        ("fetch", f"want {A} ofs-delta", "40 digits"),
        ("fetch", f"have  {A}", "40 digits"),
        ("fetch", f"shallow {A[:-1]}g", "40 digits"),
        ("fetch", "packfile-uris https", "packfile-uris are not served"),
        ("fetch", "deepen 0", "a whole number"),
        ("fetch", "deepen -1", "a whole number"),
        ("fetch", "deepen 2147483648", "a whole number"),
        ("fetch", "deepen 0x10", "a whole number"),
        ("fetch", "deepen-since yesterday", "a whole number"),
        ("fetch", "deepen-since 99999999999999999999", "a whole number"),
        ("fetch", "deepen-not a b", "printable text without spaces"),
        ("fetch", "deepen-not " + "x" * 256, "printable text without spaces"),
        ("fetch", b"want-ref refs/heads/\xff", "is not UTF-8"),
        ("fetch", "want-ref refs/heads/a\x1bb", "printable text"),
        ("fetch", "filter sparse:oid=" + A, "filter 'sparse:oid=1+' is not served"),
        ("fetch", "filter tree:1", "is not served"),
        ("fetch", "filter combine:blob:none+tree:0", "is not served"),
        ("fetch", "filter blob:limit=1e9", "is not served"),
        ("fetch", "", "fetch: unexpected line"),
    ],
)
def test_bad_D01_an_argument_that_nobody_knows_is_refused_with_words(
    command: str, line: str | bytes, words: str
) -> None:
    """Never passed over, never passed on; and what it said comes back as no terminal obeys it."""
    with pytest.raises(ArgumentRefused, match=words) as refused:
        read(request(command, line))

    assert refusal(str(refused.value))[4:].decode().removesuffix("\n").isprintable()


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("deepen 1", "deepen-since 5"), "cannot be used together"),
        (("deepen 1", "deepen-not v1"), "cannot be used together"),
        (("deepen 1", "deepen 2"), "deepen is said twice"),
        (("filter blob:none", "filter tree:0"), "filter is said twice"),
        (("deepen-since 5", "deepen-since 6"), "deepen-since is said twice"),
    ],
)
def test_bad_D01_arguments_that_exclude_each_other_are_refused(lines: tuple[str, ...], words: str) -> None:
    """Git would take the last, or multiply its work."""
    with pytest.raises(ArgumentRefused, match=words):
        read(request("fetch", f"want {A}", *lines))


@pytest.mark.parametrize(
    ("client", "words"),
    [
        (("object-format=sha256",), "this repository is sha1"),
        (("thin-pack",), "unknown capability 'thin-pack'"),
        (("agent=a", "agent=b"), "agent is said twice"),
        (("agent=" + "x" * 1024,), "longer than 1024 bytes"),
        (("command=fetch",), "unknown capability"),
    ],
)
def test_bad_D01_a_client_says_what_it_can_in_known_words(client: tuple[str, ...], words: str) -> None:
    """A second command among them is none."""
    with pytest.raises(ArgumentRefused, match=words):
        read(request("ls-refs", client=client))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (packet(b"want " + A.encode()), "begins with its command"),
        (packet(b"commandfetch"), "begins with its command"),
        (DELIMITER, "delimiter packet has no place"),
        (RESPONSE_END, "response-end packet has no place"),
        (packet(b"command=fetch") + DELIMITER + DELIMITER, "delimiter packet has no place"),
        (packet(b"command=fetch") + DELIMITER + RESPONSE_END, "response-end packet has no place"),
        (FLUSH + b"0", "bytes follow"),
        (FLUSH + FLUSH, "bytes follow"),
        (packet(b"command=fetch") + b"-001", "starts with '-001'"),
    ],
)
def test_bad_D01_special_packets_have_their_places(data: bytes, words: str) -> None:
    """And a request is one request."""
    with pytest.raises(BadPacket, match=words):
        read(data)


def test_bad_D01_an_unknown_command_is_told_apart_from_noise() -> None:
    """A newer client may speak a command that is not served here."""
    with pytest.raises(ArgumentRefused, match="command 'push' is not served here"):
        read(packet(b"command=push\n") + FLUSH)


def test_bad_D02_a_request_of_version_2_that_is_cut_anywhere_is_none() -> None:
    """Missed at every byte."""
    whole = request("fetch", f"want {A}", f"have {B}", "deepen 3", "done")
    for end in range(len(whole)):
        with pytest.raises(BadPacket, match="before its flush"):
            read(whole[:end])
    assert read(*(whole[at : at + 1] for at in range(len(whole)))) == read(whole)


@pytest.mark.parametrize(
    ("command", "line", "most"),
    [
        ("fetch", f"want {A}", WANTS_MAX),
        ("fetch", f"have {A}", HAVES_MAX),
        ("fetch", f"shallow {A}", SHALLOWS_MAX),
        ("fetch", "want-ref refs/heads/x", WANTS_MAX),
        ("fetch", "deepen-not v1", fetch_arguments.DEEPEN_NOTS_MAX),
        ("object-info", f"oid {A}", object_info.OBJECTS_MAX),
    ],
)
def test_bad_D02_lines_of_version_2_are_counted(command: str, line: str, most: int) -> None:
    """Also those that say what was said before: an endless request ends at a number."""
    word, framed = line.split(" ", maxsplit=1)[0], packet(line.encode())
    reader = RequestReader()
    reader.receive(packet(b"command=" + command.encode()) + DELIMITER + framed * most)

    with pytest.raises(LimitExceeded, match=f"more than {most} {word} lines"):
        reader.receive(framed)


def test_bad_D02_server_options_are_counted() -> None:
    """They are read and mean nothing here."""
    most = protocol_v2.SERVER_OPTIONS_MAX
    assert read(request("ls-refs", client=("server-option=x",) * most)) == LsRefs()

    with pytest.raises(LimitExceeded, match="server-option"):
        read(request("ls-refs", client=("server-option=x",) * (most + 1)))


def test_bad_D02_more_prefixes_than_git_reads_are_none() -> None:
    """As git does it: every ref is shown, and nothing of them is kept."""
    most = ls_refs.PREFIXES_MAX
    framed = b"".join(packet(b"ref-prefix refs/heads/%d/" % number) for number in range(most))
    head = packet(b"command=ls-refs") + DELIMITER

    few = read(head + framed + FLUSH)
    assert isinstance(few, LsRefs)
    assert len(few.prefixes) == most
    assert read(head + framed + packet(b"ref-prefix refs/tags/") + FLUSH) == LsRefs()


def test_prefixes_that_others_cover_are_left_out() -> None:
    """So that no list of them multiplies the work, and each name is looked up by halving."""
    asked = read(request("ls-refs", *(f"ref-prefix {one}" for one in ("refs/heads/", "refs/heads/a", "refs/h", "x"))))

    assert asked == LsRefs((b"refs/h", b"x"))
    assert isinstance(asked, LsRefs)
    assert [asked.shows(name) for name in (b"refs/h", b"refs/heads/b", b"refs/g", b"refs/i", b"xy", b"")] == [
        True, True, False, False, True, False,
    ]  # fmt: skip
    assert read(request("ls-refs", "ref-prefix ", "ref-prefix x")) == LsRefs()


REFS = [(b"refs/heads/main", ONE), (b"refs/tags/v1", TWO)]


def test_refs_are_answered_with_their_symrefs_and_what_tags_stand_for() -> None:
    """HEAD first, then by name."""
    asked = LsRefs(peel=True, symrefs=True)

    assert ls_refs_answer(asked, Head(b"refs/heads/main", ONE), REFS, {ONE: None, TWO: ONE}) == (
        packet(f"{A} HEAD symref-target:refs/heads/main\n".encode())
        + packet(f"{A} refs/heads/main\n".encode())
        + packet(f"{B} refs/tags/v1 peeled:{A}\n".encode())
        + FLUSH
    )


def test_a_head_that_is_not_born_is_told_only_to_who_asks() -> None:
    """An old client would not understand the line."""
    head, line = Head(b"refs/heads/trunk", None), packet(b"unborn HEAD symref-target:refs/heads/trunk\n")

    assert ls_refs_answer(LsRefs(symrefs=True, unborn=True), head, [], {}) == line + FLUSH
    assert ls_refs_answer(LsRefs(symrefs=True), head, [], {}) == FLUSH
    assert ls_refs_answer(LsRefs(unborn=True), head, [], {}) == FLUSH
    assert ls_refs_answer(LsRefs((b"refs/",), symrefs=True, unborn=True), head, [], {}) == FLUSH


def test_sizes_are_answered_in_the_order_of_the_question() -> None:
    """One that is not seen is as one that is not there."""
    asked = ObjectInfo((TWO, ONE, TWO), size=True)

    assert object_info_answer(asked, {TWO: 7}) == (
        packet(b"size") + packet(f"{B} 7".encode()) + packet(f"{A} ".encode()) + packet(f"{B} 7".encode()) + FLUSH
    )
    assert object_info_answer(ObjectInfo((ONE,)), {}) == packet(A.encode()) + FLUSH
    assert object_info_answer(ObjectInfo(size=True), {}) == FLUSH


def test_a_short_name_leads_where_git_finds_it() -> None:
    """Or to no place at all, with words."""
    refs = dict.fromkeys(map(RefName, ("refs/heads/main", "refs/tags/v1", "refs/heads/v1", "refs/remotes/o/HEAD")), ONE)

    assert resolve("main", refs) == "refs/heads/main"
    assert resolve("refs/tags/v1", refs) == "refs/tags/v1"
    assert resolve("o", refs) == "refs/remotes/o/HEAD"
    with pytest.raises(ArgumentRefused, match="'v1' is ambiguous"):
        resolve("v1", refs)
    with pytest.raises(ArgumentRefused, match="is no ref of this repository"):
        resolve("x\x1b", refs)


@pytest.mark.parametrize("sideband_all", [False, True])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_wanted_refs_stand_right_before_the_pack(*, sideband_all: bool, size: int) -> None:
    """However the answer is cut; and nothing of it is lost."""
    band = b"\x01" if sideband_all else b""
    shallow = packet(band + b"shallow-info\n") + packet(band + f"shallow {A}".encode()) + DELIMITER
    pack = packet(band + b"packfile\n") + packet(b"\x01PACK...") + packet(b"\x02" + band + b"packfile\n") + FLUSH
    section = packet(band + b"wanted-refs\n") + packet(band + f"{B} refs/heads/x\n".encode()) + DELIMITER
    machine = WantedRefs([("refs/heads/x", TWO)], sideband_all=sideband_all)
    said = shallow + pack

    got = b"".join(machine.receive(said[at : at + size]) for at in range(0, len(said), size))

    assert got == shallow + section + pack


def test_without_wanted_refs_an_answer_goes_on_as_it_came() -> None:
    """Whatever it is."""
    machine = WantedRefs([], sideband_all=False)

    assert machine.receive(b"any bytes") == b"any bytes"


def test_refusals_are_the_callers_fault() -> None:
    """So no door answers 500 for one."""
    assert issubclass(ArgumentRefused, Invalid)
