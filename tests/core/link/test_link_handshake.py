"""The handshake: two nodes that know each other agree on keys, and everyone else is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from guts_core.codec import Tag, from_bytes, to_bytes
from guts_core.errors import BadSignature, Malformed, PeerFault
from guts_core.identity import KeyPair
from guts_core.link.handshake import (
    HANDSHAKE_BYTES_MAX,
    Ack,
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

CHAIN = ChainId(b"c" * 32)
ADA, BOB, EVE = KeyPair(b"a" * 32), KeyPair(b"b" * 32), KeyPair(b"e" * 32)
ADA_ID, BOB_ID, EVE_ID = (NodeId(pair.public_key) for pair in (ADA, BOB, EVE))
OURS = Versions()
NOW = 1_700_000_000_000
SMALL_ORDER = (bytes(32), b"\x01" + bytes(31), bytes.fromhex("ec" + "ff" * 30 + "7f"))


def a_dialer(me: KeyPair = ADA, peer: NodeId = BOB_ID, chain: ChainId = CHAIN, versions: Versions = OURS) -> Dialer:
    """Ada, who dials Bob's control channel."""
    return Dialer(me, chain, peer, Channel.CONTROL, secret=b"1" * 32, now_ms=NOW, versions=versions)


def a_listener(
    me: KeyPair = BOB, secret: bytes = b"2" * 32, now_ms: int = NOW + 3, versions: Versions = OURS
) -> Listener:
    """Bob, who knows Ada and nobody else."""
    return Listener(me, CHAIN, {ADA_ID, BOB_ID}.__contains__, secret=secret, now_ms=now_ms, versions=versions)


def shaken(dialer: Dialer, listener: Listener) -> tuple[Session, Session]:
    """Both sessions of an undisturbed handshake."""
    last, session = dialer.finish(listener.answer(dialer.syn))
    return session, listener.finish(last)


def signed(syn: Syn, by: KeyPair = ADA, chain: ChainId = CHAIN) -> bytes:
    """A Syn with a good signature over what it says."""
    bare = evolve(syn, signature=bytes(64))
    return to_bytes(evolve(bare, signature=by.sign(Tag.SIGN_HELLO, chain, to_bytes(bare))))


def test_both_sides_agree() -> None:
    ada, bob = shaken(a_dialer(), a_listener())

    assert (ada.peer, bob.peer) == (BOB_ID, ADA_ID)
    assert ada.channel is bob.channel is Channel.CONTROL
    assert ada.protocol == bob.protocol == 1
    assert (ada.dialled, bob.dialled) == (True, False)
    assert (ada.send_key, ada.receive_key) == (bob.receive_key, bob.send_key)
    assert ada.send_key != ada.receive_key


def test_the_bytes_of_a_handshake() -> None:
    """Golden: what goes over the wire and the keys that follow; a change must be seen and meant."""
    dialer, listener = a_dialer(), a_listener()
    answer = listener.answer(dialer.syn)
    last, session = dialer.finish(answer)
    seen = [dialer.syn.hex(), answer.hex(), last.hex(), session.send_key.hex(), session.receive_key.hex()]

    assert Path(__file__).with_name("handshake.golden").read_text(encoding="ascii").split() == seen


def test_keys_are_never_shown() -> None:
    ada, _ = shaken(a_dialer(), a_listener())

    assert "key" not in repr(ada)


@pytest.mark.parametrize("skew_ms", [-3_600_000, 3_600_000])
def test_a_wrong_clock_is_reported_and_not_refused(skew_ms: int) -> None:
    """A network must not stop because of a clock."""
    ada, bob = shaken(a_dialer(), a_listener(now_ms=NOW + skew_ms))

    assert (skew_ms, -skew_ms) == (ada.skew_ms, bob.skew_ms)


def test_the_newest_common_version_is_spoken() -> None:
    ada, bob = shaken(a_dialer(versions=Versions(1, 7)), a_listener(versions=Versions(3, 5)))

    assert ada.protocol == bob.protocol == 5


def test_versions_without_overlap_are_refused_with_both_ranges() -> None:
    with pytest.raises(HandshakeRefused, match="speaks protocol 1 to 2, we 3 to 5"):
        a_listener(versions=Versions(3, 5)).answer(a_dialer(versions=Versions(1, 2)).syn)


def test_a_version_that_was_not_offered_is_refused() -> None:
    """A listener, or someone in between, who answers with an older protocol than we would speak."""
    dialer = a_dialer(versions=Versions(2, 3))
    said = from_bytes(SynAck, a_listener(versions=Versions(1, 2)).answer(dialer.syn))

    with pytest.raises(HandshakeRefused, match="which was not offered"):
        dialer.finish(to_bytes(evolve(said, protocol=1)))


def test_another_chain_is_refused() -> None:
    with pytest.raises(HandshakeRefused, match="on chain 7878"):
        a_listener().answer(a_dialer(chain=ChainId(b"x" * 32)).syn)


def test_a_message_for_another_listener_is_refused() -> None:
    """Eve cannot pass on to Bob what Ada said to her."""
    with pytest.raises(HandshakeRefused, match="which we are not"):
        a_listener().answer(a_dialer(peer=EVE_ID).syn)


def test_nobody_dials_themselves() -> None:
    with pytest.raises(HandshakeRefused, match="itself"):
        a_dialer(peer=ADA_ID)
    said = from_bytes(Syn, a_dialer().syn)
    with pytest.raises(HandshakeRefused, match="ourselves"):
        a_listener().answer(signed(evolve(said, dialer=BOB_ID), by=BOB))


def test_a_stranger_is_refused_before_any_arithmetic() -> None:
    """Strangers pay for their own handshakes: neither their signature nor their ephemeral is looked at."""
    said = from_bytes(Syn, a_dialer(me=EVE).syn)
    cheap = to_bytes(evolve(said, signature=bytes(64), ephemeral=bytes(32)))

    with pytest.raises(HandshakeRefused, match="unknown or banned"):
        a_listener().answer(cheap)


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_a_shared_secret_of_zero_is_refused(point: bytes) -> None:
    """Such a point makes the keys known to everyone, whatever our secret is."""
    said = from_bytes(Syn, a_dialer().syn)
    with pytest.raises(HandshakeRefused, match="small order"):
        a_listener().answer(signed(evolve(said, ephemeral=point)))


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_the_dialer_refuses_a_shared_secret_of_zero(point: bytes) -> None:
    dialer = a_dialer()
    with pytest.raises(HandshakeRefused, match="small order"):
        dialer.finish(answer_of_bob(dialer, ephemeral=point))


def test_our_own_ephemeral_is_refused() -> None:
    dialer = a_dialer()
    with pytest.raises(HandshakeRefused, match="our own ephemeral"):
        dialer.finish(answer_of_bob(dialer, ephemeral=from_bytes(Syn, dialer.syn).ephemeral))


def answer_of_bob(dialer: Dialer, ephemeral: bytes) -> bytes:
    """What Bob, with his real key, would say with another ephemeral and a made-up tag."""
    from guts_core.codec import digest

    bare = SynAck(1, ephemeral, NOW, bytes(64), bytes(32))
    body = digest(Tag.LINK_HASH, dialer.syn) + to_bytes(bare)
    return to_bytes(evolve(bare, signature=BOB.sign(Tag.SIGN_HELLO_BACK, CHAIN, body)))


def test_a_listener_with_a_good_signature_and_no_keys_is_refused() -> None:
    """The signature alone proves no knowledge of the ephemeral secret."""
    dialer = a_dialer()
    stolen = from_bytes(SynAck, a_listener(secret=b"9" * 32).answer(a_dialer().syn)).ephemeral

    with pytest.raises(HandshakeRefused, match="did not derive the same keys"):
        dialer.finish(answer_of_bob(dialer, ephemeral=stolen))


def test_every_changed_byte_of_syn_is_refused() -> None:
    """The signature covers all of it."""
    syn = a_dialer().syn
    for at in range(len(syn)):
        bad = bytearray(syn)
        bad[at] ^= 1
        with pytest.raises(PeerFault):
            a_listener().answer(bytes(bad))


def test_every_changed_byte_of_syn_ack_is_refused() -> None:
    dialer = a_dialer()
    answer = a_listener().answer(dialer.syn)
    for at in range(len(answer)):
        bad = bytearray(answer)
        bad[at] ^= 1
        with pytest.raises(PeerFault):
            dialer.finish(bytes(bad))


def test_every_changed_byte_of_ack_is_refused() -> None:
    dialer, listener = a_dialer(), a_listener()
    last, _ = dialer.finish(listener.answer(dialer.syn))
    for at in range(len(last)):
        bad = bytearray(last)
        bad[at] ^= 1
        with pytest.raises(PeerFault):
            listener.finish(bytes(bad))


def test_bad_signatures_are_named_as_such() -> None:
    dialer = a_dialer()
    said = from_bytes(Syn, dialer.syn)
    with pytest.raises(BadSignature, match="the dialer's signature"):
        a_listener().answer(signed(said, by=EVE))
    answer = from_bytes(SynAck, a_listener().answer(dialer.syn))
    with pytest.raises(BadSignature, match="the listener's signature"):
        dialer.finish(to_bytes(evolve(answer, time_ms=0)))


def test_an_imposter_cannot_answer() -> None:
    """Eve took Bob's address, not his key."""
    dialer = a_dialer()
    eve = Listener(EVE, CHAIN, {ADA_ID}.__contains__, secret=b"2" * 32, now_ms=NOW)
    to_eve = signed(evolve(from_bytes(Syn, dialer.syn), listener=EVE_ID))

    with pytest.raises(BadSignature):
        dialer.finish(eve.answer(to_eve))


def test_every_truncation_is_refused() -> None:
    dialer, listener = a_dialer(), a_listener()
    answer = listener.answer(dialer.syn)
    last, _ = dialer.finish(answer)
    for cut in range(len(dialer.syn)):
        with pytest.raises(Malformed):
            a_listener().answer(dialer.syn[:cut])
    for cut in range(len(answer)):
        with pytest.raises(Malformed):
            dialer.finish(answer[:cut])
    for cut in range(len(last)):
        with pytest.raises(Malformed):
            listener.finish(last[:cut])


def test_more_bytes_than_any_message_has_are_refused() -> None:
    too_many = bytes(HANDSHAKE_BYTES_MAX + 1)
    dialer, listener = a_dialer(), a_listener()
    listener.answer(dialer.syn)

    for refuse in (a_listener().answer, dialer.finish, listener.finish):
        with pytest.raises(Malformed, match=f"of {len(too_many)} bytes"):
            refuse(too_many)


def test_a_replayed_first_message_leads_nowhere() -> None:
    """The answer has a fresh ephemeral: whoever recorded the whole first conversation cannot finish a second."""
    dialer, first = a_dialer(), a_listener()
    answer = first.answer(dialer.syn)
    last, _ = dialer.finish(answer)
    first.finish(last)

    again = a_listener(secret=b"3" * 32)
    assert again.answer(dialer.syn) != answer
    with pytest.raises(HandshakeRefused, match="did not derive the same keys"):
        again.finish(last)


def test_a_replayed_answer_leads_nowhere() -> None:
    """A recorded SynAck answers the Syn of that time only."""
    answer = a_listener().answer(a_dialer().syn)
    later = Dialer(ADA, CHAIN, BOB_ID, Channel.CONTROL, secret=b"4" * 32, now_ms=NOW + 1)

    with pytest.raises(BadSignature):
        later.finish(answer)


def test_reflected_messages_are_refused() -> None:
    """What we said, sent back to us, proves nothing."""
    dialer, listener = a_dialer(), a_listener()
    ada_listens = Listener(ADA, CHAIN, {BOB_ID}.__contains__, secret=b"5" * 32, now_ms=NOW)
    with pytest.raises(HandshakeRefused):
        ada_listens.answer(dialer.syn)
    with pytest.raises(Malformed):
        dialer.finish(dialer.syn)
    answer = from_bytes(SynAck, listener.answer(dialer.syn))
    with pytest.raises(Malformed):
        listener.finish(to_bytes(answer))
    with pytest.raises(HandshakeRefused, match="the dialer did not derive"):
        listener.finish(to_bytes(Ack(answer.tag)))


def test_channels_have_different_keys() -> None:
    """The channel is part of what both sign."""
    control, _ = shaken(a_dialer(), a_listener())
    bulk, _ = shaken(Dialer(ADA, CHAIN, BOB_ID, Channel.BULK, secret=b"1" * 32, now_ms=NOW), a_listener())

    assert len({control.send_key, control.receive_key, bulk.send_key, bulk.receive_key}) == 4
