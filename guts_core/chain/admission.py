"""
What may stand in a block at all (``architecture.md`` 3, "A block binds everything").

*Inadmissible* makes the **block** invalid: leaders leave it out, gateways answer from finalized
state. Everything else that goes wrong is a receipt "no", paid by the author. The judgement has
three parts, cheapest first: the form of an item by itself, its place in a state at a time, and the
signatures and witness it carries.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from weakref import WeakValueDictionary

from attrs import evolve, field, frozen

from guts_core.codec import Tag, to_bytes
from guts_core.forge import queries
from guts_core.forge.actions import Action, Erase, RefUpdate, Register, ReportEvidence
from guts_core.forge.apply import needs_witness
from guts_core.forge.context import Availability
from guts_core.forge.ids import account_id
from guts_core.forge.params import EXPIRY_MS_MAX, TRANSACTION_BYTES_MAX, Params
from guts_core.forge.permissions import credential_is_active
from guts_core.forge.records import Account, Credential, Epoch, NodeRole, ValidatorEntry
from guts_core.forge.rules import KNOWN_RULES
from guts_core.identity import Verifier
from guts_core.names import AccountId, ChainId, NodeId, TxId
from guts_core.simplex.quorum import FaultModel, quorum
from guts_core.state.view import View

from .block import BLOCK_OVERHEAD_BYTES, commitments
from .genesis import Genesis, chain_id
from .header import EPOCH, validators_hash
from .inadmissible import (
    BadForm,
    CredentialEnded,
    ExpiresTooLate,
    GatewayNotListed,
    Replayed,
    TextUnexpected,
    TooLarge,
    TransactionExpired,
    UnknownAccount,
    UnknownCredential,
    WitnessMissing,
    WitnessWrong,
    WrongChain,
    WrongSignatures,
)
from .transaction import (
    TEXT_BYTES_MAX,
    Item,
    Transaction,
    Via,
    Witness,
    transaction_id,
)
from .verified import CachingVerifier

GROUP_ALL = "all"
# 128 signatures of 66 bytes and an Avail: set aside, so that a witness never makes an item too large.
WITNESS_BYTES_MAX = 12 * 1024


@frozen
class Network:
    """What every judgement in one epoch of a network shares."""

    chain_id: ChainId
    fault_model: FaultModel
    rules_known: tuple[int, ...]  # to this build
    epoch: int
    until: int  # the first block time that ends it, unless governance does before
    rules: int
    params: Params
    seats: tuple[ValidatorEntry, ...]
    committee: bytes  # the hash of those who sign in this epoch, as headers say it
    vote_keys: tuple[bytes, ...]
    quorum: int
    reserved_names: frozenset[str]
    verifier: Verifier = field(eq=False)
    # By their first signature, as long as somebody holds them: what waits is not worked out again for its block.
    candidates: MutableMapping[bytes, Candidate] = field(factory=WeakValueDictionary, eq=False, repr=False)

    @classmethod
    def of(cls, genesis: Genesis, verifier: Verifier, rules_known: tuple[int, ...] = KNOWN_RULES) -> Network:
        """The network that a genesis founds."""
        return cls(
            chain_id=chain_id(genesis),
            fault_model=genesis.fault_model,
            rules_known=rules_known,
            epoch=EPOCH,
            until=genesis.time + genesis.params.epoch_ms,
            rules=genesis.rules,
            params=genesis.params,
            seats=genesis.validators,
            committee=validators_hash(genesis.validators, EPOCH),
            vote_keys=genesis.vote_keys,
            quorum=quorum(len(genesis.validators), genesis.fault_model),
            reserved_names=frozenset(genesis.reserved_names),
            verifier=CachingVerifier(verifier),
        )

    def at(self, epoch: Epoch) -> Network:
        """The same network in another epoch."""
        return evolve(
            self,
            epoch=epoch.number,
            until=epoch.since + epoch.params.epoch_ms,
            rules=epoch.rules,
            params=epoch.params,
            seats=epoch.seats,
            committee=validators_hash(epoch.seats, epoch.number),
            vote_keys=tuple(seat.vote_key for seat in epoch.seats),
            quorum=quorum(len(epoch.seats), self.fault_model),
        )

    @property
    def closed(self) -> str | None:
        """Why this build can execute nothing in this epoch, if so."""
        if self.rules in self.rules_known:
            return None
        known = " and ".join(map(str, self.rules_known))
        return (
            f"rules {self.rules} began with epoch {self.epoch}, and this build knows rules {known}: "
            "install a build that knows them and start again"
        )


@frozen
class Candidate:
    """An item whose form is in order, with what is computed of it once."""

    item: Item
    tx_id: TxId
    body_bytes: bytes = field(repr=False)
    size: int  # canonical bytes of the item, texts included
    needs_witness: bool
    charge: int  # bytes that its payer is charged: of the body and of what validators must hold
    texts: int  # how many it commits to

    @property
    def body(self) -> Transaction:
        """The signed body."""
        return self.item.signed.body

    @property
    def lacks_texts(self) -> bool:
        """Whether some text is not here: no voter may say that it is."""
        return len(self.item.texts) != self.texts

    def with_witness(self, witness: Witness | None) -> Candidate:
        """The same, once a quorum holds its pack; None when its word does not count any more."""
        item = evolve(self.item, witness=witness)
        return evolve(self, item=item, size=len(to_bytes(item)))


@frozen
class Place:
    """What a state says about a candidate: who acts, who pays, and which keys must have signed."""

    payer: AccountId
    credential: Credential | None
    signers: tuple[tuple[tuple[bytes, ...], Tag], ...]  # for each signature: any one of these keys, under this tag


def candidate_of(item: Item, network: Network, body_bytes: bytes | None = None) -> Candidate:
    """The item, if its form is in order by itself; raises Inadmissible. ``body_bytes``, where they are at hand."""
    name = item.signed.signatures[0].signature
    candidate = network.candidates.get(name)
    if candidate is None or candidate.item != item:
        candidate = network.candidates[name] = _candidate(item, network, body_bytes or to_bytes(item.signed.body))
    room = network.params.block_bytes_max - BLOCK_OVERHEAD_BYTES - (0 if item.witness else WITNESS_BYTES_MAX)
    if candidate.size > room:
        raise TooLarge(f"the transaction takes {candidate.size} bytes with its texts; a block has room for {room}")
    return candidate


def _candidate(item: Item, network: Network, body_bytes: bytes) -> Candidate:
    body = item.signed.body
    if body.chain_id != network.chain_id:
        raise WrongChain(f"the transaction is for network {body.chain_id.hex()[:16]}")
    _check_actions(body)
    wanted = commitments(body)
    _check_texts(item, wanted)
    size = len(to_bytes(item))
    if size > TRANSACTION_BYTES_MAX and len(to_bytes(item.signed)) > TRANSACTION_BYTES_MAX:
        raise TooLarge(f"the transaction has more than {TRANSACTION_BYTES_MAX} bytes")
    return Candidate(
        item,
        transaction_id(body, body_bytes),
        body_bytes,
        size,
        needs_witness(body.actions),
        len(body_bytes) + _held(body) + len(wanted) * TEXT_BYTES_MAX,
        len(wanted),
    )


def _check_actions(body: Transaction) -> None:
    for index, action in enumerate(body.actions):
        if isinstance(action, Register):
            if index or body.via is not None:
                raise BadForm("Register comes first in its transaction, signed by account keys")
            if body.author != account_id(body.chain_id, action.key, action.salt):
                raise BadForm("the author of a Register is not the account it makes")
        elif isinstance(action, ReportEvidence):
            if len(body.actions) != 1 or body.via is not None:
                raise BadForm("evidence stands alone in its transaction, signed by a validator's node")
        elif operators := _operators(action):
            name = type(action).__name__
            if len(body.actions) != 1 or body.via is not None:
                raise BadForm(f"{name} of the operators stands alone in its transaction, signed by account keys")
            if body.author not in operators or list(operators) != sorted(set(operators)):
                raise BadForm(f"the operators of {name} stand in order, each once, the author among them")
    # One Avail speaks of one repository's counters, so one transaction moves the refs of one repository.
    if sum(isinstance(action, RefUpdate) for action in body.actions) > 1:
        raise BadForm("a transaction holds at most one RefUpdate")


def _operators(action: Action) -> tuple[AccountId, ...]:
    """Who must sign because they decide together; nobody for what one account does."""
    return action.operators if isinstance(action, Erase) else ()


def _check_texts(item: Item, wanted: frozenset[bytes]) -> None:
    found = [text.commitment for text in item.texts]
    if len(found) != len(set(found)) or not wanted.issuperset(found):
        raise TextUnexpected("a text matches no commitment of the transaction, or stands twice")


def _held(body: Transaction) -> int:
    """Bytes of packs. Texts are charged at the most they may have: execution must not depend on having them."""
    return sum(
        action.manifest.blob.size
        for action in body.actions
        if isinstance(action, RefUpdate) and action.manifest.blob is not None
    )


def check_moment(candidate: Candidate, time: int, seen: Callable[[TxId], bool]) -> None:
    """Whether a candidate may stand at this block time, once; raises Inadmissible. No state is asked."""
    body = candidate.body
    if body.expires < time:
        raise TransactionExpired(f"the transaction expired at {body.expires}; block time is {time}")
    if body.expires > time + EXPIRY_MS_MAX:
        raise ExpiresTooLate(f"the transaction expires more than {EXPIRY_MS_MAX // 60_000} minutes from now")
    if seen(candidate.tx_id):
        raise Replayed("the transaction stands in the chain already")


def place_of(candidate: Candidate, view: View, time: int, seen: Callable[[TxId], bool]) -> Place:
    """What the state before it says of a candidate at a block time; raises Inadmissible."""
    check_moment(candidate, time, seen)
    body = candidate.body
    first = body.actions[0]
    if isinstance(first, Register):
        sponsor = _account(view, first.sponsor, "sponsor")
        return Place(sponsor.id, None, (((first.key,), Tag.SIGN_TX), (sponsor.keys, Tag.SIGN_TX)))
    author = _account(view, body.author, "author")
    if _operators(first):
        operators = [_account(view, operator, "operator") for operator in _operators(first)]
        return Place(author.id, None, tuple((operator.keys, Tag.SIGN_TX) for operator in operators))
    if isinstance(first, ReportEvidence):
        return Place(author.id, None, ((_node_keys(view, author), Tag.SIGN_EVIDENCE),))
    if body.via is None:
        return Place(author.id, None, ((author.keys, Tag.SIGN_TX),))
    credential = _credential(view, body.via, author, time)
    signers: list[tuple[tuple[bytes, ...], Tag]] = [((credential.public_key,), Tag.SIGN_TX)]
    if body.via.gateway is not None:
        signers.append(((_gateway_key(view, body.via.gateway),), Tag.SIGN_GATEWAY))
    return Place(author.id, credential, tuple(signers))


def _node_keys(view: View, operator: Account) -> tuple[bytes, ...]:
    """The network keys of an operator's validators: nodes hold no key of an account, and report what they see."""
    return tuple(seat.node_key for seat in queries.epoch(view).seats if seat.operator == operator.id)


def _account(view: View, wanted: AccountId, role: str) -> Account:
    found = queries.account(view, wanted)
    if found is None:
        raise UnknownAccount(f"there is no account {wanted.hex()[:16]}, named as {role}")
    return found


def _credential(view: View, via: Via, author: Account, time: int) -> Credential:
    found = queries.credential(view, via.credential)
    if found is None or found.account != author.id:
        raise UnknownCredential(f"{author.name} has no credential {via.credential.hex()[:16]}")
    if not credential_is_active(found, time):
        raise CredentialEnded(f"the credential of {author.name} was revoked or has expired")
    if found.gateways and via.gateway not in found.gateways:
        raise GatewayNotListed("the credential does not list this node as a gateway")
    if not found.gateways and via.gateway is not None:
        raise GatewayNotListed("the credential signs locally only, and names no gateway")
    return found


def _gateway_key(view: View, gateway: NodeId) -> bytes:
    """A gateway keeps its id when its key is rotated; one that left the network vouches for nothing."""
    found = queries.node(view, gateway)
    if found is None or found.role is NodeRole.RETIRED:
        raise GatewayNotListed("the gateway has no part in this network any more")
    return found.node_key


def check_signatures(candidate: Candidate, place: Place, network: Network) -> None:
    """Raises WrongSignatures unless exactly the required keys signed, in order."""
    signatures = candidate.item.signed.signatures
    if len(signatures) != len(place.signers):
        raise WrongSignatures(f"{len(signatures)} signatures where {len(place.signers)} are required")
    for index, (said, (keys, _)) in enumerate(zip(signatures, place.signers, strict=True)):
        if said.public_key not in keys:
            raise WrongSignatures(f"signature {index + 1} is by key {said.public_key.hex()[:16]}, which may not sign")
    for index, (said, (_, tag)) in enumerate(zip(signatures, place.signers, strict=True)):
        if not network.verifier.verify(said.public_key, tag, network.chain_id, candidate.body_bytes, said.signature):
            raise WrongSignatures(f"signature {index + 1} does not verify")


def check_witness(candidate: Candidate, network: Network) -> Availability | None:
    """What a quorum asserts about the candidate's pack; raises WitnessMissing or WitnessWrong."""
    witness = candidate.item.witness
    if not candidate.needs_witness:
        if witness is not None:
            raise WitnessWrong("the transaction needs no witness and carries one")
        return None
    if witness is None:
        raise WitnessMissing("no quorum of validators holds what the push needs yet")
    avail = witness.avail
    if avail.chain_id != network.chain_id or avail.epoch != network.epoch or avail.group != GROUP_ALL:
        raise WitnessWrong("the witness is of another network, epoch or group")
    if avail.tx_id != candidate.tx_id:
        raise WitnessWrong("the witness is about another transaction")
    _check_quorum(witness, network)
    return Availability(avail.objects_epoch, avail.removals)


def _check_quorum(witness: Witness, network: Network) -> None:
    count = len(network.vote_keys)
    bits = int.from_bytes(witness.signers, "little")
    if len(witness.signers) != (count + 7) // 8 or bits >> count:
        raise WitnessWrong(f"the witness names signers beyond the {count} validators")
    signers = [index for index in range(count) if bits >> index & 1]
    if len(signers) < network.quorum or len(signers) != len(witness.signatures):
        raise WitnessWrong(f"{len(signers)} signers with {len(witness.signatures)} signatures are no quorum")
    body = to_bytes(witness.avail)
    for signer, signature in zip(signers, witness.signatures, strict=True):
        if not network.verifier.verify(network.vote_keys[signer], Tag.SIGN_AVAIL, network.chain_id, body, signature):
            raise WitnessWrong(f"validator {signer} did not sign that witness")
