"""
Who is there, and four keys that nobody else has (``consensus.md`` 6, Handshake).

Three messages between nodes that know each other's Ed25519 network key::

    dialer  -> listener  Syn     versions, chain, channel, both ids, ephemeral, time, signature
    listener -> dialer   SynAck  version, ephemeral, time, signature over hash(Syn) and this, tag
    dialer  -> listener  Ack     tag

Both signatures bind the whole of what was said before them, so roles, chain, channel and version
cannot be changed on the way; a tag proves that its sender derived the same keys. A replayed Syn
meets a fresh ephemeral in the answer and ends there. The times are informational: skew is reported,
never refused (``architecture.md`` 6), because a clock that is wrong must not stop a network.

Refused before any curve arithmetic: another chain, another listener, oneself, a stranger.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from hashlib import blake2b
from hmac import compare_digest
from typing import Annotated, TypeVar

from attrs import evolve, field, frozen
from nacl.bindings import crypto_scalarmult, crypto_scalarmult_base
from nacl.exceptions import CryptoError

from guts_core.codec import Limit, Tag, digest, from_bytes, kinds, record, to_bytes
from guts_core.codec.fields import AChainId, AHash, ANodeId, ASignature
from guts_core.errors import BadSignature, Malformed, PeerFault
from guts_core.identity import SIGNATURE_BYTES, Signer, verify
from guts_core.names import ChainId, NodeId

# The largest message is Syn with 300 bytes; no honest one comes near this.
HANDSHAKE_BYTES_MAX = 512
# X25519 (RFC 7748): secret scalars and points.
EPHEMERAL_BYTES = 32
# Beyond this the operator is told that one of two clocks is wrong.
SKEW_WARNING_MS = 5_000
# What this build speaks; raised when frames or peer messages change incompatibly.
PROTOCOL_LEAST = 1
PROTOCOL_MOST = 1

_NO_SIGNATURE = bytes(SIGNATURE_BYTES)
_NO_TAG = bytes(32)
_KEY_BYTES = 32
M = TypeVar("M")


class HandshakeRefused(PeerFault):
    """This is not the peer, the chain or the version we talk to."""

    code = "handshake-refused"


class Channel(IntEnum):
    """Two connections per pair, so that a megabyte of pack never stands before a vote."""

    CONTROL = 1
    BULK = 2


@frozen
class Versions:
    """A range of protocol versions, both ends included."""

    least: int = PROTOCOL_LEAST
    most: int = PROTOCOL_MOST

    def common(self, other: Versions) -> int | None:
        """The newest version in both ranges."""
        best = min(self.most, other.most)
        return best if best >= max(self.least, other.least) else None


@record(kinds.SYN)
@frozen
class Syn:
    """The dialer's first word."""

    protocol_least: int
    protocol_most: int
    chain_id: AChainId
    channel: Channel
    dialer: ANodeId
    listener: ANodeId
    ephemeral: AHash
    time_ms: int
    signature: ASignature


@record(kinds.SYN_ACK)
@frozen
class SynAck:
    """The listener's answer: its ephemeral, signed, and proof that it holds the keys."""

    protocol: int
    ephemeral: AHash
    time_ms: int
    signature: ASignature
    tag: AHash


@record(kinds.ACK)
@frozen
class Ack:
    """The dialer's proof that it holds the keys."""

    tag: Annotated[bytes, Limit.exactly(32)]


@frozen
class Session:
    """A finished handshake: who is there, on which channel, and one key for each direction."""

    peer: NodeId
    channel: Channel
    protocol: int
    dialled: bool
    skew_ms: int  # the peer's clock minus ours; includes one way of the network
    send_key: bytes = field(repr=False)
    receive_key: bytes = field(repr=False)


class Dialer:
    """The side that connected. ``syn`` goes out first; ``finish`` takes what comes back."""

    def __init__(
        self,
        signer: Signer,
        chain_id: ChainId,
        peer: NodeId,
        channel: Channel,
        *,
        secret: bytes,
        now_ms: int,
        versions: Versions = Versions(),
    ) -> None:
        """``secret`` is 32 fresh random bytes, used for this handshake only."""
        me = NodeId(signer.public_key)
        if peer == me:
            raise HandshakeRefused("a node does not dial itself")
        self._chain_id, self._peer, self._secret, self._now_ms = chain_id, peer, secret, now_ms
        self._versions = versions
        self._ephemeral = crypto_scalarmult_base(secret)
        syn = Syn(
            versions.least, versions.most, chain_id, channel, me, peer, self._ephemeral, now_ms, signature=_NO_SIGNATURE
        )
        self._syn = evolve(syn, signature=signer.sign(Tag.SIGN_HELLO, chain_id, to_bytes(syn)))
        self.syn = to_bytes(self._syn)

    def finish(self, answer: bytes) -> tuple[bytes, Session]:
        """The bytes of Ack to send, and the session; raises PeerFault if the answer is not the peer's."""
        said = _parse(SynAck, answer)
        if not self._versions.least <= said.protocol <= self._versions.most:
            raise HandshakeRefused(f"the listener chose protocol {said.protocol}, which was not offered")
        first = digest(Tag.LINK_HASH, self.syn)
        body = first + to_bytes(evolve(said, signature=_NO_SIGNATURE, tag=_NO_TAG))
        if not verify(self._peer, Tag.SIGN_HELLO_BACK, self._chain_id, body, said.signature):
            raise BadSignature("the listener's signature does not match the node that was dialled")
        keys = _derive(self._secret, self._ephemeral, said.ephemeral, _transcript(first, said))
        if not compare_digest(keys.listener_tag, said.tag):
            raise HandshakeRefused("the listener did not derive the same keys")
        session = Session(
            self._peer,
            self._syn.channel,
            said.protocol,
            dialled=True,
            skew_ms=said.time_ms - self._now_ms,
            send_key=keys.to_listener,
            receive_key=keys.to_dialer,
        )
        return to_bytes(Ack(keys.dialer_tag)), session


class Listener:
    """The side that was connected to. ``answer`` takes Syn, ``finish`` takes Ack."""

    def __init__(
        self,
        signer: Signer,
        chain_id: ChainId,
        admits: Callable[[NodeId], bool],
        *,
        secret: bytes,
        now_ms: int,
        versions: Versions = Versions(),
    ) -> None:
        """``admits`` says whether a node may talk to us; ``secret`` is 32 fresh random bytes."""
        self._signer, self._chain_id, self._admits = signer, chain_id, admits
        self._secret, self._now_ms, self._versions = secret, now_ms, versions
        self._keys: _Keys | None = None
        self._session: Session | None = None

    def answer(self, first: bytes) -> bytes:
        """The bytes of SynAck to send; raises PeerFault for a Syn that is not for us or not signed."""
        assert self._session is None, "one handshake per listener"
        syn = _parse(Syn, first)
        protocol = self._check(syn)
        if not verify(syn.dialer, Tag.SIGN_HELLO, self._chain_id, _unsigned(syn), syn.signature):
            raise BadSignature("the dialer's signature does not match the node it says it is")
        return self._reply(first, syn, protocol)

    def finish(self, last: bytes) -> Session:
        """The session; raises PeerFault if the dialer did not derive the same keys."""
        assert self._keys is not None, "answer comes before finish"
        assert self._session is not None, "answer comes before finish"
        if not compare_digest(self._keys.dialer_tag, _parse(Ack, last).tag):
            raise HandshakeRefused("the dialer did not derive the same keys")
        return self._session

    def _check(self, syn: Syn) -> int:
        """The version to speak. What can be refused without arithmetic is refused here, cheapest first."""
        me = self._signer.public_key
        if syn.chain_id != self._chain_id:
            raise HandshakeRefused(f"the dialer is on chain {syn.chain_id.hex()[:16]}, not on ours")
        if syn.listener != me:
            raise HandshakeRefused(f"the dialer looks for node {syn.listener.hex()[:16]}, which we are not")
        if syn.dialer == me:
            raise HandshakeRefused("the dialer says it is ourselves")
        if not self._admits(syn.dialer):
            raise HandshakeRefused(f"node {syn.dialer.hex()[:16]} is unknown or banned here")
        protocol = self._versions.common(Versions(syn.protocol_least, syn.protocol_most))
        if protocol is None:
            raise HandshakeRefused(
                f"the dialer speaks protocol {syn.protocol_least} to {syn.protocol_most}, "
                f"we {self._versions.least} to {self._versions.most}"
            )
        return protocol

    def _reply(self, first: bytes, syn: Syn, protocol: int) -> bytes:
        syn_hash = digest(Tag.LINK_HASH, first)
        mine = crypto_scalarmult_base(self._secret)
        bare = SynAck(protocol, mine, self._now_ms, _NO_SIGNATURE, _NO_TAG)
        signature = self._signer.sign(Tag.SIGN_HELLO_BACK, self._chain_id, syn_hash + to_bytes(bare))
        signed = evolve(bare, signature=signature)
        keys = self._keys = _derive(self._secret, mine, syn.ephemeral, _transcript(syn_hash, signed))
        self._session = Session(
            syn.dialer,
            syn.channel,
            protocol,
            dialled=False,
            skew_ms=syn.time_ms - self._now_ms,
            send_key=keys.to_dialer,
            receive_key=keys.to_listener,
        )
        return to_bytes(evolve(signed, tag=keys.listener_tag))


@frozen
class _Keys:
    """What one shared secret and one transcript give: a key per direction, a tag per side."""

    to_listener: bytes
    to_dialer: bytes
    dialer_tag: bytes
    listener_tag: bytes


def _parse(message: type[M], data: bytes) -> M:
    if len(data) > HANDSHAKE_BYTES_MAX:
        raise Malformed(f"a handshake message of {len(data)} bytes; the most is {HANDSHAKE_BYTES_MAX}")
    return from_bytes(message, data)


def _unsigned(syn: Syn) -> bytes:
    return to_bytes(evolve(syn, signature=_NO_SIGNATURE))


def _transcript(syn_hash: bytes, answer: SynAck) -> bytes:
    """Everything said up to and including the listener's signature."""
    return digest(Tag.LINK_HASH, syn_hash, to_bytes(evolve(answer, tag=_NO_TAG)))


def _derive(secret: bytes, mine: bytes, theirs: bytes, transcript: bytes) -> _Keys:
    if theirs == mine:
        raise HandshakeRefused("the peer sent our own ephemeral key back")
    try:
        shared = crypto_scalarmult(secret, theirs)
    except CryptoError:
        # libsodium refuses points of small order: their result is zero whatever our secret is.
        raise HandshakeRefused("the shared secret is zero: the peer's ephemeral key has small order") from None
    confirm_dialer, confirm_listener = _key(shared, b"D", b"cfm", transcript), _key(shared, b"L", b"cfm", transcript)
    return _Keys(
        to_listener=_key(shared, b"D", b"dat", transcript),
        to_dialer=_key(shared, b"L", b"dat", transcript),
        dialer_tag=_tag(confirm_dialer, transcript),
        listener_tag=_tag(confirm_listener, transcript),
    )


def _key(shared: bytes, sender: bytes, use: bytes, transcript: bytes) -> bytes:
    """The role label has four bytes: who sends under this key (Dialer, Listener), and data or confirmation."""
    return blake2b(sender + use + transcript, digest_size=_KEY_BYTES, key=shared, person=Tag.LINK_KEY.value).digest()


def _tag(key: bytes, transcript: bytes) -> bytes:
    return blake2b(transcript, digest_size=_KEY_BYTES, key=key, person=Tag.LINK_CONFIRM.value).digest()
