"""Smart HTTP for stock git, as raw ASGI: bodies stream both ways with back-pressure (B4)."""
