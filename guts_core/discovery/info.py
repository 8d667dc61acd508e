"""
What a node says of where it is, and the two messages in which that goes round.

An info is signed by the node key that it is about, so whoever passes it on can hold it back and never
change it. It has no node number: numbers are state, and a claimed one would only have to be checked.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from attrs import evolve, frozen

from guts_core.codec import Family, Limit, Tag, kinds, record, to_bytes
from guts_core.codec.fields import AHash, ANodeId, ASignature
from guts_core.identity import SIGNATURE_BYTES, Signer, Verifier
from guts_core.names import ChainId, NodeId

# One by IPv4, one by IPv6, one inside of the same building, and one to spare.
ADDRESSES_MAX = 4
# The longest host name, its port, and room; the same as in a genesis file.
ADDRESS_BYTES_MAX = 300
# An answer of 40 KB at most, and mostly of 7.
INFOS_MAX = 32
# 128 validators and all followers that a table has room for, many times over.
MEMBERS_MAX = 8_192
# Everything that a node keeps: validators, followers, and the addresses that were last good.
KEPT_MAX = 1_024

_NO_SIGNATURE = bytes(SIGNATURE_BYTES)
AnAddress: TypeAlias = Annotated[str, Limit(most=ADDRESS_BYTES_MAX, least=1)]


@record(kinds.PEER_INFO)
@frozen
class PeerInfo:
    """Where a node says that it is, without addresses nowhere; the newest by ``time`` (ms since 1970) holds."""

    node: ANodeId
    addresses: Annotated[tuple[AnAddress, ...], Limit(most=ADDRESSES_MAX)]
    time: int
    signature: ASignature


@record(kinds.PEERS_KNOWN)
@frozen
class Known:
    """Of the node keys in order, which the speaker has an address of: bit i is bit ``i % 8`` of byte ``i // 8``."""

    members: AHash  # which keys these are
    bits: Annotated[bytes, Limit(most=MEMBERS_MAX // 8)]


@record(kinds.PEER_INFOS)
@frozen
class Infos:
    """Infos that the other side lacks, about the speaker and nodes that are connected to it now."""

    members: AHash  # the keys among which the speaker counts them
    infos: Annotated[tuple[PeerInfo, ...], Limit(most=INFOS_MAX, least=1)]


@record(kinds.PEER_REACHED)
@frozen
class Reached:
    """The address at which a node was last reached: where a restarted node begins (an anchor)."""

    node: ANodeId
    address: AnAddress


@record(kinds.PEERS_KEPT)
@frozen
class Kept:
    """The table as a file keeps it."""

    infos: Annotated[tuple[PeerInfo, ...], Limit(most=KEPT_MAX)]
    reached: Annotated[tuple[Reached, ...], Limit(most=KEPT_MAX)]


DISCOVERY_MESSAGES = Family((Known, Infos))


def sign_info(signer: Signer, chain_id: ChainId, addresses: tuple[str, ...], time: int) -> PeerInfo:
    """Our own, made now."""
    bare = PeerInfo(NodeId(signer.public_key), addresses[:ADDRESSES_MAX], time, _NO_SIGNATURE)
    return evolve(bare, signature=signer.sign(Tag.SIGN_PEER_INFO, chain_id, to_bytes(bare)))


def is_signed(info: PeerInfo, chain_id: ChainId, verifier: Verifier) -> bool:
    """Whether the node that it is about said so, on this chain."""
    body = to_bytes(evolve(info, signature=_NO_SIGNATURE))
    return verifier.verify(info.node, Tag.SIGN_PEER_INFO, chain_id, body, info.signature)
