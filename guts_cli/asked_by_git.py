"""What git asks a credential helper, and whose token it is about (gitcredentials, git-credential)."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from .addresses import address_of
from .home import Context, Home
from .saved_tokens import kept_token

# Accepted by every node beside the account's own name, so that no name must be looked up.
ANY_USER = "x-access-token"


@frozen
class Asked:
    """The address that git talks to, and what it knows already."""

    protocol: str = ""
    host: str = ""
    username: str | None = None
    password: str | None = None

    def is_for(self, node: str) -> bool:
        """Whether this is the address of a node: a token that is offered to another host is a token lost."""
        try:
            return address_of(f"{self.protocol}://{self.host}") == address_of(node)
        except ValueError:  # a port that is none
            return False


def read_asked(lines: Iterable[str]) -> Asked:
    """From git's ``name=value`` lines, up to an empty one; what is not for us is left out."""
    found: dict[str, str] = {}
    for line in lines:
        name, equals, value = line.rstrip("\n").partition("=")
        if not equals:
            break
        found[name] = value
    return Asked(
        found.get("protocol", ""), found.get("host", ""), found.get("username") or None, found.get("password") or None
    )


@frozen
class Place:
    """Whose token it is, and for which network."""

    chain_id: str
    account: str


def contexts_of(home: Home, asked: Asked) -> list[Context]:
    """The networks with a node at this address, the current one first."""
    known = home.contexts()
    found = [one for one in known.contexts.values() if any(asked.is_for(node) for node in one.nodes)]
    return sorted(found, key=lambda one: one.name != known.current)


def places(home: Home, asked: Asked) -> list[Place]:
    """Where a token for this address may lie: of the user that git names, or of each network's own account."""
    found: list[Place] = []
    named = None if asked.username in (None, ANY_USER) else asked.username
    for context in contexts_of(home, asked):
        if named is not None:
            found += [Place(context.chain_id, key.id) for key in home.all_keys() if key.name == named]
        elif context.account is not None:
            found.append(Place(context.chain_id, context.account))
    return list(dict.fromkeys(found))


def token_among(home: Home, where: Iterable[Place]) -> str | None:
    """The first that was saved."""
    found = (kept_token(home, place.chain_id, place.account) for place in where)
    return next((token for token in found if token is not None), None)
