"""
The pure, deterministic core of Guts: no I/O, no clock, no dice, no async, no logging.

These names are the door: ``docs/reference/library.md`` lists them. What stands behind a name is imported
when it is first used, so that ``import guts_core`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import VERSION as VERSION

if TYPE_CHECKING:
    from . import proof as proof
    from .chain import compose as compose
    from .chain.genesis import Genesis as Genesis
    from .chain.genesis import chain_id as chain_id
    from .chain.genesis_json import genesis_from_json as genesis_from_json
    from .codec import from_bytes as from_bytes
    from .codec import record as record
    from .codec import to_bytes as to_bytes
    from .errors import Conflict as Conflict
    from .errors import Corrupt as Corrupt
    from .errors import GutsError as GutsError
    from .errors import Invalid as Invalid
    from .errors import LimitExceeded as LimitExceeded
    from .errors import NotAllowed as NotAllowed
    from .errors import NotFound as NotFound
    from .errors import PeerFault as PeerFault
    from .errors import Refused as Refused
    from .errors import Unauthenticated as Unauthenticated
    from .errors import Unavailable as Unavailable
    from .forge import actions as actions
    from .identity import KeyPair as KeyPair
    from .identity import token_of as token_of
    from .node.node import Node as Node
    from .node.node import NodeConfig as NodeConfig
    from .sim.faults import Partition as Partition
    from .sim.faults import Plan as Plan
    from .sim.machine import StateMachine as StateMachine
    from .sim.report import Report as Report
    from .sim.run import simulate_forge as simulate_forge
    from .sim.simulate import Simulation as Simulation
    from .sim.simulate import simulate as simulate
    from .sim.simulated import simulated as simulated
    from .simplex.engine import Engine as Engine
    from .simplex.engine import EngineConfig as EngineConfig
    from .simplex.ports import Application as Application
    from .simplex.ports import Instant as Instant
    from .simplex.ports import Verdict as Verdict
    from .simplex.quorum import FaultModel as FaultModel
    from .state.proof import BadProof as BadProof

# Name -> module, of what the block above tells type checkers; a test compares the two.
_HOMES = {
    "chain": ("compose",),
    "chain.genesis": ("Genesis", "chain_id"),
    "chain.genesis_json": ("genesis_from_json",),
    "codec": ("from_bytes", "record", "to_bytes"),
    "errors": (
        "Conflict",
        "Corrupt",
        "GutsError",
        "Invalid",
        "LimitExceeded",
        "NotAllowed",
        "NotFound",
        "PeerFault",
        "Refused",
        "Unauthenticated",
        "Unavailable",
    ),
    "forge": ("actions",),
    "identity": ("KeyPair", "token_of"),
    "node.node": ("Node", "NodeConfig"),
    "sim.faults": ("Partition", "Plan"),
    "sim.machine": ("StateMachine",),
    "sim.run": ("Report", "simulate_forge"),
    "sim.simulate": ("Simulation", "simulate"),
    "sim.simulated": ("simulated",),
    "simplex.engine": ("Engine", "EngineConfig"),
    "simplex.ports": ("Application", "Instant", "Verdict"),
    "simplex.quorum": ("FaultModel",),
    "state.proof": ("BadProof",),
    "": ("proof",),
}
_ROOMS = {name: room for room, names in _HOMES.items() for name in names}
__all__ = ["VERSION", *sorted(_ROOMS)]  # noqa: PLE0604 -- names of the table above


def __getattr__(name: str) -> Any:
    room = _ROOMS.get(name)
    if room is None:
        raise AttributeError(f"guts_core has no public name {name!r}")
    home = f"{__name__}.{room}".rstrip(".")
    found = globals()[name] = getattr(import_module(home), name, None) if room else None
    if found is None:  # a module of the room
        found = globals()[name] = import_module(f"{home}.{name}")
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
