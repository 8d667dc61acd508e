"""Who could certify what, epoch by epoch, as a database tells it: for checks of certificates long after."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from guts_core.chain import schema
from guts_core.chain.genesis import Genesis, chain_id
from guts_core.chain.trail import EpochStep
from guts_core.codec import from_bytes
from guts_core.errors import Corrupt
from guts_core.forge.records import ValidatorEntry
from guts_core.identity import Verifier
from guts_core.simplex import certificates
from guts_core.simplex.committee import Committee
from guts_core.simplex.messages import Certificate

from .chain_file import connect_to_read

# Blocks are looked at in order: the epoch of the one before is all that is asked for again.
KEPT = 2


class Committees:
    """Those of one chain. May be asked from any thread, one at a time."""

    def __init__(self, genesis: Genesis, database: Path, verifier: Verifier) -> None:
        self._genesis, self._database, self._verifier = genesis, database, verifier
        self._known: dict[int, Committee] = {}

    def check(self, certificate: Certificate) -> None:
        """Raises PeerFault unless a quorum of its epoch signed it, and Corrupt for an epoch that never began here."""
        certificates.check(self._of(certificate.epoch), certificate, None)

    def _of(self, epoch: int) -> Committee:
        found = self._known.get(epoch)
        if found is None:
            genesis = self._genesis
            keys = tuple(one.vote_key for one in self._validators(epoch))
            found = Committee(chain_id(genesis), epoch, keys, genesis.fault_model, self._verifier)
            if len(self._known) >= KEPT:
                self._known.clear()
            self._known[epoch] = found
        return found

    def _validators(self, epoch: int) -> tuple[ValidatorEntry, ...]:
        if epoch == 0:
            return self._genesis.validators
        with closing(connect_to_read(self._database)) as reader:
            row = reader.execute(schema.GET_STEP, (epoch - 1,)).fetchone()
        if row is None:
            raise Corrupt(f"a certificate of epoch {epoch}, and the end of epoch {epoch - 1} is not here")
        return from_bytes(EpochStep, row[0]).validators
