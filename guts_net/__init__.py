"""
Trio adapters: sockets, disk, clock and child processes around the core.

The names of the door are imported when they are first used: the command line takes single modules from
here and must not pay for a whole node.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .handle import RunningNode as RunningNode
    from .running import NodeInThread as NodeInThread
    from .running import running_node as running_node
    from .runtime import open_node as open_node
    from .settings import NodeSettings as NodeSettings

_HOMES = {
    "NodeInThread": "running",
    "running_node": "running",
    "NodeSettings": "settings",
    "RunningNode": "handle",
    "open_node": "runtime",
}
__all__ = sorted(_HOMES)  # noqa: PLE0605 -- names of the table above


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"guts_net has no public name {name!r}")
    found = globals()[name] = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    return found
