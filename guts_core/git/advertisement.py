"""
What ``GET info/refs?service=git-receive-pack`` answers (gitprotocol-http, gitprotocol-pack).

``no-thin`` is why the bytes that validators store are the bytes that the client sent. Fetches are
advertised by ``git upload-pack`` itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from guts_core.names import Oid, RefName
from guts_core.version import VERSION

from .pkt_line import FLUSH, packet
from .refs import oid_hex

RECEIVE_PACK_CAPABILITIES = (
    "report-status",
    "side-band-64k",
    "atomic",
    "delete-refs",
    "ofs-delta",
    "no-thin",
    "push-options",
    "quiet",
    "object-format=sha1",
    f"agent=guts/{VERSION}",
)


def service_header(service: str) -> bytes:
    """What comes before an advertisement over HTTP."""
    return packet(f"# service={service}\n".encode("ascii")) + FLUSH


def receive_pack_advertisement(
    refs: Mapping[RefName, Oid], capabilities: tuple[str, ...] = RECEIVE_PACK_CAPABILITIES
) -> bytes:
    """The refs that a push may move (git advertises no HEAD here), in git's order; capabilities on the first line."""
    names: list[tuple[bytes, Oid | None]] = sorted((name.encode(), oid) for name, oid in refs.items())
    named = names or [(b"capabilities^{}", None)]
    lines = [f"{oid_hex(oid)} ".encode("ascii") + name for name, oid in named]
    lines[0] += b"\x00" + " ".join(capabilities).encode("ascii")
    return b"".join(packet(line + b"\n") for line in lines) + FLUSH


def receive_pack_info_refs(refs: Mapping[RefName, Oid]) -> bytes:
    """The whole answer body."""
    return service_header("git-receive-pack") + receive_pack_advertisement(refs)
