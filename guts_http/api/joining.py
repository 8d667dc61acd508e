"""``/api/guts/v1/genesis`` and ``/api/guts/v1/places``: what somebody begins with who joins the network."""

from __future__ import annotations

import json

from guts_core.chain.genesis_json import GenesisFile, to_json
from guts_core.node.whereabouts import AskPlaces, Places
from guts_http.port import ask
from guts_http.routing import Access, Asked, Reply, Routes

routes = Routes()


@routes.serves("/api/guts/v1/genesis", Access.PUBLIC)
async def get_genesis(asked: Asked) -> Reply:
    """The genesis file. Compare the chain id that it makes with somebody you trust: this node could show any."""
    return Reply(json.loads(to_json(GenesisFile(asked.site.reader.genesis))))


@routes.serves("/api/guts/v1/places", Access.PUBLIC)
async def list_places(asked: Asked) -> Reply:
    """Where nodes of the network can be dialled, as this one knows it."""
    found = await ask(asked.site.port, AskPlaces())
    assert isinstance(found, Places)
    return Reply([{"node_id": one.node_id.hex(), "addresses": list(one.addresses)} for one in found.places])
