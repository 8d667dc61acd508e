"""Fixtures of the HTTP tests."""

from __future__ import annotations

import pytest

from tests.http.http_world import Serving, open_server


@pytest.fixture
def serving() -> Serving:
    """A way to run a live server for any application."""
    return open_server
