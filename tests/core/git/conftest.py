"""A history that is hard to read, with git's own view of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures import tangled_history
from tests.fixtures.tangled_history import Tangled


@pytest.fixture(scope="session")
def tangled(tmp_path_factory: pytest.TempPathFactory) -> Tangled:
    """Made once; nobody writes into it."""
    path: Path = tmp_path_factory.mktemp("tangled") / "tangled.git"
    tangled_history.write(path)
    return Tangled(path, tangled_history.load(path))
