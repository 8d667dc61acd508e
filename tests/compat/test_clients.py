"""The matrix of git clients: what each does at a real node is what ``docs/reference/clients.md`` says of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat.clients.programs import clients
from tests.compat.clients.trials import ROWS, Trial

from .conftest import running
from .devnet import Devnet, Git
from .people import alice_of

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    """A network of one validator: what clients speak is the same with more, and said in other tests."""
    with running(tmp_path_factory.mktemp("one"), 1) as started:
        yield started


@pytest.fixture(scope="module")
def library(node: Devnet, tmp_path_factory: pytest.TempPathFactory) -> Git:
    """A repository that trials only read: two branches, a merge, a tag of each kind."""
    work = alice_of(node, tmp_path_factory.mktemp("library"))
    work("init", "-q")
    work.commit("file", "first\n", "first")
    work("checkout", "-q", "-b", "side")
    work.commit("other", "on the side\n", "side")
    work("checkout", "-q", "main")
    work.commit("file", "library\n", "second")
    work("merge", "-q", "--no-ff", "-m", "merged", "side")
    work("tag", "light")
    work("tag", "-a", "-m", "noted", "noted")
    work("push", "-q", f"{node.url(0)}/alice/library.git", "main", "side", "light", "noted")
    return work


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("client", clients())
def test_a_client_does_what_the_matrix_says(
    client: str, row: str, node: Devnet, library: Git, tmp_path: Path
) -> None:
    """No more than the page promises, and no less."""
    here = alice_of(node, tmp_path / "alice")
    trial = Trial(clients()[client], node, library, here, re.sub(r"[^a-z0-9]+", "-", f"{client}-{row}".lower()).strip("-"))
    ROWS[row](trial)
