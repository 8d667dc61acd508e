"""The handshake of links: every message of it may be any bytes."""

from __future__ import annotations

from guts_core.errors import PeerFault
from guts_core.identity import KeyPair
from guts_core.link.handshake import Channel, Dialer, Listener
from guts_core.names import ChainId, NodeId

_CHAIN = ChainId(b"c" * 32)
_ADA, _BOB = KeyPair(b"a" * 32), KeyPair(b"b" * 32)
_ADA_ID, _BOB_ID = NodeId(_ADA.public_key), NodeId(_BOB.public_key)


def _dialer() -> Dialer:
    return Dialer(_ADA, _CHAIN, _BOB_ID, Channel.CONTROL, secret=b"1" * 32, now_ms=0)


def _listener() -> Listener:
    return Listener(_BOB, _CHAIN, {_ADA_ID}.__contains__, secret=b"2" * 32, now_ms=0)


_SYN = _dialer().syn
_SYN_ACK = _listener().answer(_SYN)
_ACK = _dialer().finish(_SYN_ACK)[0]
_GENUINE = (_SYN, _SYN_ACK, _ACK)


def fuzz(data: bytes) -> None:
    """Nobody without the keys gets through: only the genuine words are taken, all else is the peer's fault."""
    listener = _listener()
    listener.answer(_SYN)
    for step in (_listener().answer, _dialer().finish, listener.finish):
        try:
            step(data)
        except PeerFault:
            continue
        assert data in _GENUINE
