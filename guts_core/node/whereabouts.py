"""The part of the port about where nodes can be dialled."""

from __future__ import annotations

from typing import Annotated

from attrs import frozen

from guts_core.codec import Limit, kinds, record

# Validators and a few followers: enough for anybody to begin with.
PLACES_MAX = 256
PLACE_ADDRESSES_MAX = 16


@record(kinds.ASK_PLACES)
@frozen
class AskPlaces:
    """Where can the nodes of this network be dialled? -> Places"""


@record(kinds.PLACE)
@frozen
class Place:
    """One of them: hints, best first, of which nothing is believed but the key."""

    node_id: Annotated[bytes, Limit.exactly(32)]
    addresses: Annotated[tuple[str, ...], Limit(most=PLACE_ADDRESSES_MAX)]


@record(kinds.PLACES)
@frozen
class Places:
    """Those that the node knows addresses of, itself among them."""

    places: Annotated[tuple[Place, ...], Limit(most=PLACES_MAX)]
