"""
Genesis: what a network agrees on before its first block (``architecture.md`` 3, Genesis).

The chain id is the hash of the canonical bytes, so the JSON file that people mail around is a
display form only. Each operator contributes an entry signed by all three of its keys; ``seal``
puts the entries together. Addresses are hints outside the chain id.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from attrs import field, frozen

from guts_core.codec import Limit, Tag, digest, kinds, record, to_bytes
from guts_core.codec.fields import ANodeId, APublicKey, ASalt, ASignature
from guts_core.errors import Invalid
from guts_core.forge.params import Params
from guts_core.forge.records import VALIDATORS_MAX, ValidatorEntry
from guts_core.forge.tuning import check_params
from guts_core.identity import Signer, Verifier, is_acceptable_public_key
from guts_core.names import AccountId, BlockHash, ChainId, account_name
from guts_core.simplex.quorum import FaultModel

# What keys sign under, and genesis accounts hash under, before there is a chain.
NO_CHAIN = ChainId(bytes(32))
# A genesis file is read by people who compare it; larger communities register afterwards.
ACCOUNTS_MAX = 1000
RESERVED_NAMES_MAX = 1000
ADDRESS_BYTES_MAX = 300
# Year 9999: a later time is a mistyped one, and no calendar we print with goes further.
TIME_MS_MAX = 253_402_300_799_999


@record(kinds.INITIAL_ACCOUNT)
@frozen
class InitialAccount:
    """An account that exists at height 0; nobody sponsors it."""

    name: str
    key: APublicKey
    salt: ASalt
    is_operator: bool

    @property
    def id(self) -> AccountId:
        """The account's id: as of a registered one, but before there is a chain."""
        return AccountId(digest(Tag.ACCOUNT_ID, NO_CHAIN, self.key, self.salt))


@record(kinds.GENESIS)
@frozen
class Genesis:
    """All that nodes must agree on to agree on anything else; validators stand in voting order."""

    name: str
    time: int  # ms since 1970; the parent time of block 1
    fault_model: FaultModel
    params: Params
    validators: Annotated[tuple[ValidatorEntry, ...], Limit(most=VALIDATORS_MAX, least=1)]
    accounts: Annotated[tuple[InitialAccount, ...], Limit(most=ACCOUNTS_MAX, least=1)]
    reserved_names: Annotated[tuple[str, ...], Limit(most=RESERVED_NAMES_MAX)]  # ascending
    rules: int = 0  # of epoch 0

    @property
    def vote_keys(self) -> tuple[bytes, ...]:
        """The validator set of epoch 0, in voting order."""
        return tuple(validator.vote_key for validator in self.validators)


def chain_id(genesis: Genesis) -> ChainId:
    """The name that every signature of the network carries."""
    return ChainId(digest(Tag.GENESIS, to_bytes(genesis)))


def genesis_hash(chain: ChainId) -> BlockHash:
    """What block 1 names as its parent: genesis has no header, its place is view 0 and height 0."""
    return BlockHash(chain)


@record(kinds.ENTRY)
@frozen
class Entry:
    """What one operator brings to a genesis: a seat, and the account that answers for it."""

    name: str
    vote_key: APublicKey
    node_key: ANodeId
    operator: InitialAccount
    address: Annotated[str, Limit(most=ADDRESS_BYTES_MAX)] | None


@frozen
class EntryFile:
    """An entry with the signatures of all three keys over it: nobody enters keys they do not hold."""

    entry: Entry
    vote_signature: ASignature
    node_signature: ASignature
    operator_signature: ASignature


@frozen
class Draft:
    """A genesis before its validators are known; ``accounts`` are those besides the operators."""

    name: str
    time: int
    fault_model: FaultModel = FaultModel.BYZANTINE
    params: Params = field(factory=Params)
    accounts: tuple[InitialAccount, ...] = ()
    reserved_names: tuple[str, ...] = ()
    rules: int = 0


def sign_entry(entry: Entry, vote: Signer, node: Signer, operator: Signer) -> EntryFile:
    """The entry as its operator hands it to whoever seals."""
    body = to_bytes(entry)
    signatures = [key.sign(Tag.SIGN_ENTRY, NO_CHAIN, body) for key in (vote, node, operator)]
    return EntryFile(entry, *signatures)


def check_entry(file: EntryFile, verifier: Verifier) -> None:
    """Raises Invalid unless all three keys of an entry signed it."""
    entry, body = file.entry, to_bytes(file.entry)
    for role, key, signature in (
        ("vote", entry.vote_key, file.vote_signature),
        ("node", entry.node_key, file.node_signature),
        ("operator", entry.operator.key, file.operator_signature),
    ):
        if not verifier.verify(key, Tag.SIGN_ENTRY, NO_CHAIN, body, signature):
            raise Invalid(f"entry {entry.name!r}: its {role} key did not sign it")
    if not entry.operator.is_operator:
        raise Invalid(f"entry {entry.name!r}: account {entry.operator.name!r} is not marked as an operator")


def seal(draft: Draft, entries: Iterable[EntryFile], verifier: Verifier) -> Genesis:
    """The genesis of these entries, in their order; raises Invalid with the first thing that is wrong."""
    files = tuple(entries)
    for file in files:
        check_entry(file, verifier)
    operators = dict.fromkeys(file.entry.operator for file in files)
    seats = tuple(
        ValidatorEntry(number, file.entry.vote_key, file.entry.node_key, file.entry.operator.id, file.entry.name)
        for number, file in enumerate(files)
    )
    genesis = Genesis(
        name=draft.name,
        time=draft.time,
        fault_model=draft.fault_model,
        params=draft.params,
        validators=seats,
        accounts=(*operators, *(account for account in draft.accounts if account not in operators)),
        reserved_names=tuple(sorted(set(draft.reserved_names))),
        rules=draft.rules,
    )
    check(genesis)
    return genesis


def check(genesis: Genesis) -> None:
    """Raises Invalid, naming it, for the first thing that no network could run with."""
    account_name(genesis.name)
    if not 0 < genesis.time <= TIME_MS_MAX:
        raise Invalid(f"genesis time {genesis.time} is not a time in milliseconds since 1970")
    if not 1 <= len(genesis.validators) <= VALIDATORS_MAX:
        raise Invalid(f"{len(genesis.validators)} validators: a network has 1 to {VALIDATORS_MAX}")
    if not 1 <= len(genesis.accounts) <= ACCOUNTS_MAX:
        raise Invalid(f"{len(genesis.accounts)} initial accounts: a genesis has 1 to {ACCOUNTS_MAX}")
    if [validator.number for validator in genesis.validators] != list(range(len(genesis.validators))):
        raise Invalid("the validators of a genesis are numbered from 0 in their order")
    _check_names(genesis)
    _check_keys(genesis)
    _check_operators(genesis)
    check_params(genesis.params)


def _check_names(genesis: Genesis) -> None:
    reserved = genesis.reserved_names
    if len(reserved) > RESERVED_NAMES_MAX or list(reserved) != sorted(set(reserved)):
        raise Invalid(f"reserved names: at most {RESERVED_NAMES_MAX}, ascending, each once")
    for name in reserved:
        account_name(name)
    names = [account.name for account in genesis.accounts]
    for name in names:
        account_name(name)
        if name in reserved:
            raise Invalid(f"account name {name!r} is reserved")
    _refuse_twice("account name", names)
    seats = [validator.name for validator in genesis.validators]
    for name in seats:
        account_name(name)
    _refuse_twice("validator name", seats)


def _check_keys(genesis: Genesis) -> None:
    keys = [key for validator in genesis.validators for key in (validator.vote_key, validator.node_key)]
    keys += [account.key for account in genesis.accounts]
    for key in keys:
        if not is_acceptable_public_key(key):
            raise Invalid(f"{key.hex()} is not an acceptable Ed25519 public key")
    # One key in two roles would let a signature made in one be shown in the other.
    _refuse_twice("key", [key.hex() for key in keys])


def _check_operators(genesis: Genesis) -> None:
    operators = {account.id for account in genesis.accounts if account.is_operator}
    for validator in genesis.validators:
        if validator.operator not in operators:
            raise Invalid(f"validator {validator.name!r}: its operator is no operator account of this genesis")


def _refuse_twice(what: str, values: list[str]) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise Invalid(f"{what} {value} stands twice")
        seen.add(value)
