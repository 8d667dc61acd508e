"""Rows J08 to J10: sessions between nodes, and whole numbers at every edge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import pytest
from attrs import evolve, frozen
from click.testing import CliRunner

from guts_cli.main import ROOT
from guts_core.chain.genesis_json import GenesisFile, genesis_from_json, to_json
from guts_core.codec import Limit, Tag, encode, from_bytes, from_value, record, to_bytes
from guts_core.errors import GutsError, Invalid, Malformed, PeerFault
from guts_core.identity import KeyPair
from guts_core.link.frames import COUNTER_MAX, Lane, Opener, Piece, Sealer, SessionSpent, join_pieces
from guts_core.link.handshake import (
    Channel,
    Dialer,
    HandshakeRefused,
    Listener,
    Session,
    Syn,
    SynAck,
    Versions,
)
from guts_core.names import ChainId, NodeId
from guts_http.api.user import NewRepository
from guts_http.problems import BadRequest, InvalidFields
from guts_http.strict import structured
from tests.core.chain.chain_world import a_genesis

CHAIN = ChainId(b"c" * 32)
ADA, BOB, EVE = KeyPair(b"a" * 32), KeyPair(b"b" * 32), KeyPair(b"e" * 32)
ADA_ID, BOB_ID = NodeId(ADA.public_key), NodeId(BOB.public_key)
SAID = join_pieces([Piece(Lane.SAID, b"a vote")])


def a_dialer(secret: bytes = b"1" * 32, me: KeyPair = ADA, versions: Versions = Versions()) -> Dialer:  # noqa: B008  # frozen
    return Dialer(me, CHAIN, BOB_ID, Channel.CONTROL, secret=secret, now_ms=0, versions=versions)


def a_listener(secret: bytes = b"2" * 32, versions: Versions = Versions()) -> Listener:  # noqa: B008  # frozen
    return Listener(BOB, CHAIN, {ADA_ID, BOB_ID}.__contains__, secret=secret, now_ms=0, versions=versions)


def shaken(dialer: Dialer, listener: Listener) -> tuple[Session, Session]:
    last, session = dialer.finish(listener.answer(dialer.syn))
    return session, listener.finish(last)


def signed(syn: Syn, by: KeyPair = ADA) -> bytes:
    bare = evolve(syn, signature=bytes(64))
    return to_bytes(evolve(bare, signature=by.sign(Tag.SIGN_HELLO, CHAIN, to_bytes(bare))))


# ---- J08: nonces and keys ----


def test_bad_J08_no_key_is_ever_used_twice() -> None:
    """A restarted node makes new ephemerals; even one side's alone changes every key, in both directions."""
    sessions = [shaken(a_dialer(a), a_listener(b))[0] for a in (b"1" * 32, b"3" * 32) for b in (b"2" * 32, b"4" * 32)]
    used = {key for session in sessions for key in (session.send_key, session.receive_key)}

    assert len(used) == 8


def test_bad_J08_what_one_side_sealed_does_not_open_as_its_own() -> None:
    """One key per direction: a frame sent back to its sender is refused, and so is one of another session."""
    ada, bob = shaken(a_dialer(), a_listener())
    frame = Sealer(ada.send_key).seal(SAID)
    assert Opener(bob.receive_key).feed(frame) == [SAID]

    with pytest.raises(Malformed):
        Opener(ada.receive_key).feed(frame)
    with pytest.raises(Malformed):
        Opener(shaken(a_dialer(b"9" * 32), a_listener())[1].receive_key).feed(frame)


@pytest.mark.parametrize("order", [(1, 0), (0, 0), (0, 2), (2,)])
def test_bad_J08_frames_open_once_and_in_order(order: tuple[int, ...]) -> None:
    """Left out, repeated or reordered: the session is over, for good."""
    ada, bob = shaken(a_dialer(), a_listener())
    sealer, opener = Sealer(ada.send_key), Opener(bob.receive_key)
    frames = [sealer.seal(SAID) for _ in range(3)]

    with pytest.raises(Malformed):
        opener.feed(b"".join(frames[at] for at in order))
    with pytest.raises(SessionSpent):
        opener.feed(frames[1])


def test_bad_J08_the_counter_ends_before_it_wraps() -> None:
    """The last number is never used; 2^96 frames are beyond any session, so nothing is rekeyed."""
    sealer, opener = Sealer(b"k" * 32, COUNTER_MAX - 1), Opener(b"k" * 32, COUNTER_MAX - 1)
    assert opener.feed(sealer.seal(SAID)) == [SAID]

    with pytest.raises(SessionSpent):
        sealer.seal(SAID)
    with pytest.raises(SessionSpent):
        opener.feed(Sealer(b"k" * 32).seal(SAID))


# ---- J09: handshakes ----

SMALL_ORDER = (bytes(32), b"\x01" + bytes(31), bytes.fromhex("ec" + "ff" * 30 + "7f"))


@pytest.mark.parametrize("point", SMALL_ORDER, ids=["0", "1", "p-1"])
def test_bad_J09_a_shared_secret_of_zero_is_refused(point: bytes) -> None:
    """Libsodium answers zero for such points; a key from it would be known to everyone."""
    with pytest.raises(HandshakeRefused, match="small order"):
        a_listener().answer(signed(evolve(from_bytes(Syn, a_dialer().syn), ephemeral=point)))


def test_bad_J09_a_reflected_handshake_is_refused() -> None:
    """Our own words back at us, in either role."""
    dialer = a_dialer()
    for bounced in (dialer.syn, to_bytes(from_bytes(Syn, dialer.syn))):
        with pytest.raises(PeerFault):
            dialer.finish(bounced)
    with pytest.raises(PeerFault):
        Listener(ADA, CHAIN, lambda _: True, secret=b"5" * 32, now_ms=0).answer(dialer.syn)


def test_bad_J09_a_replayed_first_message_ends_at_the_fresh_ephemeral() -> None:
    """The listener answers, and whoever replayed cannot derive the keys, nor use an old last word."""
    dialer = a_dialer()
    first = a_listener(b"2" * 32)
    last, _ = dialer.finish(first.answer(dialer.syn))
    first.finish(last)
    second = a_listener(b"6" * 32)
    second.answer(dialer.syn)

    with pytest.raises(HandshakeRefused, match="same keys"):
        second.finish(last)


def test_bad_J09_an_unknown_key_is_refused_before_any_arithmetic() -> None:
    """A Syn with no good signature and no good point: the stranger is refused for being one."""
    cheap = evolve(from_bytes(Syn, a_dialer(me=EVE).syn), signature=bytes(64), ephemeral=bytes(32))

    with pytest.raises(HandshakeRefused, match="unknown or banned"):
        a_listener().answer(to_bytes(cheap))


def test_bad_J09_nobody_on_the_way_makes_two_nodes_speak_an_older_version() -> None:
    """The offered range and the choice are under both signatures."""
    newer = Versions(1, 3)
    dialer, listener = a_dialer(versions=newer), a_listener(versions=newer)
    lowered = evolve(from_bytes(Syn, dialer.syn), protocol_most=1)
    with pytest.raises(PeerFault, match="signature"):
        listener.answer(to_bytes(lowered))

    said = from_bytes(SynAck, a_listener(versions=newer).answer(dialer.syn))
    with pytest.raises(PeerFault):
        dialer.finish(to_bytes(evolve(said, protocol=1)))


# ---- J10: whole numbers ----


@record(250)
@frozen
class Counted:
    """A number of ours within bounds."""

    number: Annotated[int, Limit(most=1000, least=1)]


BAD_NUMBERS: list[Any] = [-1, True, False, "1", b"\1", 1.0, None, [1], 0, 1001, 2**64]


@pytest.mark.parametrize("number", BAD_NUMBERS, ids=repr)
def test_bad_J10_a_number_of_the_wire_is_an_unsigned_one_within_its_bounds(number: Any) -> None:
    """A bool is an int in Python, and none here; what has no encoding cannot even be said."""
    with pytest.raises((Malformed, TypeError, ValueError)):
        from_value(Counted, (250, 0, number))
    with pytest.raises((Malformed, TypeError, ValueError)):
        from_bytes(Counted, encode((250, 0, number)))


@frozen
class Asked:
    """What a JSON body may say."""

    number: int = 1


BAD_JSON = [
    "-1.5", "1.0", "1e3", "true", '"1"', "null", "NaN", "Infinity", "-Infinity", "[1]", "{}", "9" * 5000, "0x10", "01",
]  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        b'{"name": "\\ud800"}',
        b'{"name": "\xed\xa0\x80"}',
        b'{"name": "x", "later": ["\\udfff"]}',
        b'{"\\udc00": 1}',
        '{"name": "x"}'.encode("utf-16"),
        b'\xef\xbb\xbf{"name": "x"}',
    ],
)
def test_bad_J05_a_json_body_is_utf_8_and_half_a_character_is_no_text(body: bytes) -> None:
    """Such a text has no bytes: it could be neither hashed nor stored, and was no fault of this node's."""
    with pytest.raises(BadRequest, match="Problems parsing JSON"):
        structured(NewRepository, body, "Repository", forbid_unknown=False)
    whole = structured(NewRepository, b'{"name": "\\ud83d\\ude00"}', "Repository", forbid_unknown=False)
    assert whole.name == "\U0001f600"


@pytest.mark.parametrize("text", BAD_JSON, ids=lambda text: text[:10])
def test_bad_J10_a_number_in_a_json_body_is_a_whole_one_written_as_such(text: str) -> None:
    """Python's limit on digits stays on, so 10^5 of them cost nothing (CVE-2020-10735)."""
    with pytest.raises((BadRequest, InvalidFields)):
        structured(Asked, f'{{"number": {text}}}'.encode(), "thing", forbid_unknown=True)


@pytest.mark.parametrize("text", [*BAD_JSON, "-1", str(2**64), "9" * 4000], ids=lambda text: text[:10])
def test_bad_J10_a_number_in_a_genesis_file_is_a_whole_one_below_2_to_the_64(text: str) -> None:
    """What is hashed cannot hold it, so the file that says it is refused, naming the file."""
    good = to_json(GenesisFile(a_genesis()))
    parsed = json.loads(good)
    for place in (("genesis", "time"), ("genesis", "params", "delta_ms")):
        inner: Any = parsed
        for name in place[:-1]:
            inner = inner[name]
        marked = json.dumps({**parsed}, indent=2).replace(
            f'"{place[-1]}": {inner[place[-1]]}', f'"{place[-1]}": {text}', 1
        )
        assert marked != good

        with pytest.raises(Invalid, match="genesis file"):
            genesis_from_json(marked)


@pytest.mark.parametrize("text", ["-5", "true", "1.5", "1e3", "NaN", "9" * 5000, "0x10", ""], ids=lambda t: t[:10])
def test_bad_J10_a_number_on_the_command_line_is_refused(text: str, tmp_path: Path) -> None:
    """With words that name it, and nothing written."""
    draft = tmp_path / "draft.json"
    ran = CliRunner().invoke(ROOT, ["genesis", "new", "testnet", "--draft", str(draft), "--delta-ms", text])

    assert isinstance(ran.exception, SystemExit | GutsError), ran.exception
    assert ran.exit_code != 0
    assert not draft.exists()
