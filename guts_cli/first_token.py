"""The token that a local network begins with: made by a real transaction once the network is ready."""

from __future__ import annotations

from guts_core.forge.records import Scope
from guts_core.names import NodeId

from .network import Network, node_ids

# A local network is thrown away sooner.
LIFETIME_MS = 365 * 24 * 60 * 60 * 1000


def ensure_token(network: Network) -> str:
    """The saved token, or a new one that may be handed to every node of this network."""
    saved = network.token()
    if saved is not None:
        return saved
    from .acting import TokenWish, open_network  # noqa: PLC0415 -- loads the HTTP client, once in a network's life

    gateways = tuple(NodeId(node) for node in node_ids(network))
    with open_network(None, home=network.home) as reached:
        key = network.home.key_by_id(network.file.account_id)
        token = reached.create_token(key, TokenWish((Scope.REPO,), LIFETIME_MS, gateways, "first token"))
    network.keep_token(token)
    return token
