"""The vote log as a disk gives it back."""

from __future__ import annotations

from pathlib import Path

from guts_core.errors import Corrupt
from guts_net.journal import FRAME_HEAD_BYTES, HEAD_BYTES, _frame, _head, _nonce_in, _scan

_PATH = Path("votes.log")
_NONCE = bytes(range(16))


def fuzz(data: bytes) -> None:
    """Corrupt, or records that lie one after the other up to where the torn tail begins."""
    for file in (data, _head(_NONCE) + data, _head(_NONCE) + _frame(_NONCE, HEAD_BYTES, HEAD_BYTES, b"one") + data):
        try:
            scan = _scan(_PATH, file, _nonce_in(_PATH, file))
        except Corrupt:
            continue
        assert HEAD_BYTES + sum(FRAME_HEAD_BYTES + len(record) for record in scan.records) == scan.end <= len(file)
