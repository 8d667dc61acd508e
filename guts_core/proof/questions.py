"""
What can be asked for a proof of. The question stands in the proof file, in one form only.

Names of owners and repositories are lower case, since they are unique without case; a ref has its
full name. Two people who ask the same write the same bytes.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from attrs import frozen

from guts_core.codec import Limit, kinds, record
from guts_core.codec.fields import ARefName, ATxId
from guts_core.errors import Invalid
from guts_core.git.refs import BRANCHES, ref_name
from guts_core.names import NAME_BYTES_MAX, REPOSITORY_NAME_BYTES_MAX, TxId, account_name, repository_name

# 256 headers are some 70 KB: a client that follows asks again from where an answer ends.
HEADERS_MAX = 256
TX_ID_BYTES = 32

AnOwner: TypeAlias = Annotated[str, Limit(most=NAME_BYTES_MAX, least=1)]
AName: TypeAlias = Annotated[str, Limit(most=REPOSITORY_NAME_BYTES_MAX, least=1)]


@record(kinds.REF_QUESTION)
@frozen
class RefQuestion:
    """What is this ref's value?"""

    owner: AnOwner
    name: AName
    ref: ARefName

    def __str__(self) -> str:
        """As a person would ask."""
        return f"{self.owner}/{self.name}@{self.ref}"


@record(kinds.REFS_QUESTION)
@frozen
class RefsQuestion:
    """What are all refs of this repository?"""

    owner: AnOwner
    name: AName

    def __str__(self) -> str:
        """As a person would ask."""
        return f"all refs of {self.owner}/{self.name}"


@record(kinds.PACKS_QUESTION)
@frozen
class PacksQuestion:
    """What are all refs and all admitted packs of this repository: what a whole clone is made of?"""

    owner: AnOwner
    name: AName

    def __str__(self) -> str:
        """As a person would ask."""
        return f"all refs and packs of {self.owner}/{self.name}"


@record(kinds.TRANSACTION_QUESTION)
@frozen
class TransactionQuestion:
    """Who signed this transaction, and what became of it?"""

    tx_id: ATxId

    def __str__(self) -> str:
        """As a person would ask."""
        return f"transaction {self.tx_id.hex()}"


@record(kinds.ACTIVITY_QUESTION)
@frozen
class ActivityQuestion:
    """The same, and what is the activity at this place of its receipt?"""

    tx_id: ATxId
    index: int

    def __str__(self) -> str:
        """As a person would ask."""
        return f"activity {self.index} of transaction {self.tx_id.hex()}"


@record(kinds.HEADERS_QUESTION)
@frozen
class HeadersQuestion:
    """What are the headers of these heights, both ends included?"""

    first: int
    last: int

    def __str__(self) -> str:
        """As a person would ask."""
        return f"headers {self.first} to {self.last}"


@record(kinds.HEADER_QUESTION)
@frozen
class HeaderQuestion:
    """What is the header of this height, shown under the newest that is certified?"""

    height: int

    def __str__(self) -> str:
        """As a person would ask."""
        return f"header {self.height}"


Question: TypeAlias = (
    RefQuestion
    | RefsQuestion
    | TransactionQuestion
    | ActivityQuestion
    | HeadersQuestion
    | HeaderQuestion
    | PacksQuestion
)


def about_ref(owner: str, name: str, ref: str) -> RefQuestion:
    """The question about a ref by its full name or, of a branch, by its own; raises Invalid."""
    full = ref_name(ref if ref.startswith("refs/") else BRANCHES + ref)
    return RefQuestion(*_names(owner, name), full)


def about_refs(owner: str, name: str) -> RefsQuestion:
    """The question about all refs of a repository; raises Invalid."""
    return RefsQuestion(*_names(owner, name))


def about_packs(owner: str, name: str) -> PacksQuestion:
    """The question about all refs and packs of a repository; raises Invalid."""
    return PacksQuestion(*_names(owner, name))


def about_transaction(digits: str) -> TransactionQuestion:
    """The question about a transaction by the 64 digits of its id; raises Invalid."""
    try:
        tx_id = bytes.fromhex(digits)
    except ValueError:
        tx_id = b""
    if len(tx_id) != TX_ID_BYTES or len(digits) != 2 * TX_ID_BYTES:
        raise Invalid("a transaction's id is 64 hexadecimal digits")
    return TransactionQuestion(TxId(tx_id))


def check_form(question: Question) -> None:
    """Raises Invalid unless the question is in its one form."""
    match question:
        case RefQuestion(owner, name, ref):
            wanted: Question = about_ref(owner, name, ref)
        case RefsQuestion(owner, name):
            wanted = about_refs(owner, name)
        case PacksQuestion(owner, name):
            wanted = about_packs(owner, name)
        case HeadersQuestion(first, last):
            if not (0 < first <= last and last - first < HEADERS_MAX):
                raise Invalid(f"headers {first} to {last}: from 1 up, and at most {HEADERS_MAX} at once")
            return
        case HeaderQuestion(height):
            if height < 1:
                raise Invalid("genesis is a file and has no header")
            return
        case _:
            return
    if wanted != question:
        raise Invalid(f"{question} is not in its one form, {wanted}")


def _names(owner: str, name: str) -> tuple[str, str]:
    return account_name(owner.lower()), repository_name(name).lower()
