"""The wants of a fetch, read as the bytes pass by."""

from __future__ import annotations

from guts_core.errors import Invalid, LimitExceeded
from guts_core.git.fetch_request import FetchRequest


def _run(*pieces: bytes) -> tuple[frozenset[bytes], str | None]:
    request = FetchRequest()
    try:
        for piece in pieces:
            request.receive(piece)
        request.finish()
    except (Invalid, LimitExceeded) as refusal:
        return frozenset(), str(refusal)
    return frozenset(request.wants), None


def fuzz(data: bytes) -> None:
    """The same wants wherever the bytes are cut; every object id that follows the word want is among them."""
    wants, problem = _run(data)
    assert _run(data[: len(data) // 2], data[len(data) // 2 :]) == (wants, problem)
    assert all(len(want) == 20 for want in wants)
