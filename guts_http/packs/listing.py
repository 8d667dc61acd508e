"""The list of a repository's packs, leased from the node for as long as somebody reads it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from attrs import frozen

from guts_core.names import RepoId
from guts_core.node.pack_list import OpenPacks, PackList
from guts_core.node.port import GitFailed
from guts_http.port import Conversation, open_conversation
from guts_http.site import Site

# A judgement that nobody made yet: of most repositories it takes milliseconds, of the largest a minute.
JUDGEMENT_SECONDS = 10.0


@frozen
class Leased:
    """The list, while the node keeps what is on it."""

    packs: PackList
    conversation: Conversation

    def file(self, name: str) -> Path:
        """Where a pack (DIGEST.pack) or an index (DIGEST.idx) lies."""
        return Path(self.packs.directory) / name

    async def suspect(self) -> None:
        """Have the node look at its packs: one of them is not what it was (F09)."""
        await self.conversation.say(GitFailed())


@asynccontextmanager
async def leased_packs(site: Site, repo: RepoId, seconds: float = JUDGEMENT_SECONDS) -> AsyncIterator[Leased]:
    """The packs of a repository that the caller may read; how long a judgement is waited for. Raises NotFound."""
    request = OpenPacks(repo, int(seconds * 1000))
    async with open_conversation(site.port, request) as conversation:
        listed = await conversation.hear()
        assert isinstance(listed, PackList)
        yield Leased(listed, conversation)
