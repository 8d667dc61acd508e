"""The gate before HTTP requests: it only ever refuses; what it lets through, h11 alone reads the same."""

from __future__ import annotations

from typing import Any

import h11

from guts_http.gate import GatedConnection

_EVENTS_MAX = 200


def _events(connection: h11.Connection, *pieces: bytes) -> list[Any]:
    found: list[Any] = []
    for piece in filter(None, pieces):  # no bytes would mean the end of the connection
        connection.receive_data(piece)
        while len(found) < _EVENTS_MAX:
            try:
                event = connection.next_event()
            except h11.RemoteProtocolError as refusal:
                return [*found, int(refusal.error_status_hint)]
            if event is h11.NEED_DATA or event is h11.PAUSED:
                break
            found.append(event)
    return found


def _head(found: list[Any]) -> list[Any]:
    return [event for event in found if isinstance(event, h11.Request)]


def fuzz(data: bytes) -> None:
    """Events of the gated connection are those of h11, or end in a refusal; none smuggles a second framing."""
    gated = _events(GatedConnection(h11.SERVER), data)
    plain = _events(h11.Connection(h11.SERVER), data)
    if gated and isinstance(gated[-1], int):
        assert gated[-1] in (400, 413, 431, 501, 505)
        assert _head(gated) == _head(plain)[: len(_head(gated))]
    else:
        assert gated == plain
    for request in _head(gated):
        names = [name for name, _ in request.headers]
        assert names.count(b"content-length") + names.count(b"transfer-encoding") <= 1
        assert b"\n" not in request.target
    cut = len(data) // 2
    pieces = _events(GatedConnection(h11.SERVER), data[:cut], data[cut:])
    assert _head(pieces) == _head(gated)
