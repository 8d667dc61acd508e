"""
Who asks for a repository's objects: looked at again whenever they waited.

A body that comes slowly, or a turn that is waited for, outlives a permission. So who was let in by the head of
their request is asked for again just before the first byte of an answer leaves.
"""

from __future__ import annotations

from attrs import frozen

from guts_core.errors import Unauthenticated
from guts_core.forge import queries
from guts_core.forge.permissions import Permission, Principal, demand, hidden, may
from guts_core.forge.records import Repository
from guts_core.names import RepoId

from .reader import Snapshot
from .site import Site

# The same for a private repository and for none, so that nobody learns which.
SIGN_IN = "sign in: the account's name as user, a token as password"


@frozen
class Asker:
    """Who asks, of which repository, and from which address (None: a Unix socket)."""

    site: Site
    principal: Principal
    repo: RepoId
    client: str | None

    async def check(self) -> Repository:
        """The repository, if they may read it now; raises Unauthenticated, NotFound, or Unavailable past the grace."""
        with self.site.reader.snapshot() as snapshot:
            found = self.readable(snapshot)
        if found.private:
            await self.site.check_private_reads()
        return found

    def readable(self, snapshot: Snapshot) -> Repository:
        """The repository as this snapshot has it, if they may read it then; raises Unauthenticated or NotFound."""
        found = queries.repository(snapshot, self.repo)
        if self.principal.account is None:
            if found is None or not may(self.principal, Permission.READ_REPOSITORY, found, snapshot):
                raise Unauthenticated(SIGN_IN)
            return found
        self.site.check_not_expired(self.principal, snapshot)
        if found is None:
            raise hidden()
        demand(self.principal, Permission.READ_REPOSITORY, found, snapshot)
        return found


def client_of(scope: object) -> str | None:
    """The address that a request comes from, as far as proxies are trusted with it; None for a Unix socket."""
    client = scope.get("client") if isinstance(scope, dict) else None
    return str(client[0]) if client and client[0] else None
