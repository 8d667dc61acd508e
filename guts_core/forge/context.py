"""What execution knows beside the state and the action: arguments, never the world."""

from __future__ import annotations

from attrs import frozen

from guts_core.identity import Verifier
from guts_core.names import AccountId, ChainId, TxId

from .params import Params
from .permissions import Principal
from .records import Credential


@frozen
class Availability:
    """What a quorum of attesters saw: the witness of a transaction that moves refs."""

    objects_epoch: int
    removals: int


@frozen
class Context:
    """The block and the transaction that an action executes in."""

    chain_id: ChainId
    height: int
    time: int  # of the executing header, ms since 1970
    epoch: int
    rules: int  # of that epoch
    tx_id: TxId
    author: AccountId
    credential: Credential | None  # None: signed by an account key
    params: Params
    availability: Availability | None
    reserved_names: frozenset[str]
    verifier: Verifier

    @property
    def principal(self) -> Principal:
        """Who acts."""
        return Principal(self.author, self.credential)
