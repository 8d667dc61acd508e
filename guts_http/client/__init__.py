"""A node's HTTP API from Python: ``open_client`` for plain programs, ``open_trio_client`` for trio's."""

from typing import TYPE_CHECKING

from .council import Decision as Decision
from .council import Epoch as Epoch
from .council import EpochSeat as EpochSeat
from .council import Evidence as Evidence
from .council import Follower as Follower
from .council import WaitingSeat as WaitingSeat
from .errors import NotFinal as NotFinal
from .errors import UnexpectedAnswer as UnexpectedAnswer
from .errors import Unreachable as Unreachable
from .joining import Place as Place
from .results import Account as Account
from .results import Block as Block
from .results import BlockTransaction as BlockTransaction
from .results import Branch as Branch
from .results import Certificate as Certificate
from .results import Collaborator as Collaborator
from .results import Commit as Commit
from .results import Connection as Connection
from .results import DeletedRepository as DeletedRepository
from .results import GitRef as GitRef
from .results import Key as Key
from .results import Keys as Keys
from .results import Mempool as Mempool
from .results import Permissions as Permissions
from .results import Person as Person
from .results import RefMove as RefMove
from .results import Repository as Repository
from .results import Status as Status
from .results import Tag as Tag
from .results import TextEntry as TextEntry
from .results import Token as Token
from .results import Transaction as Transaction
from .results import User as User
from .results import Validator as Validator
from .results import WaitingTransaction as WaitingTransaction
from .shapes import as_json as as_json
from .sync import Client as Client
from .sync import open_client as open_client

if TYPE_CHECKING:
    from .async_trio import TrioClient as TrioClient
    from .async_trio import open_trio_client as open_trio_client


def __getattr__(name: str) -> object:
    """What is trio's is imported when it is used: commands and the remote helper start in less time without it."""
    if name not in ("TrioClient", "open_trio_client"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import async_trio  # noqa: PLC0415 -- see above

    return getattr(async_trio, name)
