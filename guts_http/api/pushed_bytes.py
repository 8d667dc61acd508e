"""What somebody pushed, as it is: bytes that no browser takes for a page of this site (``reliability.md`` G)."""

from __future__ import annotations

from quart import Response

from guts_http.routing import Asked, cache_control


def headers_of(asked: Asked) -> dict[str, str]:
    """For any such answer."""
    return {
        "Cache-Control": cache_control(personal=not asked.caller.is_anonymous),
        "Vary": "Authorization, Accept",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }


def as_pushed(asked: Asked, data: bytes, content_type: str = "application/octet-stream") -> Response:
    """The bytes themselves."""
    return Response(data, headers=headers_of(asked), content_type=content_type)
