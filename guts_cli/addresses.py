"""Which addresses are a network's own, as its contexts list them: a saved token goes to no other."""

from __future__ import annotations

from urllib.parse import urlsplit

from .home import Home

_PORTS = {"http": 80, "https": 443}
# Names of this machine for itself. No other two names are taken for one: who answers for one need not be the other.
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))


def address_of(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port; ValueError where the port is none."""
    split = urlsplit(url)
    return split.scheme, split.hostname, split.port or _PORTS.get(split.scheme)


def is_listed(home: Home, chain_id: str, url: str) -> bool:
    """
    Whether a context of the network has a node at this address, under whatever name of this machine.

    What the node there says of itself does not count: anybody can claim a network's id.
    """
    known = (one for one in home.contexts().contexts.values() if one.chain_id == chain_id)
    return any(_are_one(url, node) for context in known for node in context.nodes)


def _are_one(url: str, node: str) -> bool:
    try:
        (scheme, host, port), (its_scheme, its_host, its_port) = address_of(url), address_of(node)
    except ValueError:
        return False
    return (scheme, port) == (its_scheme, its_port) and (host == its_host or {host, its_host} <= _LOOPBACK)
