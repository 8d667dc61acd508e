"""State machines and commands of the user's own, by the names and files that a command line gives."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any, cast

from attrs import frozen

from guts_cli.outcomes import Usage
from guts_core.sim.machine import StateMachine


@frozen
class Own:
    """A machine, the name it was found by, and the commands that clients want ordered."""

    name: str
    machine: StateMachine[Any]
    commands: tuple[bytes, ...]
    file: Path  # where they came from


def own_machine(name: str | None, file: Path | None) -> Own | None:
    """What ``--machine MODULE:NAME`` and ``--commands FILE`` say; None without them."""
    if name is None or file is None:
        if name is not None or file is not None:
            raise Usage("--machine and --commands belong together: what executes, and what is executed")
        return None
    return Own(name, found(name), tuple(line for line in file.read_bytes().splitlines() if line), file)


def found(name: str) -> StateMachine[Any]:
    """The machine that a class, a function or a value of a module is; the current directory is searched, too."""
    module, _, attribute = name.partition(":")
    if not attribute:
        raise Usage(f"{name!r} names no state machine: say MODULE:NAME")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        value: Any = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise Usage(f"there is no state machine {name}: {error}") from error
    try:
        made = value() if isinstance(value, type) or not hasattr(value, "apply") else value
    except TypeError as error:
        raise Usage(f"{name} makes no state machine: {error}") from error
    if not all(hasattr(made, part) for part in ("initial", "apply", "root")):
        raise Usage(f"{name} is no state machine: it needs initial(), apply() and root()")
    return cast("StateMachine[Any]", made)
