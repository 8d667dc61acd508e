"""Who a client is to the limits, and which peers may say that they ask for somebody else (E01)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

# What one customer of a provider is given at least: below it, addresses cost nothing.
V6_PREFIX = 64
# Addresses of a busy minute; parsing one again costs microseconds.
_PARSED_MAX = 10_000


class Trusted:
    """The proxies that an operator trusts."""

    def __init__(self, ranges: Iterable[str] = ()) -> None:
        self._ranges = tuple(ip_network(one) for one in ranges)

    def __contains__(self, host: str) -> bool:
        """Whether this address is one of them."""
        address = parsed(host)
        return address is not None and any(address in one for one in self._ranges if one.version == address.version)


@lru_cache(maxsize=_PARSED_MAX)
def parsed(host: str) -> IPv4Address | IPv6Address | None:
    """The address, an IPv4 one where it travels inside IPv6; None for what is none."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def group_of(host: str) -> str:
    """What counts as one client: an IPv4 address, or the network of an IPv6 one."""
    address = parsed(host)
    if isinstance(address, IPv6Address):
        return str(ip_network((int(address) >> 128 - V6_PREFIX << 128 - V6_PREFIX, V6_PREFIX)))
    return str(address or host)


def is_loopback(host: str) -> bool:
    """Whether it is a program of this machine."""
    address = parsed(host)
    return address is not None and address.is_loopback
