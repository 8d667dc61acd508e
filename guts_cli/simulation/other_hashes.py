"""
A state machine executed once more, by processes that hash otherwise.

Python draws the order in which a set of strings is walked through anew for each process. A machine that
depends on it is deterministic in any one process, and forks a network; so several with other
``PYTHONHASHSEED``s execute the same commands, and it is said where their states part.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, cast

from guts_core.errors import Malformed, Refused
from guts_core.sim.divergence import attempt, first_difference, flat, shown, told
from guts_core.sim.machine import StateMachine

# Fixed ones, so that a failure is found again. Two strings keep their order by chance every other time; over a run's
# commands the chance is gone.
HASH_SEEDS = ("1", "2", "3")
# A machine that never comes back under another order must not hold up a test run for ever.
SECONDS_MAX = 300

Machine = StateMachine[Any] | Callable[[], StateMachine[Any]]


class NotComparable(Refused):
    """The machine cannot be made in another process."""

    code = "not-comparable"


def parted(machine: Machine, commands: Sequence[bytes]) -> str | None:
    """
    Where processes with other hash seeds come to other states after these commands, in words; None when nowhere.

    The machine, or what makes it, must be found by its module and name: raises NotComparable otherwise.
    """
    task = _task(machine, commands)
    first, *others = HASH_SEEDS
    known = _asked(task, first)["roots"]
    for other in others:
        roots = _asked(task, other)["roots"]
        if roots != known:
            at = next(at for at, pair in enumerate(zip(known, roots, strict=True)) if pair[0] != pair[1])
            shorter = {**task, "commands": cast("list[str]", task["commands"])[: at + 1]}
            where = _where(_asked(shorter, first)["state"], _asked(shorter, other)["state"])
            return f"{shown(commands[at])} gives one state with PYTHONHASHSEED={first}, another with {other}{where}"
    return None


def _task(machine: Machine, commands: Sequence[bytes]) -> dict[str, object]:
    kind = machine if hasattr(machine, "__qualname__") else type(machine)
    try:
        pickled = pickle.dumps(machine)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise NotComparable(f"{kind.__qualname__} cannot be made in another process: {error}") from error
    return {
        "path": sys.path,
        "module": kind.__module__,
        "file": getattr(sys.modules.get(kind.__module__), "__file__", None),
        "machine": pickled.hex(),
        "commands": [command.hex() for command in commands],
    }


def _asked(task: dict[str, object], hash_seed: str) -> dict[str, Any]:
    run = subprocess.run(
        [sys.executable, "-m", "guts_cli.simulation.other_hashes"],
        input=json.dumps(task).encode(),
        capture_output=True,
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        timeout=SECONDS_MAX,
        check=False,
    )
    if run.returncode:
        raise NotComparable(f"another process could not execute the commands: {_last_line(run.stderr)}")
    return cast("dict[str, Any]", json.loads(run.stdout))


def _where(one: list[tuple[list[str], str]], other: list[tuple[list[str], str]]) -> str:
    found = first_difference(*({tuple(path): leaf for path, leaf in state} for state in (one, other)))
    return told(*found) if found else ": in its root only, so root() depends on the order of a set"


def _last_line(output: bytes) -> str:
    return (output.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"])[-1]


# ---- in the other process ----


def answer(task: dict[str, Any]) -> dict[str, object]:
    """Execute the commands: the root after each, and the last state."""
    sys.path[:] = task["path"]
    _load(task["module"], task["file"])
    machine = _made(pickle.loads(bytes.fromhex(task["machine"])))  # noqa: S301 -- from the process that started this one
    state, roots = machine.initial(), []
    for command in task["commands"]:
        after = attempt(machine, state, bytes.fromhex(command))
        state = state if isinstance(after, Refused) else after
        roots.append(machine.root(state).hex())
    return {"roots": roots, "state": list(flat(state))}


def _made(machine: Machine) -> StateMachine[Any]:
    is_maker = isinstance(machine, type) or not hasattr(machine, "apply")
    return cast("Callable[[], StateMachine[Any]]", machine)() if is_maker else cast("StateMachine[Any]", machine)


def _load(module: str, file: str | None) -> None:
    """Import the module by name, or by file where a test runner gave it a name of its own."""
    try:
        importlib.import_module(module)
    except ImportError:
        spec = importlib.util.spec_from_file_location(module, file) if file else None
        if spec is None or spec.loader is None:
            raise Malformed(f"there is no module {module}") from None
        sys.modules[module] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[module])


if __name__ == "__main__":
    print(json.dumps(answer(json.load(sys.stdin))))  # noqa: T201 -- its answer
