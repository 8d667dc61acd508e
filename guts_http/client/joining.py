"""What somebody asks who joins a network: its genesis, and where its nodes are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from attrs import frozen

from guts_core.errors import Invalid
from guts_core.names import NodeId

from .calls import OURS, Call, get
from .errors import UnexpectedAnswer
from .shapes import many

if TYPE_CHECKING:
    from guts_core.chain.genesis_json import GenesisFile


@frozen
class Place:
    """Where a node can be dialled, as another one knows it."""

    node_id: NodeId
    addresses: tuple[str, ...]


def genesis() -> Call[GenesisFile]:
    """The genesis that this node shows: compare its chain id with somebody you trust, for it could show any."""
    return get(f"{OURS}/genesis", _genesis)


def places() -> Call[tuple[Place, ...]]:
    """Where nodes of the network can be dialled, as this one knows it."""
    return get(f"{OURS}/places", lambda value, what: many(Place, value, what))


def _genesis(value: Any, what: str) -> GenesisFile:
    from guts_core.chain.genesis_json import genesis_from_json  # noqa: PLC0415 -- it loads cattrs; help asks nobody

    try:
        return genesis_from_json(json.dumps(value))
    except Invalid as error:
        raise UnexpectedAnswer(f"{what}: {error}") from error
