"""What the measurements of one run share: how thorough to be, the network they use, and the costs measured first."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from attrs import define, field

from tests.compat.devnet import Devnet

from . import unit_costs
from .figures import Figure

VALIDATORS = 4
T = TypeVar("T")


@define(slots=False)
class Run:
    """One run of ``make bench``; what several measurements need is made once, when first asked for."""

    quick: bool
    directory: Path
    _stack: ExitStack = field(factory=ExitStack)
    long: bool = False
    repository: Path | None = None  # to serve in place of the one that is made
    _opened: dict[Callable[[Run], AbstractContextManager[Any]], Any] = field(factory=dict)

    @cached_property
    def costs(self) -> Sequence[Figure]:
        """The unit costs of this machine, now."""
        return unit_costs.measure(self.directory)

    @property
    def bound_ms(self) -> float:
        """What a finality costs at least."""
        return self.costs[-1].median

    @cached_property
    def network(self) -> Devnet:
        """Four validators, each a process, as ``guts devnet start`` makes them."""
        net = Devnet(self.directory / "devnet", self.directory / "devnet", VALIDATORS)
        net.start()
        self._stack.callback(net.stop)
        return net

    @property
    def pids(self) -> list[int]:
        """The processes of the network."""
        return [self.network.pid(index) for index in range(VALIDATORS)]

    def once(self, opener: Callable[[Run], AbstractContextManager[T]]) -> T:
        """What several measurements use: opened by the first of them, closed at the end of the run."""
        if opener not in self._opened:
            self._opened[opener] = self._stack.enter_context(opener(self))
        opened: T = self._opened[opener]
        return opened

    def fresh(self, name: str) -> Path:
        """A new directory."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.directory))

    def times(self, full: int, quick: int) -> int:
        """How often, for this run's thoroughness."""
        return quick if self.quick else full

    def tell(self, words: str) -> None:
        """A line of progress, apart from what is asked for."""
        print(f"  {words}", file=sys.stderr, flush=True)


@contextmanager
def open_run(*, quick: bool, long: bool = False, repository: Path | None = None) -> Iterator[Run]:
    """A run with a directory of its own; whatever happens, its processes end and its files go."""
    with tempfile.TemporaryDirectory(prefix="guts-bench-") as directory, ExitStack() as stack:
        yield Run(quick, Path(directory), stack, long, repository)
