"""Pages of the state tree as a disk gives them back."""

from __future__ import annotations

from guts_core.chain.audit import audit_page
from guts_core.errors import Corrupt
from guts_core.state.stored import ROOT_PATH, decode


def fuzz(data: bytes) -> None:
    """Corrupt, or a page; and one that fits all its hashes encodes to the same bytes."""
    try:
        page = decode(ROOT_PATH, data)
        audit_page(ROOT_PATH, data, lambda _: None)
    except Corrupt:
        return
    assert page.raw == data
