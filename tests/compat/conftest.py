"""One four-validator network for the tests that leave it whole; its own for each that breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .devnet import Devnet, Git
from .people import alice_of, newcomer


@contextmanager
def running(directory: Path, validators: int, fault_model: str = "byzantine", *extra: str) -> Iterator[Devnet]:
    """A devnet that is stopped whatever happens."""
    net = Devnet(directory / "net", directory / "net", validators, fault_model)
    net.start(*extra)
    try:
        yield net
    finally:
        net.stop()


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    """Four validators, shared by the tests of a module."""
    with running(tmp_path_factory.mktemp("shared"), 4) as started:
        yield started


@pytest.fixture(scope="module")
def bob_of_module(net: Devnet, tmp_path_factory: pytest.TempPathFactory) -> Git:
    """Bob registers once."""
    return newcomer(net, tmp_path_factory.mktemp("bob"), "bob")


@pytest.fixture
def alice(net: Devnet, tmp_path: Path) -> Git:
    """Alice in a fresh directory."""
    return alice_of(net, tmp_path / "alice")


@pytest.fixture
def bob(bob_of_module: Git, tmp_path: Path) -> Git:
    """Bob in a fresh directory."""
    (tmp_path / "bob").mkdir()
    return bob_of_module.at(tmp_path / "bob")


@pytest.fixture
def own_net(tmp_path: Path) -> Iterator[Callable[..., Devnet]]:
    """Start a network that this test may break."""
    started: list[Devnet] = []

    def start(validators: int = 4, fault_model: str = "byzantine", *extra: str) -> Devnet:
        net = Devnet(tmp_path / "net", tmp_path / "net", validators, fault_model)
        net.start(*extra)
        started.append(net)
        return net

    yield start
    for net in started:
        net.stop()
