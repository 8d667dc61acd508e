"""What people call a repository: ``owner/name``, or the URL at which a node serves it."""

from __future__ import annotations

from urllib.parse import urlsplit

from attrs import frozen

from guts_core.names import account_name, repository_name

from .outcomes import Usage

SCHEMES = ("http", "https")


@frozen
class Target:
    """A repository of a network; ``base`` is the node's address where one was named."""

    owner: str
    name: str
    base: str | None = None

    @property
    def full_name(self) -> str:
        """As people write it."""
        return f"{self.owner}/{self.name}"

    def url(self, base: str) -> str:
        """Where a node serves it to git."""
        return f"{base}/{self.owner}/{self.name}.git"


def parse_target(text: str) -> Target:
    """The repository that a word names; Usage says how to write one."""
    if "://" in text:
        return _of_url(text)
    owner, slash, name = text.partition("/")
    if not slash or "/" in name:
        raise Usage(f"{text[:100]!r} names no repository: write OWNER/NAME, such as alice/hello", "guts repo list")
    return _checked(owner, name, None)


def _of_url(text: str) -> Target:
    found = urlsplit(text)
    if found.username is not None or found.password is not None:
        raise Usage("a secret never stands in a URL: leave the part before @ away; guts knows your token")
    words = found.path.strip("/").split("/")
    if found.scheme not in SCHEMES or not found.netloc or len(words) != 2:
        raise Usage(f"{text[:200]!r} is no repository of a node: write http://HOST/OWNER/NAME")
    return _checked(words[0], words[1], f"{found.scheme}://{found.netloc}")


def _checked(owner: str, name: str, base: str | None) -> Target:
    return Target(account_name(owner.lower()), repository_name(name.removesuffix(".git")), base)
