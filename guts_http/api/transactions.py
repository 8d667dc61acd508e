"""``/api/guts/v1/transactions``: what was signed elsewhere is submitted here, and asked for later."""

from __future__ import annotations

from typing import Any

from quart import request

from guts_core.chain.transaction import Item, SignedTransaction, Text
from guts_core.codec import Family, to_bytes
from guts_core.errors import NotFound
from guts_core.forge.params import TRANSACTION_BYTES_MAX
from guts_core.names import TxId
from guts_core.node.port import AskTransaction, Outcome, Phase, SubmitTransaction
from guts_http.problems import BadRequest
from guts_http.routing import HEIGHT, Access, Asked, Reply, Routes, body
from guts_http.site import settled

from .seen import named_in

routes = Routes()
CONTENT_TYPES = ("application/cbor", "application/octet-stream")
_PATH = "/api/guts/v1/transactions"
_SUBMITTED = Family((SignedTransaction, Item))


@routes.writes("POST", _PATH, Access.PUBLIC)
async def submit(asked: Asked) -> Reply:
    """Submit the canonical bytes of a SignedTransaction, or of an Item with its texts; signatures are the authority."""
    if request.mimetype not in CONTENT_TYPES:
        raise BadRequest(f"the body is a signed transaction's canonical bytes, or an item's, as {CONTENT_TYPES[0]}")
    signed, texts = _submitted(await body())
    if len(signed) > TRANSACTION_BYTES_MAX:
        raise BadRequest(f"a transaction has at most {TRANSACTION_BYTES_MAX} bytes")
    outcome = settled(await asked.site.outcome(SubmitTransaction(signed, texts, _wait_ms(asked))))
    location = f"{asked.base_url}{_PATH}/{outcome.tx_id.hex()}"
    return Reply(_shown(outcome), 201, {"Location": location, HEIGHT: str(outcome.height)})


@routes.serves(f"{_PATH}/<tx_id>", Access.PUBLIC)
async def get_transaction(asked: Asked, tx_id: str) -> Reply:
    """What became of a transaction, as far as this node knows."""
    try:
        wanted = TxId(bytes.fromhex(tx_id))
    except ValueError:
        wanted = TxId(b"")
    if len(wanted) != 32:
        raise BadRequest("a transaction's id is 64 hexadecimal digits")
    outcome = await asked.site.outcome(AskTransaction(wanted))
    if outcome.phase is Phase.UNKNOWN:
        raise NotFound("this node has never heard of this transaction")
    return Reply({**_shown(outcome), **_hidden(asked, outcome)})


def _hidden(asked: Asked, outcome: Outcome) -> dict[str, None]:
    """
    Ids stand in public blocks, and the words of a refusal may name what is private: its branches, say.

    The code alone tells nothing of that; whoever submitted was told the words.
    """
    if outcome.message is None:
        return {}
    try:
        with asked.site.reader.snapshot() as snapshot:
            named_in(asked, snapshot, outcome.tx_id)
    except NotFound:
        return {"message": None}
    return {}


def _submitted(data: bytes) -> tuple[bytes, tuple[Text, ...]]:
    """A signed transaction's bytes, and the texts that came with it; raises Malformed."""
    said: SignedTransaction | Item = _SUBMITTED.from_bytes(data)
    if isinstance(said, SignedTransaction):
        return data, ()
    if said.witness is not None:
        raise BadRequest("a witness is made by the validators: submit the transaction and its texts alone")
    return to_bytes(said.signed), said.texts


def _shown(outcome: Outcome) -> dict[str, Any]:
    return {
        "id": outcome.tx_id.hex(),
        "phase": outcome.phase.name.lower(),
        "height": outcome.height,
        "index": outcome.index,
        "error": outcome.error,
        "message": outcome.message,
        "missing_validators": outcome.missing_validators,
    }


def _wait_ms(asked: Asked) -> int:
    """``?wait=`` in seconds; 0 answers at once with the id."""
    text = request.args.get("wait")
    if text is None:
        return asked.site.settings.wait_ms
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise BadRequest("wait is a whole number of seconds")
    return min(int(text) * 1000, asked.site.settings.wait_ms)
