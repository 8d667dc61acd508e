"""Repositories that take long to make, kept between runs outside of the tree; ``--forget`` removes them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from hashlib import sha256
from inspect import getmodule, getsource
from pathlib import Path


def directory() -> Path:
    """Where they are kept: ``guts-bench`` below the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "guts-bench"


def kept(make: Callable[[Path], object], home: Path | None = None) -> Path:
    """
    What ``make`` writes, made once for the text of its module: another generator makes another repository, and that of
    the one before goes.

    It is made under another name and renamed when it is whole, so that a run that was broken off leaves no half.
    """
    module = getmodule(make)
    assert module is not None
    version = sha256(getsource(module).encode()).hexdigest()[:12]
    of_whom = f"{module.__name__.rpartition('.')[2]}-{make.__name__}"
    name = f"{of_whom}-{version}.git"
    path = (home or directory()) / name
    if not path.exists():
        for before in path.parent.glob(f"{of_whom}-*.git"):
            shutil.rmtree(before)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="making-", dir=path.parent) as making:
            make(Path(making) / name)
            (Path(making) / name).rename(path)
    return path


def forget(home: Path | None = None) -> None:
    """Remove all of them."""
    shutil.rmtree(home or directory(), ignore_errors=True)
