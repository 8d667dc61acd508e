"""``/api/guts/v1/repos/{owner}/{name}/texts``: what was committed to, the words where they stand, and erasing them."""

from __future__ import annotations

from typing import Any

from guts_core.errors import Corrupt, NotFound
from guts_core.forge import queries
from guts_core.forge.actions import Erase
from guts_core.forge.permissions import Permission, TextPlace, demand
from guts_core.forge.records import TextRecord, TextState
from guts_http.problems import BadRequest
from guts_http.reader import Snapshot
from guts_http.routing import HEIGHT, Asked, Reply, Routes
from guts_http.texts import TextAbsent

from .paging import asked_page, links

routes = Routes()
_PATH = "/api/guts/v1/repos/<owner>/<name>/texts"
_COMMITMENT_BYTES = 32


@routes.reads(_PATH, Permission.READ_REPOSITORY)
def list_texts(asked: Asked, snapshot: Snapshot) -> Reply:
    """Every text that was committed to in the repository, in order of commitment, without its words."""
    page = asked_page()
    found, more = page.of(queries.texts(snapshot, asked.repo.id))
    shown = [_shown(asked, snapshot, one) for one in found]
    owner = queries.account(snapshot, asked.repo.owner)
    assert owner is not None
    path = f"/api/guts/v1/repos/{owner.name}/{asked.repo.name}/texts"
    return Reply(shown, headers=links(asked, path, page, more=more))


@routes.reads(f"{_PATH}/<commitment>", Permission.READ_REPOSITORY)
def get_text(asked: Asked, snapshot: Snapshot, commitment: str) -> Reply:
    """One text with its words; erased, without them; 503 while this node is still fetching them."""
    record = _record(asked, snapshot, commitment)
    words = None
    if record.state is TextState.PRESENT:
        words = asked.texts.read(asked.repo.id, record.commitment)
        if words is None:
            raise TextAbsent(
                f"text {record.commitment.hex()[:16]} is to be here and is still being fetched; try again or elsewhere"
            )
    return Reply({**_shown(asked, snapshot, record), "text": words})


@routes.writes("DELETE", f"{_PATH}/<commitment>", Permission.READ_REPOSITORY)
async def erase_text(asked: Asked, commitment: str) -> Reply:
    """Erase a text for ever, on every node; for its author and for administrators. Again is no error."""
    with asked.site.reader.snapshot() as snapshot:
        record = _record(asked, snapshot, commitment)
        demand(asked.caller.principal, Permission.ERASE_TEXT, TextPlace(record, asked.repo), snapshot)
        height = snapshot.height
    if record.state is TextState.PRESENT:
        outcome = await asked.site.act(asked.caller, (Erase(asked.repo.id, record.commitment, ()),))
        assert outcome.height is not None
        height = outcome.height
    return Reply(None, 204, {HEIGHT: str(height)})


def _record(asked: Asked, snapshot: Snapshot, commitment: str) -> TextRecord:
    try:
        wanted = bytes.fromhex(commitment)
    except ValueError:
        wanted = b""
    if len(wanted) != _COMMITMENT_BYTES:
        raise BadRequest("a text is named by its commitment: 64 hexadecimal digits")
    found = queries.text(snapshot, asked.repo.id, wanted)
    if found is None:
        raise NotFound(f"nobody committed to a text {commitment[:16]}... in this repository")
    return found


def _shown(asked: Asked, snapshot: Snapshot, record: TextRecord) -> dict[str, Any]:
    author = queries.account(snapshot, record.author)
    if author is None:
        raise Corrupt("the author of a text is not stored")
    return {
        "commitment": record.commitment.hex(),
        "author": author.name,
        "state": record.state.name.lower(),
        "in_use": record.commitment == asked.repo.description,
    }
