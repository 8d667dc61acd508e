"""Who a node is."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attrs import frozen

from guts_core.chain.genesis import Genesis
from guts_core.chain.mempool import MEMPOOL_BYTES_MAX, MEMPOOL_TRANSACTIONS_MAX
from guts_core.forge.rules import KNOWN_RULES
from guts_core.identity import Signer, Verifier


@frozen
class NodeConfig:
    """
    Who this node is. ``index`` is the number by which the network knows it: None where it does not yet.

    It votes with that one of its vote keys which has a seat in the epoch. Without a number and without
    ``node_signer``, by which the state may come to know it, it follows and never votes.
    """

    genesis: Genesis
    index: int | None
    vote_signer: Signer | None  # None: lost, or never there; it follows until an epoch seats one of the others
    verifier: Verifier
    mempool_bytes: int = MEMPOOL_BYTES_MAX
    mempool_transactions: int = MEMPOOL_TRANSACTIONS_MAX
    vote_signers: tuple[Signer, ...] = ()  # more of them: of the next epoch, or of the last
    node_signer: Signer | None = None
    find_signers: Callable[[], Iterable[Signer]] = tuple  # those that came meanwhile, asked for as an epoch begins
    rules_known: tuple[int, ...] = KNOWN_RULES

    def signers(self) -> tuple[Signer, ...]:
        """Every vote key that there is now."""
        if self.index is None and self.node_signer is None:
            return ()
        first = () if self.vote_signer is None else (self.vote_signer,)
        return (*first, *self.vote_signers, *self.find_signers())
