"""Addresses that nobody signed, as operators write them, and what a node may say of its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from ipaddress import ip_address

from guts_core.errors import Invalid
from guts_core.names import NodeId

_KEY_HEX = 64


def hints_of(addresses: Mapping[str, str], bootstrap: tuple[str, ...]) -> dict[NodeId, tuple[str, ...]]:
    """What is known before anybody was asked: ``KEY@ADDRESS`` of the operator, then addresses by key in hex."""
    found: defaultdict[NodeId, list[str]] = defaultdict(list)
    for text in (*bootstrap, *(f"{node}@{address}" for node, address in addresses.items())):
        node, address = bootstrap_node(text)
        found[node].append(address)
    return {node: tuple(dict.fromkeys(places)) for node, places in found.items()}


def bootstrap_node(text: str) -> tuple[NodeId, str]:
    """The node and the address of ``KEY@ADDRESS``; raises Invalid."""
    node, _, address = text.partition("@")
    try:
        key = bytes.fromhex(node) if len(node) == _KEY_HEX else b""
    except ValueError:
        key = b""
    if not (key and address):
        raise Invalid(f"{text[:400]!r} is not KEY@HOST:PORT, the key as 64 hex digits")
    return NodeId(key), address


def tellable(advertise: tuple[str, ...], bound: str, hint: str | None) -> tuple[str, ...]:
    """
    What a node says of where it is: what its operator chose, or else where it listens.

    Not an address that means every one of a machine, and not one of this machine alone where others
    were given another: somebody forwards to it.
    """
    if advertise:
        return advertise
    if _is_any(bound) or (_is_local(bound) and hint is not None and not _is_local(hint)):
        return ()
    return (bound,)


def _is_any(address: str) -> bool:
    return address.rpartition(":")[0] in {"0.0.0.0", "[::]"}  # noqa: S104  # nothing is bound here


def _is_local(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
