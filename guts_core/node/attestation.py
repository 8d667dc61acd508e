"""
Who holds which pack: announced pushes, the Avails said about them, and the witness that a quorum of equal
ones makes (``architecture.md`` 5, step 4).

An Avail names the repository's ``objects_epoch`` and ``removals`` as its signer saw them. Validators a block
apart may differ; only equal ones make a witness, so those that lag answer again when asked again.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable

from attrs import define, field, frozen

from guts_core.chain.transaction import Avail, Item, Witness
from guts_core.codec import Tag, decode, from_value, kinds, record, to_bytes
from guts_core.codec.fields import AHash, ATxId
from guts_core.forge.actions import Manifest, RefUpdate
from guts_core.identity import Signer, Verifier
from guts_core.names import AccountId, ChainId, TxId

from .messages import AvailSaid

# Pushes on their way to a witness, of all validators together. Items are bounded by the mempool; the inline
# packs beside them (64 KiB at most, let go once checked) make 256 MiB if every one is hostile.
ANNOUNCED_MAX = 4_000
# No source, this node's own clients among them, takes more than its share; 31 sources still get some each.
ANNOUNCED_SHARE_LEAST = 64
# Avails of one validator that overtook their announcement: the newest count. Each is some 200 bytes.
EARLY_PER_SIGNER_MAX = 500
GROUP_ALL = "all"


@record(kinds.LOG_ATTESTED)
@frozen
class Attested:
    """Log record: this node promised to hold a pack until the transaction expires."""

    tx_id: ATxId
    digest: AHash | None
    expires: int


@define
class Announced:
    """One announced push, on its way to a witness."""

    tx_id: TxId
    item: Item
    manifest: Manifest
    source: int | None  # the validator that announced it; None: a client of this node
    asked_at: int  # monotonic us of the last announcement sent or received
    pack: bytes | None = None
    held_back: bool = False  # a client's, and nobody has judged its pack: not announced before that
    checking: bool = False
    mine: AvailSaid | None = None
    witness: Witness | None = None
    problem: str | None = None
    failures: int = 0
    may_pass: bool = False  # the problem lay with this node or the way to the bytes
    checked_at: int = 0  # height of the state that the last check was judged by
    check_again_at: int = 0  # monotonic us
    avails: dict[int, AvailSaid] = field(factory=dict)


@frozen
class Counted:
    """What a tally came to: the witness if a quorum stands, and who sent a signature that is not theirs."""

    witness: Witness | None
    forgers: tuple[int, ...] = ()


def live_attestations(records: Iterable[bytes], applied_time: int) -> list[Attested]:
    """The promises among log records that some block may still call in, judged by applied block time."""
    found = []
    for data in records:
        value = decode(data)
        if isinstance(value, tuple) and value and value[0] == kinds.LOG_ATTESTED:
            attested = from_value(Attested, value)
            if attested.expires >= applied_time:
                found.append(attested)
    return found


def manifest_of(item: Item) -> Manifest | None:
    """The manifest of a push, if the transaction holds one that needs a witness."""
    for action in item.signed.body.actions:
        if isinstance(action, RefUpdate) and any(update.new is not None for update in action.manifest.updates):
            return action.manifest
    return None


class Attestations:
    """Announced pushes by transaction id, and the tally of Avails about each."""

    def __init__(
        self,
        chain_id: ChainId,
        vote_keys: tuple[bytes, ...],
        quorum: int,
        signer: Signer | None,
        verifier: Verifier,
    ) -> None:
        self._chain_id, self._verifier = chain_id, verifier
        self._announced: dict[TxId, Announced] = {}
        self._of_source: Counter[int | None] = Counter()
        self._early: dict[int, OrderedDict[TxId, AvailSaid]] = {}
        self._sit(vote_keys, quorum, signer)

    def _sit(self, vote_keys: tuple[bytes, ...], quorum: int, signer: Signer | None) -> None:
        self._keys, self._quorum, self._signer = vote_keys, quorum, signer
        self._share = max(ANNOUNCED_MAX // len(vote_keys), ANNOUNCED_SHARE_LEAST)

    def turn(self, vote_keys: tuple[bytes, ...], quorum: int, signer: Signer | None) -> None:
        """Another epoch: what validators said in the one before vouches for nothing any more."""
        self._sit(vote_keys, quorum, signer)
        self._early.clear()
        for announced in self._announced.values():
            announced.avails.clear()
            announced.mine = announced.witness = None

    def __len__(self) -> int:
        return len(self._announced)

    def get(self, tx_id: TxId) -> Announced | None:
        """The announced push with this id."""
        return self._announced.get(tx_id)

    def all(self) -> list[Announced]:
        """Every push on its way, the oldest first."""
        return list(self._announced.values())

    def own(self) -> list[Announced]:
        """Pushes of this node's own clients."""
        return [a for a in self._announced.values() if a.source is None]

    def is_full_for(self, source: int | None) -> bool:
        """Whether a further push from this validator, or from this node's clients, has to wait."""
        return self._of_source[source] >= self._share

    def in_flight(self, author: AccountId, besides: bytes | None = None) -> int:
        """Bytes of packs that an account's undecided pushes have this node hold: each once, not ``besides``."""
        theirs = [a.manifest.blob for a in self._announced.values() if a.item.signed.body.author == author]
        sizes = {blob.digest: blob.size for blob in theirs if blob is not None and blob.digest != besides}
        return sum(sizes.values())

    def failed(self, source: int | None) -> Announced | None:
        """The oldest push of this source that this node could not attest: the first to make room."""
        return next((a for a in self._announced.values() if a.source == source and a.problem is not None), None)

    def add(self, announced: Announced) -> Announced:
        """Track a push; Avails that came before it count."""
        self.forget(announced.tx_id)
        self._announced[announced.tx_id] = announced
        self._of_source[announced.source] += 1
        for signer, early in self._early.items():
            said = early.pop(announced.tx_id, None)
            if said is not None:
                announced.avails[signer] = said
        return announced

    def attest(self, announced: Announced, me: int, epoch: int, objects_epoch: int, removals: int) -> AvailSaid:
        """Sign this node's Avail. The caller made the pack durable and persists the promise before sending."""
        assert self._signer is not None, "who attests has a seat"
        avail = Avail(self._chain_id, epoch, GROUP_ALL, announced.tx_id, objects_epoch, removals)
        signature = self._signer.sign(Tag.SIGN_AVAIL, self._chain_id, to_bytes(avail))
        announced.mine = AvailSaid(avail, me, signature)
        announced.avails[me] = announced.mine
        return announced.mine

    def heard(self, said: AvailSaid) -> Announced | None:
        """Count an Avail (the caller checked that the signer is who spoke); returns its push if known."""
        announced = self._announced.get(TxId(said.avail.tx_id))
        if announced is not None:
            announced.avails[said.signer] = said
            return announced
        early = self._early.setdefault(said.signer, OrderedDict())
        early[TxId(said.avail.tx_id)] = said
        early.move_to_end(TxId(said.avail.tx_id))
        if len(early) > EARLY_PER_SIGNER_MAX:
            early.popitem(last=False)
        return None

    def try_witness(self, announced: Announced) -> Counted:
        """The witness, once a quorum of equal and genuine Avails is there. Signatures are looked at only then."""
        by_content: dict[Avail, list[AvailSaid]] = {}
        for said in announced.avails.values():
            by_content.setdefault(said.avail, []).append(said)
        for avail, agreeing in by_content.items():
            if len(agreeing) >= self._quorum:
                return self._assemble(announced, avail, agreeing)
        return Counted(None)

    def _assemble(self, announced: Announced, avail: Avail, agreeing: list[AvailSaid]) -> Counted:
        body = to_bytes(avail)
        genuine, forgers = [], []
        for said in sorted(agreeing, key=lambda s: s.signer):
            if said is announced.mine or self._verifier.verify(
                self._keys[said.signer], Tag.SIGN_AVAIL, self._chain_id, body, said.signature
            ):
                genuine.append(said)
            else:
                del announced.avails[said.signer]
                forgers.append(said.signer)
        if len(genuine) < self._quorum:
            return Counted(None, tuple(forgers))
        chosen = genuine[: self._quorum]
        bitmap = bytearray((len(self._keys) + 7) // 8)
        for said in chosen:
            bitmap[said.signer // 8] |= 1 << (said.signer % 8)
        witness = Witness(avail, bytes(bitmap), tuple(said.signature for said in chosen))
        return Counted(witness, tuple(forgers))

    def forget(self, tx_id: TxId) -> None:
        """The push is in a block, or never will be."""
        gone = self._announced.pop(tx_id, None)
        if gone is not None:
            self._of_source[gone.source] -= 1

    def forget_expired(self, time: int) -> list[TxId]:
        """Drop pushes that no block after this time can hold; their ids."""
        gone = [tx_id for tx_id, a in self._announced.items() if a.item.signed.body.expires <= time]
        for tx_id in gone:
            self.forget(tx_id)
        return gone
