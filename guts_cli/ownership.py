"""Finding a repository to look at or to change: as the saved token shows it, or as everybody sees it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from attrs import frozen

from guts_core.errors import NotFound, Unauthenticated
from guts_http.client import Client, Repository

from .acting import Network, known_token, open_network, signed_in
from .outcomes import Missing, Usage
from .target import Target, parse_target


@frozen
class Sight:
    """A repository's network, and a client that shows the token where one is known."""

    target: Target
    network: Network
    client: Client
    has_token: bool

    def repository(self) -> Repository:
        """The repository; Unauthenticated where a token might show it, since what is private looks missing."""
        name = self.target.full_name
        try:
            found = self.client.repository(name)
        except NotFound:
            if self.has_token:
                raise Missing(f"there is no repository {name}, or you may not read it", "guts repo list") from None
            words = f"{name} is private or not there, and no token is saved here to show"
            raise Unauthenticated(words) from None
        self.network.home.remember_repository(self.network.chain_id.hex(), found.full_name)
        return found


@contextmanager
def open_sight(text: str, node: str | None, account: str | None) -> Iterator[Sight]:
    """Look at the repository that somebody named."""
    target = parse_target(text)
    if node is not None and target.base is not None:
        raise Usage("the URL names a node and --node another: leave one away")
    with open_network(node, near=target.base) as network:
        token = known_token(network, account)
        with signed_in(network, token) as client:
            yield Sight(target, network, client, token is not None)
